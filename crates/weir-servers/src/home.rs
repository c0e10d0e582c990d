//! The folder of a cluster: gone with it, unless somebody wants to see why a test failed.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use crate::report;

/// A temporary folder. To be dropped after the servers that write to it.
#[derive(Debug)]
pub struct Home {
    kind: &'static str,
    folder: Option<TempDir>,
    is_kept: AtomicBool,
}

impl Home {
    /// A new one for a cluster of `kind`.
    pub(crate) fn new(kind: &'static str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("weir-{kind}-")).tempdir()?;
        Ok(Self { kind, folder: Some(folder), is_kept: AtomicBool::new(false) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().expect("it is taken when this is dropped, not before").path()
    }

    /// Leaves it where it is when this is dropped, and names it on standard error. A drop during a panic does so by itself.
    pub(crate) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if (self.is_kept.load(Ordering::Relaxed) || std::thread::panicking())
            && let Some(folder) = self.folder.take()
        {
            report(&format!("{}: the logs are kept in {}", self.kind, folder.keep().display()));
        }
    }
}
