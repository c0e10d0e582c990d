//! [`HdfsError`]: what failed, of which kind, where.

use std::fmt;

/// What a caller decides by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HdfsErrorKind {
    /// The path, or its parent, is not there.
    NotFound,
    /// Something is there already.
    AlreadyExists,
    /// The user may not do this.
    PermissionDenied,
    /// The NameNode takes no changes at the moment.
    SafeMode,
    /// No NameNode of the name service is active.
    Standby,
    /// Disks are full, or a quota is used up.
    NoSpace,
    /// Another writer has the file open.
    LeaseHeld,
    /// A deadline of ours passed.
    Timeout,
    /// Nobody answered, or a connection broke.
    Unavailable,
    /// Data is not what was written.
    Corrupt,
    /// The transport or the server cannot do this.
    Unsupported,
    /// Anything else.
    Other,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct HdfsError {
    /// What a caller decides by.
    pub kind: HdfsErrorKind,
    /// What was done: `create`, `rename`.
    pub operation: &'static str,
    /// On which path.
    pub path: String,
    /// Who answered, or did not: `host:port`; empty if nobody was asked.
    pub peer: String,
    /// What happened, in one line: the server's exception and the first line of its message, or what the system said.
    pub detail: String,
}

impl fmt::Display for HdfsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.path)?;
        if !self.peer.is_empty() {
            write!(f, " at {}", self.peer)?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for HdfsError {}
