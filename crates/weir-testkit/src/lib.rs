//! Test equipment: conformance suites, an account of stamped events, the sample data folder
