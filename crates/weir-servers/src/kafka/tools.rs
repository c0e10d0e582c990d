//! Kafka's own command line tools against a cluster.

use std::ffi::OsString;
use std::io::{self, Write};

use tempfile::NamedTempFile;

use super::cluster::Cluster;
use super::options::{Listener, Mechanism, Topic};
use super::release::Release;
use crate::process::{Output, RunError};

/// After so long without an event the console consumer ends: longer than brokers take to replace a dead leader.
const SILENCE_MS: &str = "20000";

/// The tools, coming in by one listener. Each call takes 1 to 3 s, most of it the start of a Java machine.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    cluster: &'a Cluster,
    entry: Option<(Listener, Mechanism)>,
}

impl<'a> Tools<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, entry: None }
    }

    /// The same tools by another way in; `mechanism` matters where `listener` has SASL.
    #[must_use]
    pub fn by(self, listener: Listener, mechanism: Mechanism) -> Self {
        Self { entry: Some((listener, mechanism)), ..self }
    }

    /// Console producer: sends each line of `lines` to `topic`. With `arguments` such as `--compression-codec lz4`.
    ///
    /// # Errors
    /// [`RunError`] if it fails or says that an event was not taken.
    pub fn produce(&self, topic: &str, lines: &[u8], arguments: &[&str]) -> Result<(), RunError> {
        let class = self.release().producer;
        let all: Vec<&str> = ["--topic", topic].iter().chain(arguments).copied().collect();
        let output = self.run(class, "--producer.config", &all, lines)?;
        // It ends with status 0 whatever became of the events, and only logs what became of them.
        if output.stderr.contains(" ERROR ") {
            return Err(RunError::Complained { command: class.to_owned(), output });
        }
        Ok(())
    }

    /// Console consumer: the values of the first `count` events of `topic`, a line each, or of fewer if no more come for 20 s.
    /// With `arguments` such as `--isolation-level read_committed`; `--offset` and `--timeout-ms` replace what is said here.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn consume(&self, topic: &str, count: usize, arguments: &[&str]) -> Result<Output, RunError> {
        let count = count.to_string();
        let mut all = vec!["--topic", topic, "--max-messages", &count];
        if !arguments.contains(&"--offset") {
            all.push("--from-beginning");
        }
        if !arguments.contains(&"--timeout-ms") {
            all.extend(["--timeout-ms", SILENCE_MS]);
        }
        all.extend(arguments);
        self.run(self.release().consumer, "--consumer.config", &all, b"")
    }

    /// What `kafka-consumer-groups` prints: `["--describe", "--group", "g"]`, `["--list"]`.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn groups(&self, arguments: &[&str]) -> Result<Output, RunError> {
        self.run(self.release().groups, "--command-config", arguments, b"")
    }

    /// What `kafka-topics` prints: `["--describe", "--topic", "t"]`.
    ///
    /// # Errors
    /// [`RunError`] if it fails.
    pub fn topics(&self, arguments: &[&str]) -> Result<Output, RunError> {
        self.run(self.release().topics, "--command-config", arguments, b"")
    }

    pub(super) fn create(&self, topic: &Topic) -> Result<(), RunError> {
        let (partitions, replication) = (topic.partitions.to_string(), topic.replication.to_string());
        let properties: Vec<_> = topic.properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut arguments = vec!["--create", "--topic", &topic.name, "--partitions", &partitions];
        arguments.extend(["--replication-factor", &replication]);
        for property in &properties {
            arguments.extend(["--config", property]);
        }
        self.topics(&arguments).map(drop)
    }

    fn release(&self) -> &'static Release {
        self.cluster.distribution().version().release()
    }

    /// `old_flag` names the file of client properties for this tool up to 4.1; since then it has one name.
    fn run(&self, class: &str, old_flag: &str, arguments: &[&str], input: &[u8]) -> Result<Output, RunError> {
        let bootstrap = match self.entry {
            None => self.cluster.bootstrap(),
            Some((listener, _)) => self.cluster.bootstrap_by(listener),
        };
        let mut all: Vec<OsString> = vec!["--bootstrap-server".into(), bootstrap.into()];
        let properties = self.properties().map_err(|cause| RunError::Start { command: class.to_owned(), cause })?;
        if let Some(properties) = &properties {
            all.push(if self.release().has_common_flags { "--command-config" } else { old_flag }.into());
            all.push(properties.path().into());
        }
        all.extend(arguments.iter().map(OsString::from));
        self.cluster.distribution().run(class, &all, input)
    }

    fn properties(&self) -> io::Result<Option<NamedTempFile>> {
        let Some((listener, mechanism)) = self.entry else { return Ok(None) };
        let mut file = NamedTempFile::new()?;
        file.write_all(self.cluster.client_properties(listener, mechanism).as_bytes())?;
        Ok(Some(file))
    }
}
