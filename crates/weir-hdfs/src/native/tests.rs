//! Scripted NameNodes and DataNodes: what a real cluster does not do when it is asked to.

mod fake;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;

use self::fake::{Acks, Copy, DataNode, NameNode, Said, answer};
use super::wire::{
    AddBlockRequest, Block, BlockAnswer, CreateRequest, DefaultsAnswer, Empty, FileAnswer, FileStatus, Flag,
    LocatedBlock, LocatedBlocks, LocationsAnswer, UpdatePipelineRequest,
};
use super::{NativeHdfs, NativeOptions};
use crate::{CreateOptions, FileSystem, HdfsError, HdfsErrorKind};

/// What DataNodes may be silent for.
const SILENCE: Duration = Duration::from_millis(400);

fn options(namenodes: &[&NameNode]) -> NativeOptions {
    let mut options =
        NativeOptions::new(namenodes.iter().map(|node| node.address.to_string()).collect(), "weir".to_owned());
    (options.namenode_timeout, options.write_timeout) = (Duration::from_secs(3), SILENCE);
    options
}

fn file() -> FileAnswer {
    let file = FileStatus { kind: 2, path: b"a".to_vec(), bytes: 7, file_id: Some(1), ..FileStatus::default() };
    FileAnswer { file: Some(file) }
}

fn located(nodes: &[&DataNode], bytes: u64) -> LocatedBlock {
    let block = Block { pool: "p".to_owned(), id: 1, generation: 1, bytes: Some(bytes) };
    LocatedBlock {
        block: Some(block),
        nodes: nodes.iter().map(|node| node.listed()).collect(),
        storage_types: vec![1; nodes.len()],
        storage_ids: nodes.iter().map(|node| format!("s-{}", node.id.uuid)).collect(),
        ..LocatedBlock::default()
    }
}

/// Answers whatever a file of one block needs, on these nodes.
fn usual(method: &str, block: &LocatedBlock) -> Said {
    match method {
        "getServerDefaults" => answer(&DefaultsAnswer::default()),
        "create" | "getFileInfo" => answer(&file()),
        "addBlock" | "updateBlockForPipeline" => answer(&BlockAnswer { block: Some(block.clone()) }),
        "complete" => answer(&Flag { is: true }),
        _ => answer(&Empty {}),
    }
}

async fn usual_namenode(nodes: &[&DataNode]) -> NameNode {
    let block = located(nodes, 0);
    NameNode::start(move |method, _, _| usual(method, &block)).await
}

fn shape() -> CreateOptions {
    CreateOptions { replication: Some(3), block_bytes: Some(128 << 20), ..CreateOptions::default() }
}

/// Writes so many bytes and closes.
async fn put(files: &NativeHdfs, options: &CreateOptions, bytes: usize) -> Result<u64, HdfsError> {
    let mut writer = files.create("/a", options).await?;
    writer.write(Bytes::from(vec![7; bytes])).await?;
    writer.close().await
}

/// Scenario: the first NameNode of a name service takes calls and answers none, the second is active.
/// Guarantees: a call reaches the second one within its deadline; the next call does not ask the first again.
#[tokio::test]
async fn a_namenode_that_hangs_is_left() {
    let hung = NameNode::start(|_, _, _| Said::Nothing).await;
    let active = usual_namenode(&[]).await;
    let files = NativeHdfs::new(options(&[&hung, &active])).expect("a client");
    for _ in 0..2 {
        assert_eq!(files.status("/a").await.expect("answered").expect("it is there").bytes, 7);
    }
    assert_eq!(hung.connections.load(Ordering::Relaxed), 1);
    assert_eq!(active.connections.load(Ordering::Relaxed), 1);
}

/// Scenario: the only NameNode does not answer the first call, as one whose host was frozen and comes back.
/// Guarantees: the call is repeated over a new connection, and answered.
#[tokio::test]
async fn a_dead_connection_is_not_kept() {
    let block = located(&[], 0);
    let namenode =
        NameNode::start(move |method, before, _| if before == 0 { Said::Nothing } else { usual(method, &block) }).await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    assert!(files.status("/a").await.expect("answered").is_some());
    assert_eq!(namenode.connections.load(Ordering::Relaxed), 2);
}

