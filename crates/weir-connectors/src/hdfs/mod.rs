//! Sink `hdfs`: events into files of an HDFS, over Hadoop's own protocol or WebHDFS, or of a mounted folder.
//!
//! ```text
//!   delivery -> runs of events of one directory -> block in memory -> ROOT/.weir/PREFIX/LOG-PARTITION/STAY/N.events...tmp
//!       token waits  <-------------------------------------------------  | close, rename into STAY.out, rename: many at once
//!                                        ROOT/dt=2026-11-23/events.LOG-PARTITION.FIRST-LAST.AGENT.log
//! ```
//!
//! What decides which events a file holds, and when they are acknowledged, is shared with the sink `files` (`tree/`). Here
//! is what an HDFS needs: several agents may write below one root, partitions move between them, and calls can hang.
//!
//! Invariants
//! - A final name appears by a rename, after the file was closed; its events are acknowledged after that. Nothing is ever
//!   overwritten.
//! - One writer per partition: all files in progress of a partition are in the folder of a *stay*, which the sink makes when
//!   the partition comes to it (or after a failure), and then it removes the folders of all others. A file goes to its name
//!   through a second folder of the stay (`STAY.out`), which is removed first. So an agent that was frozen and wakes up after
//!   its partitions went to another can neither finish an old file nor give a new one a name, until it begins a stay of its
//!   own, by which the other one's ends in the same way.
//! - At the beginning of a stay final names are listed where events go, and what they claim is left out. Nobody else can
//!   add to them during the stay.
//! - A directory gets its `_complete` after every file of it that was begun in time has its name (`complete.rs`).
//! - Every call has a deadline. A file that fails is given up, with all others in progress of its lane: their deliveries come again.
//!
//! | crash or fault here | this happens |
//! |---|---|
//! | before a rename | what was written is removed when the partition's next stay begins, wherever that is; delivered again: `tests::any_crashes_leave_each_event_once` |
//! | after a rename, position not yet released | found by name, left out: `tests::a_crash_after_the_rename_repeats_nothing` |
//! | two agents take each other for dead | each event once: `tests::two_owners_of_a_partition_write_each_event_once` |
//! | the answer to a rename is lost | looked for: the file with its length counts as renamed |
//! | agent killed at any moment, again and again | each event once, also in Solr beside it: `weir/tests/servers/both.rs` |
//! | DataNode dead or silent | the block goes on with the others, within `write_timeout`; new blocks avoid it for a minute: `tests/real/hdfs.rs`, `hdfs_servers_die` |
//! | NameNode gone or in safe mode, all DataNodes gone | deliveries come again until it works: `hdfs_servers_die` |
//! | disks full, quota used up, no permission | the same, and the failure says what to do: `hdfs_disks_full`, `hdfs_quota`, `hdfs_permission` |
//!
//! What a reader sees, and what survives all DataNodes losing power at once
//!
//! | of a file | by Hadoop's own protocol | by WebHDFS |
//! |---|---|---|
//! | finished (and so acknowledged) | all of it; on the disks of its DataNodes | the same |
//! | in progress, `sync_interval` unset | under its name in progress: whole blocks; nothing is promised | the same |
//! | in progress, with `sync_interval` | what is older than the interval; on the disks | the same, each time as a block of its own |

mod alone;
mod complete;
mod config;
mod connect;
mod store;
#[cfg(test)]
mod tests;

pub use config::{hdfs_sink_type, hdfs_tree};
