//! Sets of sequence numbers, kept as runs.

use std::collections::BTreeMap;

/// A set of `u64`, in memory proportional to its runs: an unbroken billion is one entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Intervals {
    /// First number of a run to its last one. Runs neither touch nor overlap.
    runs: BTreeMap<u64, u64>,
}

impl Intervals {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one number; `false` if it was there. Constant time behind the last run, else logarithmic in runs.
    pub fn insert(&mut self, number: u64) -> bool {
        if let Some(mut last_run) = self.runs.last_entry()
            && number.checked_sub(1) == Some(*last_run.get())
        {
            *last_run.get_mut() = number;
            return true;
        }
        self.insert_range(number, number) == 1
    }

    /// Adds `first..=last`; returns how many of them were not there. Nothing for `first > last`.
    pub fn insert_range(&mut self, first: u64, last: u64) -> u64 {
        if first > last {
            return 0;
        }
        let (mut merged_first, mut merged_last) = (first, last);
        let mut known = 0;
        // Runs that overlap or touch, from the right; they are disjoint, so the first one that ends before is the end.
        while let Some((&run_first, &run_last)) = self.runs.range(..=last.saturating_add(1)).next_back() {
            if run_last.saturating_add(1) < first {
                break;
            }
            if run_last >= first && run_first <= last {
                known += run_last.min(last) - run_first.max(first) + 1;
            }
            merged_first = merged_first.min(run_first);
            merged_last = merged_last.max(run_last);
            self.runs.remove(&run_first);
        }
        self.runs.insert(merged_first, merged_last);
        last - first + 1 - known
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// How many numbers. Walks the runs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.runs().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// First and last number of each run, ascending.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().map(|(first, last)| (*first, *last))
    }

    /// What is here and not in `other`. Linear in the runs of both that overlap.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::new();
        for (first, last) in self.runs() {
            let mut from = Some(first);
            let before = other.runs.range(..=first).next_back().map_or(first, |(start, _)| *start);
            for (&cut_first, &cut_last) in other.runs.range(before..=last) {
                let Some(start) = from else { break };
                if cut_last < start {
                    continue;
                }
                if cut_first > start {
                    rest.runs.insert(start, cut_first - 1);
                }
                from = cut_last.checked_add(1).filter(|next| *next <= last);
            }
            if let Some(start) = from {
                rest.runs.insert(start, last);
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Scenario: random numbers and ranges from a small space go into the set and into a plain hash set, 60 seeds.
    /// Guarantees: counts, newness, membership and difference agree, and runs never touch.
    #[test]
    fn agrees_with_a_plain_set() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..60 {
            let mut sets = [(Intervals::new(), HashSet::new()), (Intervals::new(), HashSet::new())];
            for (runs, plain) in &mut sets {
                for _ in 0..random.u32(0..120) {
                    let first = random.u64(0..300);
                    if random.bool() {
                        assert_eq!(runs.insert(first), plain.insert(first));
                    } else {
                        let last = first + random.u64(0..12);
                        let new = (first..=last).filter(|number| plain.insert(*number)).count();
                        assert_eq!(runs.insert_range(first, last), new as u64);
                    }
                }
                assert_eq!(runs.count(), plain.len() as u64);
                let list: Vec<_> = runs.runs().collect();
                assert!(list.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{list:?}");
            }
            let rest = sets[0].0.minus(&sets[1].0);
            for number in 0..320 {
                assert_eq!(rest.contains(number), sets[0].1.contains(&number) && !sets[1].1.contains(&number));
            }
            let list: Vec<_> = rest.runs().collect();
            assert!(list.windows(2).all(|pair| pair[0].1 < pair[1].0), "{list:?}");
        }
    }

    /// Scenario: numbers at both ends of `u64`.
    /// Guarantees: no overflow, right counts.
    #[test]
    fn ends_of_the_number_space() {
        let mut runs = Intervals::new();
        assert_eq!(runs.insert_range(u64::MAX - 1, u64::MAX), 2);
        assert!(!runs.insert(u64::MAX));
        assert!(runs.insert(0) && !runs.insert(0));
        assert_eq!(runs.insert_range(5, 4), 0);
        let mut all_but_zero = Intervals::new();
        all_but_zero.insert_range(1, u64::MAX);
        assert_eq!(runs.minus(&all_but_zero).runs().collect::<Vec<_>>(), [(0, 0)]);
    }
}
