//! Sinks: where events go out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use weir_event::ChannelId;

use crate::channel::{Form, Position};
use crate::delivery::{Delivery, DeliveryError};
use crate::ledger::Reasons;
use crate::source::StartError;

/// A checked sink configuration, inert until started.
pub trait SinkSpec: Send + Sync {
    /// Most memory that the sink may hold besides the deliveries it is given, in bytes.
    fn memory_bytes(&self) -> u64;

    /// In which form its lanes take batches. [`Form::Stored`] is a wish: deliveries may have events all the same.
    fn form(&self) -> Form {
        Form::Events
    }

    /// How many lanes it has at most.
    fn lanes_max(&self) -> u64 {
        1
    }

    /// Whether all events of a partition go through the same one of its lanes, as long as the partition is here. Else any
    /// lane takes what comes next.
    fn keeps_partitions(&self) -> bool {
        false
    }

    /// Opens the destination and returns the lanes of the sink. What an earlier run left half done is put right here.
    ///
    /// # Errors
    /// [`StartError`] with the name of what could not be opened.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError>;
}

/// What a sink gets at its start.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Name of the sink in the configuration.
    pub name: String,
    /// Name of the agent.
    pub agent: String,
    /// Where the agent keeps state, if it has a place for it.
    pub data_dir: Option<PathBuf>,
    /// Whether the channel keeps events until they are acknowledged, over a crash. If it does not, holding back
    /// acknowledgements protects nothing.
    pub channel_is_durable: bool,
    /// Whether other agents share the channel: its partitions come and go.
    pub channel_is_shared: bool,
    /// Partitions of the channel: released positions, and the end when this run started.
    pub positions: Vec<Position>,
    /// For what the sink alone sees go wrong and gets over, by kind; shown in the state of its group.
    pub faults: Arc<Reasons>,
}

impl SinkContext {
    /// The identity of the channel a delivery of `partition` comes from.
    #[must_use]
    pub fn channel(&self, partition: u32) -> Option<ChannelId> {
        self.positions.iter().map(|position| position.channel).find(|channel| channel.partition == partition)
    }
}

/// Why the engine asks a sink to finish what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushReason {
    /// [`Sink::wake_at`] came.
    Timer,
    /// The channel fills up while deliveries wait for their acknowledgement.
    Pressure,
    /// Partitions of a shared channel are about to be taken away: what is acknowledged now will not be delivered again
    /// by their next owner.
    Handover,
    /// The agent stops.
    Shutdown,
}

/// One lane of a sink. The engine drives it: one call at a time, on the lane's own thread, which it may block.
///
/// Retry, back-off, dead letters, order and counting exist once, in the engine. Failure of a call sends back every
/// delivery whose token the sink still held or dropped; it must therefore forget what it half wrote for them.
#[async_trait(?Send)]
pub trait Sink: Send {
    /// Takes a delivery. Returns when it has been taken in, not necessarily acknowledged: a sink may keep the token and
    /// answer later, so that many deliveries are in flight. Not cancelled by the engine.
    ///
    /// # Errors
    /// [`DeliveryError`]: the delivery (its token dropped) comes again after a back-off.
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError>;

    /// Finishes what waits and acknowledges it.
    ///
    /// # Errors
    /// [`DeliveryError`], as for `deliver`.
    async fn flush(&mut self, reason: FlushReason) -> Result<(), DeliveryError>;

    /// When the engine shall call `flush` with [`FlushReason::Timer`], if nothing else happens.
    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
