//! Sources, sinks and interceptors: one folder each
