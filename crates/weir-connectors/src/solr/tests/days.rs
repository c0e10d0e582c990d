//! Collections by day: which one an event goes to, which are made, which go.

use jiff::Timestamp;
use weir_event::{EventBatch, HeaderName, names};
use weir_solr::fake::Step;
use weir_solr::{Client, ClientOptions};

use super::super::place::{Expired, Places};
use super::{NOW_MS, Rig, run};

const DAY_MS: i64 = 86_400_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("a time")
}

fn name(ms: i64) -> String {
    at(ms).strftime("day-%Y-%m-%d").to_string()
}

fn places(default: &str, retention_days: Option<u64>) -> Places {
    Places { default: default.to_owned(), header: None, allowed: Vec::new(), retention_days }
}

/// Events that happened at `times` and arrived at `arrival_ms`.
fn events_at(times: &[i64], arrival_ms: i64) -> EventBatch {
    let bodies: Vec<_> = times.iter().map(|time| format!("at {time}")).collect();
    let mut batch = EventBatch::from_bodies(&bodies, arrival_ms);
    batch.set_i64(names::TIMESTAMP, times.to_vec());
    batch
}

/// The sink makes collections, with these options besides.
fn making(more: &str) -> String {
    format!("collection = 'day-%Y-%m-%d'\ncreate = {{ config_set = 'c', shards = 2, {more} }}")
}

/// Scenario: events of three days into collections by day, one of them far in the future, one before the retention; a
/// collection of long ago is there.
/// Guarantees: each day has its collection, the alias has them, the newest first, the old one is deleted; clocks that are
/// wrong make no collections.
#[test]
fn collections_by_day() {
    run(async {
        let mut rig = Rig::new(&making("alias = 'all', retention_days = 3")).await;
        let now_ms = Timestamp::now().as_millisecond();
        rig.solr.create("day-2020-01-01", 1);
        let times = [now_ms, now_ms - DAY_MS, now_ms - 2 * DAY_MS, now_ms + 9 * DAY_MS, 0];
        rig.deliver(&events_at(&times, now_ms)).await.expect("taken in");
        rig.finish().await;
        let days = [name(now_ms - 2 * DAY_MS), name(now_ms - DAY_MS), name(now_ms)];
        let mut expected = days.to_vec();
        expected.push("logs".to_owned());
        assert_eq!(rig.solr.collections(), expected);
        let members = format!("{},{},{}", days[2], days[1], days[0]);
        let admin = rig.solr.admin();
        assert!(admin.iter().any(|path| path.contains(&format!("collections={members}"))), "{admin:?}");
        assert_eq!(rig.delivered(), 5);
    });
}

/// Scenario: as from a topic, whose batches arrive when their newest event happened: events of 1970 and of days before the
/// retention, after and before a collection of today is there.
/// Guarantees: the sink goes on; what is older than the retention is counted and makes no collection.
#[test]
fn what_is_older_than_the_retention_is_counted() {
    run(async {
        let mut rig = Rig::new(&making("retention_days = 3")).await;
        let now_ms = Timestamp::now().as_millisecond();
        rig.deliver(&events_at(&[now_ms], now_ms)).await.expect("taken in");
        rig.deliver(&events_at(&[0, 1], 1)).await.expect("taken in");
        let old = now_ms - 9 * DAY_MS;
        rig.deliver(&events_at(&[old, old - DAY_MS, now_ms], old)).await.expect("taken in");
        rig.finish().await;
        assert_eq!(rig.solr.collections(), [name(now_ms), "logs".to_owned()]);
        let dropped = rig.group.ledger().dropped.snapshot();
        assert_eq!((rig.delivered(), dropped.get("older than retention").copied()), (1, Some(5)));
        assert!(!rig.group.is_anything_outstanding());
    });
}

/// Scenario: an empty cluster, and the first events are of 1970.
/// Guarantees: their collection is made and not swept at once, so the sink does not stand; it goes when there is a younger one.
#[test]
fn a_collection_is_not_swept_while_it_is_made() {
    run(async {
        let mut rig = Rig::new(&making("retention_days = 3")).await;
        rig.deliver(&events_at(&[0], 0)).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.solr.collections(), rig.delivered()), (vec![name(0), "logs".to_owned()], 1));
        let now_ms = Timestamp::now().as_millisecond();
        rig.deliver(&events_at(&[now_ms], now_ms)).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.solr.collections(), rig.delivered()), (vec![name(now_ms), "logs".to_owned()], 2));
    });
}

