//! The source on real sockets. Framing and parsing are tested in weir-codec.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use weir_engine::channel::ReadLimit;
use weir_engine::registry::Registry;
use weir_engine::status::AgentStatus;
use weir_testkit::{TestAgent, eventually};

fn registry() -> Registry {
    Registry {
        sources: vec![super::syslog_source_type()],
        interceptors: vec![],
        channels: vec![weir_engine::channel::memory_channel_type()],
        sinks: vec![crate::null::null_sink_type()],
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// A source and a channel that nobody empties, so that a test can look at the events.
struct Fixture {
    agent: TestAgent,
    port: u16,
}

/// An event as text: headers that matter and the body.
#[derive(Debug, PartialEq)]
struct Seen {
    body: String,
    host: Option<String>,
    status: Option<String>,
}

impl Fixture {
    fn start(listen: &str, more: &str) -> Self {
        let port = free_port();
        let listen = listen.replace("PORT", &port.to_string());
        let toml = format!(
            "[agent]\nmemory = '4 GiB'\nshutdown_deadline = '2 s'\n[sources.in]\ntype = 'syslog'\nlisten = [{listen}]\n{more}\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n"
        );
        Self { agent: TestAgent::start(&toml, &registry()), port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the source listens");
        // A test that waits for a close that never comes shall fail, not hang.
        stream.set_read_timeout(Some(weir_testkit::wait::PATIENCE)).expect("set");
        stream
    }

    fn until(&self, what: &str, condition: impl Fn(&AgentStatus) -> bool) {
        self.agent.until(what, condition);
    }

    fn until_received(&self, events: u64) {
        self.until(&format!("{events} events"), |status| status.sources[0].received >= events);
    }

    fn fault(&self, kind: &str) -> u64 {
        self.agent.source().faults.get(kind).copied().unwrap_or_default()
    }

    fn seen(&self) -> Vec<Seen> {
        let channel = self.agent.agent().channel("c").expect("the channel of the fixture");
        let mut cursor = channel.cursor("test").expect("a cursor");
        let mut seen = Vec::new();
        while let Some(chunk) = cursor.read(ReadLimit::events(1 << 24)).expect("read") {
            for batch in &chunk.batches {
                for row in 0..batch.len() {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let header = |name| batch.header(row, name).map(|value| text(&value));
                    seen.push(Seen {
                        body: text(batch.body(row)),
                        host: header("host"),
                        status: header("flume.syslog.status"),
                    });
                }
            }
        }
        seen
    }
}

fn seen(body: &str, host: Option<&str>, status: Option<&str>) -> Seen {
    Seen { body: body.into(), host: host.map(str::to_owned), status: status.map(str::to_owned) }
}

/// Scenario: newline and octet-counted senders on one port, a line that does not parse, all in pieces.
/// Guarantees: each connection is framed its own way; what does not parse is kept whole and flagged.
#[test]
fn connections_are_framed_each_its_own_way() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "lanes = 1");
    let mut newline = fixture.connect();
    newline.write_all(b"<13>Nov 22 10:00:00 fw1 app: one\nnot syslog\n<13>Nov 22 10:0").expect("written");
    fixture.until_received(2);
    let mut counted = fixture.connect();
    counted.write_all(b"33 <13>Nov 22 10:00:01 fw2 app: two\n").expect("written");
    fixture.until_received(3);
    newline.write_all(b"0:02 fw1 app: three\n").expect("written");
    fixture.until_received(4);
    assert_eq!(
        fixture.seen(),
        [
            seen("app: one", Some("fw1"), None),
            seen("not syslog", None, Some("Invalid")),
            seen("app: two", Some("fw2"), None),
            seen("app: three", Some("fw1"), None),
        ]
    );
    assert_eq!(fixture.agent.source().flagged, 1);
    let _ = fixture.agent.stop();
}

/// Scenario: UDP, a unix stream socket and a unix datagram socket in one source, with the sender's address as a header.
/// Guarantees: every listener delivers; a datagram is one event without its line end.
#[test]
fn one_source_has_many_listeners() {
    let folder = tempfile::tempdir().expect("a folder");
    let (stream_path, datagram_path) = (folder.path().join("stream"), folder.path().join("datagram"));
    let listen =
        format!("'udp://127.0.0.1:PORT', 'unix:{}', 'unixgram:{}'", stream_path.display(), datagram_path.display());
    let fixture = Fixture::start(&listen, "client_ip_header = 'ip'");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.send_to(b"<13>Nov 22 10:00:00 fw1 by udp\n\0", ("127.0.0.1", fixture.port)).expect("sent");
    udp.send_to(b"\n", ("127.0.0.1", fixture.port)).expect("an empty one is no event");
    let mut stream = UnixStream::connect(&stream_path).expect("listens");
    stream.write_all(b"<13>Nov 22 10:00:00 fw1 by stream\n").expect("written");
    let datagram = UnixDatagram::unbound().expect("a socket");
    datagram.send_to(b"<13>Nov 22 10:00:00 fw1 by datagram", &datagram_path).expect("sent");
    fixture.until_received(3);
    let mut bodies: Vec<_> = fixture.seen().into_iter().map(|seen| seen.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["by datagram", "by stream", "by udp"]);
    let _ = fixture.agent.stop();
    assert!(!stream_path.exists(), "socket files are removed at the end");
}

/// Scenario: senders close, and the agent stops, in the middle of a line.
/// Guarantees: the part is an event, not lost.
#[test]
fn a_stopping_source_keeps_partial_lines() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "");
    let mut closing = fixture.connect();
    closing.write_all(b"<13>Nov 22 10:00:00 fw1 closed").expect("written");
    drop(closing);
    fixture.until_received(1);
    let mut open = fixture.connect();
    open.write_all(b"<13>Nov 22 10:00:00 fw1 whole\n<13>Nov 22 10:00:00 fw1 stopped").expect("written");
    fixture.until_received(2);
    let report = fixture.agent.stop();
    assert_eq!(report.status.sources[0].received, 3);
}

