//! What all Kafka components that read share: which group, where it begins, how memberships are kept.
//!
//! The options have the same names in each table and texts of their own, for what they mean differs: a source's offsets
//! follow receipts, a channel's follow sinks.

use std::time::Duration;

use weir_config::{Diagnostics, Options};
use weir_kafka::{GroupOptions, OffsetAt};

/// How a component reads as a member of a consumer group: checked.
#[derive(Clone, Debug)]
pub(crate) struct ConsumeSpec {
    pub(crate) consumer_group: String,
    /// Where to begin without a committed offset.
    pub(crate) start: OffsetAt,
    pub(crate) read_committed: bool,
    pub(crate) commit_interval: Duration,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    instance: Option<String>,
}

impl ConsumeSpec {
    /// Reads `consumer_group`, `start`, `isolation`, `commit_interval`, `session_timeout`, `rebalance_timeout` and `instance`
    /// from the options of a component. Pure; every fault becomes a diagnostic with its place, and `None` is returned if
    /// there was one.
    pub(crate) fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(Self {
            consumer_group: options.text("consumer_group").to_owned(),
            start: start(options, diagnostics)?,
            read_committed: options.choice("isolation") == "read_committed",
            commit_interval: options.duration("commit_interval"),
            session_timeout: options.duration("session_timeout"),
            rebalance_timeout: options.duration("rebalance_timeout"),
            instance: options.text_opt("instance").map(str::to_owned),
        })
    }

    /// The client's options for a membership in `group` that shares `topics`.
    pub(crate) fn group_options(&self, group: &str, topics: Vec<String>) -> GroupOptions {
        let defaults = GroupOptions::new(group, topics);
        GroupOptions {
            instance: self.instance.clone(),
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            // A third at most, so that two may be lost.
            heartbeat_interval: defaults.heartbeat_interval.min(self.session_timeout / 3),
            ..defaults
        }
    }

    /// How long what is on its way is waited for when partitions are given up: what is left is for the commit.
    pub(crate) fn revoke_wait(&self) -> Duration {
        self.rebalance_timeout / 2
    }
}

fn start(options: &Options, diagnostics: &mut Diagnostics) -> Option<OffsetAt> {
    match options.text("start") {
        "earliest" => Some(OffsetAt::Earliest),
        "latest" => Some(OffsetAt::Latest),
        text => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Some(OffsetAt::Time(time.as_millisecond())),
            Err(fault) => {
                let message = format!("{text:?} is neither earliest nor latest nor a time: {fault}");
                let hint = "write a time as 2026-01-31T08:00:00Z, or with an offset: 2026-01-31T09:00:00+01:00";
                diagnostics.push(options.error("start", message).with_hint(hint));
                None
            }
        },
    }
}
