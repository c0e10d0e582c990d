//! What the driver looks at from time to time: lag, brokers that do not answer, partitions that recovered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_kafka::{OffsetAt, Place};

use super::driver::Reader;
use super::events::name;
use super::locate::offsets;
use super::partition::Phase;
use super::work::Event;
use crate::kafka::count_throttled;

/// A fetch is answered twice a second though there is nothing new. Longer than this without any is an outage, or about to
/// be one; an election takes less.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often ends are asked for while fetching, which tells them, is paused.
const ENDS_INTERVAL: Duration = Duration::from_secs(5);

/// What was seen before.
#[derive(Debug)]
pub(super) struct Watch {
    answers: u64,
    failed: u64,
    throttled_ms: u64,
    answered: Instant,
    is_silent: bool,
    ends_asked: Instant,
    is_asking: bool,
    /// Partitions that rested, and where.
    rested: BTreeMap<Place, i64>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            answers: 0,
            failed: 0,
            throttled_ms: 0,
            answered: now,
            is_silent: false,
            ends_asked: now,
            is_asking: false,
            rested: BTreeMap::new(),
        }
    }

    pub(super) fn rests(&mut self, place: Place, offset: i64) {
        self.rested.insert(place, offset);
    }

    pub(super) fn forget(&mut self, place: &Place) {
        self.rested.remove(place);
    }

    pub(super) fn has_ends(&mut self) {
        self.is_asking = false;
    }
}

impl Reader {
    pub(super) fn look_around(&mut self) {
        self.ledger.set_partitions(self.partitions.values().map(|owned| owned.status()).collect());
        self.look_for_recoveries();
        self.look_for_new_topics();
        self.look_for_silence();
        if self.is_paused && !self.watch.is_asking && self.watch.ends_asked.elapsed() > ENDS_INTERVAL {
            self.ask_for_ends();
        }
    }

    /// A partition is well again once its position has moved.
    fn look_for_recoveries(&mut self) {
        let partitions = &self.partitions;
        let has_moved = |place: &Place, at: &i64| {
            partitions.get(place).and_then(|owned| owned.settled).is_some_and(|settled| settled != *at)
        };
        let ledger = &self.ledger;
        self.watch.rested.retain(|place, at| {
            let is_well = has_moved(place, at);
            if is_well {
                ledger.set_trouble(&name(place), None);
            }
            !is_well
        });
    }

    /// A position in a topic that was deleted says nothing in one that was made anew under its name.
    fn look_for_new_topics(&mut self) {
        let reading = self.partitions.values().filter(|owned| owned.phase == Phase::Reading);
        let places: Vec<Place> = reading.map(|owned| owned.place.clone()).collect();
        for place in places {
            if self.is_of_another_topic(&place) {
                self.locate_anew(&place);
            }
        }
    }

    fn look_for_silence(&mut self) {
        let statistics = self.fetcher.statistics();
        let failed = statistics.requests_failed - self.watch.failed;
        self.watch.failed = statistics.requests_failed;
        self.ledger.faults.add("failed fetch requests", failed);
        count_throttled(&self.ledger.faults, statistics.throttled, &mut self.watch.throttled_ms);
        let answers = statistics.requests - statistics.requests_failed;
        let is_reading = self.partitions.values().any(|owned| owned.phase == Phase::Reading);
        if answers != self.watch.answers || self.is_paused || !is_reading {
            self.watch.answers = answers;
            self.watch.answered = Instant::now();
        }
        let is_silent = self.watch.answered.elapsed() > SILENCE_MAX;
        if is_silent != self.watch.is_silent {
            self.watch.is_silent = is_silent;
            let seconds = SILENCE_MAX.as_secs();
            let trouble = format!("no broker has answered a fetch for more than {seconds} s; waiting for one");
            self.ledger.set_trouble("silence", is_silent.then_some(trouble));
            tracing::warn!(source = %self.name, is_silent, "answers of brokers");
        }
    }

    /// Has the ends of all partitions asked for, so that the lag is right while nothing is fetched.
    fn ask_for_ends(&mut self) {
        self.watch.ends_asked = Instant::now();
        self.watch.is_asking = true;
        let mut by_topic: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
        for place in self.partitions.keys() {
            by_topic.entry(place.topic.clone()).or_default().push(place.partition);
        }
        let (cluster, events) = (self.cluster.clone(), self.events.clone());
        tokio::spawn(async move {
            let mut ends = Vec::new();
            for (topic, partitions) in by_topic {
                // Without an answer the lag stays as last heard.
                let found = offsets(&cluster, &topic, &partitions, OffsetAt::Latest).await.unwrap_or_default();
                ends.extend(found.into_iter().map(|(partition, end)| (Place { topic: topic.clone(), partition }, end)));
            }
            let _ = events.send(Event::Ends(ends));
        });
    }
}
