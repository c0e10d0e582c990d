//! What the Java machines of servers are told.

/// Quick to start, or fast when warm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Tuning {
    /// Up soon and small: the quick compiler only. For tests.
    #[default]
    QuickStart,
    /// Fast when warm: both compilers, and half as much memory again. For measurements.
    Throughput,
}

impl Tuning {
    /// Arguments of a Java machine whose heap is at most `heap_mib_max` when it is to be small.
    pub(crate) fn arguments(self, heap_mib_max: u32) -> Vec<String> {
        match self {
            Self::QuickStart => vec![format!("-Xmx{heap_mib_max}m"), "-XX:TieredStopAtLevel=1".to_owned()],
            Self::Throughput => vec![format!("-Xmx{}m", heap_mib_max * 3 / 2)],
        }
    }
}
