use weir_engine::registry::Registry;
use weir_testkit::TestAgent;

/// Scenario: events into the null sink.
/// Guarantees: all of them are acknowledged and counted as delivered.
#[test]
fn null_acknowledges_everything() {
    let registry = Registry {
        sources: vec![crate::generate::generate_source_type()],
        interceptors: vec![],
        channels: vec![weir_engine::channel::memory_channel_type()],
        sinks: vec![super::null_sink_type()],
    };
    let toml = "[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = 5000\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'null'\nchannel = 'c'\n";
    let agent = TestAgent::start(toml, &registry);
    agent.until_sources_end();
    let report = agent.stop();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.status.groups[0].delivered, 5000);
}
