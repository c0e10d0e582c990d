//! Files that reach over the oldest offset of a partition: their first events are deleted from the topic, the others are not,
//! and nothing in them says which is the first that is not.
//!
//! With a directory for each host there are many such files, and files reach over the ends of others all through the
//! partition, so that its first piece may be all of it. What decides: a file holds its events in the order of their offsets.
//! So the topic has the *end* of each of these files, and all of the files that begin later. How often a line is left over
//! when the later files are taken away is known, and where the ends begin follows from that, unless the same lines come again
//! and again about that place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::claims::{Claim, Piece};
use super::digest::Digest;
use super::files::Tree;
use super::topic::Topic;

/// Lines of such files together. 80 bytes each: 320 MB.
const LINES_MAX: usize = 4_000_000;

/// The seams of all partitions that have one.
#[derive(Default)]
pub(super) struct Seams(BTreeMap<u32, Arc<Seam>>);

/// The files of one partition that reach over its oldest offset.
#[derive(Default)]
pub(super) struct Seam {
    /// A number for each different line of them.
    numbers: HashMap<u128, u32>,
    /// The lines of each file, in order.
    files: Vec<Vec<u32>>,
    /// How often each line is in the topic, and in files that begin later.
    in_topic: Vec<AtomicU32>,
    in_later_files: Vec<AtomicU32>,
}

/// What came of putting the ends of files to the later ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    /// They are what the topic has, each line as often.
    Whole,
    /// They are not, wherever the ends begin.
    Different,
    /// The lines of the topic are all there; where the ends begin cannot be told, nor whether one is there twice.
    Unclear,
}

/// Whether a file reaches over `start`.
pub(super) fn reaches_over(claim: &Claim, start: u64) -> bool {
    claim.first < start && start <= claim.last
}

impl Seams {
    /// Reads the files that reach over. Pieces whose files cannot be read, or are too many, become unknown.
    pub(super) async fn read(
        tree: &Tree,
        claims: &[Claim],
        topic: &Topic,
        pieces: &mut BTreeMap<u32, Vec<Piece>>,
    ) -> Self {
        let (mut seams, mut lines) = (BTreeMap::new(), 0);
        for (partition, start) in topic.starts() {
            let first = pieces.get_mut(&partition).and_then(|pieces| pieces.first_mut());
            let Some(piece) = first.filter(|piece| piece.first < start) else { continue };
            let files = piece.files.iter().map(|index| &claims[*index]).filter(|claim| reaches_over(claim, start));
            match Seam::read(tree, files, LINES_MAX - lines).await {
                Ok(seam) => {
                    lines += seam.files.iter().map(Vec::len).sum::<usize>();
                    seams.insert(partition, Arc::new(seam));
                }
                Err(why) => piece.unknown = Some(why),
            }
        }
        Self(seams)
    }

    pub(super) fn of_partition(&self, partition: u32) -> Option<&Arc<Seam>> {
        self.0.get(&partition)
    }

    /// The seam that a file of the topic's log begins behind.
    pub(super) fn of_file(&self, claim: &Claim, log: u64, starts: &BTreeMap<u32, u64>) -> Option<Arc<Seam>> {
        let begins_behind = claim.log == log && claim.first >= starts.get(&claim.partition).copied().unwrap_or(0);
        self.of_partition(claim.partition).filter(|_| begins_behind).cloned()
    }
}

