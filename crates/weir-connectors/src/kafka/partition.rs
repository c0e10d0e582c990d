//! Which partition of a topic events go to.
//!
//! | partitioner | unit | where to |
//! |---|---|---|
//! | sticky | batch | the partition that has had least, those of a leader with a long queue last |
//! | round_robin | batch | each partition in turn |
//! | key | event | by the hash of header `key`, as Java's producer does; without a key as sticky |
//! | header | event | the number in a header; without the header as sticky |
//! | fixed | batch | one partition |

use std::collections::HashMap;

use weir_event::{Column, EventBatch, names};
use weir_kafka::{Topic, partition_for_key};

/// A byte waiting for a leader counts as much as this many given to one of its partitions: high enough that a slow
/// leader is relieved before its queue fills the memory of the producer, which is some 100 times a usual batch.
const QUEUE_WEIGHT: u64 = 4;
/// What was given counts half after so many bytes per partition, so that a partition that was left out for long is not
/// flooded when it is back: some ten batches.
const GIVEN_BYTES_MAX: u64 = 4 << 20;

/// How partitions are chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Partitioner {
    /// Whole batches, evenly, away from long queues.
    Sticky,
    /// Whole batches in turn.
    RoundRobin,
    /// Each event by its key.
    Key,
    /// Each event by the number in this header.
    Header(String),
    /// Everything to one partition.
    Fixed(i32),
}

impl Partitioner {
    /// Whether a batch stays whole, so that its events need not be looked at.
    pub(crate) fn takes_whole_batches(&self) -> bool {
        matches!(self, Self::Sticky | Self::RoundRobin | Self::Fixed(_))
    }
}

/// A batch cut by partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Rows by partition; `None` stands for all rows.
    pub(crate) parts: Vec<(i32, Option<Vec<usize>>)>,
    /// Rows whose header names no partition of the topic.
    pub(crate) nowhere: Vec<usize>,
}

/// What was given to the partitions of one topic so far.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    /// Bytes by partition, halved now and then.
    given: Vec<u64>,
    next: usize,
}

impl Spread {
    /// Chooses for a whole batch of about `bytes`. `loads` are the bytes waiting for each leader.
    pub(crate) fn choose(
        &mut self,
        partitioner: &Partitioner,
        topic: &Topic,
        loads: &HashMap<i32, usize>,
        bytes: usize,
    ) -> i32 {
        match partitioner {
            Partitioner::Fixed(partition) => *partition,
            Partitioner::RoundRobin => {
                self.next = (self.next + 1) % topic.partitions.len().max(1);
                self.next as i32
            }
            Partitioner::Sticky | Partitioner::Key | Partitioner::Header(_) => self.least(topic, loads, bytes),
        }
    }

    /// The partition with the least given and waiting; one without a leader only if none has one.
    fn least(&mut self, topic: &Topic, loads: &HashMap<i32, usize>, bytes: usize) -> i32 {
        let count = topic.partitions.len();
        self.given.resize(count, 0);
        self.next = (self.next + 1) % count.max(1);
        let score = |index: &usize| {
            let leader = topic.partitions[*index].leader;
            let waiting = leader.and_then(|leader| loads.get(&leader)).map_or(0, |bytes| *bytes as u64);
            (leader.is_none(), self.given[*index] + QUEUE_WEIGHT * waiting)
        };
        // From another place each time, so that of equals each has its turn.
        let places = (self.next..count).chain(0..self.next);
        let Some(best) = places.min_by_key(score) else { return 0 };
        self.given[best] += bytes as u64;
        if self.given[best] > GIVEN_BYTES_MAX {
            let least = self.given.iter().min().copied().unwrap_or_default();
            // Only differences count.
            self.given.iter_mut().for_each(|given| *given = (*given - least) / 2);
        }
        best as i32
    }

