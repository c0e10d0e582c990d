//! Brokers.

use libtest_mimic::Failed;
use weir_servers::Control;
use weir_servers::kafka::{Cluster, ClusterOptions, Listener, Mechanism, Topic, Version};

/// Scenario: the console producer sends to one broker of each line, the console consumer reads as a group; the segment is
/// dumped; a topic is misspelt.
/// Guarantees: what was sent comes back, the group is seen at the end of it, the dump shows it, the misspelling is an error.
pub(crate) fn one_broker_takes_and_gives(version: Version) -> Result<(), Failed> {
    Cluster::with(ClusterOptions { version, ..ClusterOptions::default() }, |cluster| {
        cluster.create_topic(&Topic::new("events"))?;
        let tools = cluster.tools();
        tools.produce("events", b"one\ntwo\nthree\n", &["--compression-codec", "lz4"])?;
        assert_eq!(tools.consume("events", 3, &["--group", "readers"])?.text(), "one\ntwo\nthree\n");
        let group = tools.groups(&["--describe", "--group", "readers"])?.text();
        let row = group.lines().find(|line| line.contains("events")).ok_or("no row of the group")?;
        let columns: Vec<&str> = row.split_whitespace().collect();
        // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
        assert_eq!(columns[..6], ["readers", "events", "0", "3", "3", "0"]);
        let segments = cluster.segments(1, "events", 0)?;
        let files: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let dump = cluster.distribution().dump_log(&files, &["--print-data-log"])?.text();
        assert!(dump.to_ascii_lowercase().contains("compresscodec: lz4") && dump.contains("payload: three"), "{dump}");
        let fails_soon = if version.has_common_flags() { "--command-property" } else { "--producer-property" };
        let misspelt = tools.produce("evnts", b"lost\n", &[fails_soon, "max.block.ms=1000"]);
        assert!(misspelt.is_err(), "the topic does not exist");
        Ok(())
    })
}

/// Scenario: events go in by mutual TLS and SASL, and come out by TLS and SASL over TLS; one client shows no certificate.
/// Guarantees: every listener and mechanism works with the client properties and certificates that the cluster gives; a
/// client without a certificate is turned away where one is required.
pub(crate) fn every_way_in_is_open() -> Result<(), Failed> {
    let listeners = vec![Listener::Tls, Listener::MutualTls, Listener::Sasl, Listener::SaslTls];
    Cluster::with(ClusterOptions { listeners, ..ClusterOptions::default() }, |cluster| {
        cluster.create_topic(&Topic::new("events"))?;
        let by = |listener, mechanism| cluster.tools().by(listener, mechanism);
        by(Listener::MutualTls, Mechanism::Plain).produce("events", b"one\n", &[])?;
        by(Listener::Sasl, Mechanism::Plain).produce("events", b"two\n", &[])?;
        by(Listener::SaslTls, Mechanism::ScramSha256).produce("events", b"three\n", &[])?;
        let out = by(Listener::Tls, Mechanism::Plain).consume("events", 3, &[])?;
        assert_eq!(out.text(), "one\ntwo\nthree\n");
        let out = by(Listener::SaslTls, Mechanism::ScramSha512).consume("events", 3, &[])?;
        assert_eq!(out.text(), "one\ntwo\nthree\n");
        let out = by(Listener::Sasl, Mechanism::OauthBearer).topics(&["--list"])?;
        assert!(out.text().contains("events"));
        let stranger = tempfile_with(&cluster.client_properties(Listener::Tls, Mechanism::Plain))?;
        let arguments = [
            "--bootstrap-server".into(),
            cluster.bootstrap_by(Listener::MutualTls).into(),
            "--command-config".into(),
            stranger.path().into(),
            "--list".into(),
        ];
        let refused = cluster.distribution().run("org.apache.kafka.tools.TopicCommand", &arguments, b"");
        assert!(refused.is_err(), "a client without a certificate came in");
        Ok(())
    })
}

fn tempfile_with(text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

/// Scenario: of three brokers the leader of a partition is killed, another is paused for a moment, the killed one restarted.
/// Guarantees: another leads while one is dead, nothing that was taken is missing, and all are in sync again at the end.
pub(crate) fn two_brokers_go_on_without_the_third() -> Result<(), Failed> {
    Cluster::with(ClusterOptions { brokers: 3, ..ClusterOptions::default() }, |cluster| {
        let properties = vec![("min.insync.replicas".to_owned(), "2".to_owned())];
        cluster.create_topic(&Topic { replication: 3, properties, ..Topic::new("events") })?;
        cluster.tools().produce("events", b"one\ntwo\n", &[])?;
        let leader = |cluster: &Cluster| cluster.metadata().ok()?.partition("events", 0)?.leader;
        let killed = leader(cluster).ok_or("no leader")?;
        cluster.kill(killed)?;
        assert_eq!(cluster.process_id(killed), None);
        cluster.until("another leads", |metadata| {
            let state = metadata.partition("events", 0);
            !metadata.brokers.contains(&killed) && state.is_some_and(|state| state.leader.is_some())
        });
        let other = leader(cluster).ok_or("no leader")?;
        assert_ne!(other, killed);
        cluster.pause(other)?;
        cluster.resume(other)?;
        cluster.tools().produce("events", b"three\n", &[])?;
        cluster.restart(killed)?;
        cluster.until_in_sync();
        assert_eq!(cluster.tools().consume("events", 3, &[])?.text(), "one\ntwo\nthree\n");
        Ok(())
    })
}
