//! Accounts: what was seen, and how that compares with what was acknowledged.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::intervals::Intervals;

/// How many ranges a verdict lists; the counts are always complete.
const LISTED_RANGES_MAX: usize = 20;

/// Sequence numbers by producer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sequences {
    producers: BTreeMap<u16, Intervals>,
}

impl Sequences {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `first..=last` of `producer`; returns how many were new.
    pub fn add_range(&mut self, producer: u16, first: u64, last: u64) -> u64 {
        self.producers.entry(producer).or_default().insert_range(first, last)
    }

    /// How many numbers, over all producers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.producers.values().map(Intervals::count).sum()
    }

    /// Producers and their numbers, ascending.
    pub fn producers(&self) -> impl Iterator<Item = (u16, &Intervals)> {
        self.producers.iter().map(|(producer, numbers)| (*producer, numbers))
    }

    /// What is here and not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let producers = self.producers().map(|(producer, numbers)| match other.producers.get(&producer) {
            Some(known) => (producer, numbers.minus(known)),
            None => (producer, numbers.clone()),
        });
        Self { producers: producers.filter(|(_, numbers)| !numbers.is_empty()).collect() }
    }

    /// The first ranges, for a report.
    fn listed(&self) -> Vec<SequenceRange> {
        let ranges = self.producers().flat_map(|(producer, numbers)| {
            numbers.runs().map(move |(first, last)| SequenceRange { producer, first, last })
        });
        ranges.take(LISTED_RANGES_MAX).collect()
    }
}

/// A run of sequence numbers of one producer, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct SequenceRange {
    /// Who sent them.
    pub producer: u16,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// What was seen: each number once, and how often it came again or late. Memory grows with gaps, not with events.
#[derive(Clone, Debug, Default)]
pub struct Account {
    seen: Sequences,
    order: BTreeMap<u16, u64>,
    duplicates: u64,
    reordered: u64,
    unstamped: u64,
    damaged: u64,
}

impl Account {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one event, in the order of arrival. About 30 ns while numbers come in order.
    pub fn add(&mut self, producer: u16, sequence: u64) {
        if !self.seen.producers.entry(producer).or_default().insert(sequence) {
            self.duplicates += 1;
            return;
        }
        let highest = self.order.entry(producer).or_insert(sequence);
        if sequence < *highest {
            self.reordered += 1;
        } else {
            *highest = sequence;
        }
    }

    /// Notes an event without a stamp.
    pub fn add_unstamped(&mut self) {
        self.unstamped += 1;
    }

    /// Notes that an event, added too, did not pass its check.
    pub fn add_damaged(&mut self) {
        self.damaged += 1;
    }

    /// Takes over what another reader saw. What both saw counts as duplicates; order is judged inside each only.
    pub fn merge(&mut self, other: &Self) {
        for (producer, numbers) in other.seen.producers() {
            for (first, last) in numbers.runs() {
                self.duplicates += last - first + 1 - self.seen.add_range(producer, first, last);
            }
        }
        for (producer, highest) in &other.order {
            let known = self.order.entry(*producer).or_insert(*highest);
            *known = (*known).max(*highest);
        }
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.unstamped += other.unstamped;
        self.damaged += other.damaged;
    }

    /// The numbers seen.
    #[must_use]
    pub fn seen(&self) -> &Sequences {
        &self.seen
    }

    /// Compares what was seen with what was `acknowledged`, and with what was `sent` if that is known: an event seen
    /// that nobody sent is a phantom. Seen but not acknowledged is in order: the receipt may have been under way.
    #[must_use]
    pub fn verdict(&self, acknowledged: &Sequences, sent: Option<&Sequences>) -> Verdict {
        let lost = acknowledged.minus(&self.seen);
        let phantom = sent.map(|sent| self.seen.minus(sent)).unwrap_or_default();
        Verdict {
            acknowledged: acknowledged.count(),
            seen: self.seen.count(),
            lost: lost.count(),
            lost_ranges: lost.listed(),
            phantom: phantom.count(),
            phantom_ranges: phantom.listed(),
            duplicates: self.duplicates,
            reordered: self.reordered,
            unstamped: self.unstamped,
            damaged: self.damaged,
        }
    }
}

