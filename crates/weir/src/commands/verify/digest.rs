//! What makes two heaps of lines equal without keeping them: their number, and the sum of their hashes.

use std::hash::{DefaultHasher, Hasher};
use std::ops::AddAssign;

/// A heap of lines. Two heaps with the same number and the same sum of 128-bit hashes hold the same lines, each as often:
/// sums do not depend on the order. Somebody who wants to can make other lines with the same sum; faults do not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Digest {
    pub(super) lines: u64,
    sum: u128,
}

impl Digest {
    /// Adds the lines of an event: where its body has line feeds, a file of text holds it as several.
    #[cfg(test)]
    pub(super) fn add_event(&mut self, body: &[u8]) {
        for line in lines(body) {
            self.add(hash(line));
        }
    }

    /// Adds a line so many times.
    pub(super) fn add_times(&mut self, hash: u128, times: u64) {
        self.lines += times;
        self.sum = self.sum.wrapping_add(hash.wrapping_mul(u128::from(times)));
    }

    /// Adds a line by its hash.
    pub(super) fn add(&mut self, hash: u128) {
        self.lines += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The lines of a body, at least one.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n')
}

/// Two SipHashes of 64 bits that begin differently. The same within a process, which is all that is asked of it.
pub(super) fn hash(line: &[u8]) -> u128 {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(line);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bodies: &[&str]) -> Digest {
        let mut digest = Digest::default();
        bodies.iter().for_each(|body| digest.add_event(body.as_bytes()));
        digest
    }

    /// Scenario: heaps in another order, cut into lines, with one line twice in place of another, and with one missing.
    /// Guarantees: only the first two are equal.
    #[test]
    fn heaps_are_equal_whatever_their_order() {
        let heap = of(&["a", "b", "c\nd", ""]);
        assert_eq!(heap, of(&["", "d", "c", "b", "a"]));
        assert_ne!(heap, of(&["a", "a", "c\nd", ""]));
        assert_ne!(heap, of(&["a", "b", "c\nd"]));
        let mut sum = of(&["a", "b"]);
        sum += of(&["c", "d", ""]);
        assert_eq!(heap, sum);
    }
}