/// Scenario: a NameNode never answers one call and answers the others that are made meanwhile.
/// Guarantees: the slow call fails by its deadline as a timeout; the connection is kept for the others.
#[tokio::test]
async fn a_slow_call_breaks_nothing() {
    let block = located(&[], 0);
    let namenode =
        NameNode::start(move |method, _, _| if method == "delete" { Said::Nothing } else { usual(method, &block) })
            .await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    let slow = tokio::spawn({
        let files = files.clone();
        async move { files.delete("/big", true).await }
    });
    while !slow.is_finished() {
        assert!(files.status("/a").await.expect("answered").is_some());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let error = slow.await.expect("no panic").expect_err("not answered");
    assert_eq!(error.kind, HdfsErrorKind::Timeout, "{error}");
    assert_eq!(namenode.connections.load(Ordering::Relaxed), 1);
}

/// Scenario: 32 calls at once; nobody listens at the first NameNode, the second is active.
/// Guarantees: all are answered, over one connection.
#[tokio::test]
async fn one_connection_is_opened_for_all() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let active = usual_namenode(&[]).await;
    let mut options = options(&[&active]);
    options.namenodes.insert(0, gone.to_string());
    let files = NativeHdfs::new(options).expect("a client");
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let files = files.clone();
            tokio::spawn(async move { files.status("/a").await })
        })
        .collect();
    for call in calls {
        assert!(call.await.expect("no panic").expect("answered").is_some());
    }
    assert_eq!(active.connections.load(Ordering::Relaxed), 1);
}

/// Scenario: a file is made with and without the wish that its directory is there, over one that is there or not.
/// Guarantees: the NameNode is told not to make directories, and to keep copies whatever the directory's policy is.
#[tokio::test]
async fn a_create_says_what_is_wanted() {
    let node = DataNode::start("a", None, |_| Acks::AtOnce).await;
    let namenode = usual_namenode(&[&node]).await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    put(&files, &CreateOptions { parent_must_exist: true, ..shape() }, 7).await.expect("written");
    put(&files, &CreateOptions { overwrite: true, ..shape() }, 7).await.expect("written");
    let told: Vec<_> = namenode.calls::<CreateRequest>("create").iter().map(|it| (it.parents, it.flags)).collect();
    assert_eq!(told, [(false, 0x81), (true, 0x83)]);
}

/// Scenario: a file with blocks that are to be on disk when they are complete (the default), and one without.
/// Guarantees: the DataNode is asked to sync before the block ends, and as it ends; without the wish never.
#[tokio::test]
async fn blocks_are_synced() {
    for (sync_blocks, expected) in [(true, [(true, false), (true, true)]), (false, [(false, false), (false, true)])] {
        let node = DataNode::start("a", None, |_| Acks::AtOnce).await;
        let namenode = usual_namenode(&[&node]).await;
        let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
        put(&files, &CreateOptions { sync_blocks, ..shape() }, 7).await.expect("written");
        let packets = node.packets.lock().expect("no panic").clone();
        let packets: Vec<_> = packets.iter().map(|head| (head.sync == Some(true), head.is_last)).collect();
        assert_eq!(packets, expected);
    }
}

/// Scenario: a disk takes three times as long for a block as DataNodes may be silent; they answer otherwise.
/// Guarantees: it is waited for, and no node left out.
#[tokio::test]
async fn a_slow_sync_is_waited_for() {
    let node = DataNode::start("a", None, |_| Acks::SyncedAfter(3 * SILENCE)).await;
    let other = DataNode::start("b", None, |_| Acks::AtOnce).await;
    let namenode = usual_namenode(&[&node, &other]).await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    assert_eq!(put(&files, &shape(), 7).await.expect("written"), 7);
    assert!(namenode.calls::<UpdatePipelineRequest>("updatePipeline").is_empty());
}

/// Scenario: the NameNode refuses a block three times because it knows no copy of the one before.
/// Guarantees: it is asked again, and the file is written.
#[tokio::test]
async fn a_block_is_asked_for_until_the_one_before_is_known() {
    let node = DataNode::start("a", None, |_| Acks::AtOnce).await;
    let block = located(&[&node], 0);
    let namenode = NameNode::start(move |method, before, _| match (method, before) {
        ("addBlock", ..3) => Said::Refusal("NotReplicatedYetException", "Not replicated yet: /a"),
        _ => usual(method, &block),
    })
    .await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    assert_eq!(put(&files, &shape(), 7).await.expect("written"), 7);
}

/// Scenario: a file's first block is refused while a flush waits for it.
/// Guarantees: the flush says why.
#[tokio::test]
async fn a_refusal_is_told_to_who_waits() {
    let block = located(&[], 0);
    let namenode = NameNode::start(move |method, _, _| match method {
        "addBlock" => Said::Refusal("AccessControlException", "not you"),
        _ => usual(method, &block),
    })
    .await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    let mut writer = files.create("/a", &shape()).await.expect("begun");
    writer.write(Bytes::from_static(b"x")).await.expect("queued");
    let error = writer.flush().await.expect_err("refused");
    assert_eq!((error.kind, &error.detail[..]), (HdfsErrorKind::PermissionDenied, "AccessControlException: not you"));
}

