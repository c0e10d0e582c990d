//! The real binary against real servers and their own tools. Ignored, with the reason, where they cannot be had.

mod both;
mod demo;
mod edge;
mod flume;
mod full;
mod network;
mod support;

use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use weir_servers::flume::Flume;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::{hdfs, solr, trial};

fn main() -> std::process::ExitCode {
    let kafka = Distribution::find(Version::V4_3);
    let both = kafka.clone().and_then(|_| Flume::find());
    let all = kafka.clone().and_then(|_| hdfs::Distribution::find()).and_then(|_| solr::Distribution::find());
    let trials = vec![
        trial("kafka_reads_our_segments", &kafka, kafka_reads_our_segments),
        trial("edge_brokers_die", &kafka, edge::brokers_die_and_nothing_is_lost_or_doubled),
        trial("edge_agent_killed", &kafka, edge::an_agent_killed_repeats_only_what_was_in_flight),
        trial("two_tiers_prove_themselves", &kafka, demo::two_tiers_prove_themselves),
        trial("two_tiers_survive_a_broker", &kafka, demo::two_tiers_survive_a_broker),
        trial("two_tiers_at_brokers_of_others", &kafka, demo::two_tiers_at_brokers_of_others),
        trial("ctrl_c_leaves_nothing", &kafka, demo::ctrl_c_leaves_nothing),
        trial("everything_proves_itself", &all, full::everything_proves_itself),
        trial("ctrl_c_leaves_no_server", &all, full::ctrl_c_leaves_no_server),
        trial("network_faults", &network::needed(&kafka), || network::in_a_namespace("network_faults")),
        trial("hdfs_and_solr_agent_killed", &all, both::a_hub_killed_thirty_times_is_proven),
        trial("flume_and_weir_share_topics", &both, flume::flume_and_weir_share_topics),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Scenario: an agent writes events into file channels, plain and in each compression; Kafka's own dump tool reads the
/// sealed and the last segments.
/// Guarantees: a segment is nothing but Kafka record batches: every batch valid, every event there, headers included.
fn kafka_reads_our_segments() -> Result<(), Failed> {
    const EVENTS: usize = 20_000;
    let kafka = Distribution::find(Version::V4_3)?;
    for compression in ["none", "lz4", "zstd", "snappy", "gzip"] {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let config = folder.path().join("agent.toml");
        std::fs::write(
            &config,
            format!(
                "[agent]\nlog_level = 'warn'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {EVENTS}\nchannels = ['c']\n\
                 [channels.c]\ntype = 'file'\npath = '{}'\nsegment_bytes = '1 MiB'\ncapacity_bytes = '64 MiB'\ncompression = '{compression}'\n",
                log.display()
            ),
        )?;
        let ended = Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").arg(&config).output()?;
        if !ended.status.success() {
            return Err(Failed::from(String::from_utf8_lossy(&ended.stderr).into_owned()));
        }
        let mut segments: Vec<PathBuf> = std::fs::read_dir(log.join("segments"))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        segments.sort();
        let files: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let dump = kafka.dump_log(&files, &["--deep-iteration", "--print-data-log"])?.text();
        let events = dump.lines().filter(|line| line.contains("| offset:")).count();
        assert_eq!(events, EVENTS, "{compression}: every event is there");
        assert!(!dump.contains("isvalid: false"), "{compression}: every batch is valid");
        assert!(dump.contains(&format!("compresscodec: {compression}")), "{compression} is what the tool sees");
        assert!(dump.contains("headerKeys: [Facility,Severity,host"), "{compression}: headers are there");
        assert!(!dump.contains("Found invalid") && !dump.contains("Non-consecutive"), "{compression}: {dump}");
    }
    Ok(())
}
