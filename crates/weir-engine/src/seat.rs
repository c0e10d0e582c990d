//! Which lane of a sink takes which partitions, where each partition is the business of one lane.

use std::collections::BTreeMap;

/// Place of a lane among those of its sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Which one it is, from 0.
    pub index: u32,
    /// How many there are; with less than two, partitions are not told apart.
    pub lanes: u32,
}

/// The lanes that partitions belong to.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    /// Of partitions that are here.
    here: BTreeMap<u32, u32>,
    /// Of those, too, that were.
    last: BTreeMap<u32, u32>,
    /// Whether a partition was given to a lane that did not ask for it, since that was last asked.
    has_news: bool,
}

impl Homes {
    /// Whether events of `partition` are for the lane at `seat`. One that has no lane yet gets the one with the fewest, or
    /// its last one if that has little more: whoever asks, so that a lane that stands still has its share and no more.
    pub(crate) fn is_for(&mut self, partition: u32, seat: Seat) -> bool {
        // Sinks of one group may have different numbers of lanes.
        seat.lanes < 2 || self.home(partition, seat) % seat.lanes == seat.index
    }

    fn home(&mut self, partition: u32, seat: Seat) -> u32 {
        if let Some(home) = self.here.get(&partition) {
            return *home;
        }
        let mut partitions = vec![0_u32; seat.lanes as usize];
        for home in self.here.values() {
            partitions[(home % seat.lanes) as usize] += 1;
        }
        let fewest = partitions.iter().min().copied().unwrap_or_default();
        let has = |lane: u32, most: u32| partitions.get(lane as usize).is_some_and(|count| *count <= most);
        // One more than the others is little against files that would have to be begun anew.
        let last = self.last.get(&partition).copied().filter(|lane| has(*lane, fewest + 1));
        let home = last.or_else(|| (0..seat.lanes).find(|lane| has(*lane, fewest))).unwrap_or_default();
        self.here.insert(partition, home);
        self.last.insert(partition, home);
        self.has_news |= home != seat.index;
        home
    }

    /// Whether lanes are to be woken, for a partition that came to them.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// The partition is somebody else's now.
    pub(crate) fn forget(&mut self, partition: u32) {
        self.here.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(index: u32) -> Seat {
        Seat { index, lanes: 3 }
    }

    /// Scenario: one of three lanes asks for seven partitions; then two go, one of them comes back, and a new one.
    /// Guarantees: every partition has one lane, whoever asks, and lanes have equally many, as far as that goes; others are to
    /// be woken when they got one; what comes back goes to its lane while that has little more than others; a lane alone takes
    /// all, and leaves no mark.
    #[test]
    fn partitions_stay_and_are_spread() {
        let mut homes = Homes::default();
        let home = |homes: &mut Homes, partition| {
            let takers: Vec<_> = (0..3).filter(|lane| homes.is_for(partition, seat(*lane))).collect();
            assert_eq!(takers.len(), 1, "{takers:?}");
            takers[0]
        };
        let own: Vec<_> = (10..17).filter(|partition| homes.is_for(*partition, seat(2))).collect();
        assert_eq!((own, homes.take_news(), homes.take_news()), (vec![12, 15], true, false));
        assert_eq!((10..17).map(|partition| home(&mut homes, partition)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
        assert!(!homes.take_news());
        homes.forget(12);
        homes.forget(14);
        assert_eq!([home(&mut homes, 14), home(&mut homes, 20)], [1, 2]);
        assert!(homes.is_for(30, Seat::default()));
        assert!(homes.is_for(30, seat(0)) != homes.is_for(30, seat(1)));
        let two = |index| Seat { index, lanes: 2 };
        assert!(homes.is_for(15, two(0)) && !homes.is_for(15, two(1)), "lane 2 of three is lane 0 of two");
    }
}
