//! Drives one lane of a sink: deliveries, timers, back-off, draining.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until, timeout_at};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::channel::ReadLimit;
use crate::delivery::DeliveryError;
use crate::group::Group;
use crate::lane_account::LaneAccount;
use crate::sink::{FlushReason, Sink};
use crate::stop::StopSignal;

/// Share of the channel's capacity that a sink may hold unanswered before it is told to finish what it has: a quarter
/// leaves three for what comes in meanwhile.
const PRESSURE_SHARE: u64 = 4;

/// How full a channel may be, by whichever limit comes first, while all of its events are held by sinks.
const PRESSURE_FILL: f64 = 0.75;

/// What a lane is made of.
pub(crate) struct SinkLane {
    pub(crate) name: String,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) group: Arc<Group>,
    pub(crate) limit: ReadLimit,
    /// Given when no more events will come: deliver what is there, finish, end.
    pub(crate) drain: StopSignal,
    /// Where it sits, and what became of its deliveries.
    pub(crate) account: Arc<LaneAccount>,
}

impl SinkLane {
    /// Runs until drained or past the drain's deadline.
    pub(crate) async fn run(mut self) {
        let (fresh, returned) = self.group.wakeups();
        let mut random = fastrand::Rng::new();
        let mut backoff = Backoff::default();
        let mut nacks = 0;
        // What was done with when it failed last.
        let mut settled = 0;
        loop {
            // Registered before looking, so that nothing that comes in between is slept through.
            let (fresh, returned) = (fresh.notified(), returned.notified());
            tokio::pin!(fresh, returned);
            fresh.as_mut().enable();
            returned.as_mut().enable();
            let step = self.step().await;
            let nacks_now = self.account.nacks();
            match step {
                Err(error) => {
                    (nacks, settled) = (nacks_now, self.account.settled_events());
                    self.back_off(&error, &mut backoff, &mut random).await;
                }
                Ok(_) if nacks_now > nacks => {
                    // A delivery came back after `deliver` had returned.
                    (nacks, settled) = (nacks_now, self.account.settled_events());
                    let message = self.group.ledger().last_failure().unwrap_or_else(|| "delivery came back".into());
                    let error = match self.account.take_fatal() {
                        true => DeliveryError::Fatal { message, source: None },
                        false => DeliveryError::Retry { message, after: None, source: None },
                    };
                    self.back_off(&error, &mut backoff, &mut random).await;
                }
                // To take a delivery in is no success yet: a sink that gathers takes many before it fails again.
                Ok(true) => {
                    if backoff.failures() > 0 && self.account.settled_events() > settled {
                        backoff.reset();
                    }
                }
                Ok(false) if self.drain.is_given() => {
                    if self.finish().await {
                        return;
                    }
                    // A delivery is still out: with a sibling, on its way to the dead letter channel, or to be read again.
                    tokio::select! {
                        () = returned => {}
                        () = wait_until(self.group.retry_at(self.account.seat())) => {}
                        () = wait_until(self.drain.deadline()) => {}
                    }
                }
                Ok(false) => {
                    let timer = self.sink.wake_at();
                    tokio::select! {
                        () = fresh => {}
                        () = returned => {}
                        () = self.drain.given() => {}
                        () = wait_until(timer) => {}
                        () = wait_until(self.group.retry_at(self.account.seat())) => {}
                    }
                }
            }
            if self.drain.is_past_deadline() {
                self.finish().await;
                return;
            }
        }
    }

    /// One delivery or flush; whether there was anything to do.
    async fn step(&mut self) -> Result<bool, DeliveryError> {
        if self.sink.wake_at().is_some_and(|at| at <= Instant::now()) {
            self.sink.flush(FlushReason::Timer).await?;
        }
        if self.group.is_in_a_hurry(self.account.seat()) {
            self.sink.flush(FlushReason::Handover).await?;
        }
        if self.drain.is_given() && self.group.channel().is_shared() {
            // Others fill it without end, and have what is left.
            return Ok(false);
        }
        let next = self.group.next(self.limit, &self.account);
        let next = next.map_err(|error| DeliveryError::retry("channel cannot be read", error))?;
        let usage = self.group.channel().usage();
        // What sinks hold of a shared channel does not fill it: it is full for those who write to it.
        let presses = !self.group.channel().is_shared();
        let Some(delivery) = next else {
            // All there is was delivered, the channel is filling all the same, so what fills it is held by sinks.
            if presses && usage.fill() > PRESSURE_FILL && self.group.is_anything_outstanding() {
                self.sink.flush(FlushReason::Pressure).await?;
            }
            return Ok(false);
        };
        self.sink.deliver(delivery).await?;
        let capacity = usage.capacity_bytes;
        if presses && capacity > 0 && self.group.outstanding_bytes() > capacity / PRESSURE_SHARE {
            self.sink.flush(FlushReason::Pressure).await?;
        }
        Ok(true)
    }

    /// Finishes what the sink holds; whether the lane may end.
    async fn finish(&mut self) -> bool {
        let deadline = self.drain.deadline().unwrap_or_else(Instant::now);
        // Past the deadline the sink still gets a moment: what it finishes now is not repeated after the restart.
        let until = deadline.max(Instant::now() + Duration::from_secs(1));
        match timeout_at(until.into(), self.sink.flush(FlushReason::Shutdown)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(sink = %self.name, error = %error.chain(), "last flush failed"),
            Err(_) => warn!(sink = %self.name, "last flush took too long and was given up"),
        }
        let over = self.drain.is_past_deadline() || self.group.channel().is_shared();
        if over || !self.group.is_anything_outstanding() {
            info!(sink = %self.name, waiting = self.group.backlog().events, "sink lane ended");
            return true;
        }
        false
    }

    async fn back_off(&self, error: &DeliveryError, backoff: &mut Backoff, random: &mut fastrand::Rng) {
        let wait = match error {
            DeliveryError::Retry { after: Some(after), .. } => (*after).max(backoff.next(random)),
            DeliveryError::Retry { .. } => backoff.next(random),
            DeliveryError::Fatal { .. } => backoff.longest(),
        };
        self.group.ledger().failed(&error.chain());
        let failures = backoff.failures();
        warn!(sink = %self.name, failures, retry_in_ms = wait.as_millis() as u64, error = %error.chain(), "delivery refused, backing off");
        let deadline = async {
            self.drain.given().await;
            wait_until(self.drain.deadline()).await;
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = deadline => {}
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
