//! Source `syslog`: RFC 5424, RFC 3164 and what devices really send, over UDP, TCP and unix sockets.
//!
//! ```text
//!   listeners (lane 0) --accept--> least busy lane        lane = thread, epoll, one arena
//!   stream readable -> carry + read into the arena -> frames -> headers -> columns    no copy of an event
//!   datagrams       -> recvmmsg -> arena           -> the same
//!   arena full or batch_delay over -> batch -> interceptors -> channels (waits if they are full: back-pressure)
//! ```
//!
//! Plain syslog cannot be acknowledged, so the promise starts when a batch has its receipt; what is lost before is
//! counted where it can be.
//!
//! | crash here | this happens | test |
//! |---|---|---|
//! | in the kernel's buffers | lost with the machine; while Weir runs, datagrams that did not fit are counted by the kernel and reported as fault `kernel drops` | `udp_books_balance_with_kernel_drops` |
//! | read, not yet appended | lost: at most one arena and `batch_delay` per lane | `killed_agent_keeps_every_receipt` |
//! | appended, receipt came | safe in a durable channel | `killed_agent_keeps_every_receipt` |
//! | agent stops | what was read is appended, receipts waited for, partial lines kept as events | `a_stopping_source_keeps_partial_lines` |
//!
//! A line that does not parse is kept whole, with header `flume.syslog.status` = `Invalid`; a part of an over-long or
//! unfinished frame has `Incomplete`.

mod assembler;
mod config;
mod connection;
mod lane;
mod listen;
mod socket;
#[cfg(test)]
mod tests;

pub use config::syslog_source_type;
