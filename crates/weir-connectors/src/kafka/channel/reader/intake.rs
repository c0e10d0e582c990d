//! [`Intake`]: from the fetcher into the buffer, as far as there is room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, error};
use weir_engine::clock::now_ms;
use weir_kafka::{FetchError, Fetched, Fetcher};

use super::shared::Shared;
use super::stay::Stay;
use crate::kafka::channel::health::Troubles;

/// How long a partition rests after a fault of its contents or a refusal: a person or another replica may mend it, and
/// what is told every five seconds is noticed.
pub(super) const FAULT_PAUSE: Duration = Duration::from_secs(5);
/// Share of the memory that partitions get, in percent. The rest of it is for what brokers have sent by then.
const SHARED_PERCENT: usize = 80;
/// A partition that had too much goes on when it has less than so much of what is free, in percent.
const RESUME_PERCENT: usize = 60;

pub(super) struct Intake {
    pub(super) fetcher: Fetcher,
    pub(super) topic: Arc<str>,
    pub(super) shared: Arc<Shared>,
    pub(super) troubles: Arc<Troubles>,
    /// Most bytes to hold.
    pub(super) memory_bytes: usize,
    /// Partitions whose position the topic does not have; up to where it is what was read, if that is known.
    pub(super) astray: Vec<(u32, Option<u64>)>,
}

impl Intake {
    /// Waits for `work` and goes on fetching meanwhile.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.step() => {}
            }
        }
    }

    /// Takes in what comes next. Cancel safe.
    pub(super) async fn step(&mut self) {
        self.credit();
        match self.fetcher.next().await {
            Ok(fetched) => self.accept(fetched),
            Err(error) => self.fault(&error),
        }
    }

    fn accept(&mut self, fetched: Fetched) {
        let Ok(partition) = u32::try_from(fetched.partition) else { return };
        let readable = !fetched.batches.is_empty();
        if !self.shared.with(|state| state.push(partition, fetched, now_ms())) {
            // It rests, or leaves: nothing more is fetched until it is assigned anew, and its trouble is not over.
            self.fetcher.unassign(&self.topic, partition.cast_signed());
            return;
        }
        self.troubles.clear(&about(partition));
        if readable {
            self.shared.lanes.notify_waiters();
        }
    }

    fn fault(&mut self, fault: &FetchError) {
        let (partition, text) = match fault {
            FetchError::OutOfRange { partition, .. } => {
                self.astray.push((partition.cast_unsigned(), None));
                return;
            }
            FetchError::Truncated { partition, intact_to, .. } => {
                self.astray.push((partition.cast_unsigned(), u64::try_from(*intact_to).ok()));
                return;
            }
            FetchError::Refused { partition, .. } | FetchError::NotABatch { partition, .. } => {
                (partition.cast_unsigned(), weir_engine::chain(fault))
            }
        };
        error!(error = %text, "a partition cannot be read; trying on");
        self.troubles.set(&about(partition), text);
        self.shared.with(|state| {
            if let Some(stay) = state.stays.get_mut(&partition) {
                stay.rests_until = Some(Instant::now() + FAULT_PAUSE);
            }
        });
    }

    /// Reads a partition from where its buffer ends.
    pub(super) fn assign(&mut self, partition: u32) {
        let found = self.shared.with(|state| {
            let stay = state.stays.get_mut(&partition)?;
            stay.rests_until = None;
            Some((i64::try_from(stay.fetched).ok()?, stay.is_paused))
        });
        let Some((offset, is_paused)) = found else { return };
        self.fetcher.assign(&self.topic, partition.cast_signed(), offset);
        self.fetcher.set_paused(&self.topic, partition.cast_signed(), is_paused);
    }

    pub(super) fn unassign(&mut self, partition: u32) {
        self.fetcher.unassign(&self.topic, partition.cast_signed());
        self.troubles.clear(&about(partition));
    }

    /// Reads those again that have rested long enough.
    pub(super) fn wake_rested(&mut self) {
        let now = Instant::now();
        let rested = self.shared.with(|state| {
            let due = |until: Option<Instant>| until.is_some_and(|until| until <= now);
            let rested = state.stays.iter().filter(|(_, stay)| due(stay.rests_until) && !stay.is_leaving);
            rested.map(|(partition, _)| *partition).collect::<Vec<_>>()
        });
        rested.into_iter().for_each(|partition| self.assign(partition));
    }

    /// Pauses and resumes by what is buffered. A partition may have as much as is free: one alone gets half of what there is,
    /// and some that nobody takes leave about as much as each of them has to the others (the dynamic threshold of switches
    /// with shared memory, Choudhury and Hahne 1998). One that has nothing is fetched as long as there is any memory.
    fn credit(&mut self) {
        let changed = self.shared.with(|state| {
            let is_full = state.buffered_bytes >= self.memory_bytes;
            let free = (self.memory_bytes / 100 * SHARED_PERCENT).saturating_sub(state.buffered_bytes);
            let turns = |(partition, stay): (&u32, &mut Stay)| {
                let most = if stay.is_paused { free / 100 * RESUME_PERCENT } else { free };
                let pauses = is_full || stay.buffered_bytes() > most;
                let has_changed = std::mem::replace(&mut stay.is_paused, pauses) != pauses;
                has_changed.then_some((*partition, pauses))
            };
            state.stays.iter_mut().filter_map(turns).collect::<Vec<_>>()
        });
        for (partition, pauses) in changed {
            debug!(partition, pauses, "fetching");
            self.fetcher.set_paused(&self.topic, partition.cast_signed(), pauses);
        }
    }
}

/// What troubles of a partition are filed under.
pub(super) fn about(partition: u32) -> String {
    format!("partition {partition}")
}
