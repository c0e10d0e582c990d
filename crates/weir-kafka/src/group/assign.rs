//! Dividing partitions among members. Pure, and the same for the same input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::protocol::Subscription;
use super::{Assignor, Place};

pub(super) type Members = BTreeMap<String, Subscription>;
pub(super) type Assignments = BTreeMap<String, BTreeSet<Place>>;

/// Divides the partitions of `topics` (name and number of partitions) among `members`.
pub(super) fn assign(assignor: Assignor, members: &Members, topics: &BTreeMap<String, i32>) -> Assignments {
    match assignor {
        Assignor::Range => range(members, topics),
        Assignor::CooperativeSticky => {
            let owners = owners(members, topics);
            let mut assignments = balance(members, topics, &owners);
            // A partition that moves is given to nobody now: its owner gives it up first and joins again.
            for (member, places) in &mut assignments {
                places.retain(|place| owners.get(place).is_none_or(|owner| owner == member));
            }
            assignments
        }
    }
}

fn range(members: &Members, topics: &BTreeMap<String, i32>) -> Assignments {
    let mut assignments: Assignments = members.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    for (topic, count) in topics {
        let takers: Vec<&String> =
            members.iter().filter(|(_, wants)| wants.topics.contains(topic)).map(|(id, _)| id).collect();
        let name: Arc<str> = Arc::from(topic.as_str());
        let mut next = 0;
        for (index, member) in takers.iter().enumerate() {
            // The first ones take one more where it does not divide evenly.
            let (each, over) = (*count / takers.len() as i32, *count as usize % takers.len());
            let end = next + each + i32::from(index < over);
            if let Some(places) = assignments.get_mut(*member) {
                places.extend((next..end).map(|partition| Place { topic: name.clone(), partition }));
            }
            next = end;
        }
    }
    assignments
}

/// Who has which partition now. Of two who say so, the one with the later generation; neither if they are even.
fn owners(members: &Members, topics: &BTreeMap<String, i32>) -> BTreeMap<Place, String> {
    let mut claims: BTreeMap<Place, (i32, Option<String>)> = BTreeMap::new();
    for (member, subscription) in members {
        for place in &subscription.owned {
            let exists = topics.get(&*place.topic).is_some_and(|count| place.partition < *count);
            if !exists || !subscription.topics.iter().any(|topic| **topic == *place.topic) {
                continue;
            }
            let claim = claims.entry(place.clone()).or_insert((i32::MIN, None));
            match subscription.generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (subscription.generation, Some(member.clone())),
                std::cmp::Ordering::Equal => claim.1 = None,
                std::cmp::Ordering::Less => {}
            }
        }
    }
    claims.into_iter().filter_map(|(place, (_, owner))| owner.map(|owner| (place, owner))).collect()
}

/// Everyone keeps what it has; the rest goes to whoever has least; then single partitions move from who has most, as
/// long as that makes it more even.
fn balance(members: &Members, topics: &BTreeMap<String, i32>, owners: &BTreeMap<Place, String>) -> Assignments {
    let mut assignments: Assignments = members.keys().map(|member| (member.clone(), BTreeSet::new())).collect();
    let mut holders: BTreeMap<Place, String> = BTreeMap::new();
    let all = topics.iter().flat_map(|(topic, count)| {
        let topic: Arc<str> = Arc::from(topic.as_str());
        (0..*count).map(move |partition| Place { topic: topic.clone(), partition })
    });
    let all: Vec<Place> = all.collect();
    let free = all.iter().filter(|place| !owners.contains_key(*place));
    for (place, owner) in owners {
        give(&mut assignments, &mut holders, place, owner);
    }
    for place in free {
        if let Some(taker) = least_loaded(members, &assignments, place) {
            give(&mut assignments, &mut holders, place, &taker);
        }
    }
    loop {
        let mut moved = false;
        for place in &all {
            let (Some(holder), Some(taker)) = (holders.get(place).cloned(), least_loaded(members, &assignments, place))
            else {
                continue;
            };
            let load = |member: &str| assignments.get(member).map_or(0, BTreeSet::len);
            // Each move narrows the difference of two loads, so this ends.
            if load(&taker) + 1 < load(&holder) {
                if let Some(places) = assignments.get_mut(&holder) {
                    places.remove(place);
                }
                give(&mut assignments, &mut holders, place, &taker);
                moved = true;
            }
        }
        if !moved {
            return assignments;
        }
    }
}

fn give(assignments: &mut Assignments, holders: &mut BTreeMap<Place, String>, place: &Place, member: &str) {
    if let Some(places) = assignments.get_mut(member) {
        places.insert(place.clone());
        holders.insert(place.clone(), member.to_owned());
    }
}

