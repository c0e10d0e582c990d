//! What servers of some releases find each other by. It comes with their own jars.

use std::path::Path;

/// Runs one alone. Its argument is a file of [`configuration`].
pub(crate) const CLASS: &str = "org.apache.zookeeper.server.ZooKeeperServerMain";
/// Heap of one, which here knows a handful of names.
pub(crate) const HEAP_MIB: u32 = 128;

/// The text of its configuration: its data in `folder`, itself at `port` of 127.0.0.1. Sessions may be 2 to 20 ticks long.
pub(crate) fn configuration(folder: &Path, port: u16) -> String {
    format!(
        "dataDir={}\nclientPortAddress=127.0.0.1\nclientPort={port}\ntickTime=1000\nadmin.enableServer=false\n\
         4lw.commands.whitelist=ruok\n",
        folder.display()
    )
}
