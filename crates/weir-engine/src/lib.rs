//! The engine: component traits, lanes, channels, acknowledgement, ledger, metrics, shutdown