/// Scenario: a line without end, an octet count of 2^31, and one of 11 digits.
/// Guarantees: memory is bounded by the frame limit; the connections are closed and counted; other connections go on; the
/// bytes are kept as flagged events.
#[test]
fn hostile_frames_are_cut_and_counted() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "frame_bytes_max = '4 KiB'");
    let mut good = fixture.connect();
    good.write_all(b"<13>Nov 22 10:00:00 fw1 before\n").expect("written");
    fixture.until_received(1);
    let mut endless = fixture.connect();
    endless.write_all(&vec![b'x'; 1 << 20]).expect("written");
    fixture.until_received(1 + 255);
    for count in ["2147483648 <13>x", "10 <13>34567899999999999 <13>x"] {
        let mut stream = fixture.connect();
        stream.write_all(count.as_bytes()).expect("written");
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "the connection is closed");
    }
    eventually("both are counted", || fixture.fault("connection out of step") == 2);
    good.write_all(b"<13>Nov 22 10:00:00 fw1 after\n").expect("written");
    fixture.until("the good one goes on", |_| fixture.seen().iter().any(|seen| seen.body == "after"));
    assert!(fixture.seen().iter().filter(|seen| seen.status.as_deref() == Some("Incomplete")).count() >= 255);
    let _ = fixture.agent.stop();
}

/// Scenario: a sender that trickles one byte at a time, with others beside it.
/// Guarantees: nothing hangs, nothing grows, the line is one event in the end.
#[test]
fn one_byte_at_a_time_is_one_event() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "lanes = 1\nbatch_delay = '1 ms'\nclient_ip_header = 'ip'");
    let mut slow = fixture.connect();
    slow.set_nodelay(true).expect("set");
    let mut quick = fixture.connect();
    for byte in b"<13>Nov 22 10:00:00 fw1 slow and steady" {
        slow.write_all(&[*byte]).expect("written");
        quick.write_all(b"<13>Nov 22 10:00:00 fw1 quick\n").expect("written");
    }
    fixture.until_received(39);
    slow.write_all(b"\n").expect("written");
    fixture.until_received(40);
    let bodies: Vec<_> = fixture.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.iter().filter(|body| *body == "slow and steady").count(), 1);
    let _ = fixture.agent.stop();
}

