//! `file://`: a folder of this machine behind the same trait, for tests and for what is mounted (NAS).
//!
//! Promises are those of HDFS: a path is absolute and `/` is the root that [`LocalFileSystem`] was given; parents are made
//! as needed by `create`; `rename` never overwrites; what `sync`, `close` and `rename` say is done is on disk, the entry in
//! the folder included, so it survives a power cut.
//!
//! What differs: bytes are visible as soon as they are written, so `flush` does nothing; nobody holds a lease, so
//! `recover_lease` always says that the file is closed, and it is for the caller to know that the writer is dead;
//! replication and size of blocks are not kept.
//!
//! Every call runs on a thread of the runtime for blocking calls and has a deadline. A file system that hangs (NFS whose
//! server is gone) keeps that thread until it answers; the caller goes on with an error.

mod disk;
mod filesystem;
#[cfg(test)]
mod tests;
mod writer;

pub use filesystem::LocalFileSystem;
