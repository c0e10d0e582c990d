//! The durable log: segments, group commit, reader groups, recovery
