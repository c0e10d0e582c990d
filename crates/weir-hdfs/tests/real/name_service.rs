//! Two NameNodes of a name service, of which the active one dies, over both transports.
#![expect(clippy::print_stderr, reason = "the time that a fault costs is what the trial is run for")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use weir_hdfs::configuration::{self, Properties};
use weir_hdfs::{CreateOptions, FileSystem, HdfsError, NativeHdfs, NativeOptions, WebHdfs, WebHdfsOptions};
use weir_servers::Control;
use weir_servers::hdfs::{Cluster, ClusterOptions, Distribution, NAME_SERVICE, Role};
use weir_servers::{Unavailable, trial};

const BLOCK_BYTES: u64 = 1 << 20;
/// To make a NameNode active takes a Java machine, whose start a busy machine stretches.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn trials(hdfs: &Result<Distribution, Unavailable>) -> Vec<Trial> {
    vec![trial("name_service", hdfs, fails_over)]
}

type Ways = [(&'static str, Box<dyn FileSystem>); 2];

/// Scenario: the active NameNode is killed while a file is written over each transport, and the other one made active; then
/// that one is stopped (SIGSTOP: its connections stay open) and the first, started again meanwhile, made active.
/// Guarantees: by the name service of a configuration folder alone, the files go on and are whole; calls and new files reach
/// whoever is active; what was written by one transport is read by both.
fn fails_over() -> Result<(), Failed> {
    // A DataNode that takes files over WebHDFS is a client itself, and waits 120 s for a silent NameNode unless it is told.
    let properties = vec![("ipc.client.rpc-timeout.ms".to_owned(), "10000".to_owned())];
    let options = ClusterOptions {
        namenodes: 2,
        datanodes: 2,
        replication: 2,
        block_bytes: BLOCK_BYTES,
        properties,
        ..<_>::default()
    };
    Cluster::with(options, |cluster| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let ways = ways(cluster)?;
        through(&runtime, &ways, "/killed", || {
            cluster.kill(Role::NameNode)?;
            Ok(cluster.activate(Role::OtherNameNode)?)
        })?;
        cluster.restart(Role::NameNode)?;
        through(&runtime, &ways, "/stopped", || {
            cluster.pause(Role::OtherNameNode)?;
            Ok(cluster.activate(Role::NameNode)?)
        })?;
        // It would take itself for active still.
        Ok(cluster.kill(Role::OtherNameNode)?)
    })
}

fn ways(cluster: &Cluster) -> Result<Ways, Failed> {
    let properties = Properties::load(&cluster.configuration())?;
    let found = |scheme: &str| configuration::Cluster::find(&format!("{scheme}://{NAME_SERVICE}/"), &properties);
    let mut native = NativeOptions::new(found("hdfs")?.rpc_addresses(), "root".to_owned());
    let mut web = WebHdfsOptions::of(&found("webhdfs")?).ok_or("no address of WebHDFS")?;
    assert_eq!((native.namenodes.len(), web.addresses.len()), (2, 2));
    (native.namenode_timeout, web.namenode_timeout) = (PATIENCE, PATIENCE);
    (web.write_timeout, web.pipeline_timeout) = (PATIENCE, PATIENCE);
    web.user = Some("root".to_owned());
    Ok([("native", Box::new(NativeHdfs::new(native)?)), ("web", Box::new(WebHdfs::new(web)?))])
}

fn body(bytes: usize) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect::<Vec<_>>().into()
}

async fn got(files: &dyn FileSystem, path: &str) -> Result<Vec<u8>, HdfsError> {
    let mut reader = files.open(path, 0).await?;
    let mut all = Vec::new();
    while let Some(bytes) = reader.read().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

async fn put(files: &dyn FileSystem, path: &str, body: &Bytes) -> Result<(), HdfsError> {
    let mut writer = files.create(path, &CreateOptions::default()).await?;
    writer.write(body.clone()).await?;
    assert_eq!(writer.close().await?, body.len() as u64);
    Ok(())
}

/// Writes a file of several blocks over each way in `folder`, with `fault` in the middle, and then another one.
fn through(
    runtime: &Runtime,
    ways: &Ways,
    folder: &str,
    fault: impl FnOnce() -> Result<(), Failed> + Send,
) -> Result<(), Failed> {
    let part = body(3 * BLOCK_BYTES as usize / 2 + 17);
    let whole = [&part[..], &part[..]].concat();
    let mut writers = Vec::new();
    for (name, files) in ways {
        let mut writer = runtime.block_on(files.create(&format!("{folder}/{name}"), &CreateOptions::default()))?;
        runtime.block_on(writer.write(part.clone()))?;
        writers.push(writer);
    }
    // Its first block is known to the NameNode that dies.
    runtime.block_on(writers[0].sync())?;
    let since = Instant::now();
    std::thread::scope(|scope| {
        let fault = scope.spawn(fault);
        for (writer, (name, _)) in writers.into_iter().zip(ways) {
            let closed: Result<u64, HdfsError> = runtime.block_on(async {
                let mut writer = writer;
                writer.write(part.clone()).await?;
                writer.close().await
            });
            assert_eq!(closed?, whole.len() as u64);
            eprintln!("{folder}: the file over {name} is closed {:.1?} after the fault", since.elapsed());
        }
        fault.join().expect("no panic")
    })?;
    for (name, files) in ways {
        let since = Instant::now();
        runtime.block_on(put(&**files, &format!("{folder}/{name}-after"), &part))?;
        runtime.block_on(files.rename(&format!("{folder}/{name}-after"), &format!("{folder}/{name}-renamed")))?;
        for path in ["native", "web"] {
            let read = runtime.block_on(got(&**files, &format!("{folder}/{path}")))?;
            assert!(read == whole, "{folder}/{path} over {name} is not what was written");
        }
        eprintln!("{folder}: a new file and two read ones over {name} take {:.1?}", since.elapsed());
    }
    let listed = runtime.block_on(ways[0].1.list(folder))?;
    let names: Vec<_> = listed.iter().map(|status| &status.name[..]).collect();
    assert_eq!(names, ["native", "native-renamed", "web", "web-renamed"]);
    Ok(())
}
