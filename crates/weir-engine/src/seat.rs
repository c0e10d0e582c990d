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

/// The lanes that partitions have gone to.
#[derive(Debug, Default)]
pub(crate) struct Homes(BTreeMap<u32, u32>);

impl Homes {
    /// Whether events of `partition` are for the lane at `seat`: it has had some, or nobody has and no other lane has
    /// fewer partitions.
    pub(crate) fn is_for(&self, partition: u32, seat: Seat) -> bool {
        seat.lanes < 2 || self.0.get(&partition).map_or_else(|| self.may_claim(seat), |home| *home == seat.index)
    }

    fn may_claim(&self, seat: Seat) -> bool {
        let partitions = |lane| self.0.values().filter(|home| **home == lane).count();
        let own = partitions(seat.index);
        (0..seat.lanes).all(|lane| partitions(lane) >= own)
    }

    /// Events of `partition` went to the lane at `seat`.
    pub(crate) fn settle(&mut self, partition: u32, seat: Seat) {
        if seat.lanes > 1 {
            self.0.entry(partition).or_insert(seat.index);
        }
    }

    /// The partition is somebody else's now.
    pub(crate) fn forget(&mut self, partition: u32) {
        self.0.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(index: u32) -> Seat {
        Seat { index, lanes: 3 }
    }

    /// Scenario: three lanes, seven partitions that come one after another; then two go and others come.
    /// Guarantees: a partition stays with its lane; lanes have equally many, as far as that goes; a lane alone takes all.
    #[test]
    fn partitions_stay_and_are_spread() {
        let mut homes = Homes::default();
        let home = |homes: &mut Homes, partition| {
            let takers: Vec<_> = (0..3).filter(|lane| homes.is_for(partition, seat(*lane))).collect();
            homes.settle(partition, seat(takers[0]));
            takers
        };
        let first: Vec<_> = (10..17).map(|partition| home(&mut homes, partition)[0]).collect();
        assert_eq!(first, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(home(&mut homes, 14), [1], "nobody else takes it now");
        homes.forget(11);
        homes.forget(14);
        assert_eq!([home(&mut homes, 20), home(&mut homes, 21)], [vec![1], vec![1]]);
        assert!(homes.is_for(10, Seat::default()));
        homes.settle(30, Seat::default());
        assert_eq!(home(&mut homes, 30), [1, 2], "lanes that share everything leave no mark");
    }
}
