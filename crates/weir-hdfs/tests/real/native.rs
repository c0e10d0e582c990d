//! Hadoop's own protocol.
#![expect(clippy::print_stderr, reason = "the time that a fault costs is what the trial is run for")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use weir_hdfs::{CreateOptions, FileSystem, HdfsError, HdfsErrorKind, NativeHdfs, NativeOptions};
use weir_servers::Control;
use weir_servers::hdfs::{Cluster, ClusterOptions, Distribution, Role};
use weir_servers::{Unavailable, trial};

const BLOCK_BYTES: u64 = 1 << 20;
/// What a fault may cost a file: the silence that is allowed, the probe, the set-up, and as much again.
const FAULT_COSTS_MAX: Duration = Duration::from_secs(40);

pub(crate) fn trials(hdfs: &Result<Distribution, Unavailable>) -> Vec<Trial> {
    vec![trial("native", hdfs, files_and_faults)]
}

fn files_and_faults() -> Result<(), Failed> {
    // The defaults: a dead node stays listed for ten minutes.
    let properties = [("dfs.heartbeat.interval", "3"), ("dfs.namenode.heartbeat.recheck-interval", "300000")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = ClusterOptions { block_bytes: BLOCK_BYTES, properties, ..ClusterOptions::default() };
    Cluster::with(options, |cluster| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let options = NativeOptions::new(vec![cluster.address().to_string()], "root".to_owned());
            let files = NativeHdfs::new(options)?;
            several_blocks_come_back(cluster, &files).await?;
            leases_and_names(&files).await?;
            a_missing_directory_is_a_fence(&files).await?;
            a_striped_directory_gets_copies(cluster, &files).await?;
            a_datanode_is_silent(cluster, &files).await?;
            a_datanode_dies(cluster, &files).await
        })
    })
}

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect::<Vec<_>>().into()
}

async fn put(files: &NativeHdfs, path: &str, body: &Bytes, copies: u16) -> Result<(), HdfsError> {
    let options = CreateOptions { replication: Some(copies), ..CreateOptions::default() };
    let mut writer = files.create(path, &options).await?;
    writer.write(body.clone()).await?;
    assert_eq!(writer.close().await?, body.len() as u64);
    Ok(())
}

