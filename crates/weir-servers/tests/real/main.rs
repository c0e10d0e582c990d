//! Real servers do what the launcher says of them. Ignored, with the reason, where they cannot be had.

mod hdfs;
mod kafka;
mod solr;

use libtest_mimic::Arguments;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    let oldest = Distribution::find(Version::V2_8);
    let (old, current) = (Distribution::find(Version::V3_9), Distribution::find(Version::V4_3));
    let hadoop = weir_servers::hdfs::Distribution::find();
    let solr = weir_servers::solr::Distribution::find();
    let trials = vec![
        trial("one_oldest_broker_takes_and_gives", &oldest, || kafka::one_broker_takes_and_gives(Version::V2_8)),
        trial("one_old_broker_takes_and_gives", &old, || kafka::one_broker_takes_and_gives(Version::V3_9)),
        trial("one_broker_takes_and_gives", &current, || kafka::one_broker_takes_and_gives(Version::V4_3)),
        trial("every_way_in_is_open", &current, kafka::every_way_in_is_open),
        trial("two_brokers_go_on_without_the_third", &current, kafka::two_brokers_go_on_without_the_third),
        trial("hdfs_keeps_files_without_a_datanode", &hadoop, hdfs::keeps_files_without_a_datanode),
        trial("solr_finds_events_without_a_node", &solr, solr::finds_events_without_a_node),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
