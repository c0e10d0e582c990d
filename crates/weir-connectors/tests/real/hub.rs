//! Hub agents as processes of their own, so that they can be killed: a Kafka channel, and a sink that holds its tokens for
//! a while, as `files` does, and says what it acknowledges.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use libtest_mimic::Failed;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_connectors::registry;
use weir_engine::delivery::{AckToken, Delivery, DeliveryError};
use weir_engine::registry::SinkType;
use weir_engine::sink::{FlushReason, Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_testkit::agent::TestAgent;

/// How long the sink holds tokens.
pub(crate) const HOLD: Duration = Duration::from_millis(200);
/// In a child process: the configuration of the agent it is to run.
pub(crate) const CHILD_VARIABLE: &str = "WEIR_TEST_HUB";

static COLLECT: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "collect",
    aliases: &[],
    summary: "Holds tokens, then prints what it acknowledges.",
    options: &[OptionSpec::defaulted("hold", Kind::Duration { min_ms: 1, max_ms: 60_000 }, "200 ms", "For how long.")],
};

fn parse(config: &ComponentConfig, _: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    Some(Arc::new(CollectSpec { hold: config.options.duration("hold") }))
}

struct CollectSpec {
    hold: Duration,
}

impl SinkSpec for CollectSpec {
    fn memory_bytes(&self) -> u64 {
        0
    }

    fn start(&self, _: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        Ok(vec![Box::new(Collect { hold: self.hold, held: Vec::new(), since: None })])
    }
}

struct Collect {
    hold: Duration,
    held: Vec<AckToken>,
    since: Option<Instant>,
}

#[async_trait(?Send)]
impl Sink for Collect {
    async fn deliver(&mut self, delivery: Delivery) -> Result<(), DeliveryError> {
        let range = delivery.ack.range();
        assert_eq!(delivery.events(), range.end - range.start, "these topics have no gaps");
        self.since.get_or_insert_with(Instant::now);
        self.held.push(delivery.ack);
        Ok(())
    }

    async fn flush(&mut self, _: FlushReason) -> Result<(), DeliveryError> {
        self.since = None;
        let mut out = std::io::stdout().lock();
        for token in self.held.drain(..) {
            let range = token.range();
            // Told before it counts: whoever kills this process knows at least what it had acknowledged.
            writeln!(out, "{} {} {}", token.partition(), range.start, range.end)
                .and_then(|()| out.flush())
                .expect("the parent reads");
            token.ack();
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.since? + self.hold)
    }
}

/// The child: runs until standard input ends, or somebody kills it.
pub(crate) fn child(toml: &str) {
    let mut registry = registry();
    registry.sinks.push(SinkType { spec: &COLLECT, parse });
    let agent = TestAgent::start(toml, &registry);
    let _ = std::io::stdin().lines().count();
    let report = agent.stop();
    assert!(report.troubles.is_empty(), "{report:?}");
}

/// A range of a partition that a hub acknowledged.
pub(crate) type Acked = (u32, u64, u64);

/// A hub in a process of its own.
pub(crate) struct Hub {
    child: Child,
    acked: Arc<Mutex<Vec<Acked>>>,
    reader: JoinHandle<()>,
}

impl Hub {
    /// Starts one with these options of its channel.
    pub(crate) fn start(options: &str) -> Result<Self, Failed> {
        let toml = format!(
            "[agent]\nmemory = '1 GiB'\nshutdown_deadline = '5 s'\n[channels.c]\ntype = 'kafka'\n{options}\n\
             [sinks.out]\ntype = 'collect'\nchannel = 'c'\nhold = '{} ms'\n",
            HOLD.as_millis()
        );
        let mut child = Command::new(std::env::current_exe()?)
            .env(CHILD_VARIABLE, toml)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let acked: Arc<Mutex<Vec<Acked>>> = Arc::default();
        let (lines, into) = (BufReader::new(child.stdout.take().ok_or("no output")?).lines(), acked.clone());
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
                // A killed child may leave half a line: that range it had not acknowledged.
                let &[partition, first, end] = numbers.as_slice() else { continue };
                let range = (u32::try_from(partition).unwrap_or(u32::MAX), first, end);
                into.lock().unwrap_or_else(PoisonError::into_inner).push(range);
            }
        });
        Ok(Self { child, acked, reader })
    }

    /// What it has acknowledged so far, in its order.
    pub(crate) fn acked(&self) -> Vec<Acked> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it by kill -9.
    pub(crate) fn kill(mut self) -> Result<Vec<Acked>, Failed> {
        self.child.kill()?;
        self.end(false)
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<Vec<Acked>, Failed> {
        drop(self.child.stdin.take());
        self.end(true)
    }

    fn end(mut self, in_order: bool) -> Result<Vec<Acked>, Failed> {
        let status = self.child.wait()?;
        self.reader.join().map_err(|_| "the reader panicked")?;
        if in_order && !status.success() {
            return Err(format!("a hub ended with {status}").into());
        }
        Ok(std::mem::take(&mut *self.acked.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
