use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::thread;
use std::time::Duration;

use super::*;
use crate::account::Account;
use crate::stamp::Stamp;

/// Long enough that it only ends a test that hangs.
const HANG_LIMIT: Duration = Duration::from_secs(30);

fn options(target: &str, events: u64) -> SendOptions {
    let target = target.parse().expect("a target");
    let stamp = Some(StampOptions { first_producer: 3, first_sequence: 1000, check: true });
    let limit = Limit { events: Some(events), duration: Some(HANG_LIMIT) };
    SendOptions { stamp, limit, ..SendOptions::new(target) }
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("tcp://{}", listener.local_addr().expect("bound"));
    (listener, target)
}

/// Notes every line of the stream; panics on a line without an intact stamp.
fn account_of(stream: impl Read) -> Account {
    let mut account = Account::new();
    for line in BufReader::new(stream).split(b'\n') {
        note(&line.expect("reads"), &mut account);
    }
    account
}

fn note(line: &[u8], account: &mut Account) {
    let (stamp, at) = Stamp::find(line).expect("a stamp");
    assert_eq!(stamp.text_is_intact(line, at), Some(true), "{}", String::from_utf8_lossy(line));
    assert_eq!(at + crate::stamp::CHECKED_STAMP_BYTES, line.len());
    account.add(stamp.producer, stamp.sequence);
}

fn accept_all(listener: &TcpListener, connections: usize) -> Account {
    let readers: Vec<_> = (0..connections)
        .map(|_| listener.accept().expect("a peer").0)
        .map(|stream| thread::spawn(|| account_of(stream)))
        .collect();
    let mut sum = Account::new();
    for reader in readers {
        sum.merge(&reader.join().expect("no panic"));
    }
    sum
}

/// Scenario: 200 003 stamped events over three TCP connections, flat out, more than the blocks hold.
/// Guarantees: each arrives once, in order, whole, and the report and the counters say so.
#[test]
fn tcp_sends_each_event_once() {
    let (listener, target) = listener();
    let reader = thread::spawn(move || accept_all(&listener, 3));
    let progress = Progress::new();
    let report = send(&SendOptions { connections: 3, ..options(&target, 200_003) }, &progress).expect("sends");
    let account = reader.join().expect("no panic");
    assert_eq!((report.events, progress.events(), account.seen().count()), (200_003, 200_003, 200_003));
    let verdict = account.verdict(&report.sequences(), Some(&report.sequences()));
    assert!(verdict.is_sound() && verdict.duplicates == 0 && verdict.reordered == 0, "{verdict:?}");
    assert_eq!(report.connections.iter().map(|one| one.events).collect::<Vec<_>>(), [66_668, 66_668, 66_667]);
    assert_eq!(report.connections[2].producer, Some(5));
    assert_eq!((report.bytes, progress.connected(), report.errors.len()), (progress.bytes(), 0, 0));
    assert!(serde_json::to_string(&report).expect("serialises").contains("\"events\":200003"));
}

/// Scenario: octet-counted frames, read back by their counts.
/// Guarantees: every count is right and no line feed is in between.
#[test]
fn octet_counts_are_right() {
    let (listener, target) = listener();
    let reader = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().expect("a peer").0);
        let (mut account, mut count, mut line) = (Account::new(), Vec::new(), Vec::new());
        while stream.read_until(b' ', &mut count).expect("reads") > 0 {
            count.pop();
            let bytes: usize = std::str::from_utf8(&count).expect("digits").parse().expect("a count");
            line.resize(bytes, 0);
            stream.read_exact(&mut line).expect("reads");
            assert_eq!(line[0], b'<');
            note(&line, &mut account);
            count.clear();
        }
        account
    });
    let options = SendOptions { framing: Framing::OctetCounted, ..options(&target, 20_000) };
    let report = send(&options, &Progress::new()).expect("sends");
    assert_eq!(reader.join().expect("no panic").seen(), &report.sequences());
}