async fn got(files: &NativeHdfs, path: &str, offset: u64) -> Result<Vec<u8>, HdfsError> {
    let mut reader = files.open(path, offset).await?;
    let mut all = Vec::new();
    while let Some(bytes) = reader.read().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Scenario: eight files of several blocks at once; one with flushes and syncs in between; one empty.
/// Guarantees: this client and Hadoop's shell read what was written, from any offset; a flush makes visible what came before.
async fn several_blocks_come_back(cluster: &Cluster, files: &NativeHdfs) -> Result<(), Failed> {
    let body = body(5 * BLOCK_BYTES as usize / 2 + 17);
    let tasks: Vec<_> = (0..8)
        .map(|index| {
            let (files, body) = (files.clone(), body.clone());
            tokio::spawn(async move { put(&files, &format!("/many/{index}"), &body, 2 + index % 2).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    put(files, "/empty", &Bytes::new(), 3).await?;
    assert_eq!(got(files, "/empty", 0).await?, b"");
    for offset in [0, 1, 700, BLOCK_BYTES, body.len() as u64 - 1, body.len() as u64] {
        assert!(got(files, "/many/7", offset).await? == body[offset as usize..], "from {offset}");
    }
    let mut writer = files.create("/flushed", &CreateOptions::default()).await?;
    for (part, is_synced) in [("one ", false), ("two ", true), ("three", false)] {
        writer.write(Bytes::from_static(part.as_bytes())).await?;
        if is_synced {
            writer.sync().await?
        } else {
            writer.flush().await?
        }
        assert!(got(files, "/flushed", 0).await?.ends_with(part.as_bytes()));
    }
    assert_eq!((writer.bytes_acked(), writer.close().await?), (13, 13));
    let shell = cluster.shell(&["-cat", "/many/0", "/flushed"], b"")?.stdout;
    assert!(shell == [&body[..], b"one two three"].concat(), "the shell reads something else");
    Ok(())
}

/// Scenario: a file's writer is dropped; another client wants to write it, and then recovers its lease; names are changed.
/// Guarantees: the second writer is refused; the file ends with what was synced; a taken name is not overwritten.
async fn leases_and_names(files: &NativeHdfs) -> Result<(), Failed> {
    let mut writer = files.create("/left", &CreateOptions::default()).await?;
    writer.write(Bytes::from_static(b"synced")).await?;
    writer.sync().await?;
    let refused = files.create("/left", &CreateOptions::default()).await.err().map(|error| error.kind);
    assert!(matches!(refused, Some(HdfsErrorKind::AlreadyExists | HdfsErrorKind::LeaseHeld)), "{refused:?}");
    drop(writer);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !files.recover_lease("/left").await? {
        assert!(Instant::now() < deadline, "the lease is still held");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(got(files, "/left", 0).await?, b"synced");
    let taken = files.rename("/left", "/flushed").await.expect_err("the name is taken");
    assert_eq!(taken.kind, HdfsErrorKind::AlreadyExists, "{taken}");
    assert!(taken.to_string().starts_with("cannot rename /left to /flushed"), "{taken}");
    files.make_directories("/here", None).await?;
    files.rename("/left", "/here/left").await?;
    assert_eq!(files.status("/left").await?, None);
    let listed = files.list("/here").await?;
    assert_eq!(listed.iter().map(|it| (&it.name[..], it.bytes)).collect::<Vec<_>>(), [("left", 6)]);
    assert!(files.delete("/here", true).await? && files.space().await?.remaining_bytes > 0);
    Ok(())
}

/// Scenario: a directory is taken away; a file is made in it as of Unix, and then as Hadoop does.
/// Guarantees: the first is refused and makes nothing, which keeps a writer out whose directory was taken from it; the second
/// makes the directory.
async fn a_missing_directory_is_a_fence(files: &NativeHdfs) -> Result<(), Failed> {
    files.make_directories("/fenced/own", None).await?;
    files.rename("/fenced/own", "/fenced/taken").await?;
    let options = CreateOptions { parent_must_exist: true, ..CreateOptions::default() };
    let refused = files.create("/fenced/own/late", &options).await.err().map(|error| error.kind);
    assert_eq!(refused, Some(HdfsErrorKind::NotFound));
    assert_eq!(files.status("/fenced/own").await?, None, "the directory was made again");
    files.create("/fenced/taken/in-time", &options).await?.close().await?;
    files.create("/fenced/own/late", &CreateOptions::default()).await?.close().await?;
    assert_eq!(files.status("/fenced/own/late").await?.map(|status| status.bytes), Some(0));
    Ok(())
}

/// Scenario: a directory has a policy of erasure coding.
/// Guarantees: a file written into it has copies, and is what was written.
async fn a_striped_directory_gets_copies(cluster: &Cluster, files: &NativeHdfs) -> Result<(), Failed> {
    let (policy, body) = ("XOR-2-1-1024k", body(3 * BLOCK_BYTES as usize / 2));
    files.make_directories("/striped", None).await?;
    cluster.erasure_coding(&["-enablePolicy", "-policy", policy])?;
    cluster.erasure_coding(&["-setPolicy", "-path", "/striped", "-policy", policy])?;
    put(files, "/striped/a", &body, 2).await?;
    assert!(got(files, "/striped/a", 0).await? == body, "it is not what was written");
    assert_eq!(files.status("/striped/a").await?.map(|status| status.replication), Some(2));
    Ok(())
}

/// Writes `parts`, with `fault` after the second; how long the worst part took.
async fn through(
    files: &NativeHdfs,
    path: &str,
    fault: impl FnOnce() -> Result<(), Failed>,
) -> Result<Duration, Failed> {
    let part = body(300_000);
    let mut writer = files.create(path, &CreateOptions::default()).await?;
    let (mut fault, mut worst) = (Some(fault), Duration::ZERO);
    for index in 0..8 {
        let since = Instant::now();
        writer.write(part.clone()).await?;
        if index == 2
            && let Some(fault) = fault.take()
        {
            fault()?;
        }
        writer.sync().await?;
        worst = worst.max(since.elapsed());
    }
    assert_eq!(writer.close().await?, 2_400_000);
    assert!(got(files, path, 0).await? == part.repeat(8), "{path} is not what was written");
    Ok(worst)
}

/// Scenario: a DataNode of three is stopped (SIGSTOP) in the middle of a file of three copies.
/// Guarantees: the file goes on with the other two, and is what was written.
async fn a_datanode_is_silent(cluster: &Cluster, files: &NativeHdfs) -> Result<(), Failed> {
    let worst = through(files, "/silent", || Ok(cluster.pause(Role::DataNode(2))?)).await;
    cluster.resume(Role::DataNode(2))?;
    let worst = worst?;
    eprintln!("a silent DataNode costs {worst:.1?}");
    assert!(worst < FAULT_COSTS_MAX);
    Ok(())
}

/// Scenario: a DataNode of three is killed in the middle of a file of three copies; the NameNode lists it all the time. Then
/// a client that knows nothing of it writes six files.
/// Guarantees: the file goes on; the new files are written.
async fn a_datanode_dies(cluster: &Cluster, files: &NativeHdfs) -> Result<(), Failed> {
    let worst = through(files, "/killed", || Ok(cluster.kill(Role::DataNode(1))?)).await?;
    eprintln!("a killed DataNode costs {worst:.1?}");
    assert!(worst < FAULT_COSTS_MAX);
    let fresh = NativeHdfs::new(NativeOptions::new(vec![cluster.address().to_string()], "root".to_owned()))?;
    let (body, since) = (body(3_000_000), Instant::now());
    for index in 0..6 {
        put(&fresh, &format!("/after/{index}"), &body, 2 + index % 2).await?;
        assert!(got(&fresh, &format!("/after/{index}"), 0).await? == body);
    }
    eprintln!("six files with a dead node listed take {:.1?}", since.elapsed());
    assert_eq!(cluster.live_datanodes()?, 3, "the NameNode no longer lists the dead one, which is the point");
    Ok(())
}
