//! What every source must do.

use weir_engine::registry::Registry;

use crate::agent::TestAgent;

/// Runs the suite over the source that `options` describe (the lines of its section, `type` included). `feed` makes it
/// take in at least 100 events, more if it pleases.
///
/// # Panics
/// With what does not conform.
pub fn run(registry: &Registry, options: &str, feed: &dyn Fn()) {
    accounts_for_everything(registry, options, feed);
    stops_while_channels_are_full(registry, options, feed);
}

fn toml(options: &str, channel: &str, sink: &str) -> String {
    format!(
        "[agent]\nshutdown_deadline = '500 ms'\nmemory = '4 GiB'\n[sources.in]\n{options}\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n{channel}\n{sink}"
    )
}

/// Scenario: the source runs, is stopped, runs again with the same options, is stopped.
/// Guarantees: it ends when told; received = accepted + rejected; what it accepted is delivered; what it had open is free again.
fn accounts_for_everything(registry: &Registry, options: &str, feed: &dyn Fn()) {
    for _ in 0..2 {
        let agent = TestAgent::start(&toml(options, "", "[sinks.out]\ntype = 'null'\nchannel = 'c'\n"), registry);
        feed();
        agent.until("100 events are delivered", |status| status.groups[0].delivered >= 100);
        let report = agent.stop();
        assert!(report.troubles.is_empty() && report.status.ledger.closes, "{report:?}");
        let (source, group) = (&report.status.sources[0], &report.status.groups[0]);
        assert_eq!(source.received, source.accepted + source.rejected.values().sum::<u64>());
        assert_eq!(source.accepted, group.delivered + group.backlog_events);
    }
}

/// Scenario: nobody reads the channel, which is full soon; then the source is stopped.
/// Guarantees: it waits instead of dropping, and still ends at the deadline with the books balanced.
fn stops_while_channels_are_full(registry: &Registry, options: &str, feed: &dyn Fn()) {
    let agent = TestAgent::start(&toml(options, "capacity_events = 1", ""), registry);
    feed();
    agent.until("the channel holds something", |status| status.channels[0].appended > 0);
    let report = agent.stop();
    let source = &report.status.sources[0];
    assert!(report.troubles.is_empty(), "{:?}", report.troubles);
    assert_eq!(source.received, source.accepted + source.rejected.values().sum::<u64>(), "{source:?}");
    assert_eq!(source.accepted, report.status.channels[0].appended);
}