/// Scenario: as many UDP datagrams as a socket buffer holds, then Unix sockets of both types behind `unix:`.
/// Guarantees: one line per datagram without a line feed; the stream has line feeds; nothing is missing.
#[test]
fn datagrams_and_unix_sockets() {
    let folder = tempfile::tempdir().expect("a folder");
    let receive = |receive: &dyn Fn(&mut [u8]) -> usize, count| {
        let (mut account, mut buffer) = (Account::new(), vec![0; 65_536]);
        for _ in 0..count {
            let bytes = receive(&mut buffer);
            note(&buffer[..bytes], &mut account);
        }
        account
    };
    thread::scope(|scope| {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        udp.set_read_timeout(Some(HANG_LIMIT)).expect("a socket");
        let target = format!("udp://{}", udp.local_addr().expect("bound"));
        // 100 of these fit the socket's default buffer (208 KiB, about 1 KiB each), so a late reader loses none.
        let reader = scope.spawn(move || receive(&|buffer| udp.recv(buffer).expect("a datagram"), 100));
        let report = send(&options(&target, 100), &Progress::new()).expect("sends");
        assert_eq!(reader.join().expect("no panic").seen(), &report.sequences());

        let path = folder.path().join("datagram");
        let socket = UnixDatagram::bind(&path).expect("binds");
        let reader = scope.spawn(move || receive(&|buffer| socket.recv(buffer).expect("a datagram"), 30_000));
        let target = format!("unix:{}", path.display());
        let report = send(&options(&target, 30_000), &Progress::new()).expect("sends");
        assert_eq!(reader.join().expect("no panic").seen(), &report.sequences());

        let path = folder.path().join("stream");
        let socket = UnixListener::bind(&path).expect("binds");
        let reader = scope.spawn(move || account_of(socket.accept().expect("a peer").0));
        let target = format!("unix:{}", path.display());
        let report = send(&options(&target, 30_000), &Progress::new()).expect("sends");
        assert_eq!(reader.join().expect("no panic").seen(), &report.sequences());
    });
}

/// Scenario: the peer reads a part and closes, and the sender may not reconnect.
/// Guarantees: the run ends, names the peer, and has counted no event that was not written whole.
#[test]
fn a_closing_peer_is_named() {
    let (listener, target) = listener();
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a peer");
        stream.read_exact(&mut vec![0; 1 << 20]).expect("reads");
    });
    let progress = Progress::new();
    let report = send(&options(&target, u64::MAX), &progress).expect("starts");
    reader.join().expect("no panic");
    assert!(report.events > 1000 && report.events == progress.events());
    assert!(report.errors[0].contains(&target) && report.errors[0].contains(&report.events.to_string()));
    assert_eq!(progress.connected(), 0);
}

/// Scenario: the peer closes after some megabytes, twice, and listens again.
/// Guarantees: sequence numbers go on without a repeated or torn line that has a stamp; what is missing was in the
/// sockets; the end arrives.
#[test]
fn reconnecting_goes_on_with_the_sequence() {
    let (listener, target) = listener();
    let read_part = |stream: TcpStream, account: &mut Account| {
        let mut stream = BufReader::new(stream.take(3 << 20));
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            if line.pop() == Some(b'\n') {
                note(&line, account);
            }
            line.clear();
        }
    };
    let reader = thread::spawn(move || {
        let mut account = Account::new();
        for _ in 0..2 {
            read_part(listener.accept().expect("a peer").0, &mut account);
        }
        let last = account_of(listener.accept().expect("a peer").0);
        account.merge(&last);
        account
    });
    let reconnect = Some(ReconnectOptions { give_up_after: HANG_LIMIT });
    let progress = Progress::new();
    let report = send(&SendOptions { reconnect, ..options(&target, 150_000) }, &progress).expect("sends");
    let account = reader.join().expect("no panic");
    let verdict = account.verdict(&report.sequences(), Some(&report.sequences()));
    assert_eq!((report.events, progress.reconnects(), report.connections[0].reconnects), (150_000, 2, 2));
    assert_eq!((verdict.phantom, verdict.duplicates, verdict.damaged), (0, 0, 0));
    assert!(account.seen().producers().all(|(_, numbers)| numbers.contains(150_999)));
}

/// Scenario: a rate for a fixed time, to a peer that reads; then to one that never reads.
/// Guarantees: never more than the schedule; sent and skipped make up the schedule; a stuck peer does not hold up the end.
#[test]
fn a_rate_is_never_exceeded() {
    let (listener, target) = listener();
    let reader = thread::spawn(move || accept_all(&listener, 2));
    let limit = Limit { events: None, duration: Some(Duration::from_millis(300)) };
    let timed = SendOptions { limit, ..options(&target, 0) };
    let paced = SendOptions { connections: 2, events_per_second: Some(20_000.0), ..timed.clone() };
    let report = send(&paced, &Progress::new()).expect("sends");
    assert_eq!(reader.join().expect("no panic").seen().count(), report.events);
    assert!(report.events as f64 <= report.seconds * 20_000.0 + 2.0, "{report:?}");

    let (listener, target) = self::listener();
    let stuck = SendOptions { target: target.parse().expect("a target"), ..timed };
    let report = send(&stuck, &Progress::new()).expect("sends");
    assert!(report.errors.is_empty());
    drop(listener);
}

