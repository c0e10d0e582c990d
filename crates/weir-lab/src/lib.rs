//! Load: the sender, the stamps it puts on events, and the accounts made from them.
//!
//! ```text
//!   Synth or a file -> blocks -> sender --tcp/udp/unix--> the system under test --> files
//!                        | stamps: producer, sequence, time                           |
//!                        v                                                           v
//!                     receipts journal (what was acknowledged)  --- verdict ---  account (what is there)
//! ```
//!
//! The accounts share no code with the system under test: they read finished files as plain text. Nothing here
//! prints; a caller reads [`Progress`] while [`send`] runs. A load tool pointed at a live system by mistake is a
//! fault, so targets off this machine are refused unless asked for by name.
//!
//! | module | what |
//! |---|---|
//! | [`sender`] | lines over TCP, UDP or Unix sockets, at a rate or flat out |
//! | [`stamp`] | producer, sequence number and send time as fixed-width text in an event |
//! | [`account`] | which sequence numbers were seen, and the verdict against what was acknowledged |
//! | [`files`] | finished output files to an account |
//! | [`journal`] | acknowledged ranges, kept safe from the death of the process that notes them |
//! | [`measure`] | CPU time and memory of a process |

pub mod account;
pub mod files;
mod intervals;
pub mod journal;
pub mod measure;
pub mod sender;
pub mod stamp;

pub use account::{Account, SequenceRange, Sequences, Verdict};
pub use files::{FilesAccount, ReadFilesError, read_files};
pub use intervals::Intervals;
pub use sender::{Progress, SendError, SendOptions, SendReport, Target, send};
pub use stamp::Stamp;
