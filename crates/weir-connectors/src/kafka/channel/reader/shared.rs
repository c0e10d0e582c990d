//! [`Shared`]: what the driver of a group and its cursor have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weir_engine::channel::{Backlog, Position};
use weir_event::ChannelId;
use weir_kafka::Fetched;

use super::stay::{Run, Start, Stay};

/// What the driver of a group writes and its cursor reads, and the two ways to wake each other.
pub(super) struct Shared {
    /// Held for a few map operations, never while anything waits or is decoded.
    state: Mutex<State>,
    /// Wakes lanes: there is something to read, or something to finish.
    pub(super) lanes: Arc<Notify>,
    /// Wakes the driver: there is room, something was released, or something is to be fetched anew.
    pub(super) driver: Notify,
}

/// The partitions that are here, and those that were.
#[derive(Default)]
pub(super) struct State {
    pub(super) stays: BTreeMap<u32, Stay>,
    /// Taken away, and the group does not know yet. Nothing of a partition is handed out or released meanwhile: it would
    /// be taken for a part of the earlier stay.
    taken_away: Vec<u32>,
    /// Bytes that were fetched and not handed out.
    pub(super) buffered_bytes: usize,
    /// All partitions of the topic, as they were when the cursor was opened or their stays ended.
    known: Vec<Position>,
    stays_begun: u64,
    /// Runs looked at so far.
    runs: u64,
    /// Bytes and offsets of all that was fetched: what an offset weighs.
    fetched: (u64, u64),
}

impl Shared {
    pub(super) fn new(known: Vec<Position>) -> Self {
        let state = State { known, ..State::default() };
        Self { state: Mutex::new(state), lanes: Arc::default(), driver: Notify::new() }
    }

    /// Looks at or changes the state. `change` must not wait.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock())
    }
}

impl State {
    /// A partition is here from now on.
    pub(super) fn begin(&mut self, partition: u32, start: Start) {
        // Begun twice without an end in between: the first is over.
        self.end(partition);
        self.stays_begun += 1;
        self.stays.insert(partition, Stay::new(self.stays_begun, start));
    }

    /// A partition is not here any more; what it was.
    pub(super) fn end(&mut self, partition: u32) -> Option<Stay> {
        let mut stay = self.stays.remove(&partition)?;
        self.buffered_bytes -= stay.drop_buffer();
        self.taken_away.push(partition);
        if let Some(known) = self.known.iter_mut().find(|known| known.channel.partition == partition) {
            (known.released, known.end) = (stay.released, stay.end);
        }
        Some(stay)
    }

    /// The topic is what was read only below `intact_to`: another stay begins there, or where nothing is released yet.
    /// What is at the offsets above is not a repeat, whatever was delivered under them.
    pub(super) fn cut_back(&mut self, partition: u32, intact_to: u64) {
        if let Some(stay) = self.end(partition) {
            let offset = stay.released.min(intact_to);
            self.begin(partition, Start { offset, is_committed: false, end: intact_to });
        }
    }

    /// Takes in what was fetched, if its partition is still here and does not rest; whether it did. What comes for a
    /// partition that rests is behind what was dropped when it began to: it is fetched again from there.
    pub(super) fn push(&mut self, partition: u32, fetched: Fetched, now_ms: i64) -> bool {
        let takes = |stay: &&mut Stay| !stay.is_leaving && stay.rests_until.is_none();
        let Some(stay) = self.stays.get_mut(&partition).filter(takes) else { return false };
        let before = stay.fetched;
        let bytes = stay.push(fetched, now_ms);
        self.buffered_bytes += bytes;
        self.fetched.0 += bytes as u64;
        self.fetched.1 += stay.fetched.saturating_sub(before);
        true
    }

    /// The next run of the wanted partition that has one and had none for longest.
    pub(super) fn next_run(
        &mut self,
        bytes_max: usize,
        plain: bool,
        is_wanted: &mut dyn FnMut(u32) -> bool,
    ) -> Option<Run> {
        let mut is_open = |partition: u32| !self.taken_away.contains(&partition) && is_wanted(partition);
        let found = self.stays.iter().filter(|(partition, stay)| stay.has_run() && is_open(**partition));
        let partition = *found.min_by_key(|(_, stay)| stay.last_run)?.0;
        let stay = self.stays.get_mut(&partition)?;
        self.runs += 1;
        stay.last_run = self.runs;
        stay.run(partition, bytes_max, plain)
    }

    /// Takes the first `count` entries of a run: the end of their range. `None` if the stay is over.
    pub(super) fn take(&mut self, run: &Run, count: usize) -> Option<u64> {
        let stay = self.of(run)?;
        let (end, bytes) = stay.take(count);
        self.buffered_bytes -= bytes;
        Some(end)
    }