/// Scenario: a file of 1000 lines of many kinds goes over three connections, limited to its number of lines.
/// Guarantees: each line arrives once, byte for byte, empty lines aside; a second round would start again.
#[test]
fn a_file_is_sent_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input");
    let lines: Vec<String> =
        (0..1000).map(|i| format!("<13>Nov 22 10:00:00 h t: line {i} {}", "x".repeat(i))).collect();
    std::fs::write(&path, lines.join("\r\n\n")).expect("writes");
    for (connections, events) in [(3, 1000), (1, 2000)] {
        let (listener, target) = listener();
        let reader = thread::spawn(move || {
            let streams: Vec<_> = (0..connections).map(|_| listener.accept().expect("a peer").0).collect();
            streams.into_iter().flat_map(|stream| BufReader::new(stream).lines()).collect::<Result<Vec<_>, _>>()
        });
        let input = Input::File(path.clone());
        let options =
            SendOptions { connections, input, stamp: None, line_time: LineTime::AsWritten, ..options(&target, events) };
        let report = send(&options, &Progress::new()).expect("sends");
        let mut got = reader.join().expect("no panic").expect("reads");
        let mut expected = vec![&lines[..]; events as usize / 1000].concat();
        got.sort();
        expected.sort();
        assert_eq!((got.len() as u64, &got), (report.events, &expected));
        assert_eq!(report.sequences().count(), 0);
    }
}

/// Scenario: lines with old timestamps of both forms are sent with the current time, and another thread stops the run.
/// Guarantees: both forms say now, fine digits and the rest stay; a stop ends it without an error.
#[test]
fn times_are_refreshed_until_stopped() {
    let (listener, target) = listener();
    let lines = ["<13>1 2001-02-03T04:05:06.789123Z h a - - - m", "<13>Feb  3 04:05:06 h a: m", "no header"];
    let input = Input::Lines(lines.iter().map(|line| line.as_bytes().to_vec()).collect());
    let limit = Limit::default();
    let options = SendOptions { input, stamp: None, limit, ..options(&target, 0) };
    let progress = Progress::new();
    let before = connection::now_ms() as i64;
    let (report, got) = thread::scope(|scope| {
        let sender = scope.spawn(|| send(&options, &progress).expect("sends"));
        let stream = listener.accept().expect("a peer").0;
        let mut lines = BufReader::new(stream).lines();
        let got: Vec<_> = lines.by_ref().take(3).map(|line| line.expect("reads")).collect();
        progress.stop();
        lines.for_each(drop);
        (sender.join().expect("no panic"), got)
    });
    assert!(report.errors.is_empty() && report.events >= 3);
    let mut clock = weir_codec::synth::TimeText::new();
    let earliest = String::from_utf8_lossy(clock.rfc5424_millis(before)).into_owned();
    assert!(got[0][6..29] >= earliest[..23] && got[0].ends_with("123Z h a - - - m"), "{}", got[0]);
    assert!(!got[1].contains("Feb  3 04:05:06") && got[1].ends_with(" h a: m"), "{}", got[1]);
    assert_eq!(got[2], "no header");
}

/// Scenario: options that cannot work.
/// Guarantees: each is refused before anything is sent, with a message that says what to change.
#[test]
fn impossible_runs_are_refused() {
    let good = options("tcp://127.0.0.1:1", 1);
    let refusal = |options: SendOptions| send(&options, &Progress::new()).expect_err("refused").to_string();
    let remote = "tcp://192.0.2.7:514".parse().expect("a target");
    assert!(refusal(SendOptions { target: remote, ..good.clone() }).contains("not this machine"));
    assert!(refusal(SendOptions { connections: 0, ..good.clone() }).contains("1 to 1000"));
    assert!(refusal(SendOptions { events_per_second: Some(0.0), ..good.clone() }).contains("above 0"));
    assert!(refusal(SendOptions { input: Input::Lines(vec![vec![]]), ..good.clone() }).contains("no line"));
    let two_lines = Input::Lines(vec![b"a".to_vec(), b"b\nc".to_vec()]);
    assert!(refusal(SendOptions { input: two_lines, ..good.clone() }).starts_with("line 2 "));
    let high = Some(StampOptions { first_producer: 9999, ..StampOptions::default() });
    assert!(refusal(SendOptions { connections: 2, stamp: high, ..good.clone() }).contains("9999"));
    let (listener, target) = listener();
    drop(listener);
    let error = refusal(SendOptions { target: target.parse().expect("a target"), ..good.clone() });
    assert_eq!(error, format!("failed to connect to {target}"));
    let long = SendOptions { input: Input::Lines(vec![vec![b'x'; 65_500]]), ..good };
    assert!(refusal(SendOptions { target: "udp://127.0.0.1:9".parse().expect("a target"), ..long }).contains("65432"));
}
