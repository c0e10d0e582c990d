//! Channel type `memory`: options.

use std::sync::Arc;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};

use super::Channel;
use super::memory::{MemoryChannel, MemoryLimits};
use crate::registry::{ChannelContext, ChannelSpec, ChannelType};
use crate::source::StartError;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Channel,
    name: "memory",
    aliases: &[],
    summary: "Holds events in memory: fast, bounded, lost when the process ends.",
    options: &[
        OptionSpec::defaulted(
            "capacity_bytes",
            Kind::Bytes { min: 1 << 20, max: 1 << 40 },
            "64 MiB",
            "Most bytes of events held; when it is reached, sources wait. At least 1 MiB, or two batches would not fit. Part of the agent's memory budget.",
        ),
        OptionSpec::defaulted(
            "capacity_events",
            Kind::Count { min: 1, max: u64::MAX },
            "10M",
            "Most events held; when it is reached, sources wait.",
        ),
    ],
};

/// The type `memory`, for the registry.
#[must_use]
pub fn memory_channel_type() -> ChannelType {
    ChannelType { spec: &SPEC, is_shared: false, parse }
}

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn ChannelSpec>> {
    let options = &config.options;
    Some(Arc::new(Spec(MemoryLimits {
        bytes_max: options.bytes("capacity_bytes"),
        events_max: options.count("capacity_events"),
    })))
}

struct Spec(MemoryLimits);

impl ChannelSpec for Spec {
    fn memory_bytes(&self) -> u64 {
        self.0.bytes_max
    }

    fn open(&self, context: &ChannelContext) -> Result<Arc<dyn Channel>, StartError> {
        Ok(Arc::new(MemoryChannel::new(&context.name, self.0, fastrand::u64(1..))))
    }
}