    /// Drops what is buffered of the partition of a run, which rests until then.
    pub(super) fn rest(&mut self, run: &Run, until: Instant) {
        let Some(stay) = self.of(run) else { return };
        stay.rests_until = Some(until);
        let bytes = stay.drop_buffer();
        self.buffered_bytes -= bytes;
    }

    /// The stay of a run, if it goes on and is not about to end.
    fn of(&mut self, run: &Run) -> Option<&mut Stay> {
        let found = self.stays.get_mut(&run.partition);
        found.filter(|stay| stay.number == run.stay && !stay.is_leaving)
    }

    /// Everything of a partition below `up_to` is delivered.
    pub(super) fn release(&mut self, partition: u32, up_to: u64) {
        if self.taken_away.contains(&partition) {
            return;
        }
        if let Some(stay) = self.stays.get_mut(&partition) {
            stay.release(up_to);
        }
    }

    pub(super) fn take_taken_away(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.taken_away)
    }

    /// Partitions that are about to be taken away and of which something is out.
    pub(super) fn leaving(&self) -> impl Iterator<Item = u32> {
        let leaving = self.stays.iter().filter(|(_, stay)| stay.is_leaving && stay.is_anything_out());
        leaving.map(|(partition, _)| *partition)
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        let now = |known: &Position| match self.stays.get(&known.channel.partition) {
            Some(stay) => Position { released: stay.released, end: stay.end, ..known.clone() },
            None => known.clone(),
        };
        self.known.iter().map(now).collect()
    }

    /// Partitions of the topic that were added since the cursor was opened become known.
    pub(super) fn know(&mut self, channel: ChannelId, start: Start) {
        if self.known.iter().all(|known| known.channel != channel) {
            self.known.push(Position { channel, released: start.offset, end: start.end });
        }
    }

    pub(super) fn backlog(&self) -> Backlog {
        let events = self.stays.values().map(|stay| stay.end.saturating_sub(stay.released)).sum();
        let (bytes, offsets) = self.fetched;
        Backlog {
            events,
            bytes: (events as f64 * bytes as f64 / offsets.max(1) as f64) as u64,
            oldest_arrival_ms: self.stays.values().filter_map(Stay::oldest_arrival_ms).min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(partitions: u32) -> State {
        let position = |partition| Position { channel: ChannelId { log: 1, partition }, released: 0, end: 9 };
        let mut state = State { known: (0..partitions).map(position).collect(), ..State::default() };
        (0..partitions).for_each(|partition| state.begin(partition, start(0)));
        state
    }

    fn start(offset: u64) -> Start {
        Start { offset, is_committed: true, end: 10 }
    }

    /// Scenario: a partition is taken away and comes back before the group has heard of it; an answer to an earlier
    /// delivery comes late.
    /// Guarantees: nothing is handed out or released until the group knows, so that two stays are never confused.
    #[test]
    fn a_stay_begins_when_the_end_of_the_last_is_known() {
        let mut state = state(2);
        assert_eq!(state.end(1).map(|stay| stay.number), Some(2));
        state.begin(1, start(4));
        if let Some(stay) = state.stays.get_mut(&1) {
            stay.push_gone(8);
        }
        assert!(state.next_run(1, false, &mut |_| true).is_none());
        state.release(1, 9);
        assert_eq!(state.positions()[1].released, 4);
        assert_eq!(state.take_taken_away(), vec![1]);
        let run = state.next_run(1, false, &mut |_| true).expect("it may be read now");
        assert_eq!((run.partition, run.from, run.stay), (1, 4, 3));
        assert_eq!(state.take(&run, 1), Some(8));
        state.release(1, 8);
        assert_eq!((state.positions()[1].released, state.backlog().events), (8, 12));
        state.end(1);
        assert_eq!((state.positions()[1].released, state.take(&run, 1)), (8, None));
    }

    /// Scenario: three partitions have something.
    /// Guarantees: they are read in turn, by every lane those that it wants.
    #[test]
    fn partitions_have_their_turn() {
        let mut state = state(3);
        state.stays.values_mut().for_each(|stay| stay.push_gone(5));
        let turns: Vec<u32> =
            (0..6).filter_map(|_| state.next_run(1, false, &mut |_| true).map(|run| run.partition)).collect();
        assert_eq!(turns, vec![0, 1, 2, 0, 1, 2]);
        // Two lanes in turn, one of two partitions, one of one.
        let mut next =
            |is_wanted: &mut dyn FnMut(u32) -> bool| state.next_run(1, false, is_wanted).map(|run| run.partition);
        let turns: Vec<_> = (0..3).map(|_| (next(&mut |at| at < 2), next(&mut |at| at == 2))).collect();
        assert_eq!(turns, [(Some(0), Some(2)), (Some(1), Some(2)), (Some(0), Some(2))]);
        state.stays.values_mut().for_each(|stay| stay.is_leaving = true);
        assert_eq!(state.leaving().count(), 0, "nothing is out");
    }
}