/// Scenario: events that say that they are of any year since 1970, without a retention; then, as from a topic, more days than
/// collections may be made.
/// Guarantees: they go by their arrival, to one collection; beyond the limit none is made, and the events are dead letters
/// that say why.
#[test]
fn forged_times_make_few_collections() {
    run(async {
        let mut rig = Rig::new(&making("collections_max = 3")).await;
        let now_ms = Timestamp::now().as_millisecond();
        let times: Vec<i64> = (0..50).map(|year| year * 365 * DAY_MS).collect();
        rig.deliver(&events_at(&times, now_ms)).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.solr.collections(), rig.delivered()), (vec![name(now_ms), "logs".to_owned()], 50));
        for day in 0..5 {
            rig.deliver(&events_at(&[day * 100 * DAY_MS], day * 100 * DAY_MS)).await.expect("taken in");
        }
        rig.finish().await;
        assert_eq!((rig.solr.collections().len(), rig.delivered(), rig.dead_letters().len()), (4, 52, 3));
        assert!(rig.dead_letters()[0].1.contains("create.collections_max is 3"), "{:?}", rig.dead_letters());
    });
}

/// Scenario: an event a day and half a minute ahead of its arrival, and others at all edges, placed again a minute, a day and
/// a year later.
/// Guarantees: the same collection each time: an event that comes again is there once.
#[test]
fn a_place_does_not_depend_on_when_it_is_asked() {
    for retention_days in [None, Some(3)] {
        let places = places("day-%Y-%m-%d", retention_days);
        let edges = [-40 * DAY_MS, -30 * DAY_MS, -3 * DAY_MS, -1, 0, DAY_MS - 1, DAY_MS, DAY_MS + 30_000, 9 * DAY_MS];
        let times: Vec<i64> = edges.iter().flat_map(|edge| [edge - 30_000, *edge, edge + 30_000]).collect();
        let batch = events_at(&times.iter().map(|time| NOW_MS + time).collect::<Vec<_>>(), NOW_MS);
        let names = |now_ms: i64| {
            let mut bound = places.bind(&batch, at(now_ms), None);
            (0..batch.len()).map(|row| bound.of(row).map(str::to_owned)).collect::<Vec<_>>()
        };
        let first = names(NOW_MS);
        for later in [60_000, DAY_MS, 365 * DAY_MS] {
            assert_eq!(names(NOW_MS + later), first, "{later}");
        }
        assert_eq!(first.last(), Some(&Some(name(NOW_MS))));
    }
}

/// Scenario: a topic's batch whose arrival is that of a clock years ahead, ours being right; and ours being years behind.
/// Guarantees: a right time counts in both cases; a wrong one makes no collection of its own.
#[test]
fn a_wrong_arrival_carries_nothing_away() {
    let places = places("day-%Y-%m-%d", Some(3));
    let ahead = NOW_MS + 4000 * DAY_MS;
    let batch = events_at(&[NOW_MS, NOW_MS - DAY_MS, ahead], ahead);
    let names = |now_ms: i64, newest: &str| {
        let mut bound = places.bind(&batch, at(now_ms), Some(newest));
        (0..batch.len()).map(|row| bound.of(row).map(str::to_owned)).collect::<Vec<_>>()
    };
    let (today, yesterday) = (name(NOW_MS), name(NOW_MS - DAY_MS));
    assert_eq!(names(NOW_MS, &today), [Some(today.clone()), Some(yesterday.clone()), Some(today.clone())]);
    let batch_of_today = events_at(&[NOW_MS, NOW_MS - DAY_MS], NOW_MS);
    let mut bound = places.bind(&batch_of_today, at(0), Some(&today));
    assert_eq!(bound.of(0), Some(today.as_str()));
    assert_eq!(bound.of(1), Some(yesterday.as_str()));
}

