//! Interceptor `timestamp`: gives events the time of their arrival. Flume's `TimestampInterceptor`.

use std::sync::Arc;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::interceptor::{Interceptor, InterceptorSpec};
use weir_engine::registry::InterceptorType;
use weir_event::{EventBatch, HeaderName, names};

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Interceptor,
    name: "timestamp",
    aliases: &[],
    summary: "Sets a header to the time of arrival in milliseconds since 1970 UTC.",
    options: &[
        OptionSpec::defaulted("header_name", Kind::Text, "timestamp", "The header to set."),
        OptionSpec::defaulted("preserve_existing", Kind::Flag, "false", "Whether events that have the header keep it."),
    ],
};

/// The type `timestamp`, for the registry.
#[must_use]
pub fn timestamp_interceptor_type() -> InterceptorType {
    InterceptorType { spec: &SPEC, parse }
}

#[derive(Clone)]
struct Timestamp {
    name: String,
    header: HeaderName,
    preserve_existing: bool,
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn InterceptorSpec>> {
    let options = &config.options;
    let header = match options.text("header_name") {
        "timestamp" => names::TIMESTAMP,
        other => HeaderName::new(other),
    };
    let preserve_existing = options.flag("preserve_existing");
    Some(Arc::new(Timestamp { name: config.name.clone(), header, preserve_existing }))
}

impl InterceptorSpec for Timestamp {
    fn build(&self) -> Box<dyn Interceptor> {
        Box::new(self.clone())
    }
}

impl Interceptor for Timestamp {
    fn name(&self) -> &str {
        &self.name
    }

    fn intercept(&mut self, mut batch: EventBatch) -> EventBatch {
        let arrival_ms = batch.arrival_ms();
        let existing = batch.numbers(self.header.as_str());
        let values = (0..batch.len())
            .map(|row| existing.get(row).filter(|_| self.preserve_existing).unwrap_or(arrival_ms))
            .collect();
        batch.set_i64(self.header.clone(), values);
        batch
    }
}

#[cfg(test)]
mod tests {
    use weir_event::ABSENT_I64;

    use super::*;

    /// Scenario: events with and without a timestamp, kept and replaced.
    /// Guarantees: no event is left without one; existing ones survive if asked for.
    #[test]
    fn arrival_fills_or_replaces_timestamps() {
        let mut batch = EventBatch::from_bodies(&["a", "b"], 77);
        batch.set_i64(names::TIMESTAMP, vec![5, ABSENT_I64]);
        let mut keep = Timestamp { name: "t".into(), header: names::TIMESTAMP, preserve_existing: true };
        let kept = keep.intercept(batch.clone());
        assert_eq!((kept.timestamp_ms(0), kept.timestamp_ms(1)), (Some(5), Some(77)));
        keep.preserve_existing = false;
        let replaced = keep.intercept(batch);
        assert_eq!((replaced.timestamp_ms(0), replaced.timestamp_ms(1)), (Some(77), Some(77)));
    }
}
