//! Stamps: who sent an event, the how-manieth it was, and when.
//!
//! ```text
//!    acc@32473 p=0007 s=00000000000000001234 t=1763841234567 l=00120 c=deadbeef
//!   ^ a space   producer  sequence, 20 digits     sent, ms      checked bytes before the stamp, their CRC-32
//! ```
//!
//! One form for every protocol: it stands at the end of the message, so it survives whatever takes the headers off,
//! and has no character that JSON or CSV would escape. Widths are fixed, so that a sender overwrites a few bytes in a
//! ready block instead of formatting. `l` and `c` are optional and only hold where the text before the stamp is
//! written verbatim. 32473 is the enterprise number that RFC 5612 sets aside for examples.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Producer ids have four digits.
pub const PRODUCER_MAX: u16 = 9999;
/// Length of a stamp without a check, leading space included.
pub const STAMP_BYTES: usize = 56;
/// Length of a stamp with a check.
pub const CHECKED_STAMP_BYTES: usize = 75;

const MARK: &[u8] = b" acc@32473 p=";
const PRODUCER_AT: usize = 13;
const SEQUENCE_AT: usize = 20;
const TIME_AT: usize = 43;
const LENGTH_AT: usize = 59;
const CRC_AT: usize = 67;
/// Digits of a sequence number: those of `u64::MAX`.
pub(crate) const SEQUENCE_DIGITS: usize = 20;
/// Digits of a time in milliseconds until the year 2286.
pub(crate) const TIME_DIGITS: usize = 13;
/// Five digits of length.
const CHECKED_BYTES_MAX: usize = 99_999;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// A stamp as read from a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Who sent it, at most [`PRODUCER_MAX`].
    pub producer: u16,
    /// Counts up by one per event of a producer.
    pub sequence: u64,
    /// When it was handed to the kernel, milliseconds since 1970.
    pub time_ms: u64,
    /// What the text before the stamp was, if the sender was asked for it.
    pub check: Option<Check>,
}

/// Length and CRC of the bytes in front of a stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// How many bytes directly before the stamp's leading space are covered.
    pub bytes: u32,
    /// Their CRC-32 (IEEE).
    pub crc: u32,
}

impl Stamp {
    /// The last stamp in `line`, and where its leading space stands; `None` without a whole one. One or two SIMD
    /// searches and some digits, no allocation: about 40 ns for 250 bytes.
    #[must_use]
    pub fn find(line: &[u8]) -> Option<(Self, usize)> {
        let mut found = None;
        let mut from = 0;
        // A replayed file may carry older stamps: ours is the last.
        while let Some(at) = FINDER.find(&line[from..]) {
            found = Self::parse(&line[from + at..]).map(|stamp| (stamp, from + at)).or(found);
            from += at + MARK.len();
        }
        found
    }

    /// Appends the text of the stamp.
    ///
    /// # Panics
    /// If the producer exceeds [`PRODUCER_MAX`].
    pub fn write(&self, out: &mut Vec<u8>) {
        assert!(self.producer <= PRODUCER_MAX, "producer ids have four digits");
        let at = out.len();
        out.extend_from_slice(b" acc@32473 p=0000 s=00000000000000000000 t=0000000000000");
        write_decimal(&mut out[at + PRODUCER_AT..at + PRODUCER_AT + 4], u64::from(self.producer));
        write_decimal(&mut out[at + SEQUENCE_AT..at + SEQUENCE_AT + SEQUENCE_DIGITS], self.sequence);
        write_decimal(&mut out[at + TIME_AT..at + TIME_AT + TIME_DIGITS], self.time_ms);
        if let Some(check) = self.check {
            out.extend_from_slice(b" l=00000 c=00000000");
            write_decimal(&mut out[at + LENGTH_AT..at + LENGTH_AT + 5], u64::from(check.bytes));
            for (place, digit) in out[at + CRC_AT..at + CRC_AT + 8].iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(check.crc >> (28 - 4 * place)) as usize & 15];
            }
        }
    }

    /// Whether the bytes before the stamp at `stamp_at` of `line` are those that were sent; `None` if the stamp has no
    /// check.
    #[must_use]
    pub fn text_is_intact(&self, line: &[u8], stamp_at: usize) -> Option<bool> {
        let check = self.check?;
        let text = stamp_at.checked_sub(check.bytes as usize).and_then(|start| line.get(start..stamp_at));
        Some(text.is_some_and(|text| crc32(text) == check.crc))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        if text.get(PRODUCER_AT + 4..SEQUENCE_AT)? != b" s=" || text.get(TIME_AT - 3..TIME_AT)? != b" t=" {
            return None;
        }
        let producer = read_decimal(&text[PRODUCER_AT..PRODUCER_AT + 4])?;
        let sequence = read_decimal(text.get(SEQUENCE_AT..SEQUENCE_AT + SEQUENCE_DIGITS)?)?;
        let time_ms = read_decimal(text.get(TIME_AT..TIME_AT + TIME_DIGITS)?)?;
        Some(Self { producer: producer as u16, sequence, time_ms, check: Self::parse_check(text) })
    }

    fn parse_check(text: &[u8]) -> Option<Check> {
        if text.get(LENGTH_AT - 3..LENGTH_AT)? != b" l=" || text.get(CRC_AT - 3..CRC_AT)? != b" c=" {
            return None;
        }
        let bytes = read_decimal(&text[LENGTH_AT..LENGTH_AT + 5])? as u32;
        let mut crc = 0;
        for digit in text.get(CRC_AT..CRC_AT + 8)? {
            crc = crc << 4 | char::from(*digit).to_digit(16)?;
        }
        Some(Check { bytes, crc })
    }
}

