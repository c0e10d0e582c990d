//! A frame to headers and body: RFC 5424, RFC 3164 and what devices really send.
//!
//! Two steps: [`parse_header`] for every line, in one pass and without allocation, up to where Flume's body begins;
//! [`parse_message`] only where someone asks for tag, process id, structured data. Both take any bytes without
//! panicking. Neither unescapes, decodes or validates text: results are spans of the line as it was sent.
//!
//! ```text
//!   <165>1 2003-10-11T22:14:15.003Z mymachine su 710 ID47 [ex@32473 iut="3"] 'su root' failed
//!    PRI V TIMESTAMP                HOST      ^ message  (app procid msgid structured-data msg)
//!
//!   <189>42: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured from console
//!    PRI SEQ  TIMESTAMP                ^ message  (tag: msg); no host
//! ```
//!
//! | line | what comes out |
//! |---|---|
//! | no `<0>`..`<191>` at its start | [`Status::Invalid`], nothing else; the message is the whole line |
//! | no timestamp that can be read | the message is everything after PRI; no host, as nothing says where it is |
//! | timestamp without a host (`Mar  1 18:46:11: %SYS-5-...`) | the message starts after the timestamp |
//! | timestamp without a year | the year that brings it nearest: see [`ParseContext`] |
//! | timestamp without a zone | the local zone of the context |
//!
//! No line is ever refused: what is not understood stays in the message.

mod context;
mod header;
mod message;
mod stamp;
mod zone;

pub use context::ParseContext;
pub use header::{Format, Header, Status, parse_header};
pub use message::{Message, parse_message};

#[cfg(test)]
mod tests;
