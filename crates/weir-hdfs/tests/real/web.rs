//! WebHDFS.

use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use weir_hdfs::webhdfs::{WebHdfs, WebHdfsOptions};
use weir_hdfs::{CreateOptions, FileSystem, FileWriter, HdfsError, HdfsErrorKind};
use weir_servers::Control;
use weir_servers::hdfs::{Cluster, ClusterOptions, Distribution, Role};
use weir_servers::{Unavailable, trial};

/// Far above what is measured: a busy machine takes a few times that.
const PATIENCE: Duration = Duration::from_secs(180);
const BLOCK_BYTES: u64 = 1 << 20;
/// As the client's: what a dead or silent DataNode may cost a file.
const STALLED_AFTER: Duration = Duration::from_secs(10);

pub(crate) fn trials(hdfs: &Result<Distribution, Unavailable>) -> Vec<Trial> {
    vec![trial("webhdfs", hdfs, files_and_faults)]
}

fn files_and_faults() -> Result<(), Failed> {
    let properties = [
        ("dfs.permissions.enabled", "true"),
        // The default: a dead node stays listed for ten minutes.
        ("dfs.heartbeat.interval", "3"),
        ("dfs.namenode.heartbeat.recheck-interval", "300000"),
        // Else a busy DataNode is given no copy, and with two of three copies Hadoop's client does not append.
        ("dfs.namenode.redundancy.considerLoad", "false"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = ClusterOptions { block_bytes: BLOCK_BYTES, properties, ..ClusterOptions::default() };
    Cluster::with(options, |cluster| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        let files = client(cluster, &user)?;
        several_blocks_come_back(&runtime, cluster, &files)?;
        names_are_kept(&runtime, &files)?;
        permission_is_denied(&runtime, cluster)?;
        a_lease_is_recovered(&runtime, &files)?;
        safe_mode_is_told(&runtime, cluster, &files)?;
        a_datanode_dies(&runtime, cluster, &files)
    })
}

fn client(cluster: &Cluster, user: &str) -> Result<WebHdfs, Failed> {
    let mut options = WebHdfsOptions::new(vec![cluster.web_address().to_string()], false);
    (options.user, options.write_timeout) = (Some(user.to_owned()), STALLED_AFTER);
    Ok(WebHdfs::new(options)?)
}

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect::<Vec<_>>().into()
}

async fn put(files: &WebHdfs, path: &str, body: &Bytes, copies: u16) -> Result<(), HdfsError> {
    let options = CreateOptions { replication: Some(copies), ..CreateOptions::default() };
    let mut writer = files.create(path, &options).await?;
    send(&mut *writer, body).await?;
    assert_eq!(writer.close().await?, body.len() as u64);
    Ok(())
}

async fn send(writer: &mut dyn FileWriter, body: &Bytes) -> Result<(), HdfsError> {
    for start in (0..body.len()).step_by(64 << 10) {
        writer.write(body.slice(start..body.len().min(start + (64 << 10)))).await?;
    }
    Ok(())
}

