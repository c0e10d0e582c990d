//! Names of files: they carry positions, so that a directory listing says which events it holds.
//!
//! ```text
//!   in progress   .events.00f1e2d3c4b5a697-0.00000000000000001200.tmp
//!   finished      events.00f1e2d3c4b5a697-0.00000000000000001200-00000000000000001999.log
//!   recovered     events.00f1e2d3c4b5a697-0.00000000000000001200-recovered.log
//!                 prefix . log id - partition . first offset - last offset   suffix
//! ```
//!
//! A finished name claims every event of its directory and prefix from its first to its last offset: the sink writes
//! one file per directory at a time, from deliveries without a gap. Twenty digits hold any offset and sort as numbers.

use std::ops::RangeInclusive;

use weir_event::ChannelId;

/// How a file in progress ends. Finished files never do: the suffix may not.
pub(crate) const IN_PROGRESS_SUFFIX: &str = ".tmp";

const LOG_DIGITS: usize = 16;
const OFFSET_DIGITS: usize = 20;

/// A file in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InProgress {
    /// Where its events come from.
    pub(crate) channel: ChannelId,
    /// Offset of its first event.
    pub(crate) first: u64,
}

/// A finished file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finished {
    /// Where its events come from.
    pub(crate) channel: ChannelId,
    /// Offsets of its first and its last event.
    pub(crate) offsets: RangeInclusive<u64>,
}

impl InProgress {
    /// The name while the file is written; hidden.
    pub(crate) fn format(self, prefix: &str) -> String {
        format!(".{}{IN_PROGRESS_SUFFIX}", stem(prefix, self.channel, self.first))
    }

    /// The name of what was saved of the file after a crash; `attempt` counts from 1 and tells namesakes apart.
    pub(crate) fn format_recovered(self, prefix: &str, attempt: u32, suffix: &str) -> String {
        let stem = stem(prefix, self.channel, self.first);
        if attempt > 1 { format!("{stem}-recovered{attempt}{suffix}") } else { format!("{stem}-recovered{suffix}") }
    }

    /// `None` if `name` is anything else.
    pub(crate) fn parse(name: &str, prefix: &str) -> Option<Self> {
        let (channel, first, rest) = parse_stem(name.strip_prefix('.')?, prefix)?;
        (rest == IN_PROGRESS_SUFFIX).then_some(Self { channel, first })
    }
}

impl Finished {
    /// The name of the finished file.
    pub(crate) fn format(&self, prefix: &str, suffix: &str) -> String {
        format!("{}-{:020}{suffix}", stem(prefix, self.channel, *self.offsets.start()), self.offsets.end())
    }

    /// `None` if `name` is anything else. Any suffix will do: it may have been configured otherwise before.
    pub(crate) fn parse(name: &str, prefix: &str) -> Option<Self> {
        let (channel, first, rest) = parse_stem(name, prefix)?;
        let (last, suffix) = take_digits(rest.strip_prefix('-')?, OFFSET_DIGITS)?;
        let is_suffix = suffix.is_empty() || suffix.starts_with('.');
        (is_suffix && !suffix.ends_with(IN_PROGRESS_SUFFIX) && first <= last)
            .then_some(Self { channel, offsets: first..=last })
    }
}

fn stem(prefix: &str, channel: ChannelId, first: u64) -> String {
    format!("{prefix}.{:016x}-{}.{first:020}", channel.log, channel.partition)
}

fn parse_stem<'a>(name: &'a str, prefix: &str) -> Option<(ChannelId, u64, &'a str)> {
    let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
    let (log, rest) = rest.split_at_checked(LOG_DIGITS)?;
    let is_lower_hex = log.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let log = u64::from_str_radix(log, 16).ok().filter(|_| is_lower_hex)?;
    let (partition, rest) = rest.strip_prefix('-')?.split_once('.')?;
    let is_plain =
        partition.bytes().all(|byte| byte.is_ascii_digit()) && (partition == "0" || !partition.starts_with('0'));
    let partition = partition.parse().ok().filter(|_| is_plain)?;
    let (first, rest) = take_digits(rest, OFFSET_DIGITS)?;
    Some((ChannelId { log, partition }, first, rest))
}

fn take_digits(text: &str, digits: usize) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scenario: the names of the module documentation.
    /// Guarantees: they are what is documented, in this form for ever: other programs read them.
    #[test]
    fn names_are_as_documented() {
        let channel = ChannelId { log: 0x00f1_e2d3_c4b5_a697, partition: 0 };
        let open = InProgress { channel, first: 1200 };
        assert_eq!(open.format("events"), ".events.00f1e2d3c4b5a697-0.00000000000000001200.tmp");
        let recovered = open.format_recovered("events", 1, ".log");
        assert_eq!(recovered, "events.00f1e2d3c4b5a697-0.00000000000000001200-recovered.log");
        assert_eq!(open.format_recovered("e", 2, ""), "e.00f1e2d3c4b5a697-0.00000000000000001200-recovered2");
        let name = Finished { channel, offsets: 1200..=1999 }.format("events", ".log");
        assert_eq!(name, "events.00f1e2d3c4b5a697-0.00000000000000001200-00000000000000001999.log");
        assert_eq!(Finished::parse(&recovered, "events"), None);
        assert_eq!(InProgress::parse(&name, "events"), None);
    }

    /// Scenario: files of other programs, other prefixes, and names that are nearly right.
    /// Guarantees: none of them is taken for one of ours.
    #[test]
    fn other_names_are_left_alone() {
        let good = ".a.00f1e2d3c4b5a697-0.00000000000000001200.tmp";
        assert!(InProgress::parse(good, "a").is_some());
        assert_eq!(InProgress::parse(good, "b"), None);
        assert_eq!(InProgress::parse(&good.replace(".a.", ".a.b."), "a"), None);
        for near in ["tmp", "00f1e2d3c4b5a697", "-0.", "0000001200", "00f1"] {
            assert_eq!(InProgress::parse(&good.replace(near, "x"), "a"), None, "without {near}");
        }
        assert_eq!(InProgress::parse(&good.replace("00f1e2", "00F1E2"), "a"), None);
        assert_eq!(InProgress::parse(&good.replace("-0.", "-00."), "a"), None);
        let backwards = "a.00f1e2d3c4b5a697-0.00000000000000001200-00000000000000001199.log";
        assert_eq!(Finished::parse(backwards, "a"), None);
        assert_eq!(Finished::parse("\u{e9}".repeat(40).as_str(), ""), None);
    }

    proptest! {
        /// Scenario: names of any channel, offsets and suffix.
        /// Guarantees: what is written is read back; anything else is refused without a panic.
        #[test]
        fn names_are_read_back(
            log: u64, partition: u32, a: u64, b: u64,
            prefix in "[a-z.]{0,8}", suffix in prop::sample::select(vec!["", ".log", ".json.gz"]), noise in ".{0,80}",
        ) {
            let channel = ChannelId { log, partition };
            let open = InProgress { channel, first: a };
            prop_assert_eq!(InProgress::parse(&open.format(&prefix), &prefix), Some(open));
            let done = Finished { channel, offsets: a.min(b)..=a.max(b) };
            prop_assert_eq!(Finished::parse(&done.format(&prefix, suffix), &prefix), Some(done));
            prop_assert_eq!(Finished::parse(&noise, &prefix), None);
            prop_assert_eq!(InProgress::parse(&noise, &prefix), None);
        }
    }
}