impl Seam {
    async fn read<'a>(tree: &Tree, files: impl Iterator<Item = &'a Claim>, lines_max: usize) -> Result<Self, String> {
        let mut seam = Self::default();
        let mut room = lines_max;
        for file in files {
            let mut numbers = std::mem::take(&mut seam.numbers);
            let path = file.path();
            let read = tree.hashes(&path, move |hashes| {
                let (mut lines, mut is_over) = (Vec::new(), false);
                hashes(&mut |hash| {
                    is_over |= lines.len() == room;
                    if !is_over {
                        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                        lines.push(*numbers.entry(hash).or_insert(next));
                    }
                })?;
                Ok((numbers, lines, is_over))
            });
            let (numbers, lines, is_over) = read.await?;
            if is_over {
                return Err(format!(
                    "files that begin before the oldest offset of the topic have more than {LINES_MAX} lines"
                ));
            }
            room -= lines.len();
            seam.numbers = numbers;
            seam.files.push(lines);
        }
        let counters = || (0..seam.numbers.len()).map(|_| AtomicU32::new(0)).collect();
        (seam.in_topic, seam.in_later_files) = (counters(), counters());
        Ok(seam)
    }

    pub(super) fn is_in_topic(&self, hash: u128) {
        self.count(&self.in_topic, hash);
    }

    pub(super) fn is_in_a_later_file(&self, hash: u128) {
        self.count(&self.in_later_files, hash);
    }

    fn count(&self, counters: &[AtomicU32], hash: u128) {
        if let Some(number) = self.numbers.get(&hash) {
            counters[*number as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the topic has of the piece, against the later files of it and the ends of these.
    pub(super) fn fit(&self, in_topic: Digest, in_later_files: Digest) -> Fit {
        let count = |counters: &[AtomicU32], at: usize| i64::from(counters[at].load(Ordering::Relaxed));
        let left: Vec<i64> =
            (0..self.numbers.len()).map(|at| count(&self.in_topic, at) - count(&self.in_later_files, at)).collect();
        let mut here = vec![0_i64; left.len()];
        self.files.iter().flatten().for_each(|line| here[*line as usize] += 1);
        if left.iter().zip(&here).any(|(left, here)| !(0..=*here).contains(left)) {
            return Fit::Different;
        }
        let mut together = in_later_files;
        for (hash, number) in &self.numbers {
            together.add_times(*hash, left[*number as usize].unsigned_abs());
        }
        match together == in_topic {
            false => Fit::Different,
            true if self.has_ends_of(left) => Fit::Whole,
            true => Fit::Unclear,
        }
    }

    /// Whether ends of the files hold each line as often as `left` says. May miss a way where lines are the same.
    fn has_ends_of(&self, mut left: Vec<i64>) -> bool {
        // As far as each end may begin at most: no line more often than it is left.
        let mut begins: Vec<usize> = Vec::with_capacity(self.files.len());
        let mut within = vec![0_i64; left.len()];
        for lines in &self.files {
            let mut counts = HashMap::new();
            let is_left = |line: &&u32| {
                let count = counts.entry(**line).or_insert(0);
                *count += 1;
                *count <= left[**line as usize]
            };
            let taken = lines.iter().rev().take_while(is_left).count();
            // The last line of a file is of the offset that its name ends with.
            if taken == 0 {
                return false;
            }
            begins.push(lines.len() - taken);
            lines[lines.len() - taken..].iter().for_each(|line| within[*line as usize] += 1);
        }
        // As far as they have to: a line that is there just as often as it is left.
        let needed: Vec<bool> = within.iter().zip(&left).map(|(within, left)| within <= left).collect();
        let mut rests: Vec<&[u32]> = Vec::with_capacity(self.files.len());
        for (lines, begin) in self.files.iter().zip(begins) {
            let end = &lines[begin..];
            let until = end.iter().position(|line| needed[*line as usize]).unwrap_or(end.len());
            end[until..].iter().for_each(|line| left[*line as usize] -= 1);
            rests.push(&end[..until]);
        }
        // What is left then is the same wherever it is taken from, as long as it comes next.
        for rest in rests {
            for line in rest.iter().rev() {
                if left[*line as usize] <= 0 {
                    break;
                }
                left[*line as usize] -= 1;
            }
        }
        left.iter().all(|count| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::verify::digest::hash;

    fn hashes(lines: &str) -> Vec<u128> {
        lines.split_whitespace().map(|line| hash(line.as_bytes())).collect()
    }

    /// Lines of the topic, of files that begin later, and of those that reach over.
    fn fit(topic: &str, later: &str, over: &[&str]) -> Fit {
        let mut seam = Seam::default();
        for file in over {
            let mut lines = Vec::new();
            for hash in hashes(file) {
                let next = u32::try_from(seam.numbers.len()).expect("few");
                lines.push(*seam.numbers.entry(hash).or_insert(next));
            }
            seam.files.push(lines);
        }
        let counters = || (0..seam.numbers.len()).map(|_| AtomicU32::new(0)).collect();
        (seam.in_topic, seam.in_later_files) = (counters(), counters());
        let (mut in_topic, mut in_later) = (Digest::default(), Digest::default());
        for hash in hashes(topic) {
            in_topic.add(hash);
            seam.is_in_topic(hash);
        }
        for hash in hashes(later) {
            in_later.add(hash);
            seam.is_in_a_later_file(hash);
        }
        seam.fit(in_topic, in_later)
    }

    /// Scenario: files that reach over the oldest offset, with later ones; lines missing, twice, in a wrong place, and the
    /// same lines on both sides of the oldest offset.
    /// Guarantees: only what can be told from the lines is whole; what is missing or twice is never.
    #[test]
    fn ends_of_files_are_found() {
        assert_eq!(fit("c d e f", "e f", &["a b c", "x d"]), Fit::Whole);
        assert_eq!(fit("c d e f", "e f", &["a b", "a d", "c"]), Fit::Unclear, "the first has no end of its own");
        assert_eq!(fit("c d e f", "e", &["a b c", "x d"]), Fit::Different, "a later file lacks f");
        assert_eq!(fit("c d e f", "e f f", &["a b c", "x d"]), Fit::Different, "f is twice");
        assert_eq!(fit("c d e f", "e f", &["a b c", "x"]), Fit::Different, "d is nowhere");
        assert_eq!(fit("c d e f", "e f d", &["a b c", "x d"]), Fit::Unclear, "d is twice, or was there before");
        assert_eq!(fit("c d e f", "e f", &["a c b", "x d"]), Fit::Unclear, "c is not at the end");
        // The same line before and behind the oldest offset, and in the later files.
        assert_eq!(fit("b b c b", "b", &["a b b c"]), Fit::Whole);
        assert_eq!(fit("b c d", "", &["b b c", "b d"]), Fit::Whole);
        assert_eq!(fit("b c d b", "b", &["b c", "b d"]), Fit::Whole);
    }
}
