//! Sink `files`: events into files in a tree of directories.
//!
//! ```text
//!   delivery -> runs of events of one directory -> block in memory -> .events.<log>-0.<first>.tmp
//!       token waits  <-----------------------------------------------  | sync, rename, sync of the folder
//!                                                      events.<log>-0.<first>-<last>.log
//! ```
//!
//! Finished files appear by an atomic rename, are never changed afterwards, and their names carry the positions of
//! their events. So a restart can tell what is in files already, and a durable channel plus this sink is effectively
//! once: every event in exactly one finished file, where one sink has the group to itself.
//!
//! Invariants
//! - A token is acknowledged when every file that holds one of its events is finished: written, synced, renamed, its
//!   folder synced. On a channel that forgets (memory) it is acknowledged when the events are written: holding it back
//!   would protect nothing and only fill the channel. With compression that is when their block is.
//! - A name `first-last` claims all events of its directory and prefix from first to last. One lane writes, one file
//!   per directory and partition at a time, and where a delivery does not follow the one before it (another sink of the
//!   group took what lies between, or it is a repeat) all files of the partition are finished first. Sinks that share a
//!   group therefore make small files; give each a group or have one sink only.
//! - A repeated event is looked for in the finished files of its own directory only, and left out if one claims it.
//! - A failure leaves no file open: files in progress are removed, their deliveries come again.
//! - Files in progress are locked; a leftover is a file that is not. Nothing is ever overwritten.
//!
//! | crash here | durable channel | memory channel |
//! |---|---|---|
//! | before the first write | delivered again | lost with the channel |
//! | file in progress | deleted at the next start, delivered again: `tests::a_crash_before_the_rename_repeats_everything_once` | kept at the next start as `-recovered`, up to its last whole line or block: `tests::leftovers_of_a_lost_channel_are_kept` |
//! | some files of a delivery renamed, others not | the renamed ones are found by name and their events left out: `tests::a_crash_between_files_repeats_only_what_is_in_none` | all are kept |
//! | renamed, position not yet released | found by name, left out: `tests::a_crash_after_the_rename_repeats_nothing` | finished |
//! | acknowledged | finished and synced | finished, or in the page cache |
//!
//! | fault here | this happens |
//! |---|---|
//! | folder cannot be created or written | the sink does not start, or the delivery comes again: `tests::faults::an_unwritable_root_is_a_start_error`, `tests::faults::a_folder_that_cannot_be_made_holds_events_back` |
//! | disk full | everything in progress is removed, the delivery comes again: `tests::faults::a_full_disk_loses_and_repeats_nothing`; on a memory channel what was acknowledged is finished first: `tests::faults::a_full_disk_keeps_what_was_acknowledged` |
//! | another sink of the group takes a delivery between | files are finished at the gap: `tests::a_gap_finishes_files` |
//!
//! `log` below stands for the identity of the channel: a log that is made anew is another one, and nothing is
//! concluded from its offsets. What is *not* promised: two sinks of one group with different folders or prefixes do
//! not see each other's files, so an event that one has finished and not yet released may come to the other after a
//! crash. And after a change of `path` that gives old directories a new meaning, events between the released position
//! and the crash may be taken for written; change `prefix` with it.

mod config;
mod disk;
mod error;
mod recover;
mod store;
#[cfg(test)]
mod tests;
mod whole;

pub use config::files_sink_type;
