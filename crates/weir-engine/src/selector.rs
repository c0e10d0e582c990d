//! Selectors: which channels an event goes to. Flume's `replicating` and `multiplexing`.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_event::{Column, EventBatch};

use crate::channel::Channel;

/// Channels by index into the list of the source's channels.
type Channels = Vec<usize>;

/// Where the events of a source go.
#[derive(Clone)]
pub struct Selector {
    channels: Vec<Arc<dyn Channel>>,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Replicating { required: Channels, optional: Channels },
    Multiplexing { header: String, routes: BTreeMap<Vec<u8>, Route>, default: Route },
}

/// Where the events with one header value go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The source waits for these.
    pub required: Channels,
    /// These take what they can; what they cannot is counted and left out.
    pub optional: Channels,
}

/// A part of a batch and where it goes.
pub struct Routed {
    /// The events.
    pub batch: EventBatch,
    /// Channels that must take it.
    pub required: Vec<Arc<dyn Channel>>,
    /// Channels that may take it.
    pub optional: Vec<Arc<dyn Channel>>,
}

impl Selector {
    /// Every event to every channel; those whose index is in `optional` may miss some.
    #[must_use]
    pub fn replicating(channels: Vec<Arc<dyn Channel>>, optional: Channels) -> Self {
        let required = (0..channels.len()).filter(|index| !optional.contains(index)).collect();
        Self { channels, rule: Rule::Replicating { required, optional } }
    }

    /// By the value of `header`; events without the header or with an unmapped value go to `default`.
    #[must_use]
    pub fn multiplexing(
        channels: Vec<Arc<dyn Channel>>,
        header: &str,
        routes: BTreeMap<Vec<u8>, Route>,
        default: Route,
    ) -> Self {
        Self { channels, rule: Rule::Multiplexing { header: header.into(), routes, default } }
    }

    /// Splits `batch` by destination. A part with no channel at all is what no route wanted: the caller counts it.
    #[must_use]
    pub fn route(&self, batch: EventBatch) -> Vec<Routed> {
        match &self.rule {
            Rule::Replicating { required, optional } => vec![self.routed(batch, required, optional)],
            Rule::Multiplexing { header, routes, default } => {
                if let Some(Column::Constant(value)) = batch.column(header) {
                    let route = routes.get(&value[..]).unwrap_or(default);
                    return vec![self.routed(batch, &route.required, &route.optional)];
                }
                self.split(&batch, header, routes, default)
            }
        }
    }

    fn split(
        &self,
        batch: &EventBatch,
        header: &str,
        routes: &BTreeMap<Vec<u8>, Route>,
        default: &Route,
    ) -> Vec<Routed> {
        // Routes compared by address: each is one entry of the map or the default.
        let mut parts: Vec<(&Route, Vec<usize>)> = Vec::new();
        for row in 0..batch.len() {
            let value = batch.header(row, header);
            let route = value.and_then(|value| routes.get(&*value)).unwrap_or(default);
            match parts.iter_mut().find(|(known, _)| std::ptr::eq(*known, route)) {
                Some((_, rows)) => rows.push(row),
                None => parts.push((route, vec![row])),
            }
        }
        parts
            .into_iter()
            .map(|(route, rows)| {
                let part = if rows.len() == batch.len() { batch.clone() } else { batch.select(&rows) };
                self.routed(part, &route.required, &route.optional)
            })
            .collect()
    }

    fn routed(&self, batch: EventBatch, required: &[usize], optional: &[usize]) -> Routed {
        let pick = |indexes: &[usize]| indexes.iter().filter_map(|index| self.channels.get(*index).cloned()).collect();
        Routed { batch, required: pick(required), optional: pick(optional) }
    }
}

#[cfg(test)]
mod tests {
    use weir_event::{BatchBuilder, HeaderName};

    use super::*;
    use crate::channel::{MemoryChannel, MemoryLimits};

    fn channels(names: &[&str]) -> Vec<Arc<dyn Channel>> {
        let limits = MemoryLimits { bytes_max: 1 << 20, events_max: 1000 };
        names.iter().map(|name| Arc::new(MemoryChannel::new(name, limits, 1)) as Arc<dyn Channel>).collect()
    }

    fn batch(values: &[Option<&str>]) -> EventBatch {
        let mut builder = BatchBuilder::new();
        let zone = builder.text_column(HeaderName::from_static("zone"));
        let mut arena = Vec::new();
        for value in values {
            let text = value.unwrap_or("-");
            let span = weir_event::Span::new(arena.len(), text.len());
            arena.extend_from_slice(text.as_bytes());
            if value.is_some() {
                builder.set_text(zone, span);
            }
            builder.push(span);
        }
        builder.seal_bytes(arena.into(), 0)
    }

    fn names(channels: &[Arc<dyn Channel>]) -> Vec<&str> {
        channels.iter().map(|channel| channel.name()).collect()
    }

    /// Scenario: one channel of three is optional.
    /// Guarantees: the batch goes whole to all of them, in two classes.
    #[test]
    fn replicating_sends_everything_everywhere() {
        let selector = Selector::replicating(channels(&["a", "b", "c"]), vec![1]);
        let routed = selector.route(batch(&[None, Some("x")]));
        assert_eq!(routed.len(), 1);
        assert_eq!((names(&routed[0].required), names(&routed[0].optional)), (vec!["a", "c"], vec!["b"]));
    }

    /// Scenario: events with a mapped value, an unmapped one and none; then without a default.
    /// Guarantees: each event goes to its channel in order; without a default the rest has no channel and is not lost sight of.
    #[test]
    fn multiplexing_splits_by_header() {
        let route = |index| Route { required: vec![index], optional: vec![] };
        let routes: BTreeMap<_, _> = [(b"dmz".to_vec(), route(0))].into();
        let events = [Some("dmz"), Some("lan"), Some("dmz"), None];
        let selector = Selector::multiplexing(channels(&["a", "b"]), "zone", routes.clone(), route(1));
        let routed = selector.route(batch(&events));
        assert_eq!(routed.len(), 2);
        assert_eq!((names(&routed[0].required), routed[0].batch.len()), (vec!["a"], 2));
        assert_eq!((names(&routed[1].required), routed[1].batch.body(0)), (vec!["b"], &b"lan"[..]));
        let strict = Selector::multiplexing(channels(&["a", "b"]), "zone", routes, Route::default());
        let routed = strict.route(batch(&events));
        assert!(routed[1].required.is_empty() && routed[1].batch.len() == 2);
    }
}