/// Scenario: more unfinished data than `partial_bytes_max` over several connections.
/// Guarantees: the connection that asks for more is cut off and counted; what it sent is kept, flagged.
#[test]
fn unfinished_messages_share_a_limit() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "lanes = 1\npartial_bytes_max = '64 KiB'");
    let held: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = fixture.connect();
            stream.write_all(&[b'y'; 30_000]).expect("written");
            stream
        })
        .collect();
    eventually("some are cut off", || fixture.fault("unfinished messages over partial_bytes_max") >= 1);
    fixture.until_received(1);
    drop(held);
    // Every byte is an event's in the end: the cut ones, and the others when they close.
    eventually("all bytes arrive", || fixture.agent.source().received_bytes == 4 * 30_000);
    let _ = fixture.agent.stop();
}

/// Scenario: thousands of idle connections beside a busy one; then one more than allowed.
/// Guarantees: the busy one is served; connections over the limit are refused and counted.
#[test]
fn idle_connections_cost_little_and_are_bounded() {
    // A process of the test has 1,024 files unless told otherwise; both ends of a connection are in it.
    let limit = rlimit_files();
    let idle = ((limit.saturating_sub(200)) / 2).min(10_000) as usize;
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", &format!("connections_max = {idle}"));
    let held: Vec<_> = (0..idle - 1).map(|_| fixture.connect()).collect();
    let mut busy = fixture.connect();
    fixture.until("all are open", |status| status.sources[0].connections == idle as u64);
    for _ in 0..1000 {
        busy.write_all(b"<13>Nov 22 10:00:00 fw1 busy\n").expect("written");
    }
    fixture.until_received(1000);
    let mut one_more = fixture.connect();
    assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0, "refused");
    assert_eq!(fixture.fault("connection over connections_max"), 1);
    drop(held);
    fixture.until("closed ones are forgotten", |status| status.sources[0].connections == 1);
    let _ = fixture.agent.stop();
}

/// Raises the limit of open files as far as allowed; the limit then.
#[expect(unsafe_code, reason = "two calls with no safe wrapper in our dependencies")]
fn rlimit_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid rlimit that lives through them.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max.min(30_000);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
    }
    limit.rlim_cur
}

/// Scenario: a connection that says nothing, with an idle timeout.
/// Guarantees: it is closed and counted, what it had sent is kept.
#[test]
fn idle_connections_end_if_asked() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "idle_timeout = '100 ms'");
    let mut quiet = fixture.connect();
    quiet.write_all(b"<13>Nov 22 10:00:00 fw1 then silence").expect("written");
    assert_eq!(quiet.read(&mut [0; 1]).unwrap_or(0), 0, "closed by the source");
    assert_eq!(fixture.fault("connection idle for idle_timeout"), 1);
    fixture.until_received(1);
    let _ = fixture.agent.stop();
}

/// Scenario: far more datagrams than channel and receive buffer hold, then the agent stops.
/// Guarantees: sent = received + kernel drops, to the event.
#[test]
fn udp_books_balance_with_kernel_drops() {
    let fixture = Fixture::start("'udp://127.0.0.1:PORT'", "lanes = 1\nreceive_buffer = '64 KiB'");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.connect(("127.0.0.1", fixture.port)).expect("connected");
    let mut sent = 0;
    let line = [b"<13>Nov 22 10:00:00 fw1 ".as_slice(), &[b'u'; 1200]].concat();
    // 120 MB: more than the channel holds and nobody empties it, so that the source stops reading and the kernel drops.
    for _ in 0..100_000 {
        sent += u64::from(udp.send(&line).is_ok());
    }
    let report = fixture.agent.stop();
    let source = &report.status.sources[0];
    assert_eq!(source.received + source.faults["kernel drops"], sent, "{source:?}");
}

