//! A small file system for a DataNode, to be filled up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, mounted on a folder; unmounted when dropped.
#[derive(Debug)]
pub(super) struct Volume {
    folder: PathBuf,
}

impl Volume {
    /// Mounts one of `bytes` on `folder`. The caller is in a mount namespace of its own, so nobody else sees it.
    pub(super) fn mount(folder: &Path, bytes: u64) -> io::Result<Self> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Makes it larger or smaller; what is in it stays.
    pub(super) fn resize(&self, bytes: u64) -> io::Result<()> {
        run(Command::new("mount").args(["-o", &format!("remount,size={bytes}")]).arg(&self.folder))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // At the latest it ends with the namespace.
        let _ = run(Command::new("umount").arg("-l").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
