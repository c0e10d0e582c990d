//! From a configuration to checked specifications, without I/O: what `weir check` runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_config::{AgentConfig, ComponentConfig, Diagnostics, Options, Severity, units};

use crate::interceptor::InterceptorSpec;
use crate::registry::{ChannelSpec, Registry};
use crate::sink::SinkSpec;
use crate::source::SourceSpec;

/// A component and its checked specification.
pub struct Planned<T: ?Sized> {
    /// Name in the configuration.
    pub name: String,
    /// Its type.
    pub type_name: String,
    /// All its options, those of the wiring included.
    pub options: Options,
    /// What it will run as.
    pub spec: Arc<T>,
}

/// A checked configuration, inert until started.
pub struct Plan {
    /// Options of the agent.
    pub agent: Options,
    /// The sources.
    pub sources: Vec<Planned<dyn SourceSpec>>,
    /// The interceptors by name.
    pub interceptors: BTreeMap<String, Arc<dyn InterceptorSpec>>,
    /// The channels.
    pub channels: Vec<Planned<dyn ChannelSpec>>,
    /// The sinks.
    pub sinks: Vec<Planned<dyn SinkSpec>>,
}

/// One line of the memory plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLine {
    /// The component.
    pub component: String,
    /// Most bytes its buffers take.
    pub bytes: u64,
}

impl Plan {
    /// Checks `config` against `registry`. Every fault becomes a diagnostic; `None` if any was an error.
    #[must_use]
    pub fn new(config: &AgentConfig, registry: &Registry, diagnostics: &mut Diagnostics) -> Option<Self> {
        let errors_before = diagnostics.count(Severity::Error);
        let mut plan = Self {
            agent: config.agent.clone(),
            sources: Vec::new(),
            interceptors: BTreeMap::new(),
            channels: Vec::new(),
            sinks: Vec::new(),
        };
        for component in &config.sources {
            let found = registry.sources.iter().find(|known| known.spec.name == component.type_name);
            let spec = found.and_then(|known| (known.parse)(component, diagnostics));
            plan.sources.extend(planned(component, spec));
        }
        for component in &config.interceptors {
            let found = registry.interceptors.iter().find(|known| known.spec.name == component.type_name);
            if let Some(spec) = found.and_then(|known| (known.parse)(component, diagnostics)) {
                plan.interceptors.insert(component.name.clone(), spec);
            }
        }
        for component in &config.channels {
            let found = registry.channels.iter().find(|known| known.spec.name == component.type_name);
            let spec = found.and_then(|known| (known.parse)(component, diagnostics));
            plan.channels.extend(planned(component, spec));
        }
        for component in &config.sinks {
            let found = registry.sinks.iter().find(|known| known.spec.name == component.type_name);
            let spec = found.and_then(|known| (known.parse)(component, diagnostics));
            plan.sinks.extend(planned(component, spec));
        }
        plan.check_memory(diagnostics);
        plan.check_places(diagnostics);
        plan.check_dead_letters(diagnostics);
        (diagnostics.count(Severity::Error) == errors_before).then_some(plan)
    }

    /// Most memory each component may take; the budget is checked against their sum.
    #[must_use]
    pub fn memory(&self) -> Vec<MemoryLine> {
        let line = |kind: &str, name: &str, bytes| MemoryLine { component: format!("{kind} {name}"), bytes };
        let sources = self.sources.iter().map(|source| line("source", &source.name, source.spec.memory_bytes()));
        let channels = self.channels.iter().map(|channel| line("channel", &channel.name, channel.spec.memory_bytes()));
        let sinks = self.sinks.iter().map(|sink| {
            // Of each lane a delivery as stored and, where it is compressed, as decoded.
            let deliveries = 2 * sink.options.bytes("batch_bytes") * sink.spec.lanes_max();
            line("sink", &sink.name, sink.spec.memory_bytes() + deliveries)
        });
        sources.chain(channels).chain(sinks).collect()
    }

    fn check_memory(&self, diagnostics: &mut Diagnostics) {
        let lines = self.memory();
        let needed: u64 = lines.iter().map(|line| line.bytes).sum();
        let budget = self.agent.bytes("memory");
        if needed > budget {
            let parts: Vec<_> =
                lines.iter().map(|line| format!("{} {}", line.component, units::format_bytes(line.bytes))).collect();
            let message = format!(
                "the memory budget is {} but the components may take {}: {}",
                units::format_bytes(budget),
                units::format_bytes(needed),
                parts.join(", ")
            );
            let hint = format!("set memory = \"{}\" in [agent], or lower what is largest", units::format_bytes(needed));
            diagnostics.push(self.agent.error("memory", message).with_hint(hint));
        }
    }

    /// A group has one dead letter channel, and not the one it reads.
    fn check_dead_letters(&self, diagnostics: &mut Diagnostics) {
        let mut by_group: BTreeMap<(&str, &str), (&str, Option<&str>)> = BTreeMap::new();
        for sink in &self.sinks {
            let channel = sink.options.text("channel");
            let dead_letter = sink.options.text_opt("dead_letter");
            if dead_letter == Some(channel) {
                let message =
                    "the dead letter channel is the channel the sink reads: refused events would go round for ever";
                diagnostics.push(sink.options.error("dead_letter", message).with_hint("name another channel"));
            }
            let group = (channel, sink.options.text_opt("group").unwrap_or("default"));
            let (first, expected) = *by_group.entry(group).or_insert((&sink.name, dead_letter));
            if expected != dead_letter {
                let message =
                    format!("sinks of one group have one dead letter channel; sink {first} of this group has another");
                diagnostics
                    .push(sink.options.error("dead_letter", message).with_hint("give both the same, or each a group"));
            }
        }
    }

    /// Durable channels need a place of their own.
    fn check_places(&self, diagnostics: &mut Diagnostics) {
        let mut places: BTreeMap<&std::path::Path, &str> = BTreeMap::new();
        for channel in self.channels.iter().filter(|channel| channel.type_name == "file") {
            match channel.options.path_opt("path") {
                Some(path) => {
                    if let Some(other) = places.insert(path, &channel.name) {
                        let message = format!("channel {other} keeps its log in the same folder");
                        diagnostics.push(
                            channel
                                .options
                                .error("path", message)
                                .with_hint("give each file channel a folder of its own"),
                        );
                    }
                }
                None if self.agent.path_opt("data_dir").is_none() => {
                    let message = "this channel has no place for its log";
                    diagnostics.push(
                        channel.options.error("path", message).with_hint("set path here, or data_dir in [agent]"),
                    );
                }
                None => {}
            }
        }
    }
}

fn planned<T: ?Sized>(component: &ComponentConfig, spec: Option<Arc<T>>) -> Option<Planned<T>> {
    Some(Planned {
        name: component.name.clone(),
        type_name: component.type_name.to_owned(),
        options: component.options.clone(),
        spec: spec?,
    })
}
