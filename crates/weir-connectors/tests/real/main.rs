//! Components against real servers. Ignored, with the reason, where these cannot be had. One file per subject.

mod channel;
mod guarded;
mod hdfs;
mod hub;
mod look;
mod solr;
mod source;

use libtest_mimic::Arguments;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    // Started by a test of this very binary, to be killed.
    if let Ok(options) = std::env::var(source::CHILD_VARIABLE) {
        source::child(&options);
        return std::process::ExitCode::SUCCESS;
    }
    if let Ok(toml) = std::env::var(hub::CHILD_VARIABLE) {
        hub::child(&toml);
        return std::process::ExitCode::SUCCESS;
    }
    if let Ok(toml) = std::env::var(solr::CHILD_VARIABLE) {
        solr::child(&toml);
        return std::process::ExitCode::SUCCESS;
    }
    let oldest = Distribution::find(Version::V2_8);
    let (old, current) = (Distribution::find(Version::V3_9), Distribution::find(Version::V4_3));
    let hadoop = weir_servers::hdfs::Distribution::find();
    let solr_cloud = weir_servers::solr::Distribution::find();
    let trials = vec![
        trial("old_broker_sources_share", &old, || source::agents_share_and_take_over(Version::V3_9)),
        trial("sources_share", &current, || source::agents_share_and_take_over(Version::V4_3)),
        trial("old_broker_slow_channel", &old, || source::a_slow_channel_keeps_its_partitions(Version::V3_9)),
        trial("slow_channel", &current, || source::a_slow_channel_keeps_its_partitions(Version::V4_3)),
        trial("oldest_broker_channels_killed", &oldest, || channel::killed_agents_lose_nothing(Version::V2_8)),
        trial("old_broker_channels_killed", &old, || channel::killed_agents_lose_nothing(Version::V3_9)),
        trial("channels_killed", &current, || channel::killed_agents_lose_nothing(Version::V4_3)),
        trial("old_broker_storm", &old, || channel::a_storm_of_rebalances(Version::V3_9)),
        trial("storm", &current, || channel::a_storm_of_rebalances(Version::V4_3)),
        trial("old_broker_guarded", &old, || guarded::agents_get_in(Version::V3_9)),
        trial("guarded", &current, || guarded::agents_get_in(Version::V4_3)),
        trial("hdfs_servers_die", &hadoop, hdfs::servers_die_and_each_event_is_there_once),
        trial("hdfs_quota", &hadoop, hdfs::a_used_up_quota_holds_events_back),
        trial("hdfs_disks_full", &hdfs::may_mount(&hadoop), || hdfs::in_a_namespace("hdfs_disks_full")),
        trial("hdfs_permission", &hadoop, hdfs::a_missing_permission_holds_events_back),
        trial("solr_every_event_is_found", &solr_cloud, solr::every_event_is_found),
        trial("solr_faults", &solr_cloud, solr::faults),
        trial("solr_poison", &solr_cloud, solr::poison),
        trial("solr_killed_agent", &solr_cloud, solr::killed_agent),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Shows the figures of a trial.
#[expect(clippy::print_stdout, reason = "for whoever runs the trial; the runner shows it where it is wanted")]
fn show(text: &str) {
    println!("{text}");
}
