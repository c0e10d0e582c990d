//! Options of the generate source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_engine::registry::SourceType;
use weir_engine::source::{Source, SourceContext, SourceSpec, StartError};

/// Largest file that is replayed: it is held in memory, since reading it again and again would measure the disk.
pub(super) const INPUT_BYTES_MAX: u64 = 64 << 20;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Source,
    name: "generate",
    aliases: &["stress", "seq"],
    summary: "Makes synthetic network-device syslog from a seed, or replays a file, at a rate or flat out.",
    options: &[
        OptionSpec::defaulted(
            "rate",
            Kind::Rate { min: 0.001, max: 1e9 },
            "1k/s",
            "Events per second over all lanes; unlimited: as fast as the channels take them.",
        ),
        OptionSpec::defaulted(
            "events",
            Kind::COUNT,
            "0",
            "Stop after so many events over all lanes; 0 goes on until the agent stops.",
        ),
        OptionSpec::unset(
            "input",
            Kind::Path,
            "A file whose lines are replayed in a loop; at most 64 MiB, since it is held in memory.",
        )
        .example("samples/firewall.log"),
        OptionSpec::defaulted("seed", Kind::COUNT, "1", "The same seed gives the same events."),
        OptionSpec::defaulted("lanes", Kind::Count { min: 1, max: 64 }, "1", "Threads that make events."),
        OptionSpec::defaulted(
            "batch_events",
            Kind::Count { min: 1, max: 100_000 },
            "2000",
            "Most events of a batch; a slow rate gives smaller ones.",
        ),
    ],
};

/// The type `generate`, for the registry.
#[must_use]
pub fn generate_source_type() -> SourceType {
    SourceType { spec: &SPEC, parse }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub(super) struct GenerateSpec {
    /// Per second; `None` is flat out.
    pub(super) rate: Option<f64>,
    pub(super) events: Option<u64>,
    pub(super) input: Option<PathBuf>,
    pub(super) seed: u64,
    pub(super) lanes: u64,
    pub(super) batch_events: u64,
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn SourceSpec>> {
    let options = &config.options;
    let events = options.count("events");
    Some(Arc::new(GenerateSpec {
        rate: options.rate("rate"),
        events: (events > 0).then_some(events),
        input: options.path_opt("input").map(Path::to_path_buf),
        seed: options.count("seed"),
        lanes: options.count("lanes"),
        batch_events: options.count("batch_events"),
    }))
}

impl SourceSpec for GenerateSpec {
    fn memory_bytes(&self) -> u64 {
        // Two batches per lane of lines of at most 1 KiB, and the replayed file.
        let input = if self.input.is_some() { INPUT_BYTES_MAX } else { 0 };
        self.lanes * 2 * self.batch_events * 1024 + input
    }

    fn start(&self, context: &SourceContext) -> Result<Vec<Box<dyn Source>>, StartError> {
        super::source::start(&context.name, self)
    }
}
