//! [`NativeOptions`].

use std::time::Duration;

use crate::Faults;

/// How a [`NativeHdfs`](super::NativeHdfs) works.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// The NameNodes' `host:port`; the active one is found.
    pub namenodes: Vec<String>,
    /// Who we are; `HADOOP_USER_NAME` or the login name is the caller's to find.
    pub user: String,
    /// Whether DataNodes are reached by name, not by the address that the NameNode sees.
    pub by_hostname: bool,
    /// How long a call to the NameNodes may take, with all attempts. Default 30 s: a restart of a small one.
    pub namenode_timeout: Duration,
    /// How long DataNodes may be silent while they owe an answer. Default 10 s.
    pub write_timeout: Duration,
    /// How fast a block must be acknowledged at least, in bytes a second, measured over `write_timeout` while something
    /// that was owed at its begin still is. A block below it goes on without one of its nodes: a guess, the last, as only their sum is seen; with
    /// one node left it goes on as slowly as that is. 0 for never. Default 16 KiB: a node that acknowledges a packet just
    /// before its silence would be too long makes 7 KiB, each of 32 files over a line of 10 Mbit/s makes 39 KiB.
    pub bytes_per_second_min: u32,
    /// How long DataNodes that answer otherwise may take to bring a block to their disks. Default 60 s, as Hadoop's own client:
    /// 32 blocks of 128 MiB that end at the same time on a disk of 70 MB/s.
    pub sync_timeout: Duration,
    /// How long a connection or the set-up of a pipeline may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a DataNode that failed gets no new blocks. Default 60 s.
    pub exclude_time: Duration,
    /// How much of a file may wait or be under way, in bytes; at least 256 KiB. Default 8 MiB.
    pub window_bytes: usize,
    /// Who counts what it gets over.
    pub faults: Faults,
}

impl NativeOptions {
    /// The defaults.
    #[must_use]
    pub fn new(namenodes: Vec<String>, user: String) -> Self {
        Self {
            namenodes,
            user,
            by_hostname: false,
            namenode_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            bytes_per_second_min: 16 << 10,
            sync_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            exclude_time: Duration::from_secs(60),
            window_bytes: 8 << 20,
            faults: Faults::default(),
        }
    }
}
