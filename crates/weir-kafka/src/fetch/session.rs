//! [`Session`]: what a broker remembers of the last fetch (KIP-227). No I/O.

use std::collections::BTreeMap;

use super::request::{Key, Terms, Wanted};
use crate::ErrorCode;

/// First version of Fetch with sessions.
const VERSION_MIN: i16 = 7;
/// Epochs that say there is to be no session, and that a new one is to start with all partitions of this request.
const NO_SESSION: i32 = -1;
const START: i32 = 0;

/// The session of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// What the broker remembers: offset, leader epoch, epoch of the last batch.
    known: BTreeMap<Key, (i64, i32, i32)>,
}

impl Session {
    /// None yet, over a connection that has this version of Fetch.
    pub(super) fn new(version: i16) -> Self {
        Self { id: 0, epoch: if version < VERSION_MIN { NO_SESSION } else { START }, known: BTreeMap::new() }
    }

    /// What to say so that exactly `wanted` is fetched.
    pub(super) fn prepare(&mut self, mut wanted: Vec<Wanted>) -> Terms {
        let (session_id, session_epoch) = (self.id, self.epoch);
        if session_epoch == NO_SESSION {
            return Terms { session_id, session_epoch, wanted, forgotten: Vec::new() };
        }
        let terms = |wanted: &Wanted| (wanted.offset, wanted.leader_epoch, wanted.last_epoch);
        let now: BTreeMap<_, _> = wanted.iter().map(|wanted| (wanted.key.clone(), terms(wanted))).collect();
        let mut forgotten = Vec::new();
        if session_epoch != START {
            forgotten.extend(self.known.keys().filter(|key| !now.contains_key(*key)).cloned());
            wanted.retain(|wanted| self.known.get(&wanted.key) != Some(&terms(wanted)));
        }
        self.known = now;
        Terms { session_id, session_epoch, wanted, forgotten }
    }

    /// Takes in an answer. What the silence about a partition that was asked for means: nothing new, or an error.
    pub(super) fn answered(&mut self, id: i32, code: Option<ErrorCode>) -> Result<(), ErrorCode> {
        if self.epoch == NO_SESSION {
            return Err(code.unwrap_or(ErrorCode::NETWORK_EXCEPTION));
        }
        let started = self.epoch != START;
        if code.is_some() || id == 0 {
            // The id goes along once more, so that the broker ends the old session with the start of the new one.
            self.epoch = START;
        } else {
            self.id = id;
            // Behind the last comes 1: 0 is a start.
            self.epoch = self.epoch.checked_add(1).unwrap_or(START + 1);
        }
        match code {
            None if started => Ok(()),
            // The broker had no room for it any longer, or lost count. The next request says everything, and cannot meet
            // this.
            Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH) if started => Ok(()),
            code => Err(code.unwrap_or(ErrorCode::NETWORK_EXCEPTION)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn wanted(places: &[(&str, i32, i64)]) -> Vec<Wanted> {
        let one = |(topic, partition, offset): &(&str, i32, i64)| Wanted {
            key: (Arc::from(*topic), *partition),
            offset: *offset,
            leader_epoch: 0,
            last_epoch: -1,
        };
        places.iter().map(one).collect()
    }

    /// Scenario: partitions come, move on, rest and go over the requests of a session; the broker then has no session of
    /// that id, and no room for a new one at first.
    /// Guarantees: the first request names everything, later ones what changed; after an error everything again.
    #[test]
    fn requests_name_what_changed() {
        let mut session = Session::new(12);
        let all = wanted(&[("t", 0, 5), ("t", 1, 0), ("u", 0, 0)]);
        let first = session.prepare(all.clone());
        assert_eq!(first, Terms { session_id: 0, session_epoch: 0, wanted: all.clone(), forgotten: Vec::new() });
        assert!(session.answered(77, None).is_err(), "a full answer names every partition");
        let second = session.prepare(wanted(&[("t", 0, 9), ("u", 0, 0), ("v", 0, 1)]));
        let (changed, gone) = (wanted(&[("t", 0, 9), ("v", 0, 1)]), vec![(Arc::from("t"), 1)]);
        assert_eq!(second, Terms { session_id: 77, session_epoch: 1, wanted: changed, forgotten: gone });
        assert_eq!(session.answered(77, None), Ok(()));
        assert_eq!(session.prepare(all.clone()).session_epoch, 2);
        assert_eq!(session.answered(0, Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)), Ok(()));
        for _ in 0..2 {
            let again = session.prepare(all.clone());
            assert_eq!((again.session_id, again.session_epoch, again.wanted), (77, 0, all.clone()));
            assert!(session.answered(0, None).is_err());
        }
    }

    /// Scenario: a session is as old as epochs go; a broker has no sessions.
    /// Guarantees: behind the last epoch comes 1; without sessions everything is named, by version and by epoch.
    #[test]
    fn epochs_wrap_and_old_brokers_have_none() {
        let mut session = Session::new(12);
        session.epoch = i32::MAX;
        assert_eq!(session.answered(7, None), Ok(()));
        assert_eq!(session.epoch, 1);
        let mut none = Session::new(6);
        for _ in 0..2 {
            let terms = none.prepare(wanted(&[("t", 0, 5)]));
            assert_eq!((terms.session_id, terms.session_epoch, terms.wanted.len()), (0, NO_SESSION, 1));
            assert!(none.answered(0, None).is_err());
        }
    }
}
