//! WebHDFS and HttpFS: HDFS over HTTP, for clusters that let nothing else in.
//!
//! A file is one PUT with a chunked body: the NameNode names a DataNode, which takes the bytes and writes them with Hadoop's
//! own client, so that it is the one that survives other DataNodes. What is ours: a NameNode that does not answer or is not
//! active gives way to the next one; a DataNode that does not answer is not asked again for [`WebHdfsOptions::excluded_time`]
//! (the NameNode goes on listing it for ten minutes); a body that stands still for [`WebHdfsOptions::write_timeout`] is an
//! error, if the DataNode that takes it does not answer; if it does, it waits for another one behind it, and has
//! [`WebHdfsOptions::pipeline_timeout`] to notice.
//!
//! What the protocol does not have, and what is done instead:
//! - *flush, sync*: the request is ended, which completes the file, and the next write begins an APPEND, once the NameNode
//!   knows of all copies or half of [`WebHdfsOptions::write_timeout`] has passed. Files are made with `SYNC_BLOCK` (unless
//!   [`CreateOptions`](crate::CreateOptions) says otherwise), so what comes before the first flush is on the disks of all
//!   DataNodes when it returns. APPEND has no such flag: from then on bytes are as durable as `dfs.datanode.synconclose` makes
//!   them, in the memory of all DataNodes if that is off. A sink that never flushes before closing is not concerned.
//! - *errors of a create*: a file that is there is reported by `create`; what only the DataNode finds (no permission, no
//!   space) comes with a later `write`, or with `close`.
//! - *abandon*: the connection is cut; the DataNode then completes the file with what it has. The name must be one that
//!   nobody takes for a whole file.
//! - *lease recovery*: an APPEND of nothing, which makes the NameNode recover the file once its writer was silent for a
//!   minute. To get rid of a file, `delete` is enough whoever has it open.
//!
//! HttpFS refuses to say why a rename did not happen; the statuses of both paths say it then.

mod authentication;
mod client;
mod excluded;
mod filesystem;
mod json;
mod options;
mod reader;
pub(crate) mod remote;
#[cfg(test)]
mod tests;
mod tls;
mod upload;
mod writer;

pub use filesystem::WebHdfs;
pub use options::{Authentication, WebHdfsError, WebHdfsOptions};
