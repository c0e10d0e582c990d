//! What every sink must do.

use std::path::Path;

use weir_engine::registry::Registry;

use crate::agent::TestAgent;

const EVENTS: u64 = 20_000;

/// Runs the suite over the sink that `options` describe (the lines of its section, `type` included; `{folder}` stands
/// for a folder of its own).
///
/// # Panics
/// With what does not conform.
pub fn run(registry: &Registry, options: &str, folder: &Path) {
    for (name, channel) in
        [("memory", "type = 'memory'"), ("file", "type = 'file'\nsegment_bytes = '1 MiB'\ncapacity_bytes = '64 MiB'")]
    {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        delivers_everything(registry, options, channel, &folder);
        goes_on_after_a_restart(registry, options, channel, &folder);
    }
}

fn toml(options: &str, channel: &str, folder: &Path, events: u64) -> String {
    let options = options.replace("{folder}", &folder.join("out").display().to_string());
    format!(
        "[agent]\ndata_dir = '{}'\nmemory = '4 GiB'\nshutdown_deadline = '60 s'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {events}\nchannels = ['c']\n[channels.c]\n{channel}\n[sinks.out]\n{options}\nchannel = 'c'\n",
        folder.display()
    )
}

/// Scenario: a known number of events, then an orderly stop.
/// Guarantees: the stop makes the sink finish and acknowledge all it holds; delivered is what was sent.
fn delivers_everything(registry: &Registry, options: &str, channel: &str, folder: &Path) {
    let agent = TestAgent::start(&toml(options, channel, folder, EVENTS), registry);
    agent.until_sources_end();
    let report = agent.stop();
    assert!(report.is_clean(), "{report:?}");
    let group = &report.status.groups[0];
    assert_eq!((group.delivered, group.backlog_events, group.retries), (EVENTS, 0, 0), "{group:?}");
}

/// Scenario: a second run over the same state and destination.
/// Guarantees: it starts on what the first left, and delivers its own events, no more and no less.
fn goes_on_after_a_restart(registry: &Registry, options: &str, channel: &str, folder: &Path) {
    let agent = TestAgent::start(&toml(options, channel, folder, EVENTS / 2), registry);
    assert_eq!(agent.group().backlog_at_start, 0);
    agent.until_sources_end();
    let report = agent.stop();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.status.groups[0].delivered, EVENTS / 2);
}