async fn got(files: &WebHdfs, path: &str, offset: u64) -> Result<Vec<u8>, HdfsError> {
    let mut reader = files.open(path, offset).await?;
    let mut all = Vec::new();
    while let Some(bytes) = reader.read().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// Scenario: eight files of several blocks at once; one with flushes in between; one empty.
/// Guarantees: this client and Hadoop's shell read what was written, from any offset; a flush makes visible what came before.
fn several_blocks_come_back(runtime: &Runtime, cluster: &Cluster, files: &WebHdfs) -> Result<(), Failed> {
    let body = body(5 * BLOCK_BYTES as usize / 2 + 17);
    let written: Result<(), HdfsError> = runtime.block_on(async {
        let tasks: Vec<_> = (0..8)
            .map(|index| {
                let (files, body) = (files.clone(), body.clone());
                tokio::spawn(async move { put(&files, &format!("/many/a b%{index}+ä"), &body, 3).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic")?;
        }
        put(files, "/empty", &Bytes::new(), 3).await?;
        assert_eq!(got(files, "/empty", 0).await?, b"");
        for offset in [0, 1, BLOCK_BYTES, body.len() as u64 - 1, body.len() as u64] {
            assert!(got(files, "/many/a b%7+ä", offset).await? == body[offset as usize..], "from {offset}");
        }
        let mut writer = files.create("/flushed", &CreateOptions::default()).await?;
        for part in ["one ", "two ", "three"] {
            writer.write(Bytes::from_static(part.as_bytes())).await?;
            writer.flush().await?;
            assert!(got(files, "/flushed", 0).await?.ends_with(part.as_bytes()));
        }
        assert_eq!((writer.bytes_acked(), writer.close().await?), (13, 13));
        Ok(())
    });
    written?;
    let shell = cluster.shell(&["-cat", "/many/a b%0+ä", "/flushed"], b"")?.stdout;
    assert!(shell == [&body[..], b"one two three"].concat(), "the shell reads something else");
    Ok(())
}

/// Scenario: files are listed (over a batch), renamed, deleted, and made where something is.
/// Guarantees: nothing is overwritten; kinds of errors say what happened.
fn names_are_kept(runtime: &Runtime, files: &WebHdfs) -> Result<(), Failed> {
    let kind = |error: HdfsError| error.kind;
    let done: Result<(), HdfsError> = runtime.block_on(async {
        let listed = files.list("/many").await?;
        assert_eq!(listed.len(), 8);
        assert!(
            listed
                .iter()
                .all(|status| status.bytes > 2 * BLOCK_BYTES && status.replication == 3 && !status.is_directory)
        );
        files.make_directories("/names/done", Some(0o750)).await?;
        assert_eq!(
            files.status("/names/done").await?.map(|status| (status.is_directory, status.permission)),
            Some((true, 0o750))
        );
        put(files, "/names/a", &body(10), 1).await?;
        put(files, "/names/b", &body(20), 1).await?;
        let again = files.create("/names/a", &CreateOptions::default()).await.map(|_| ()).map_err(kind);
        assert_eq!(again, Err(HdfsErrorKind::AlreadyExists));
        assert_eq!(files.rename("/names/a", "/names/b").await.map_err(kind), Err(HdfsErrorKind::AlreadyExists));
        assert_eq!(files.rename("/names/none", "/names/c").await.map_err(kind), Err(HdfsErrorKind::NotFound));
        assert_eq!(files.rename("/names/a", "/names/none/a").await.map_err(kind), Err(HdfsErrorKind::NotFound));
        files.rename("/names/a", "/names/done/a").await?;
        assert!(files.status("/names/a").await?.is_none());
        assert_eq!(files.status("/names/done/a").await?.map(|status| status.bytes), Some(10));
        assert!(files.delete("/names", false).await.is_err());
        assert!(files.delete("/names", true).await?);
        assert!(!files.delete("/names", true).await?);
        assert_eq!(files.list("/names").await.map_err(kind), Err(HdfsErrorKind::NotFound));
        assert_eq!(files.open("/names/a", 0).await.map(|_| ()).map_err(kind), Err(HdfsErrorKind::NotFound));
        assert!(files.space().await?.bytes > 0);
        Ok(())
    });
    Ok(done?)
}

/// Scenario: a user who may not write at `/`.
/// Guarantees: the error says so and names the path.
fn permission_is_denied(runtime: &Runtime, cluster: &Cluster) -> Result<(), Failed> {
    let stranger = client(cluster, "stranger")?;
    let error = runtime.block_on(put(&stranger, "/theirs", &body(10), 1)).expect_err("may not");
    assert_eq!(error.kind, HdfsErrorKind::PermissionDenied, "{error}");
    let text = error.to_string();
    assert!(text.contains("/theirs") && text.contains("user=stranger"), "{text}");
    let error = runtime.block_on(stranger.make_directories("/theirs", None)).expect_err("may not");
    assert_eq!(error.kind, HdfsErrorKind::PermissionDenied, "{error}");
    Ok(())
}

/// Scenario: a writer is dropped in the middle of a file; another is still at work on its own.
/// Guarantees: the first file is soon closed and can be deleted; the second is known to be open, and can be deleted as well.
fn a_lease_is_recovered(runtime: &Runtime, files: &WebHdfs) -> Result<(), Failed> {
    let done: Result<(), HdfsError> = runtime.block_on(async {
        for (path, leave) in [("/left", true), ("/open", false)] {
            let mut writer = files.create(path, &CreateOptions::default()).await?;
            send(&mut *writer, &body(BLOCK_BYTES as usize + 5)).await?;
            until(PATIENCE, async || files.status(path).await.is_ok_and(|found| found.is_some())).await;
            if leave {
                writer.abandon().await;
                until(PATIENCE, async || files.recover_lease(path).await.is_ok_and(|closed| closed)).await;
                assert!(files.delete(path, false).await?);
            } else {
                assert!(!files.recover_lease(path).await?);
                assert!(files.delete(path, false).await?);
                assert!(writer.close().await.is_err(), "the file is gone");
            }
        }
        Ok(())
    });
    Ok(done?)
}

async fn until(patience: Duration, mut seen: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !seen().await {
        assert!(Instant::now() < deadline, "not seen within {patience:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Scenario: the NameNode is put into safe mode and leaves it.
/// Guarantees: the error says so; files can be read meanwhile, and written afterwards.
fn safe_mode_is_told(runtime: &Runtime, cluster: &Cluster, files: &WebHdfs) -> Result<(), Failed> {
    cluster.admin(&["-safemode", "enter"])?;
    let error = runtime.block_on(put(files, "/safe", &body(10), 1)).expect_err("in safe mode");
    assert_eq!(error.kind, HdfsErrorKind::SafeMode, "{error}");
    let error = runtime.block_on(files.rename("/flushed", "/safe")).expect_err("in safe mode");
    assert_eq!(error.kind, HdfsErrorKind::SafeMode, "{error}");
    assert_eq!(runtime.block_on(got(files, "/flushed", 0))?, b"one two three");
    cluster.admin(&["-safemode", "leave"])?;
    Ok(runtime.block_on(put(files, "/safe", &body(10), 1))?)
}

/// Scenario: while six files are being written a DataNode is killed, and stays listed; twelve more files of two and three
/// copies; another DataNode is stopped (not killed) while files are written, so that each of their blocks is given to it.
/// Guarantees: nothing hangs: a file is whole, or its error comes within the deadlines; files made after the death are all
/// written, since the dead node is not asked again; each whole file reads back equal; beside a silent node that cannot be
/// avoided a file is written, too.
fn a_datanode_dies(runtime: &Runtime, cluster: &Cluster, files: &WebHdfs) -> Result<(), Failed> {
    let body = body(3 * BLOCK_BYTES as usize);
    let start = |name: String| {
        let (files, body) = (files.clone(), body.clone());
        runtime.spawn(async move {
            let options = CreateOptions { replication: Some(2), ..CreateOptions::default() };
            let mut writer = files.create(&name, &options).await?;
            for _ in 0..20 {
                send(&mut *writer, &body.slice(..body.len() / 20)).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            writer.close().await.map(|bytes| (name, bytes))
        })
    };
    let tasks: Vec<_> = (0..6).map(|index| start(format!("/dying/{index}"))).collect();
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
    cluster.kill(Role::DataNode(2))?;
    let since = Instant::now();
    let (mut whole, mut failed) = (0, 0);
    for task in tasks {
        match runtime.block_on(task)? {
            Ok((name, bytes)) => {
                assert_eq!(runtime.block_on(got(files, &name, 0))?.len() as u64, bytes);
                whole += 1;
            }
            Err(error) => {
                let expected = matches!(error.kind, HdfsErrorKind::Unavailable | HdfsErrorKind::Timeout);
                assert!(expected && error.to_string().contains("/dying/"), "{error}");
                failed += 1;
            }
        }
    }
    let took = since.elapsed();
    assert_eq!(cluster.live_datanodes()?, 3, "the dead node is no longer listed: this shows nothing");
    let since = Instant::now();
    let mut slowest = Duration::ZERO;
    for index in 0..12 {
        let start = Instant::now();
        let name = format!("/after/{index}");
        runtime.block_on(put(files, &name, &body, 2 + index % 2))?;
        slowest = slowest.max(start.elapsed());
        assert!(runtime.block_on(got(files, &name, 0))? == body, "{name}");
    }
    report(&format!(
        "killed DataNode: {whole} files whole, {failed} failed, all known after {took:.1?}; 12 new files in {:.1?}, slowest {slowest:.1?}",
        since.elapsed()
    ));
    cluster.pause(Role::DataNode(3))?;
    let since = Instant::now();
    let tasks: Vec<_> = (0..4).map(|index| start(format!("/stopped/{index}"))).collect();
    let mut failed = 0;
    for task in tasks {
        match runtime.block_on(task)? {
            Ok((name, bytes)) => assert_eq!(runtime.block_on(got(files, &name, 0))?.len() as u64, bytes),
            Err(error) => {
                assert!(matches!(error.kind, HdfsErrorKind::Unavailable | HdfsErrorKind::Timeout), "{error}");
                failed += 1;
            }
        }
    }
    report(&format!("stopped DataNode: {failed} of 4 files failed, all answers after {:.1?}", since.elapsed()));
    // Every file is given the stopped one; whoever takes the bytes goes on without it after a minute.
    let since = Instant::now();
    let mut refused = Vec::new();
    while let Err(error) = runtime.block_on(put(files, &format!("/stopped/more-{}", refused.len()), &body, 2)) {
        refused.push(format!("{error} after {:.1?}", since.elapsed()));
        assert!(
            since.elapsed() < PATIENCE,
            "no file is written beside a silent DataNode of every pipeline: {refused:#?}"
        );
    }
    report(&format!("a file beside the stopped DataNode in {:.1?}", since.elapsed()));
    cluster.resume(Role::DataNode(3))?;
    cluster.restart(Role::DataNode(2))?;
    Ok(runtime.block_on(put(files, "/recovered", &body, 3))?)
}

#[expect(clippy::print_stderr, reason = "figures of a run, shown with --nocapture")]
fn report(line: &str) {
    eprintln!("{line}");
}