/// Scenario: nothing is acknowledged while the third of three nodes has the block, though all answer: its disk hangs.
/// Guarantees: the third is left out, not the first, and the file is written.
#[tokio::test]
async fn the_last_is_left_out_where_nobody_is_silent() {
    let stalls = |request: &super::wire::WriteBlock| match request.nodes {
        3 => Acks::Never,
        _ => Acks::AtOnce,
    };
    let first = DataNode::start("a", None, stalls).await;
    let (second, third) =
        (DataNode::start("b", None, |_| Acks::AtOnce).await, DataNode::start("c", None, |_| Acks::AtOnce).await);
    let namenode = usual_namenode(&[&first, &second, &third]).await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    let options = CreateOptions { sync_blocks: false, ..shape() };
    assert_eq!(put(&files, &options, 100_000).await.expect("written"), 100_000);
    let updates = namenode.calls::<UpdatePipelineRequest>("updatePipeline");
    let nodes: Vec<_> =
        updates.iter().map(|it| it.nodes.iter().map(|node| &node.uuid[..]).collect::<Vec<_>>()).collect();
    assert_eq!(nodes, [["a", "b"]]);
}

/// Scenario: the first of two nodes acknowledges nothing, whoever is behind it, though both answer.
/// Guarantees: the file fails; the next block may be given to the second one, which was left out for nothing, not to the first.
#[tokio::test]
async fn a_wrong_guess_is_forgiven() {
    let (first, second) =
        (DataNode::start("a", None, |_| Acks::Never).await, DataNode::start("b", None, |_| Acks::AtOnce).await);
    let namenode = usual_namenode(&[&first, &second]).await;
    let files = NativeHdfs::new(options(&[&namenode])).expect("a client");
    let options = CreateOptions { sync_blocks: false, ..shape() };
    for _ in 0..2 {
        let error = put(&files, &options, 7).await.expect_err("nothing is acknowledged");
        assert_eq!(error.kind, HdfsErrorKind::Unavailable, "{error}");
    }
    let asked = namenode.calls::<AddBlockRequest>("addBlock");
    let excluded: Vec<_> = asked.last().expect("asked").excluded.iter().flat_map(|node| &node.id).collect();
    assert_eq!(excluded.iter().map(|id| &id.uuid[..]).collect::<Vec<_>>(), ["a"]);
}

/// Scenario: two nodes acknowledge a packet now and then, far below what is wanted, as does the one that is left.
/// Guarantees: one is left out; the block ends as slowly as the other one is.
#[tokio::test]
async fn a_slow_block_goes_on_with_fewer_nodes() {
    let slow = |_: &super::wire::WriteBlock| Acks::After(SILENCE / 4);
    let (first, second) = (DataNode::start("a", None, slow).await, DataNode::start("b", None, slow).await);
    let namenode = usual_namenode(&[&first, &second]).await;
    let mut options = options(&[&namenode]);
    options.bytes_per_second_min = 1 << 30;
    let files = NativeHdfs::new(options).expect("a client");
    assert_eq!(put(&files, &shape(), 1_000_000).await.expect("written"), 1_000_000);
    let updates = namenode.calls::<UpdatePipelineRequest>("updatePipeline");
    assert_eq!(updates.iter().map(|it| it.nodes.len()).collect::<Vec<_>>(), [1]);
}

/// Scenario: a block of two copies, the first of them bad; nodes are reached by name.
/// Guarantees: the bad one is read once, and the data is that of the good one.
#[tokio::test]
async fn a_bad_copy_is_left_whatever_its_node_is_called() {
    let data = Bytes::from(vec![5; 1000]);
    let copy = |is_good| Some(Copy { data: data.clone(), is_good });
    let (bad, good) = (
        DataNode::start("a", copy(false), |_| Acks::AtOnce).await,
        DataNode::start("b", copy(true), |_| Acks::AtOnce).await,
    );
    let block = located(&[&bad, &good], 1000);
    let namenode = NameNode::start(move |_, _, _| {
        let blocks =
            LocatedBlocks { bytes: 1000, blocks: vec![block.clone()], is_last_complete: true, ..<_>::default() };
        answer(&LocationsAnswer { blocks: Some(blocks) })
    })
    .await;
    let options = NativeOptions { by_hostname: true, ..options(&[&namenode]) };
    let mut reader = NativeHdfs::new(options).expect("a client").open("/a", 0).await.expect("opened");
    assert!(reader.read().await.expect("read") == Some(data), "other data");
    assert_eq!((bad.reads.load(Ordering::Relaxed), good.reads.load(Ordering::Relaxed)), (1, 1));
}