    /// Cuts a batch by partition, in the order of its rows within each.
    pub(crate) fn place(
        &mut self,
        partitioner: &Partitioner,
        batch: &EventBatch,
        topic: &Topic,
        loads: &HashMap<i32, usize>,
    ) -> Placement {
        let count = topic.partitions.len();
        let bytes = batch.body_bytes();
        if partitioner.takes_whole_batches() {
            return Placement::whole(self.choose(partitioner, topic, loads, bytes));
        }
        let wanted = |value: &[u8]| match partitioner {
            Partitioner::Header(_) => {
                let number = std::str::from_utf8(value).ok()?.trim().parse::<i32>().ok()?;
                usize::try_from(number).is_ok_and(|number| number < count).then_some(number)
            }
            _ => Some(partition_for_key(value, count as u32) as i32),
        };
        let key = names::KEY;
        let header = match partitioner {
            Partitioner::Header(name) => name,
            _ => key.as_str(),
        };
        match batch.column(header) {
            None => return Placement::whole(self.least(topic, loads, bytes)),
            Some(Column::Constant(value)) => {
                return match wanted(value) {
                    Some(partition) => Placement::whole(partition),
                    None => Placement { parts: Vec::new(), nowhere: (0..batch.len()).collect() },
                };
            }
            Some(_) => {}
        }
        let mut by_partition: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut placement = Placement::default();
        let mut without = None;
        for row in 0..batch.len() {
            let partition = match batch.header(row, header) {
                Some(value) => wanted(&value),
                None => Some(*without.get_or_insert_with(|| self.least(topic, loads, bytes))),
            };
            match partition {
                Some(partition) => by_partition[partition as usize].push(row),
                None => placement.nowhere.push(row),
            }
        }
        let found = by_partition.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
        placement.parts = found.map(|(partition, rows)| (partition as i32, Some(rows))).collect();
        placement
    }
}

