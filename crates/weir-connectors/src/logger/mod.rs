//! Sink `logger`: shows events in the agent's own log, as Flume's logger sink does. For trying things out.
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | logged, not yet released | shown again after the restart | `logger_shows_headers_and_body` |

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::info;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::delivery::{Delivery, DeliveryError};
use weir_engine::registry::SinkType;
use weir_engine::sink::{FlushReason, Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_event::EventBatch;

#[cfg(test)]
mod tests;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "logger",
    aliases: &[],
    summary: "Shows events in the agent's own log: for trying things out.",
    options: &[
        OptionSpec::defaulted(
            "body_bytes_max",
            Kind::Bytes { min: 0, max: 1 << 20 },
            "256",
            "How much of each body is shown. Above 1 MiB a log line is of no use to anybody.",
        ),
        OptionSpec::defaulted(
            "events_max",
            Kind::Count { min: 0, max: u64::MAX },
            "0",
            "Stop showing after so many events, but go on taking them; 0 shows all.",
        ),
    ],
};

/// The type `logger`, for the registry.
#[must_use]
pub fn logger_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

#[derive(Clone)]
struct LoggerSpec {
    body_bytes_max: usize,
    events_max: u64,
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    let options = &config.options;
    let events_max = match options.count("events_max") {
        0 => u64::MAX,
        events_max => events_max,
    };
    Some(Arc::new(LoggerSpec { body_bytes_max: options.bytes("body_bytes_max") as usize, events_max }))
}

impl SinkSpec for LoggerSpec {
    fn memory_bytes(&self) -> u64 {
        // One line: escaping makes a byte at most four characters.
        4 * self.body_bytes_max as u64
    }

    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        Ok(vec![Box::new(LoggerSink { name: context.name.clone(), spec: self.clone(), shown: 0 })])
    }
}

struct LoggerSink {
    name: String,
    spec: LoggerSpec,
    shown: u64,
}

#[async_trait(?Send)]
impl Sink for LoggerSink {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        for batch in &delivery.batches {
            for row in 0..batch.len() {
                if self.shown >= self.spec.events_max {
                    break;
                }
                self.shown += 1;
                info!(sink = %self.name, "{}", line(batch, row, self.spec.body_bytes_max));
            }
        }
        delivery.ack.ack();
        Ok(())
    }

    async fn flush(&mut self, _: FlushReason) -> Result<(), DeliveryError> {
        Ok(())
    }
}

/// One event as a line: control characters escaped, so that no event can forge a line of the log.
fn line(batch: &EventBatch, row: usize, body_bytes_max: usize) -> String {
    let mut text = String::from("event {");
    for (name, column) in batch.columns() {
        if let Some(value) = batch.value(column, row) {
            let _ = write!(text, " {name}={}", value.escape_ascii());
        }
    }
    let body = batch.body(row);
    let shown = &body[..body.len().min(body_bytes_max)];
    let _ = write!(text, " }} {}", shown.escape_ascii());
    if shown.len() < body.len() {
        let _ = write!(text, "... ({} bytes)", body.len());
    }
    text
}
