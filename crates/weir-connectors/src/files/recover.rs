//! Leftovers of a run that did not end well.
//!
//! A file in progress that nobody writes any more is deleted if the channel will deliver its events again, and kept
//! otherwise: what is whole of it gets a final name with `-recovered` in it. A leftover that cannot be dealt with stays
//! where it is and is reported.

use std::fs::{DirEntry, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};
use weir_engine::channel::Position;
use weir_format::{Codec, Format};

use super::disk;
use super::whole::whole_part;
use crate::tree::file::FileStyle;
use crate::tree::name::InProgress;

/// Folders between two lines of the log about a long search: some seconds on a slow disk.
const FOLDERS_PER_REPORT: u64 = 10_000;

/// Where to look, and what to do.
pub(super) struct Recovery<'a> {
    /// Name of the sink, for the log.
    pub(super) sink: &'a str,
    /// Where paths begin.
    pub(super) root: &'a Path,
    /// How many folders below the root files are; nothing is looked for further down.
    pub(super) depth: usize,
    /// How files are made now.
    pub(super) style: &'a FileStyle,
    /// Whether files and folders are synced.
    pub(super) sync: bool,
    /// What files are now: decides the suffix of what is kept.
    pub(super) format: Format,
    /// The channel as it is now.
    pub(super) positions: &'a [Position],
}

/// What became of the leftovers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Recovered {
    /// Folders searched.
    pub(super) folders: u64,
    /// Deleted, because their events come again.
    pub(super) deleted: u64,
    /// Kept under a final name.
    pub(super) kept: u64,
    /// Deleted, because nothing in them was whole.
    pub(super) empty: u64,
    /// Left alone, because somebody writes them.
    pub(super) in_use: u64,
    /// Left alone, because something failed.
    pub(super) failed: u64,
}

/// What became of one.
enum Outcome {
    Deleted,
    Kept(PathBuf),
    Empty,
    InUse,
}

impl Recovery<'_> {
    /// Searches all folders that paths can name and deals with every leftover of this prefix. Follows no links.
    pub(super) fn run(&self) -> Recovered {
        let mut report = Recovered::default();
        let mut folders = vec![(self.root.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            report.folders += 1;
            if report.folders.is_multiple_of(FOLDERS_PER_REPORT) {
                info!(sink = self.sink, folders = report.folders, waiting = folders.len(), "looking for leftovers");
            }
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    warn!(sink = self.sink, folder = %folder.display(), %error, "folder not searched for leftovers");
                    continue;
                }
            };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < self.depth => folders.push((entry.path(), depth + 1)),
                    Ok(kind) if kind.is_file() => self.consider(&entry, &mut report),
                    _ => {}
                }
            }
        }
        info!(
            sink = self.sink,
            folders = report.folders,
            deleted = report.deleted,
            kept = report.kept,
            empty = report.empty,
            in_use = report.in_use,
            failed = report.failed,
            "looked for leftovers"
        );
        report
    }

    fn consider(&self, entry: &DirEntry, report: &mut Recovered) {
        let name = entry.file_name();
        let Some(leftover) = name.to_str().and_then(|name| InProgress::parse(name, &self.style.prefix)) else { return };
        let path = entry.path();
        let (sink, file) = (self.sink, path.display());
        match self.settle(&path, leftover) {
            Ok(Outcome::Deleted) => {
                report.deleted += 1;
                info!(sink, %file, "leftover deleted: its events come again");
            }
            Ok(Outcome::Kept(kept)) => {
                report.kept += 1;
                warn!(sink, %file, kept = %kept.display(), "leftover kept: its events do not come again");
            }
            Ok(Outcome::Empty) => {
                report.empty += 1;
                warn!(sink, %file, "leftover deleted: nothing in it is whole");
            }
            Ok(Outcome::InUse) => {
                report.in_use += 1;
                info!(sink, %file, "unfinished file left alone: another sink writes it");
            }
            Err(error) => {
                report.failed += 1;
                warn!(sink, %file, %error, "leftover not dealt with: it stays until the next start");
            }
        }
    }

    fn settle(&self, path: &Path, leftover: InProgress) -> io::Result<Outcome> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        if !disk::lock(&file)? {
            return Ok(Outcome::InUse);
        }
        let position = self.positions.iter().find(|position| position.channel == leftover.channel);
        if position.is_some_and(|position| leftover.first >= position.released) {
            std::fs::remove_file(path)?;
            return Ok(Outcome::Deleted);
        }
        let part = whole_part(&mut file)?;
        if part.bytes == 0 {
            std::fs::remove_file(path)?;
            return Ok(Outcome::Empty);
        }
        file.set_len(part.bytes)?;
        let suffix = if part.suffix == self.format.codec().suffix() {
            self.style.suffix.clone()
        } else {
            format!("{}{}", lines(self.format), part.suffix)
        };
        self.keep(path, &file, leftover, &suffix).map(Outcome::Kept)
    }

    /// Gives a leftover a final name that is free.
    fn keep(&self, path: &Path, file: &File, leftover: InProgress, suffix: &str) -> io::Result<PathBuf> {
        if self.sync {
            file.sync_all()?;
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut attempt = 1;
        loop {
            let kept = folder.join(leftover.format_recovered(&self.style.prefix, attempt, suffix));
            match disk::rename_new(path, &kept) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error),
                Ok(()) if self.sync => return disk::sync_directory(folder).map(|()| kept),
                Ok(()) => return Ok(kept),
            }
        }
    }
}

/// The end of the name of such a file without compression.
fn lines(format: Format) -> String {
    Format::new(format.layout(), Codec::None).map_or_else(|_| String::new(), |plain| plain.suffix())
}
