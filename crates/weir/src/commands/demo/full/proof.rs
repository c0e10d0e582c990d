//! The proof at the end, by the code of `weir verify`: the topic against what HDFS and Solr have.

use std::time::{Duration, Instant};

use weir_lab::{Account, Stamp};

use super::config::SEVERITY_MAX;
use super::look;
use super::servers::Servers;
use crate::cli::VerifyArgs;
use crate::commands::verify;

/// Documents are searchable a second after Solr took them (`autoSoftCommit`); a cold node takes a few times that.
const SEARCHABLE_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was read at both ends and in between.
pub(super) struct Proof {
    /// Each offset of the topic is in HDFS exactly once, each document is of an offset, and none is there twice.
    pub(super) is_proven: bool,
    pub(super) lines: u64,
    pub(super) files: u64,
    pub(super) documents: u64,
    /// Documents of events that were not to be selected.
    pub(super) strays: u64,
    /// The numbers that senders gave to their events, as they are in the topic.
    pub(super) account: Account,
    /// What `weir verify` says, for people.
    pub(super) text: String,
    /// The same for scripts.
    pub(super) report: serde_json::Value,
}

impl Proof {
    /// Reads all of it. The hub has stopped, with `documents` of its events in Solr and `left_out` on purpose not.
    pub(super) fn find(servers: &Servers, documents: u64, left_out: u64) -> Result<Self, String> {
        let strays = until_searchable(servers, documents).map_err(|error| format!("Solr does not answer: {error}"))?;
        let args = VerifyArgs {
            from: "kafka".to_owned(),
            config: Vec::new(),
            channel: None,
            sink: Vec::new(),
            brokers: Some(servers.brokers.addresses().join(",")),
            topic: Some(servers.brokers.topic().to_owned()),
            hdfs: Some(servers.folder()),
            hadoop_conf: Some(servers.hdfs.configuration()),
            user: None,
            solr: Some(servers.collection()),
            solr_key: None,
            solr_id_prefix: None,
            selective: false,
            left_out: Some(left_out),
            json: false,
        };
        let mut account = Account::new();
        let found = verify::compared(&args, &mut |body| match Stamp::find(body) {
            Some((stamp, _)) => account.add(stamp.producer, stamp.sequence),
            None => account.add_unstamped(),
        });
        let found = found.map_err(|failure| failure.message)?;
        Ok(Self {
            is_proven: found.is_proven,
            lines: found.lines(),
            files: found.files(),
            documents: found.documents(),
            strays,
            account,
            text: found.text(),
            report: serde_json::to_value(&found).map_err(|error| error.to_string())?,
        })
    }
}

/// Waits until a search finds `documents`, or long enough; gives how many of them are of events not to be selected.
fn until_searchable(servers: &Servers, documents: u64) -> std::io::Result<u64> {
    let deadline = Instant::now() + SEARCHABLE_PATIENCE;
    while look::search(&servers.solr, "*:*", 0)?.hits < documents && Instant::now() < deadline {
        std::thread::park_timeout(LOOK_EVERY);
    }
    look::search(&servers.solr, &format!("-severity:[0 TO {SEVERITY_MAX}]"), 0).map(|found| found.hits)
}
