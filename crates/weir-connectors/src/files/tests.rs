mod faults;
mod rig;

use std::time::Duration;

use proptest::prelude::*;
use weir_engine::sink::{FlushReason, Sink as _};
use weir_event::{HeaderName, names};

use super::files_sink_type;
use rig::{ARRIVAL_MS, Rig, TestChannel, events, spec, two_hosts};

/// Scenario: the sink dies with files in progress; the channel kept everything.
/// Guarantees: what was in progress is gone, and every event is in one finished file after the restart.
#[test]
fn a_crash_before_the_rename_repeats_everything_once() {
    let rig = Rig::durable("");
    rig.channel.append(events(0..10, two_hosts));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!((run.delivered(), rig.files().hidden.len()), (0, 2), "nothing is acknowledged before it is finished");
    drop(run);
    rig.channel.append(events(10..15, two_hosts));
    let mut run = rig.start();
    assert!(rig.files().hidden.is_empty());
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!((run.delivered(), run.repeats(), rig.channel.released()), (15, 0, 15));
    rig.assert_each_once(15, two_hosts);
    assert_eq!(rig.files().ranges(), ["a/0-14", "b/1-13"]);
}

/// Scenario: the sink dies when the files of one directory are finished and those of another are not.
/// Guarantees: only what is in no finished file is written again; the rest is counted as left out.
#[test]
fn a_crash_between_files_repeats_only_what_is_in_none() {
    let mostly_a = |number: u64| if number == 3 { "b".to_owned() } else { "a".to_owned() };
    let rig = Rig::durable("roll_events = 4");
    rig.channel.append(events(0..7, mostly_a));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!(rig.files().ranges(), ["a/0-4"], "of the first seven, four are in a finished file");
    assert_eq!(rig.channel.released(), 0);
    drop(run);
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!((run.delivered(), run.repeats(), rig.channel.released()), (3, 4, 7));
    rig.assert_each_once(7, mostly_a);
    assert_eq!(rig.files().ranges(), ["a/0-4", "a/5-6", "b/3-3"], "a file in a says nothing about b");
}

/// Scenario: everything is finished, but the channel forgot that it was released.
/// Guarantees: nothing is written again, in any directory.
#[test]
fn a_crash_after_the_rename_repeats_nothing() {
    let mut channel = TestChannel::new(7, true);
    channel.loses_releases = true;
    let rig = Rig::new(channel, "roll_events = 3");
    rig.channel.append(events(0..9, two_hosts));
    rig.channel.append(events(9..20, two_hosts));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    let before = rig.files().finished;
    drop(run);
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert!(run.sink.wake_at().is_none(), "no file is open");
    assert_eq!((run.delivered(), run.repeats()), (0, 20));
    assert_eq!(rig.files().finished, before);
    rig.assert_each_once(20, two_hosts);
}

/// Scenario: a channel is lost with the process, in the middle of a line or block; the next run has another one.
/// Guarantees: what is whole is kept under a name that says so; a file of which nothing is whole is not.
#[test]
fn leftovers_of_a_lost_channel_are_kept() {
    for (compression, suffix) in [("none", ".log"), ("gzip", ".log.gz"), ("zstd", ".log.zst")] {
        let rig = Rig::new(TestChannel::new(7, false), &format!("compression = \"{compression}\""));
        rig.channel.append(events(0..4, |_| "a".into()));
        let mut run = rig.start();
        run.deliver_all().expect("delivers");
        run.flush(FlushReason::Pressure).expect("writes");
        assert_eq!((run.delivered(), rig.files().hidden.len()), (4, 1), "acknowledged when written");
        drop(run);
        let leftover = rig.files().hidden.remove(0);
        let mut bytes = std::fs::read(&leftover).expect("reads");
        bytes.extend_from_slice(&bytes.clone()[..7]);
        std::fs::write(&leftover, bytes).expect("writes");
        let cut = leftover.with_file_name(".events.0000000000000007-0.00000000000000000090.tmp");
        std::fs::write(cut, "no end").expect("writes");

        let next = rig.with_channel(TestChannel::new(8, false));
        drop(next.start());
        let files = next.files();
        let kept = format!("a/events.0000000000000007-0.00000000000000000000-recovered{suffix}");
        assert_eq!((files.names(), files.hidden.len()), (vec![kept.as_str()], 0));
        assert_eq!(files.finished[&kept], "event 0\nevent 1\nevent 2\nevent 3\n");
    }
}

