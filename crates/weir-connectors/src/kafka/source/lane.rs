//! The lanes: threads that unpack batches of their partitions and pass them on.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use weir_codec::flume_event;
use weir_engine::chain;
use weir_engine::outlet::Outlet;
use weir_engine::source::{Source, SourceError, StartError};
use weir_engine::stop::StopSignal;
use weir_event::EventBatch;

use super::config::KafkaSourceSpec;
use super::credit::{Credit, Credits};
use super::driver::Driver;
use super::pace::Pace;
use super::unpack::{From, Unpacker, offset_of};
use super::work::{Event, Failure, Open, Outcome, Report, Work};
use crate::io_thread::IoThread;

/// Makes the lanes. The first brings the driver with it, and starts it.
pub(super) fn start(name: &str, spec: &KafkaSourceSpec) -> Result<Vec<Box<dyn Source>>, StartError> {
    let cluster = spec.connection.cluster_options(&format!("source {name}"))?;
    let io = IoThread::start(&format!("{name}-io"))
        .map_err(|error| StartError::new(format!("source {name}: no thread for its client"), error))?;
    let io = Arc::new(io);
    let (events, inbox) = mpsc::unbounded_channel();
    let pace = spec.rate.map(Pace::new);
    let mut work = Vec::new();
    let mut lanes = Vec::new();
    for _ in 0..spec.lanes {
        // Not bounded by number: what is under way is bounded by the credits, in bytes.
        let (sender, receiver) = mpsc::unbounded_channel();
        work.push(sender);
        lanes.push(Lane {
            work: receiver,
            events: events.clone(),
            unpacker: Unpacker::new(spec.records.clone(), spec.set_headers, spec.batch_bytes_max),
            pace: pace.clone(),
            driver: None,
            io: io.clone(),
        });
    }
    let credits = Credits::new(spec.fetch_memory);
    if let Some(first) = lanes.first_mut() {
        first.driver =
            Some(Driver { name: name.to_owned(), spec: spec.clone(), cluster, credits, lanes: work, events, inbox });
    }
    Ok(lanes.into_iter().map(|lane| Box::new(lane) as Box<dyn Source>).collect())
}

/// One lane.
struct Lane {
    /// Closed by the driver at its end.
    work: mpsc::UnboundedReceiver<Work>,
    events: mpsc::UnboundedSender<Event>,
    unpacker: Unpacker,
    pace: Option<Pace>,
    /// Of the first lane.
    driver: Option<Driver>,
    /// The last lane that ends, ends the thread.
    io: Arc<IoThread>,
}

#[async_trait(?Send)]
impl Source for Lane {
    async fn run(mut self: Box<Self>, mut outlet: Outlet, stop: StopSignal) -> Result<(), SourceError> {
        let mut ended = None;
        if let Some(driver) = self.driver.take() {
            let (sender, receiver) = oneshot::channel();
            let (ledger, stop) = (outlet.ledger().clone(), stop.clone());
            self.io.spawn(async move {
                // This lane listens until it is sent.
                let _ = sender.send(driver.run(ledger, stop).await);
            });
            ended = Some(receiver);
        }
        while let Some(work) = self.work.recv().await {
            self.process(work, &mut outlet, &stop).await;
        }
        match ended {
            None => Ok(()),
            Some(ended) => ended.await.unwrap_or_else(|_| {
                Err(SourceError {
                    message: "the task of the Kafka client panicked: a fault of Weir".into(),
                    source: None,
                })
            }),
        }
    }
}

impl Lane {
    async fn process(&mut self, work: Work, outlet: &mut Outlet, stop: &StopSignal) {
        let Work { place, gate, epoch, wanted, batches, next_offset } = work;
        let from = From { topic: &place.topic, partition: place.partition, wanted };
        let tell = |outcome| {
            // A driver that is gone has committed what it will.
            let _ = self.events.send(Event::Report(Report { place: place.clone(), epoch, outcome }));
        };
        if batches.is_empty() && gate.begin(epoch) {
            tell(Outcome::Sent(Open { next_offset, receipt: None, _credit: None }));
        }
        let mut left = batches.len();
        for (batch, credit) in batches {
            left -= 1;
            if !gate.begin(epoch) {
                return;
            }
            let behind = batch.header.base_offset + i64::from(batch.header.last_offset_delta) + 1;
            let behind = if left == 0 { next_offset } else { behind };
            let events = match self.unpacker.unpack(&batch.bytes, &from) {
                Ok(events) => events,
                Err(error) => {
                    gate.close();
                    let reason = format!("cannot be decoded, fetching again: {}", chain(&error));
                    return tell(Outcome::Failed(Failure { kind: "batches that cannot be decoded", reason }));
                }
            };
            drop(batch);
            outlet.ledger().flagged.fetch_add(flagged(&events), Relaxed);
            let mut pieces = pieces(events, behind, self.pace.as_ref()).peekable();
            let mut credit = Some(credit);
            while let Some((piece, behind)) = pieces.next() {
                if !wait_for_turn(self.pace.as_ref(), piece.len(), stop).await {
                    return tell(Outcome::Dropped);
                }
                // The last piece takes the credit with it.
                let credit = if pieces.peek().is_none() { credit.take() } else { None };
                let outcome = pass_on(piece, behind, credit, outlet);
                let has_failed = !matches!(outcome, Outcome::Sent(_));
                if has_failed {
                    // Before anybody hears of it: what follows in the partition must not overtake.
                    gate.close();
                }
                tell(outcome);
                if has_failed || (pieces.peek().is_some() && !gate.begin(epoch)) {
                    return;
                }
            }
        }
    }
}

fn pass_on(events: EventBatch, next_offset: i64, credit: Option<Credit>, outlet: &mut Outlet) -> Outcome {
    if events.is_empty() {
        return Outcome::Sent(Open { next_offset, receipt: None, _credit: credit });
    }
    match outlet.send(events) {
        Ok(receipt) => Outcome::Sent(Open { next_offset, receipt: Some(receipt), _credit: credit }),
        Err(error) => {
            let reason = format!("not taken, fetching again: {}", chain(&error));
            Outcome::Failed(Failure { kind: "batches that a channel did not take", reason })
        }
    }
}

/// Events that were kept whole because they are not of the format.
fn flagged(events: &EventBatch) -> u64 {
    let marks = events.column(flume_event::STATUS.as_str());
    marks.map_or(0, |marks| (0..events.len()).filter(|row| events.value(marks, *row).is_some()).count() as u64)
}

/// The events in pieces as the pace wants them, each with the position behind it; one piece without a pace.
fn pieces(events: EventBatch, behind: i64, pace: Option<&Pace>) -> impl Iterator<Item = (EventBatch, i64)> {
    let piece_events = pace.map_or(usize::MAX, Pace::piece_events);
    let starts = (0..events.len().max(1)).step_by(piece_events);
    starts.map(move |start| {
        let end = start.saturating_add(piece_events).min(events.len());
        let next = if end == events.len() { behind } else { offset_of(&events, end) };
        (events.slice(start..end), next)
    })
}

/// Waits for the turn of `events` events; false if the agent stops meanwhile.
async fn wait_for_turn(pace: Option<&Pace>, events: usize, stop: &StopSignal) -> bool {
    let Some(pace) = pace else { return true };
    let turn = pace.turn(events, Instant::now());
    tokio::select! {
        biased;
        () = stop.given() => false,
        () = tokio::time::sleep_until(turn.into()) => true,
    }
}