/// The outcome of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// Events that were acknowledged.
    pub acknowledged: u64,
    /// Different events that are there.
    pub seen: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// The first 20 runs of those.
    pub lost_ranges: Vec<SequenceRange>,
    /// There, but never sent; 0 if what was sent is not known.
    pub phantom: u64,
    /// The first 20 runs of those.
    pub phantom_ranges: Vec<SequenceRange>,
    /// Further copies of events that are there.
    pub duplicates: u64,
    /// Events that came after a later one of the same producer.
    pub reordered: u64,
    /// Events without a stamp.
    pub unstamped: u64,
    /// Events whose text is not what was sent.
    pub damaged: u64,
}

impl Verdict {
    /// Whether nothing acknowledged is missing, and nothing is there that was not sent like that. Duplicates and order
    /// depend on what was promised, and are left to the caller.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.lost == 0 && self.phantom == 0 && self.damaged == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    /// Scenario: three producers' events are acknowledged, dropped, repeated and shuffled at random over two readers;
    /// plain hash sets keep the same books, 40 seeds.
    /// Guarantees: lost, phantom, duplicate and late events are counted exactly, also through a merge.
    #[test]
    fn verdicts_agree_with_plain_books() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut sent, mut acknowledged) = (Sequences::new(), Sequences::new());
            let (mut plain_sent, mut plain_acknowledged) = (HashSet::new(), HashSet::new());
            let mut readers = [Account::new(), Account::new()];
            let (mut copies, mut late) = (HashMap::<_, u64>::new(), 0);
            let mut highest = HashMap::new();
            for _ in 0..400 {
                let (producer, sequence) = (random.u16(0..3), random.u64(0..200));
                match random.u8(0..4) {
                    0 => {
                        sent.add_range(producer, sequence, sequence);
                        plain_sent.insert((producer, sequence));
                    }
                    1 => {
                        acknowledged.add_range(producer, sequence, sequence);
                        plain_acknowledged.insert((producer, sequence));
                    }
                    _ => {
                        let reader = random.usize(0..2);
                        readers[reader].add(producer, sequence);
                        *copies.entry((reader, producer, sequence)).or_default() += 1;
                        let top = highest.entry((reader, producer)).or_insert(sequence);
                        late += u64::from(sequence < *top && copies[&(reader, producer, sequence)] == 1);
                        *top = sequence.max(*top);
                    }
                }
            }
            let [mut account, second] = readers;
            account.merge(&second);
            let seen: HashSet<_> = copies.keys().map(|(_, producer, sequence)| (*producer, *sequence)).collect();
            let verdict = account.verdict(&acknowledged, Some(&sent));
            assert_eq!(verdict.seen, seen.len() as u64);
            assert_eq!(verdict.lost, plain_acknowledged.difference(&seen).count() as u64);
            assert_eq!(verdict.phantom, seen.difference(&plain_sent).count() as u64);
            assert_eq!(verdict.duplicates, copies.values().sum::<u64>() - seen.len() as u64);
            assert_eq!(verdict.reordered, late);
            assert_eq!(verdict.acknowledged, plain_acknowledged.len() as u64);
        }
    }

    /// Scenario: everything arrives; then one acknowledged event of a million is missing.
    /// Guarantees: the verdict names exactly that event.
    #[test]
    fn one_lost_event_is_named() {
        let mut acknowledged = Sequences::new();
        acknowledged.add_range(4, 0, 999_999);
        let mut account = Account::new();
        account.seen.add_range(4, 0, 777_776);
        account.seen.add_range(4, 777_778, 1_000_003);
        let verdict = account.verdict(&acknowledged, None);
        assert_eq!(verdict.lost_ranges, [SequenceRange { producer: 4, first: 777_777, last: 777_777 }]);
        assert!(!verdict.is_sound());
        account.add(4, 777_777);
        assert!(account.verdict(&acknowledged, None).is_sound());
    }
}