/// Scenario: a leftover of the same log lies before the released position, and its rescued namesake exists already.
/// Guarantees: it is kept, because its events do not come again, and overwrites nothing.
#[test]
fn leftovers_before_the_position_are_kept() {
    let rig = Rig::durable("");
    rig.channel.append(events(0..4, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    drop(run);
    let stem = "events.0000000000000007-0.00000000000000000001";
    std::fs::write(rig.root().join(format!("a/.{stem}.tmp")), "second\n").expect("writes");
    std::fs::write(rig.root().join(format!("a/{stem}-recovered.log")), "first\n").expect("writes");
    std::fs::write(rig.root().join(format!("a/.other.{}.tmp", &stem[7..])), "not ours\n").expect("writes");
    drop(rig.start());
    let files = rig.files();
    assert_eq!(files.finished[&format!("a/{stem}-recovered.log")], "first\n");
    assert_eq!(files.finished[&format!("a/{stem}-recovered2.log")], "second\n");
    assert_eq!(files.hidden.len(), 1, "another prefix is another's file");
}

/// Scenario: a second sink starts while the first one writes.
/// Guarantees: the file in progress is not taken for a leftover.
#[test]
fn files_in_use_are_no_leftovers() {
    let rig = Rig::new(TestChannel::new(7, false), "");
    rig.channel.append(events(0..4, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    let other = rig.with_channel(TestChannel::new(8, false));
    drop(other.start());
    assert_eq!((other.files().hidden.len(), other.files().finished.len()), (1, 0));
    run.flush(FlushReason::Shutdown).expect("finishes");
    other.assert_each_once(4, |_| "a".into());
}

/// Scenario: the log was made anew; files of its predecessor, of another partition and of another prefix have its
/// offsets.
/// Guarantees: nothing is taken for written because of them.
#[test]
fn files_of_another_log_claim_nothing() {
    let rig = Rig::durable("");
    std::fs::create_dir(rig.root().join("a")).expect("creates");
    for other in ["events.0000000000000008-0", "events.0000000000000007-1", "other.0000000000000007-0"] {
        let name = format!("a/{other}.00000000000000000000-00000000000000000009.log");
        std::fs::write(rig.root().join(name), "").expect("writes");
    }
    rig.channel.append(events(0..4, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!((run.delivered(), run.repeats()), (4, 0));
    rig.assert_each_once(4, |_| "a".into());
}

/// Scenario: deliveries come out of order: one is taken between by somebody else and comes later.
/// Guarantees: no name claims events of a delivery that came between; a restart repeats nothing and loses nothing.
#[test]
fn a_gap_finishes_files() {
    let mut channel = TestChannel::new(7, true);
    channel.loses_releases = true;
    let rig = Rig::new(channel, "");
    for first in [0, 4, 8, 12] {
        rig.channel.append(events(first..first + 4, |_| "a".into()));
    }
    let mut run = rig.start();
    let [first, second, third, fourth] = std::array::from_fn(|_| run.next().expect("four deliveries"));
    for delivery in [first, third, fourth, second] {
        run.deliver(delivery).expect("delivers");
    }
    assert_eq!(rig.files().ranges(), ["a/0-3", "a/8-15"]);
    drop(run);
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!((run.delivered(), run.repeats()), (4, 12));
    rig.assert_each_once(16, |_| "a".into());
}

/// Scenario: files reach their size in events or bytes in the middle of a batch, or their age, or fall silent.
/// Guarantees: each is finished then, not earlier, and the next one follows on.
#[test]
fn files_are_finished_at_their_limits() {
    let rig = Rig::durable("roll_events = 4");
    rig.channel.append(events(0..10, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!(rig.files().ranges(), ["a/0-3", "a/4-7"]);

    let rig = Rig::durable("roll_bytes = 20");
    rig.channel.append(events(0..10, |_| "a".into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!(rig.files().ranges(), ["a/0-2", "a/3-5", "a/6-8"], "8 bytes each: the third crosses 20");

    let rig = Rig::durable("roll_time = \"30 s\"\nroll_idle = \"10 s\"");
    rig.channel.append(events(0..1, |_| "a".into()));
    let mut run = rig.start();
    assert_eq!(run.sink.wake_at(), None);
    let start = rig.now();
    run.deliver_all().expect("delivers");
    assert_eq!(run.sink.wake_at(), Some(start + Duration::from_secs(10)));
    for number in 1..4 {
        rig.pass(Duration::from_secs(9));
        run.flush(FlushReason::Timer).expect("nothing is due");
        rig.channel.append(events(number..number + 1, |_| "a".into()));
        run.deliver_all().expect("delivers");
    }
    assert_eq!(run.sink.wake_at(), Some(start + Duration::from_secs(30)));
    assert!(rig.files().finished.is_empty());
    rig.pass(Duration::from_secs(3));
    run.flush(FlushReason::Timer).expect("finishes");
    assert_eq!((rig.files().ranges(), run.delivered()), (vec!["a/0-3".to_owned()], 4));
    rig.channel.append(events(4..6, two_hosts));
    run.deliver_all().expect("delivers");
    rig.pass(Duration::from_secs(9));
    rig.channel.append(events(6..7, two_hosts));
    run.deliver_all().expect("delivers");
    rig.pass(Duration::from_secs(1));
    run.flush(FlushReason::Timer).expect("finishes");
    assert_eq!(rig.files().ranges(), ["a/0-3", "b/5-5"], "b fell silent, a did not");
}

/// Scenario: more directories are written to than files may be open.
/// Guarantees: the file that was not written for longest makes room; nothing else is finished.
#[test]
fn the_least_recently_written_file_makes_room() {
    let rig = Rig::durable("open_files_max = 2");
    rig.channel.append(events(0..4, |number| ["a", "b", "a", "c"][number as usize].into()));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    assert_eq!((rig.files().ranges(), rig.files().hidden.len()), (vec!["b/1-1".to_owned()], 2));
    run.flush(FlushReason::Shutdown).expect("finishes");
    assert_eq!(rig.files().ranges(), ["a/0-2", "b/1-1", "c/3-3"]);
}

/// Scenario: the channel fills up while files are open.
/// Guarantees: on a durable channel they are finished; on one that forgets, written is enough.
#[test]
fn pressure_lets_go_of_deliveries() {
    for (is_durable, finished) in [(true, 1), (false, 0)] {
        let rig = Rig::new(TestChannel::new(7, is_durable), "compression = \"zstd\"");
        rig.channel.append(events(0..4, |_| "a".into()));
        let mut run = rig.start();
        run.deliver_all().expect("delivers");
        assert_eq!(run.delivered(), 0, "the block is not full");
        run.flush(FlushReason::Pressure).expect("works");
        assert_eq!((run.delivered(), rig.files().finished.len()), (4, finished));
    }
}

/// Scenario: enough events for several blocks, in each compression.
/// Guarantees: independent decoders give back exactly the text.
#[test]
fn packed_files_are_read_by_others() {
    for compression in ["none", "gzip", "zstd"] {
        let rig = Rig::durable(
            &format!("compression = \"{compression}\"\ncompression_level = 1\nprefix = \"x\"")
                .replace(if compression == "none" { "compression_level = 1\n" } else { "-" }, ""),
        );
        for first in 0..10 {
            rig.channel.append(events(first * 20_000..(first + 1) * 20_000, |_| "a".into()));
        }
        let mut run = rig.start();
        run.deliver_all().expect("delivers");
        run.flush(FlushReason::Shutdown).expect("finishes");
        let files = rig.files();
        assert_eq!(files.ranges(), ["a/0-199999"]);
        let text = files.finished.values().next().expect("one file");
        assert!(text.lines().enumerate().all(|(at, line)| line == format!("event {at}")));
        assert_eq!((text.lines().count(), run.delivered()), (200_000, 200_000));
    }
}

/// Scenario: events with and without a time of their own, in json, into folders by time.
/// Guarantees: each is in the folder of its time, or of its arrival where it has none or that is asked for.
#[test]
fn folders_follow_the_time_that_is_asked_for() {
    for (time, folders) in
        [("event", vec!["2023-11-14-22-10", "2024-06-30-23-50"]), ("arrival", vec!["2023-11-14-22-10"])]
    {
        let options = format!(
            "path = \"ROOT/%Y-%m-%d-%H-%M\"\nformat = \"json\"\ntime_zone = \"UTC\"\nround = \"10 m\"\ntime = \"{time}\""
        );
        let rig = Rig::durable(&options);
        let mut batch = events(0..3, two_hosts);
        batch.set_i64(names::TIMESTAMP, vec![1_719_791_999_999, weir_event::ABSENT_I64, ARRIVAL_MS + 1]);
        batch.set_constant(HeaderName::new("x"), "y");
        rig.channel.append(batch);
        let mut run = rig.start();
        run.deliver_all().expect("delivers");
        run.flush(FlushReason::Shutdown).expect("finishes");
        let files = rig.files();
        let found: Vec<_> =
            files.names().iter().map(|name| name.split('/').next().expect("a folder").to_owned()).collect();
        assert_eq!(found, folders);
        let bodies: Vec<_> = files.finished.values().flat_map(|text| text.lines()).collect();
        let bodies =
            bodies.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("json")["body"].clone());
        let mut bodies: Vec<_> = bodies.collect();
        bodies.sort_by_key(ToString::to_string);
        assert_eq!(bodies, ["event 0", "event 1", "event 2"]);
    }
}

/// Scenario: the path names this machine.
/// Guarantees: the system's answer stands there.
#[test]
fn the_path_can_name_this_machine() {
    let rig = Rig::durable("path = \"ROOT/%[localhost]/x\"");
    rig.channel.append(events(0..1, two_hosts));
    let mut run = rig.start();
    run.deliver_all().expect("delivers");
    run.flush(FlushReason::Shutdown).expect("finishes");
    let host = crate::tree::machine::host_name().expect("a name");
    assert_eq!(rig.files().ranges(), [format!("{host}/x/0-0")]);
}

/// Scenario: a section with the least that is needed, and one with every mistake that the table cannot catch.
/// Guarantees: the defaults are valid; every mistake is reported at once.
#[test]
fn options_are_checked() {
    let valid = spec("path = \"/var/log/weir/%{host}\"").expect("defaults are valid");
    assert_eq!(weir_engine::sink::SinkSpec::memory_bytes(&valid), 66 * (256 << 10) + 4 * (1 << 20));
    assert_eq!(files_sink_type().spec.name, "files");
    let faulty = "path = \"/x/%q\"\nprefix = \".a\"\nsuffix = \"x/y\"\ncompression = \"gzip\"\ncompression_level = 12\n\
        time_zone = \"Atlantis\"\nround = \"90 s\"\nfile_mode = \"rw\"\ndirectory_mode = \"0600\"\nroll_time = \"0 s\"";
    let text = spec(faulty).expect_err("nothing is right").to_string();
    for option in [
        "path",
        "prefix",
        "suffix",
        "compression_level",
        "time_zone",
        "round",
        "file_mode",
        "directory_mode",
        "roll_time",
    ] {
        assert!(text.contains(&format!("[sinks.test.{option}]")), "{option} is not in {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Scenario: any hosts, batches, limits and compression; the sink dies and starts again after any deliveries, some
    /// of which fail because the folder of a host cannot be made.
    /// Guarantees: in the end every event is in exactly one finished file of its host.
    #[test]
    fn any_crashes_leave_each_event_once(
        hosts in prop::collection::vec(0_u8..4, 1..60),
        cuts in prop::collection::vec(1_usize..9, 1..12),
        lives in prop::collection::vec((0_usize..7, 0_u8..4), 0..6),
        roll_events in 0_u32..5, open_files_max in 1_u32..4, compression in prop::sample::select(vec!["none", "zstd"]),
        loses_releases: bool,
    ) {
        let mut channel = TestChannel::new(7, true);
        channel.loses_releases = loses_releases;
        let options = format!("roll_events = {roll_events}\nopen_files_max = {open_files_max}\ncompression = \"{compression}\"");
        let rig = Rig::new(channel, &format!("{options}\nsync = \"none\""));
        let host = |number: u64| format!("h{}", hosts[number as usize]);
        let mut first = 0;
        for cut in cuts.iter().cycle() {
            let end = (first + cut).min(hosts.len());
            rig.channel.append(events(first as u64..end as u64, host));
            first = end;
            if first == hosts.len() {
                break;
            }
        }
        for (deliveries, blocked) in lives {
            let mut run = rig.start();
            let obstacle = rig.root().join(format!("h{blocked}"));
            let is_blocked = !obstacle.exists() && std::fs::write(&obstacle, "").is_ok();
            for _ in 0..deliveries {
                let Some(delivery) = run.next() else { break };
                prop_assert!(run.deliver(delivery).is_ok() || is_blocked);
            }
            if is_blocked {
                std::fs::remove_file(&obstacle).expect("removes");
            }
            for _ in 0..deliveries / 2 {
                let Some(delivery) = run.next() else { break };
                run.deliver(delivery).expect("delivers");
            }
        }
        let mut run = rig.start();
        run.deliver_all().expect("delivers");
        run.flush(FlushReason::Shutdown).expect("finishes");
        rig.assert_each_once(hosts.len() as u64, host);
    }
}
