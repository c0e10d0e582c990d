//! The files that every process of a cluster reads.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::cluster::ClusterOptions;
use super::service;

/// Writes to standard error, which goes to the log of the process.
const LOGGING: &str = "log4j.rootLogger=INFO,C
log4j.appender.C=org.apache.log4j.ConsoleAppender
log4j.appender.C.target=System.err
log4j.appender.C.layout=org.apache.log4j.PatternLayout
log4j.appender.C.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
";

/// Where a NameNode is: its ports, the folder of its data.
pub(super) struct Place<'a> {
    pub(super) rpc: u16,
    pub(super) web: u16,
    pub(super) data: &'a Path,
}

/// Writes the configuration into `folder`.
pub(super) fn write(folder: &Path, namenodes: &[Place<'_>], options: &ClusterOptions) -> io::Result<()> {
    // The jars do not carry the web pages; the processes only insist on the folders.
    fs::create_dir_all(folder.join("webapps").join("hdfs"))?;
    fs::create_dir_all(folder.join("webapps").join("datanode"))?;
    fs::write(folder.join("log4j.properties"), LOGGING)?;
    let [Place { rpc, web, data }, ..] = namenodes else { return Err(io::Error::other("there is no NameNode")) };
    let url = if namenodes.len() > 1 { service::URL.to_owned() } else { format!("hdfs://127.0.0.1:{rpc}") };
    let core = [("fs.defaultFS", url), ("hadoop.tmp.dir", data.join("tmp").display().to_string())];
    fs::write(folder.join("core-site.xml"), text(core.iter().map(|(key, value)| (*key, value.as_str()))))?;
    let own = [
        ("dfs.replication", options.replication.to_string()),
        ("dfs.blocksize", options.block_bytes.to_string()),
        ("dfs.namenode.fs-limits.min-block-size", "4096".into()),
        ("dfs.permissions.enabled", "false".into()),
        ("dfs.namenode.name.dir", format!("file://{}", data.display())),
        ("dfs.namenode.http-address", format!("127.0.0.1:{web}")),
        ("dfs.namenode.safemode.extension", "0".into()),
        // What is lost in a power cut is a temporary folder anyway.
        ("dfs.namenode.edits.noeditlogchannelflush", "true".into()),
        // A killed DataNode is missed after 2 x 2 s + 10 x 1 s, not after 10 minutes; it is asked last after 5 s.
        ("dfs.heartbeat.interval", "1".into()),
        ("dfs.namenode.heartbeat.recheck-interval", "2000".into()),
        ("dfs.namenode.stale.datanode.interval", "5000".into()),
        ("dfs.namenode.handler.count", "4".into()),
        ("dfs.datanode.handler.count", "3".into()),
        ("dfs.datanode.max.transfer.threads", "256".into()),
        ("dfs.datanode.hostname", "127.0.0.1".into()),
    ];
    let of_service = if namenodes.len() > 1 { service::properties(folder, namenodes) } else { Vec::new() };
    let of_service = of_service.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let own = own.iter().map(|(key, value)| (*key, value.as_str())).chain(of_service);
    // Of a property that is given twice the last counts.
    let given = options.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    fs::write(folder.join("hdfs-site.xml"), text(own.chain(given)))
}

/// A file of properties.
pub(super) fn text<'a>(properties: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::from("<configuration>\n");
    for (key, value) in properties {
        let value = value.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(text, "  <property><name>{key}</name><value>{value}</value></property>")
            .expect("a String takes everything");
    }
    text + "</configuration>\n"
}
