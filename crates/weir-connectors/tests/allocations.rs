//! Allocations of whole pipelines, counted by the allocator.
//!
//! A binary of its own, because the allocator is global.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weir_connectors::registry;
use weir_testkit::TestAgent;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Set on the thread of the test itself, whose status requests are not what is measured.
    static IGNORED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IGNORED.try_with(Cell::get).unwrap_or(true) {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps the contract of GlobalAlloc; so does the system's allocator.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as above.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    // SAFETY: as above.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const EVENTS: u64 = 400_000;

/// Scenario: 400,000 lines over TCP through interceptors and a channel into a sink, after as many to warm up.
/// Guarantees: every step allocates per batch, never per event: with full batches less than 0.01 per event from the socket
/// over memory to the sink, and less than 0.01 more for encoding, writing, reading back, decoding and serialising.
#[test]
fn pipelines_allocate_per_batch() {
    IGNORED.set(true);
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().display().to_string();
    let file = format!("type = 'file'\npath = '{root}/log'\nsegment_bytes = '64 MiB'");
    let compressed = format!("type = 'file'\npath = '{root}/lz4'\nsegment_bytes = '64 MiB'\ncompression = 'lz4'");
    let files = format!("type = 'files'\npath = '{root}/files/%{{dc}}/%Y-%m-%d'\ntime = 'arrival'");
    let memory = measure("type = 'memory'", "type = 'null'");
    println!("receive, frame, parse, intercept, route, append, read, deliver: {memory:.5} allocations per event");
    assert!(memory < 0.01, "{memory}");
    for (name, channel, sink) in [
        ("encode, write, read, decode, files", &*file, &*files),
        ("the same with lz4, null", &*compressed, "type = 'null'"),
    ] {
        let more = measure(channel, sink) - memory;
        println!("{name}: {more:.5} allocations per event more");
        assert!(more < 0.01, "{name}: {more}");
    }
}

fn measure(channel: &str, sink: &str) -> f64 {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let toml = format!(
        "[agent]\nshutdown_deadline = '60 s'\n[sources.in]\ntype = 'syslog'\nlisten = ['tcp://127.0.0.1:{port}']\nlanes = 1\nbatch_delay = '1 s'\nchannels = ['c']\n\
         interceptors = ['when', 'where']\n[interceptors.when]\ntype = 'timestamp'\npreserve_existing = true\n\
         [interceptors.where]\ntype = 'static'\nkey = 'dc'\nvalue = 'east'\n\
         [channels.c]\n{channel}\n[sinks.out]\n{sink}\nchannel = 'c'\n"
    );
    let agent = TestAgent::start(&toml, &registry());
    let block = b"<134>1 2026-11-22T10:00:00.123Z fw1 asa 42 - - Built outbound TCP connection 4711 for outside:192.0.2.1/443 to inside:198.51.100.7/51234\n".repeat(2_000);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the source listens");
    let mut send = |until_received: u64| {
        for _ in 0..EVENTS / 2_000 {
            stream.write_all(&block).expect("written");
        }
        agent.until("all are durable", |status| status.sources[0].durable >= until_received);
    };
    send(EVENTS);
    let before = ALLOCATIONS.load(Relaxed);
    send(2 * EVENTS);
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    let report = agent.stop();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.status.groups[0].delivered, 2 * EVENTS);
    allocations as f64 / EVENTS as f64
}
