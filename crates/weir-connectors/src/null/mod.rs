//! Sink `null`: takes everything and keeps nothing. For measuring what comes before it.
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | anywhere | what was delivered is gone, as always with this sink | `null_acknowledges_everything` |

use std::sync::Arc;

use async_trait::async_trait;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, TypeSpec};
use weir_engine::delivery::{Delivery, DeliveryError};
use weir_engine::registry::SinkType;
use weir_engine::sink::{FlushReason, Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;

#[cfg(test)]
mod tests;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "null",
    aliases: &[],
    summary: "Takes every event and keeps none: for measuring what comes before it.",
    options: &[],
};

/// The type `null`, for the registry.
#[must_use]
pub fn null_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

fn parse(_: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    Some(Arc::new(NullSpec))
}

struct NullSpec;
struct NullSink;

impl SinkSpec for NullSpec {
    fn memory_bytes(&self) -> u64 {
        0
    }

    fn start(&self, _: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        Ok(vec![Box::new(NullSink)])
    }
}

#[async_trait(?Send)]
impl Sink for NullSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        delivery.ack.ack();
        Ok(())
    }

    async fn flush(&mut self, _: FlushReason) -> Result<(), DeliveryError> {
        Ok(())
    }
}
