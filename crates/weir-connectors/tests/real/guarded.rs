//! Brokers that let nobody in without TLS, a certificate and a password.

use libtest_mimic::Failed;
use weir_connectors::registry;
use weir_engine::status::AgentStatus;
use weir_servers::kafka::{self, Listener, PASSWORD, USER, Version};
use weir_testkit::agent::TestAgent;

use crate::show;

const EVENTS: u64 = 20_000;

/// Scenario: an agent with sink kafka, one with source and one with channel kafka, at brokers that ask for TLS, a certificate
/// and SCRAM; then one whose password is wrong.
/// Guarantees: every event goes through; the wrong one is told why it gets nowhere, by its health.
pub(crate) fn agents_get_in(version: Version) -> Result<(), Failed> {
    let options = kafka::ClusterOptions { version, listeners: vec![Listener::SaslMutualTls], ..Default::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&kafka::Topic { partitions: 3, ..kafka::Topic::new("t") })?;
        let folder = tempfile::tempdir()?;
        let password = folder.path().join("password");
        let files = server.certificates().ok_or("no certificates")?;
        let brokers: Vec<String> = server.bootstrap_by(Listener::SaslMutualTls).split(',').map(str::to_owned).collect();
        let access = |mechanism: &str| {
            format!(
                "brokers = {brokers:?}\ntls = {{ ca = '{}', certificate = '{}', key = '{}' }}\n\
                 sasl = {{ mechanism = '{mechanism}', user = '{USER}', password = 'file:{}' }}\n",
                files.authority.display(),
                files.client_certificate.display(),
                files.client_key.display(),
                password.display(),
            )
        };
        std::fs::write(&password, PASSWORD)?;
        let (sha256, sha512) = (access("SCRAM-SHA-256"), access("SCRAM-SHA-512"));
        let edge = |events: u64| {
            let toml = format!(
                "[agent]\nshutdown_deadline = '1 s'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {events}\n\
                 channels = ['c']\n[channels.c]\ntype = 'memory'\n[sinks.out]\ntype = 'kafka'\nchannel = 'c'\ntopic = 't'\n{sha512}"
            );
            TestAgent::start(&toml, &registry())
        };
        let sink = edge(EVENTS);
        sink.until("the topic has everything", delivered);
        let source = TestAgent::start(
            &format!(
                "[agent]\nmemory = '1 GiB'\n[sources.in]\ntype = 'kafka'\ntopics = ['t']\nconsumer_group = 'a'\n\
                 start = 'earliest'\nchannels = ['c']\n{sha512}[channels.c]\ntype = 'memory'\n\
                 [sinks.out]\ntype = 'null'\nchannel = 'c'\n"
            ),
            &registry(),
        );
        let channel = TestAgent::start(
            &format!(
                "[agent]\nmemory = '1 GiB'\n[channels.c]\ntype = 'kafka'\ntopic = 't'\nconsumer_group = 'b'\n\
                 start = 'earliest'\n{sha256}[sinks.out]\ntype = 'null'\nchannel = 'c'\n"
            ),
            &registry(),
        );
        source.until("the source has everything", delivered);
        channel.until("the channel has everything", delivered);
        for agent in [sink, source, channel] {
            let report = agent.stop();
            assert!(report.is_clean(), "{:?}", report.troubles);
        }
        std::fs::write(&password, "another")?;
        let wrong = edge(1);
        wrong.until("it is told why", |status| {
            let failure = status.groups[0].last_failure.as_deref().unwrap_or_default();
            failure.contains("SCRAM-SHA-512") && failure.contains("Authentication failed")
        });
        assert_eq!(wrong.stop().status.groups[0].delivered, 0);
        show(
            "20,000 events by sink, source and channel over TLS with certificates and SCRAM; a wrong password is named",
        );
        Ok(())
    })
}

fn delivered(status: &AgentStatus) -> bool {
    status.groups.iter().all(|group| group.delivered == EVENTS)
}
