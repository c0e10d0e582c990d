//! A NameNode and DataNodes.

use libtest_mimic::Failed;
use weir_servers::Control;
use weir_servers::hdfs::{Cluster, ClusterOptions, Role};
use weir_servers::http;

/// Scenario: a file of several blocks is put and listed; one of three DataNodes is killed, the file read and another put;
/// the DataNode is started again.
/// Guarantees: what was put comes back, also without the DataNode; the NameNode misses it and then has it again; WebHDFS
/// answers.
pub(crate) fn keeps_files_without_a_datanode() -> Result<(), Failed> {
    const BLOCK_BYTES: u64 = 1 << 20;
    let options = ClusterOptions { block_bytes: BLOCK_BYTES, ..ClusterOptions::default() };
    Cluster::with(options, |cluster| {
        let body: Vec<u8> = (0..5 * BLOCK_BYTES / 2).map(|index| b'a' + (index % 23) as u8).collect();
        cluster.shell(&["-mkdir", "/events"], b"")?;
        cluster.shell(&["-put", "-", "/events/one"], &body)?;
        let listed = http::get(cluster.web_address(), "/webhdfs/v1/events?op=LISTSTATUS")?.ok()?.text();
        assert!(listed.contains(&format!("\"length\":{}", body.len())), "{listed}");
        assert!(listed.contains("\"replication\":3"), "{listed}");

        cluster.kill(Role::DataNode(2))?;
        assert_eq!(cluster.process_id(Role::DataNode(2)), None);
        assert!(cluster.shell(&["-cat", "/events/one"], b"")?.stdout == body, "another body came back");
        cluster.until_live(2);
        cluster.shell(&["-put", "-", "/events/two"], b"two\n")?;
        cluster.restart(Role::DataNode(2))?;
        cluster.until_live(3);
        assert_eq!(cluster.shell(&["-cat", "/events/two"], b"")?.text(), "two\n");
        Ok(())
    })
}
