//! Several lanes, on a channel of several partitions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use weir_engine::channel::{Channel, ReadLimit};
use weir_engine::delivery::DeliveryError;
use weir_engine::group::Group;
use weir_engine::lane_account::LaneAccount;
use weir_engine::ledger::SinkLedger;
use weir_engine::registry::ChannelContext;
use weir_engine::seat::Seat;
use weir_engine::sink::{FlushReason, Sink, SinkContext, SinkSpec as _};
use weir_hdfs::{
    CreateOptions, FileReader, FileSystem, FileWriter, HdfsError, LocalFileSystem, Space, Status as FileStatus,
};
use weir_kafka::fake::FakeCluster;
use weir_testkit::conformance::fixture::ticket;
use weir_testkit::wait::{PATIENCE, eventually};

use super::spec;
use crate::io_thread::IoThread;
use crate::registry;
use crate::tree::rig::{events, read_files};

const PARTITIONS: usize = 2;
const EVENTS: u64 = 4_000;

/// A folder in which files of partition 0 stand still while the gate is shut.
struct Gated {
    folder: LocalFileSystem,
    is_open: watch::Receiver<bool>,
}

struct GatedWriter {
    writer: Box<dyn FileWriter>,
    is_open: watch::Receiver<bool>,
}

#[async_trait]
impl FileSystem for Gated {
    async fn create(&self, path: &str, options: &CreateOptions) -> Result<Box<dyn FileWriter>, HdfsError> {
        let writer = self.folder.create(path, options).await?;
        let is_gated = path.contains("-0/");
        let gated = |writer| Box::new(GatedWriter { writer, is_open: self.is_open.clone() }) as Box<dyn FileWriter>;
        Ok(if is_gated { gated(writer) } else { writer })
    }
    async fn open(&self, path: &str, offset: u64) -> Result<Box<dyn FileReader>, HdfsError> {
        self.folder.open(path, offset).await
    }
    async fn status(&self, path: &str) -> Result<Option<FileStatus>, HdfsError> {
        self.folder.status(path).await
    }
    async fn list(&self, path: &str) -> Result<Vec<FileStatus>, HdfsError> {
        self.folder.list(path).await
    }
    async fn rename(&self, from: &str, to: &str) -> Result<(), HdfsError> {
        self.folder.rename(from, to).await
    }
    async fn delete(&self, path: &str, recursive: bool) -> Result<bool, HdfsError> {
        self.folder.delete(path, recursive).await
    }
    async fn make_directories(&self, path: &str, permission: Option<u16>) -> Result<(), HdfsError> {
        self.folder.make_directories(path, permission).await
    }
    async fn recover_lease(&self, path: &str) -> Result<bool, HdfsError> {
        self.folder.recover_lease(path).await
    }
    async fn space(&self) -> Result<Space, HdfsError> {
        self.folder.space().await
    }
}

#[async_trait]
impl FileWriter for GatedWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), HdfsError> {
        // The test that holds the gate outlives the lanes.
        let _ = self.is_open.wait_for(|is_open| *is_open).await;
        self.writer.write(bytes).await
    }
    async fn flush(&mut self) -> Result<(), HdfsError> {
        self.writer.flush().await
    }
    async fn sync(&mut self) -> Result<(), HdfsError> {
        self.writer.sync().await
    }
    async fn close(self: Box<Self>) -> Result<u64, HdfsError> {
        self.writer.close().await
    }
    async fn abandon(self: Box<Self>) {
        self.writer.abandon().await;
    }
    fn bytes_acked(&self) -> u64 {
        self.writer.bytes_acked()
    }
}

/// A channel on a topic of a broker in the process, with all events in it, evenly spread.
fn channel(fake: &FakeCluster) -> Arc<dyn Channel> {
    let toml = format!(
        "[agent]\nmemory = '4 GiB'\n[channels.c]\ntype = 'kafka'\nbrokers = {:?}\ntopic = 't'\npartitioner = 'round_robin'\n\
         [sinks.out]\ntype = 'null'\nchannel = 'c'\n",
        fake.bootstrap()
    );
    let plan = weir_testkit::agent::plan(&toml, &registry());
    let context = ChannelContext { name: "c".into(), data_dir: None };
    let channel = plan.channels[0].spec.open(&context).unwrap_or_else(|error| panic!("{error}"));
    for first in (0..EVENTS).step_by(100) {
        assert!(channel.wait_for_room(PATIENCE), "{:?}", channel.usage());
        let (ticket, receipt) = ticket();
        channel.try_append(&events(first..first + 100, |_| "a".to_owned()), ticket).expect("there is room");
        receipt.wait(PATIENCE).expect("it settles").expect("it is taken");
    }
    channel
}

/// Delivers what comes for a lane until its partition is at its end; then finishes the files.
async fn drive(mut lane: impl Sink, group: &Arc<Group>, seat: Seat) -> Result<(), DeliveryError> {
    let account = Arc::new(LaneAccount::new(seat));
    let (mut taken, deadline) = (0, Instant::now() + PATIENCE);
    while taken < EVENTS / PARTITIONS as u64 {
        assert!(Instant::now() < deadline, "{taken} events came");
        match group.next(ReadLimit::events(1 << 16), &account).expect("the channel works") {
            Some(delivery) => {
                taken += delivery.events();
                lane.deliver(delivery).await?;
            }
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
    lane.flush(FlushReason::Shutdown).await
}

/// Scenario: two lanes, two partitions; the DataNode of one file of the first stands still, and later goes on.
/// Guarantees: everything of the other partition is in finished files and acknowledged meanwhile; then the rest is, once.
#[test]
fn a_file_that_stands_still_stops_one_lane() {
    let io = Arc::new(IoThread::start("test-hdfs").expect("a thread"));
    let fake = io.wait_for(FakeCluster::start(1)).expect("no panic");
    fake.create_topic("t", PARTITIONS);
    let channel = channel(&fake);
    let ledger = Arc::new(SinkLedger::default());
    let group = Group::open("g", &["out".into()], channel, None, ledger.clone()).expect("opens");
    let context = SinkContext {
        name: "out".into(),
        agent: "edge".into(),
        data_dir: None,
        channel_is_durable: true,
        channel_is_shared: true,
        positions: group.positions(),
        faults: ledger.faults.clone(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let spec = spec(&format!("path = 'file://{}/%{{host}}'\nlanes = 2\ntime_zone = 'UTC'", folder.path().display()));
    let spec = spec.unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(spec.keeps_partitions());
    let (gate, is_open) = watch::channel(false);
    let files = Arc::new(Gated { folder: LocalFileSystem::new("/"), is_open });
    std::thread::scope(|scope| {
        // Opened whatever happens in here, or nobody could end.
        let gate = gate;
        for index in 0..PARTITIONS {
            let lane = spec.open(&context, index, files.clone(), io.clone(), Box::new(Instant::now));
            let (lane, group) = (lane.unwrap_or_else(|error| panic!("{error}")), &group);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let seat = Seat { index: index as u32, lanes: PARTITIONS as u32 };
                runtime.block_on(drive(lane, group, seat)).expect("delivered");
            });
        }
        let released = || {
            let mut released: Vec<_> = group.positions().iter().map(|position| position.released).collect();
            released.sort_unstable();
            released
        };
        eventually("the other partition is done", || released() == [0, EVENTS / 2]);
        gate.send(true).expect("lanes listen");
        eventually("everything is", || released() == [EVENTS / 2, EVENTS / 2]);
    });
    read_files(folder.path()).assert_each_once(EVENTS, |_| "a".to_owned());
}
