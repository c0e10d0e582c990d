//! What all Kafka components that read share: which group, where it begins, how memberships are kept.
//!
//! The options have the same names in each table and texts of their own, for what they mean differs: a source's offsets
//! follow receipts, a channel's follow sinks.
//!
//! An offset says something only of the topic it was committed for. One that is deleted and made anew under the same name
//! has another id, which stands in the text committed with each offset: what was committed for another counts as nothing
//! committed, and reading begins where `start` says. Without the id, offsets of the old topic would pass over as many
//! events of the new one.

use std::time::Duration;

use weir_config::{Diagnostics, Options};
use weir_kafka::{Committed, GroupOptions, OffsetAt};

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

/// What stands before the id of the topic in the text that is committed with an offset.
const TOPIC_ID: &str = "topic=";

/// The text to commit with an offset of the topic with id `topic` (0 where brokers have none), behind `who` commits.
pub(crate) fn commit_text(who: &str, topic: u128) -> String {
    if topic == 0 { who.to_owned() } else { format!("{who} {TOPIC_ID}{topic:032x}") }
}

/// Whether an offset was committed for a topic other than the one with id `topic`. One without an id in its text (of
/// another program, set by hand) counts as being of this one.
pub(crate) fn is_of_another_topic(committed: &Committed, topic: u128) -> bool {
    let words = committed.metadata.as_deref().unwrap_or_default().split(' ');
    let id = { words }.find_map(|word| u128::from_str_radix(word.strip_prefix(TOPIC_ID)?, 16).ok());
    topic != 0 && committed.offset.is_some() && id.is_some_and(|id| id != topic)
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

#[cfg(test)]
mod tests {
    use weir_kafka::Place;

    use super::*;

    /// Scenario: offsets committed for this topic, for an earlier one of its name, by older brokers, by another program.
    /// Guarantees: only what is known to be of another topic counts as such.
    #[test]
    fn commits_name_their_topic() {
        let place = Place { topic: "t".into(), partition: 0 };
        let is_other = |text: &str, topic| {
            let committed = Committed { place: place.clone(), offset: Some(5), metadata: Some(text.to_owned()) };
            is_of_another_topic(&committed, topic)
        };
        let text = commit_text("weir channel topic=none", 7);
        assert_eq!([7, 8, 0].map(|topic| is_other(&text, topic)), [false, true, false]);
        assert_eq!(["", "weir c", "topic=zz", &commit_text("weir c", 0)].map(|text| is_other(text, 8)), [false; 4]);
        assert!(!is_of_another_topic(&Committed { place: place.clone(), offset: None, metadata: Some(text) }, 8));
    }
}
