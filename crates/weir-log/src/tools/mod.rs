//! Looking at a log from outside: check, dump, repair. None of them takes the log's lock or changes one of its files, so
//! check and dump also work beside a running agent; they then see what was written so far.

mod check;
mod dump;
mod repair;

pub use check::{CheckReport, FileState, GroupCheck, SegmentCheck, check};
pub use dump::{DumpReport, dump};
pub use repair::{RepairReport, repair};

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::errors::Refusal;

/// Why a tool stopped. Damage is no reason to: it is what the tools report.
#[derive(Debug, Error)]
pub enum ToolError {
    /// There are no segments.
    #[error("there is no log in {}", dir.display())]
    NoLog {
        /// Where one was looked for.
        dir: PathBuf,
    },
    /// Repair never writes into anything that exists.
    #[error("{} is not empty; name a new directory", dir.display())]
    NotEmpty {
        /// Where the repaired log was to go.
        dir: PathBuf,
    },
    /// The file system refused; or, if `source` is of kind [`io::ErrorKind::Unsupported`] and says so, a newer Weir
    /// wrote the file, and guessing at it would be worse than no answer.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

impl ToolError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl From<Refusal> for ToolError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Io { action, path, source } => Self::Io { action, path, source },
            Refusal::Version { path, found, known } => {
                let what = format!(
                    "it is of format version {found}, this weir reads up to {known}: written by a newer Weir; \
                     use the tools of that version"
                );
                Self::Io { action: "read", path, source: io::Error::new(io::ErrorKind::Unsupported, what) }
            }
        }
    }
}