/// Scenario: names of collections by day and by month, and names that only look like them.
/// Guarantees: only what the pattern makes counts; what is older than the retention has expired, its last day has not.
#[test]
fn old_collections_expire() {
    let (now, days) = (at(NOW_MS), places("l-%Y-%m-%d", Some(2)));
    assert_eq!(
        days.expired(&["l-2026-11-20", "l-2026-11-21", "l-2026-11-23"], now),
        Expired::Over(vec!["l-2026-11-20"])
    );
    let months = places("m%Y-%m", Some(2));
    assert_eq!(months.expired(&["m2026-10", "m2026-11"], now), Expired::Over(vec!["m2026-10"]));
    for name in ["l-2026-1-2", "l-x", "logs"] {
        assert!(days.time_of(name).is_none(), "{name}");
    }
    assert!(days.fault().is_none() && places("logs", None).fault().is_none());
    for name in ["l-%d", "l-%m-%Y", "l-%H", "l %Y", "", "l%"] {
        assert!(places(name, None).fault().is_some(), "{name}");
    }
}

/// Scenario: our clock jumps a year ahead, with 30 collections by day; events arrive with the wrong time for two days.
/// Guarantees: nothing is old by the clock alone, nor when the first collection of the wrong time is there.
#[test]
fn a_clock_that_jumps_deletes_nothing_at_once() {
    let places = places("day-%Y-%m-%d", Some(40));
    let owned: Vec<String> = (0..30).map(|day| name(NOW_MS + day * DAY_MS)).collect();
    let mut names: Vec<&str> = owned.iter().map(String::as_str).collect();
    let later = NOW_MS + 395 * DAY_MS;
    assert_eq!(places.expired(&names, at(later)), Expired::Over(Vec::new()));
    let wrong = [name(later), name(later + DAY_MS)];
    names.push(&wrong[0]);
    assert_eq!(places.expired(&names, at(later)), Expired::TooMany(30));
    names.push(&wrong[1]);
    assert_eq!(places.expired(&names, at(later + DAY_MS)), Expired::Over(names[..30].to_vec()));
}

/// Scenario: the collection of today is deleted by hand while the sink uses it.
/// Guarantees: the delivery comes back once, the collection is made again, and everything that came since is in it.
#[test]
fn a_collection_deleted_by_hand_is_made_again() {
    run(async {
        let mut rig = Rig::new(&making("alias = 'all'")).await;
        let now_ms = Timestamp::now().as_millisecond();
        rig.deliver(&events_at(&[now_ms], now_ms)).await.expect("taken in");
        rig.finish().await;
        let client = Client::new(ClientOptions::new([rig.solr.url()])).expect("a client");
        let path = format!("/admin/collections?action=DELETE&name={}", name(now_ms));
        client.get(&path).await.expect("deleted");
        rig.deliver(&events_at(&[now_ms, now_ms], now_ms)).await.expect("taken in");
        rig.finish().await;
        assert_eq!(rig.delivered(), 1);
        let again = rig.next().expect("it comes again");
        rig.sink.deliver(again).await.expect("taken in");
        rig.finish().await;
        assert_eq!((rig.delivered(), rig.solr.ids(&name(now_ms)).len()), (3, 2));
    });
}

/// Scenario: two old collections, of which Solr does not let the first go.
/// Guarantees: the other one goes all the same; the first does the next time.
#[test]
fn a_collection_that_stays_does_not_keep_the_others() {
    run(async {
        let mut rig = Rig::new(&making("retention_days = 3")).await;
        let now_ms = Timestamp::now().as_millisecond();
        for day in ["day-2020-01-01", "day-2020-01-02"] {
            rig.solr.create(day, 1);
        }
        rig.solr.create(&name(now_ms), 2);
        rig.solr.script("DELETE day-2020-01-01", [Step::Status(400, "it is part of aliases", None)]);
        let mut batch = events_at(&[now_ms], now_ms);
        batch.set_constant(HeaderName::new("x"), "y");
        rig.deliver(&batch).await.expect("taken in");
        rig.finish().await;
        assert_eq!(rig.solr.collections(), ["day-2020-01-01".to_owned(), name(now_ms), "logs".to_owned()]);
        assert_eq!(rig.faults("collections not deleted"), 1);
    });
}