impl Placement {
    fn whole(partition: i32) -> Self {
        Self { parts: vec![(partition, None)], nowhere: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use weir_event::{BatchBuilder, HeaderName, Span};
    use weir_kafka::Partition;

    use super::*;

    /// Partition `i` is led by `leaders[i]`.
    fn topic(leaders: &[Option<i32>]) -> Topic {
        let partition =
            |leader: &Option<i32>| Partition { leader: *leader, leader_epoch: 0, replicas: vec![], in_sync: vec![] };
        Topic { name: "t".into(), id: 0, internal: false, partitions: leaders.iter().map(partition).collect() }
    }

    fn batch(name: &'static str, values: &[Option<&str>]) -> EventBatch {
        let mut builder = BatchBuilder::new();
        let column = builder.text_column(HeaderName::from_static(name));
        let mut arena = Vec::new();
        for value in values {
            let text = value.unwrap_or("-");
            let span = Span::new(arena.len(), text.len());
            arena.extend_from_slice(text.as_bytes());
            if value.is_some() {
                builder.set_text(column, span);
            }
            builder.push(span);
        }
        builder.seal_bytes(arena.into(), 0)
    }

    /// Scenario: batches of different sizes, then one leader falls behind, then loses a partition.
    /// Guarantees: bytes are even over all partitions; a leader with a queue gets less; a partition without a leader
    /// gets nothing while others have one.
    #[test]
    fn sticky_is_even_and_keeps_away_from_queues() {
        let topic_of_two = topic(&[Some(1), Some(2), Some(1), Some(2)]);
        let mut spread = Spread::default();
        let mut given = [0; 4];
        for turn in 0..4_000 {
            let bytes = 1_000 + turn % 7 * 10_000;
            given[spread.choose(&Partitioner::Sticky, &topic_of_two, &HashMap::new(), bytes) as usize] += bytes;
        }
        let (least, most) = (given.iter().min().expect("four"), given.iter().max().expect("four"));
        assert!(most - least < most / 50, "{given:?}");
        let loads = HashMap::from([(1, 3 << 20), (2, 0)]);
        let mut counts = [0; 4];
        for _ in 0..400 {
            counts[spread.choose(&Partitioner::Sticky, &topic_of_two, &loads, 100_000) as usize] += 1;
        }
        assert!(counts[1] > 2 * counts[0] && counts[3] > 2 * counts[2], "{counts:?}");
        let leaderless = topic(&[Some(1), None, Some(1)]);
        let chosen = |_| Spread::default().choose(&Partitioner::Sticky, &leaderless, &HashMap::new(), 1);
        assert!((0..50).map(chosen).all(|partition| partition != 1));
    }

    /// Scenario: events with equal keys, other keys and none.
    /// Guarantees: a key's events stay together and in order, where Java's producer would put them; those without a key
    /// stay together too.
    #[test]
    fn keys_stay_together() {
        let topic = topic(&[Some(1); 5]);
        let events = batch("key", &[Some("foobar"), None, Some("21"), Some("foobar"), None]);
        let placement = Spread::default().place(&Partitioner::Key, &events, &topic, &HashMap::new());
        let of = |key: &[u8]| partition_for_key(key, 5) as i32;
        let rows = |partition| {
            let found = placement.parts.iter().find(|(other, _)| *other == partition);
            found.and_then(|(_, rows)| rows.clone()).expect("the partition has rows")
        };
        assert!(rows(of(b"foobar")).iter().filter(|row| [0, 3].contains(*row)).is_sorted());
        assert!([0, 3].iter().all(|row| rows(of(b"foobar")).contains(row)));
        assert!(rows(of(b"21")).contains(&2));
        assert_eq!(placement.parts.iter().map(|(_, rows)| rows.as_ref().map_or(0, Vec::len)).sum::<usize>(), 5);
        assert!(placement.nowhere.is_empty());
    }

    /// Scenario: a header that names partitions, one that is too large, one that is no number, one that is absent; then
    /// the same for a constant header.
    /// Guarantees: numbers are obeyed, the rest is told apart, and absent is not an error.
    #[test]
    fn headers_name_partitions() {
        let topic = topic(&[Some(1); 3]);
        let by = Partitioner::Header("p".into());
        let events = batch("p", &[Some("2"), Some("3"), Some("x"), Some(" 0"), None, Some("-1")]);
        let placement = Spread::default().place(&by, &events, &topic, &HashMap::new());
        assert_eq!(placement.nowhere, vec![1, 2, 5]);
        let rows = |partition| placement.parts.iter().find(|(other, _)| *other == partition).map(|(_, rows)| rows);
        assert!(rows(2).is_some_and(|rows| rows.as_ref().is_some_and(|rows| rows.contains(&0))));
        assert!(rows(0).is_some_and(|rows| rows.as_ref().is_some_and(|rows| rows.contains(&3))));
        let mut constant = EventBatch::from_bodies(&["a", "b"], 0);
        constant.set_constant(HeaderName::from_static("p"), "1");
        assert_eq!(Spread::default().place(&by, &constant, &topic, &HashMap::new()), Placement::whole(1));
        constant.set_constant(HeaderName::from_static("p"), "7");
        assert_eq!(Spread::default().place(&by, &constant, &topic, &HashMap::new()).nowhere, vec![0, 1]);
    }

    /// Scenario: four batches over three partitions in turn, and to a fixed one.
    /// Guarantees: each partition has its turn; fixed is obeyed.
    #[test]
    fn whole_batches_in_turn_or_fixed() {
        let topic = topic(&[None, Some(1), Some(1)]);
        let mut spread = Spread::default();
        let mut choose = |by: &Partitioner| spread.choose(by, &topic, &HashMap::new(), 1);
        let turns: Vec<_> = (0..4).map(|_| choose(&Partitioner::RoundRobin)).collect();
        assert_eq!(turns, vec![1, 2, 0, 1]);
        assert_eq!(choose(&Partitioner::Fixed(2)), 2);
    }
}