/// Scenario: the port is taken.
/// Guarantees: the start fails with the source, the address and what to do; nothing hangs.
#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let toml = format!(
        "[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nchannels = ['c']\n[channels.c]\ntype = 'memory'\n"
    );
    let plan = weir_testkit::agent::plan(&toml, &registry());
    let Err(error) = weir_engine::agent::Agent::start(plan) else { panic!("the port is taken") };
    let message = error.to_string();
    assert!(message.contains("source in") && message.contains(&format!("tcp://127.0.0.1:{port}")), "{message}");
    assert!(message.contains("another process listens there"), "{message}");
}

/// Scenario: all fields are asked for, and the whole line as body.
/// Guarantees: fields inside the message become headers; the body is the line as sent.
#[test]
fn full_fields_and_whole_lines() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "fields = 'full'\nkeep_fields = 'all'");
    let line = "<165>1 2026-11-22T10:00:00.123Z fw1 su 710 ID47 [x@1 a=\"b\"] failed";
    let mut stream = fixture.connect();
    writeln!(stream, "{line}").expect("written");
    fixture.until_received(1);
    let channel = fixture.agent.agent().channel("c").expect("the channel");
    let chunk = channel.cursor("t").expect("a cursor").read(ReadLimit::events(1 << 20)).expect("read").expect("one");
    let batch = &chunk.batches[0];
    let header = |name: &str| batch.header(0, name).map(|value| String::from_utf8_lossy(&value).into_owned());
    assert_eq!(batch.body(0), line.as_bytes());
    assert_eq!(header("app").as_deref(), Some("su"));
    assert_eq!(header("procid").as_deref(), Some("710"));
    assert_eq!(header("structured_data").as_deref(), Some("[x@1 a=\"b\"]"));
    assert_eq!((header("Facility").as_deref(), header("Severity").as_deref()), (Some("20"), Some("5")));
    assert_eq!(header("timestamp").as_deref(), Some("1795341600123"));
    let _ = fixture.agent.stop();
}

/// Scenario: the channel is full while a sender goes on; then the agent stops.
/// Guarantees: the source waits (the sender's socket fills), ends at its deadline, and counts what it gave up.
#[test]
fn a_full_channel_holds_the_sender_back() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "lanes = 1");
    let mut stream = fixture.connect();
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("set");
    let block = b"<13>Nov 22 10:00:00 fw1 more and more\n".repeat(10_000);
    let mut written = 0;
    // 64 MiB of channel and some of sockets, then writing blocks.
    while written < 1 << 30 {
        match stream.write(&block) {
            Ok(bytes) => written += bytes,
            Err(_) => break,
        }
    }
    assert!(written < 1 << 30, "the sender was held back");
    let report = fixture.agent.stop();
    let source = &report.status.sources[0];
    assert_eq!(source.received, source.accepted + source.rejected.values().sum::<u64>(), "{source:?}");
}

/// Scenario: many lines are in the kernel's buffer when the agent stops.
/// Guarantees: all of them are taken in before the connection is closed.
#[test]
fn a_stopping_source_reads_what_the_kernel_holds() {
    let fixture = Fixture::start("'tcp://127.0.0.1:PORT'", "lanes = 1");
    let mut stream = fixture.connect();
    stream.write_all(b"<13>Nov 22 10:00:00 fw1 first\n").expect("written");
    fixture.until_received(1);
    stream.write_all(&b"<13>Nov 22 10:00:00 fw1 and many more after it\n".repeat(40_000)).expect("written");
    let report = fixture.agent.stop();
    assert_eq!(report.status.sources[0].received, 40_001, "{:?}", report.status.sources[0]);
}
