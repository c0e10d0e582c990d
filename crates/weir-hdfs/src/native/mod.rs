//! Hadoop's own protocol: a NameNode for names, DataNodes for data.
//!
//! A dead or silent DataNode costs a file the time to notice it: the block goes on with the nodes that are left, and the
//! NameNode makes up for the missing copy later. A node that failed is kept out of new blocks for a minute, for all files.
//!
//! It does *not* replace a DataNode within a block (`replace-datanode-on-failure`), does not speak Kerberos, encrypt or
//! protect data transfer, and does not read erasure-coded files: use WebHDFS there. What it writes has copies, whatever policy
//! of erasure coding its directory has.

mod block;
mod connection;
mod datanode;
mod driver;
mod excluded;
mod filesystem;
mod frame;
mod namenode;
mod options;
mod packet;
mod pipeline;
mod reader;
mod recovery;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

pub use filesystem::NativeHdfs;
pub use options::NativeOptions;