impl Check {
    /// The check of a message; of its last 99 999 bytes if it is longer.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let covered = &message[message.len().saturating_sub(CHECKED_BYTES_MAX)..];
        Self { bytes: covered.len() as u32, crc: crc32(covered) }
    }
}

/// Where the sequence digits of a stamp are, from its leading space.
pub(crate) const fn sequence_at() -> usize {
    SEQUENCE_AT
}

/// Where the time digits of a stamp are, from its leading space.
pub(crate) const fn time_at() -> usize {
    TIME_AT
}

/// `value` right-aligned, padded with zeros; digits that do not fit are cut on the left.
pub(crate) fn write_decimal(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then_some(digit)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: stamps with extreme values, with and without a check, inside several kinds of line.
    /// Guarantees: what is written is what is found, at its place, in the promised width.
    #[test]
    fn stamps_survive_the_round_trip() {
        for (producer, sequence, time_ms) in
            [(0, 0, 0), (7, 1234, 1_763_841_234_567), (9999, u64::MAX, 9_999_999_999_999)]
        {
            for check in [None, Some(Check::of(b"message")), Some(Check { bytes: 99_999, crc: u32::MAX })] {
                let stamp = Stamp { producer, sequence, time_ms, check };
                for (before, after) in [("message", ""), ("{\"body\":\"message", "\"}"), ("", " \n")] {
                    let mut line = before.as_bytes().to_vec();
                    stamp.write(&mut line);
                    let width = if check.is_some() { CHECKED_STAMP_BYTES } else { STAMP_BYTES };
                    assert_eq!(line.len(), before.len() + width);
                    line.extend_from_slice(after.as_bytes());
                    assert_eq!(Stamp::find(&line), Some((stamp, before.len())));
                }
            }
        }
    }

    /// Scenario: a checked line arrives whole, with a flipped bit, without its start, and with another header.
    /// Guarantees: the check tells damage to the message and nothing else.
    #[test]
    fn the_check_covers_the_message() {
        let mut line = b"<13>1 - host - - - - the message".to_vec();
        let check = Some(Check::of(b"the message"));
        Stamp { producer: 1, sequence: 2, time_ms: 3, check }.write(&mut line);
        let intact = |line: &[u8]| Stamp::find(line).and_then(|(stamp, at)| stamp.text_is_intact(line, at));
        assert_eq!(intact(&line), Some(true));
        assert_eq!(intact(&line[21..]), Some(true));
        assert_eq!(intact(&line[22..]), Some(false));
        line[25] ^= 1;
        assert_eq!(intact(&line), Some(false));
    }

    /// Scenario: lines without a stamp, with a cut one, with letters for digits, and with two.
    /// Guarantees: only whole stamps are found, and of several the last.
    #[test]
    fn only_whole_stamps_are_found() {
        assert_eq!(Stamp::find(b""), None);
        assert_eq!(Stamp::find(b"text acc@32473 p="), None);
        let (first, second) = (
            Stamp { producer: 1, sequence: 1, time_ms: 1, check: None },
            Stamp { producer: 2, sequence: 2, time_ms: 2, check: None },
        );
        let mut line = Vec::new();
        first.write(&mut line);
        for length in 0..line.len() {
            assert_eq!(Stamp::find(&line[..length]), None);
        }
        let mut broken = line.clone();
        broken[SEQUENCE_AT + 4] = b'x';
        assert_eq!(Stamp::find(&broken), None);
        second.write(&mut line);
        assert_eq!(Stamp::find(&line), Some((second, STAMP_BYTES)));
        line.truncate(line.len() - 1);
        assert_eq!(Stamp::find(&line), Some((first, 0)));
    }
}