fn least_loaded(members: &Members, assignments: &Assignments, place: &Place) -> Option<String> {
    let wants = |subscription: &Subscription| subscription.topics.iter().any(|topic| **topic == *place.topic);
    let takers = members.iter().filter(|(_, subscription)| wants(subscription)).map(|(member, _)| member);
    takers.min_by_key(|member| assignments.get(*member).map_or(0, BTreeSet::len)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Subscription {
        let place = |(topic, partition): &(&str, i32)| Place { topic: Arc::from(*topic), partition: *partition };
        let topics = topics.iter().map(ToString::to_string).collect();
        Subscription { topics, owned: owned.iter().map(place).collect(), generation }
    }

    fn sizes(assignments: &Assignments) -> Vec<usize> {
        assignments.values().map(BTreeSet::len).collect()
    }

    /// Members come together round by round, each keeping what it was given, until nothing changes.
    fn settle(members: &mut Members, topics: &BTreeMap<String, i32>) -> Assignments {
        for generation in 1..10 {
            let assignments = assign(Assignor::CooperativeSticky, members, topics);
            let mut held = BTreeSet::new();
            for (id, member) in &mut *members {
                // What it has not yet given up plus what it got may never be with two members.
                let has: BTreeSet<Place> = member.owned.union(&assignments[id]).cloned().collect();
                assert!(has.iter().all(|place| held.insert(place.clone())), "with two members at once");
                member.owned = assignments[id].clone();
                member.generation = generation;
            }
            if held.len() == assignments.values().map(BTreeSet::len).sum::<usize>() {
                return assignments;
            }
        }
        panic!("it does not settle");
    }

    /// Scenario: a group grows from one member to three and shrinks to two.
    /// Guarantees: even after each step, no partition is ever with two members, and no more move than have to.
    #[test]
    fn partitions_move_in_two_steps_and_no_more_than_needed() {
        let topics = BTreeMap::from([("t".to_owned(), 12)]);
        let mut members = Members::from([("a".to_owned(), member(&["t"], &[], -1))]);
        assert_eq!(sizes(&settle(&mut members, &topics)), vec![12]);
        members.insert("b".to_owned(), member(&["t"], &[], -1));
        members.insert("c".to_owned(), member(&["t"], &[], -1));
        let three = settle(&mut members, &topics);
        assert_eq!(sizes(&three), vec![4, 4, 4]);
        members.remove("b");
        let two = settle(&mut members, &topics);
        assert_eq!(sizes(&two), vec![6, 6]);
        assert!(three["a"].is_subset(&two["a"]) && three["c"].is_subset(&two["c"]));
    }

    /// Scenario: members subscribe to different topics; one has what is gone or what another had more recently.
    /// Guarantees: nobody gets what it did not ask for, stale claims do not count, nothing is left over.
    #[test]
    fn subscriptions_and_stale_claims_are_respected() {
        let topics = BTreeMap::from([("t".to_owned(), 4), ("u".to_owned(), 2)]);
        let mut members = Members::from([
            ("a".to_owned(), member(&["t"], &[("t", 0), ("t", 1), ("t", 9)], 3)),
            ("b".to_owned(), member(&["t", "u"], &[("t", 0), ("u", 0)], 2)),
        ]);
        let first = assign(Assignor::CooperativeSticky, &members, &topics);
        assert!(first["a"].contains(&Place { topic: Arc::from("t"), partition: 0 }));
        members.iter_mut().for_each(|(id, member)| member.owned = first[id].clone());
        let settled = settle(&mut members, &topics);
        assert_eq!(sizes(&settled), vec![3, 3]);
        assert!(settled["a"].iter().all(|place| &*place.topic == "t"));
    }

    /// Scenario: seven partitions for three members by ranges; a topic nobody else wants.
    /// Guarantees: contiguous, the first members take one more.
    #[test]
    fn ranges_are_contiguous() {
        let topics = BTreeMap::from([("t".to_owned(), 7), ("u".to_owned(), 1)]);
        let members: Members = ["a", "b", "c"].map(|id| (id.to_owned(), member(&["t"], &[], -1))).into();
        let assignments = assign(Assignor::Range, &members, &topics);
        let numbers = |id: &str| assignments[id].iter().map(|place| place.partition).collect::<Vec<_>>();
        assert_eq!((numbers("a"), numbers("b"), numbers("c")), (vec![0, 1, 2], vec![3, 4], vec![5, 6]));
    }

    /// Scenario: a subscription and an assignment go over the wire.
    /// Guarantees: they come back as they were; other bytes are refused.
    #[test]
    fn messages_survive_the_wire() {
        use crate::group::protocol::{decode_assignment, encode_assignment};
        let subscription = member(&["t", "u"], &[("t", 3), ("t", 4), ("u", 0)], 7);
        assert_eq!(Subscription::decode(subscription.encode()), Some(subscription.clone()));
        assert_eq!(decode_assignment(encode_assignment(&subscription.owned)), Some(subscription.owned));
        assert_eq!(decode_assignment(bytes::Bytes::new()), Some(BTreeSet::new()));
        assert_eq!(Subscription::decode(bytes::Bytes::from_static(&[0])), None);
    }
}
