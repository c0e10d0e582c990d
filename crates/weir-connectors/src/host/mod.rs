//! Interceptor `host`: says which agent took an event in. Flume's `HostInterceptor`.

use std::sync::Arc;

use bytes::Bytes;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::interceptor::{Interceptor, InterceptorSpec};
use weir_engine::registry::InterceptorType;
use weir_event::{Column, EventBatch, HeaderName, TextColumn};

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Interceptor,
    name: "host",
    aliases: &[],
    summary: "Sets a header to the name or address of the machine the agent runs on.",
    options: &[
        OptionSpec::defaulted("header_name", Kind::Text, "host", "The header to set."),
        OptionSpec::defaulted(
            "use_ip",
            Kind::Flag,
            "false",
            "The address instead of the name. Flume's default is true; a name is what people search for.",
        ),
        OptionSpec::unset("value", Kind::Text, "What to set instead of what the system says.").example("edge-london-1"),
        OptionSpec::defaulted("preserve_existing", Kind::Flag, "false", "Whether events that have the header keep it."),
    ],
};

/// The type `host`, for the registry.
#[must_use]
pub fn host_interceptor_type() -> InterceptorType {
    InterceptorType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn InterceptorSpec>> {
    let options = &config.options;
    let value = match options.text_opt("value") {
        Some(value) => value.to_owned(),
        None if options.flag("use_ip") => own_address().unwrap_or_else(own_name),
        None => own_name(),
    };
    Some(Arc::new(SetHeader {
        name: config.name.clone(),
        header: HeaderName::new(options.text("header_name")),
        value: value.into(),
        preserve_existing: options.flag("preserve_existing"),
    }))
}

/// The machine's name as the kernel knows it; `localhost` where it has none.
fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

/// The address this machine would use to reach others: a connected UDP socket sends nothing.
fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // 192.0.2.1 is reserved for documentation; only the route to it is looked up.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip().to_string())
}

/// Sets one header to one value: what `host` and `static` share.
#[derive(Clone)]
pub(crate) struct SetHeader {
    pub(crate) name: String,
    pub(crate) header: HeaderName,
    pub(crate) value: Bytes,
    pub(crate) preserve_existing: bool,
}

impl InterceptorSpec for SetHeader {
    fn build(&self) -> Box<dyn Interceptor> {
        Box::new(self.clone())
    }
}

impl Interceptor for SetHeader {
    fn name(&self) -> &str {
        &self.name
    }

    fn intercept(&mut self, mut batch: EventBatch) -> EventBatch {
        match batch.column(self.header.as_str()) {
            Some(Column::Constant(_)) if self.preserve_existing => {}
            Some(_) if self.preserve_existing => self.fill(&mut batch),
            _ => batch.set_constant(self.header.clone(), self.value.clone()),
        }
        batch
    }
}

impl SetHeader {
    /// Gives the value to the events that have none.
    fn fill(&self, batch: &mut EventBatch) {
        let mut arena = self.value.to_vec();
        let default = weir_event::Span::new(0, arena.len());
        let spans = (0..batch.len()).map(|row| match batch.header(row, self.header.as_str()) {
            Some(value) => {
                let span = weir_event::Span::new(arena.len(), value.len());
                arena.extend_from_slice(&value);
                span
            }
            None => default,
        });
        let spans = Arc::new(spans.collect::<Vec<_>>());
        batch.set_text(self.header.clone(), TextColumn { arena: arena.into(), spans });
    }
}

#[cfg(test)]
mod tests {
    use weir_event::{BatchBuilder, Span, names};

    use super::*;

    /// Scenario: one of two events has a host; the header is filled, then replaced.
    /// Guarantees: with `preserve_existing` only the missing value is set; without it every event gets the new one.
    #[test]
    fn a_header_is_filled_or_replaced() {
        let mut builder = BatchBuilder::new();
        let host = builder.text_column(names::HOST);
        builder.set_text(host, Span::new(0, 3));
        builder.push(Span::new(0, 3));
        builder.push(Span::new(0, 3));
        let batch = builder.seal_bytes(Bytes::from_static(b"fw1"), 0);
        let set = SetHeader { name: "h".into(), header: names::HOST, value: "edge".into(), preserve_existing: true };
        let filled = set.build().intercept(batch.clone());
        assert_eq!(filled.header(0, "host").as_deref(), Some(&b"fw1"[..]));
        assert_eq!(filled.header(1, "host").as_deref(), Some(&b"edge"[..]));
        let replaced = SetHeader { preserve_existing: false, ..set }.build().intercept(batch);
        assert_eq!(replaced.header(0, "host").as_deref(), Some(&b"edge"[..]));
    }

    /// Scenario: the machine is asked for its name.
    /// Guarantees: there is always one.
    #[test]
    fn the_machine_has_a_name() {
        assert!(!own_name().is_empty());
    }
}
