//! [`Session`]: producer id, epoch and sequence of one partition.

use weir_codec::record_batch::Stamp;

/// A producer id as a broker gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// The place of a batch in the sequence of its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Number {
    pub(super) identity: Identity,
    pub(super) sequence: i32,
}

/// Brokers keep producer state per partition, so each partition has an epoch of its own and can start anew alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    pub(super) next_sequence: i32,
}

impl Session {
    pub(super) const fn new(identity: Identity) -> Self {
        Self { identity, next_sequence: 0 }
    }

    /// Numbers a batch of `records`.
    pub(super) fn take(&mut self, records: u32) -> Number {
        let number = Number { identity: self.identity, sequence: self.next_sequence };
        // Sequences wrap from 2^31 - 1 to 0.
        self.next_sequence = ((i64::from(number.sequence) + i64::from(records)) & i64::from(i32::MAX)) as i32;
        number
    }

    /// The session after this one, which starts at sequence 0 again; `None` if the epochs are used up.
    pub(super) fn renewed(&self) -> Option<Self> {
        let epoch = self.identity.epoch.checked_add(1)?;
        Some(Self::new(Identity { epoch, ..self.identity }))
    }
}

/// What to write into the header of a batch before it leaves.
pub(super) fn stamp(number: Option<Number>) -> Stamp {
    let (producer_id, producer_epoch, base_sequence) =
        number.map_or((-1, -1, -1), |number| (number.identity.id, number.identity.epoch, number.sequence));
    // A producer sends offset 0 and no epoch; the broker fills in both.
    Stamp { base_offset: 0, partition_leader_epoch: -1, producer_id, producer_epoch, base_sequence }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a partition takes 2^31 records and more, and starts anew.
    /// Guarantees: sequences wrap to 0 as brokers expect, a new epoch starts at 0, and the last epoch has none after it.
    #[test]
    fn sequences_wrap_and_epochs_end() {
        let mut session = Session::new(Identity { id: 7, epoch: 0 });
        session.next_sequence = i32::MAX - 1;
        assert_eq!(session.take(3).sequence, i32::MAX - 1);
        assert_eq!(session.take(1).sequence, 1);
        let renewed = session.renewed().expect("many epochs left");
        assert_eq!(renewed, Session::new(Identity { id: 7, epoch: 1 }));
        assert_eq!(Session::new(Identity { id: 7, epoch: i16::MAX }).renewed(), None);
    }
}
