//! Deliveries that wait for files.

use std::collections::BTreeMap;

use weir_engine::delivery::AckToken;

/// Why events are left out whose offsets a finished file holds.
const REPEATED: &str = "already in a file";

/// The tokens of deliveries, each with the number of things it waits for. Dropping it sends all of them back.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    next_id: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    ack: AckToken,
    holds: u64,
}

impl Pending {
    /// Takes a token in, held once by the caller. Ids ascend.
    pub(crate) fn take_in(&mut self, ack: AckToken) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.held.insert(id, Held { ack, holds: 1 });
        id
    }

    /// One more thing that delivery `id` waits for.
    pub(crate) fn hold(&mut self, id: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.holds += 1;
        }
    }

    /// One thing that delivery `id` waited for is done; acknowledges it after the last.
    pub(crate) fn settle(&mut self, id: u64) {
        let Some(held) = self.held.get_mut(&id) else { return };
        held.holds -= 1;
        if held.holds == 0
            && let Some(held) = self.held.remove(&id)
        {
            held.ack.ack();
        }
    }

    /// Counts events of delivery `id` that were left out.
    pub(crate) fn count_repeated(&mut self, id: u64, events: u64) {
        if let Some(held) = self.held.get_mut(&id) {
            held.ack.count_dropped(REPEATED, events);
        }
    }

    /// Sends every delivery back.
    pub(crate) fn give_back(&mut self) {
        self.held.clear();
    }

    /// Deliveries that wait.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}
