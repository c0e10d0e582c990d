//! One file in progress.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_event::Origin;

use super::disk;
use super::error::FileError;
use super::format::LineWriter;
use super::name::{Finished, InProgress};
use super::pack::Packer;

/// Room for the line that completes a block, in bytes; a longer one makes the buffer grow for the moment.
const LINE_ROOM: usize = 8 << 10;

/// When a file is finished. `None`: not for this reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RollLimits {
    /// Bytes of lines, before compression; the line that reaches it is the last.
    pub(super) bytes: Option<u64>,
    /// Events.
    pub(super) events: Option<u64>,
    /// Time since its first event.
    pub(super) time: Option<Duration>,
    /// Time since its last event.
    pub(super) idle: Option<Duration>,
}

/// How files are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FileStyle {
    /// First part of the names.
    pub(super) prefix: String,
    /// Last part of the names of finished files.
    pub(super) suffix: String,
    /// Bytes of lines that are gathered before they are written.
    pub(super) block_bytes: usize,
    /// Permissions of files, before the umask.
    pub(super) file_mode: u32,
    /// Permissions of folders, before the umask.
    pub(super) directory_mode: u32,
    /// Whether files and folders are synced before anything is acknowledged.
    pub(super) sync: bool,
    /// When files are finished.
    pub(super) limits: RollLimits,
}

/// A file that is written. Dropping it leaves the file on disk as a crash would.
pub(super) struct OpenFile {
    directory: Arc<Path>,
    path: PathBuf,
    name: InProgress,
    file: File,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    line_bytes: u64,
    events: u64,
    /// Offset of the last event taken.
    last: u64,
    /// Bytes on disk that are whole blocks, and the offset of the last event in them.
    stored_bytes: u64,
    stored_last: Option<u64>,
    opened_at: Instant,
    written_at: Instant,
    /// Grows with each use among all files of the sink: the smallest is the least recently written.
    pub(super) used: u64,
    /// Deliveries with events in this file that wait for it, each once after the mark.
    waiting: Vec<u64>,
    /// So many of `waiting` have all their events on disk.
    stored_waiting: usize,
}

impl OpenFile {
    /// Creates the file, and its folder where that is missing.
    pub(super) fn create(
        style: &FileStyle,
        directory: &Arc<Path>,
        name: InProgress,
        now: Instant,
    ) -> Result<Self, FileError> {
        let path = directory.join(name.format(&style.prefix));
        let create = || disk::create_in_progress(&path, style.file_mode);
        let file = match create() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                disk::create_directories(directory, style.directory_mode, style.sync)
                    .map_err(FileError::on("create the folder", directory))?;
                create()
            }
            result => result,
        };
        Ok(Self {
            directory: directory.clone(),
            file: file.map_err(FileError::on("create", &path))?,
            path,
            name,
            buffer: Vec::with_capacity(style.block_bytes + LINE_ROOM),
            line_bytes: 0,
            events: 0,
            last: name.first,
            stored_bytes: 0,
            stored_last: None,
            opened_at: now,
            written_at: now,
            used: 0,
            waiting: Vec::new(),
            stored_waiting: 0,
        })
    }

    /// The folder it is in.
    pub(super) fn directory(&self) -> &Arc<Path> {
        &self.directory
    }

    /// The channel its events come from.
    pub(super) fn partition(&self) -> u32 {
        self.name.channel.partition
    }

    /// Takes events `rows`, until the file is full; returns the first row that it did not take. Copies their lines,
    /// and writes when a block is full.
    pub(super) fn append(
        &mut self,
        lines: &LineWriter<'_>,
        origin: &Origin,
        rows: Range<usize>,
        now: Instant,
        style: &FileStyle,
        packer: &mut Packer,
    ) -> Result<usize, FileError> {
        self.written_at = now;
        let (bytes_max, events_max) = (style.limits.bytes.unwrap_or(u64::MAX), style.limits.events.unwrap_or(u64::MAX));
        let mut row = rows.start;
        while row < rows.end && self.line_bytes < bytes_max && self.events < events_max {
            let before = self.buffer.len();
            lines.write(row, &mut self.buffer);
            self.line_bytes += (self.buffer.len() - before) as u64;
            self.events += 1;
            self.last = origin.offset(row).unwrap_or(self.last);
            row += 1;
            if self.buffer.len() >= style.block_bytes {
                self.write_out(packer, style.block_bytes)?;
            }
        }
        Ok(row)
    }

    /// Whether it has reached a limit of size.
    pub(super) fn is_full(&self, limits: RollLimits) -> bool {
        limits.bytes.is_some_and(|bytes_max| self.line_bytes >= bytes_max)
            || limits.events.is_some_and(|events_max| self.events >= events_max)
    }

    /// When it is to be finished if nothing is written any more.
    pub(super) fn due_at(&self, limits: RollLimits) -> Option<Instant> {
        let by_time = limits.time.map(|time| self.opened_at + time);
        let by_idle = limits.idle.map(|idle| self.written_at + idle);
        by_time.into_iter().chain(by_idle).min()
    }

    /// Writes what is gathered to the file.
    pub(super) fn write_out(&mut self, packer: &mut Packer, block_bytes: usize) -> Result<(), FileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let packed = packer.pack(&self.buffer).map_err(FileError::on("compress for", &self.path))?;
        self.file.write_all(packed).map_err(FileError::on("write", &self.path))?;
        self.stored_bytes += packed.len() as u64;
        self.stored_last = Some(self.last);
        self.stored_waiting = self.waiting.len();
        self.buffer.clear();
        if self.buffer.capacity() > 2 * block_bytes {
            // One giant event must not fatten a file for good.
            self.buffer.shrink_to(block_bytes + LINE_ROOM);
        }
        Ok(())
    }

    /// Notes that delivery `id` waits for this file; whether it is news.
    pub(super) fn hold(&mut self, id: u64) -> bool {
        let is_news = self.waiting[self.stored_waiting..].last() != Some(&id);
        if is_news {
            self.waiting.push(id);
        }
        is_news
    }

    /// Whether everything taken is on disk, as far as the system is asked.
    pub(super) fn is_written_out(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The deliveries whose events are all written, synced or not; each is named once and then forgotten.
    pub(super) fn take_stored(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.waiting.drain(..std::mem::take(&mut self.stored_waiting))
    }

    /// Writes and syncs everything and gives the file its final name. The folder is not synced.
    pub(super) fn publish(&mut self, style: &FileStyle, packer: &mut Packer) -> Result<PathBuf, FileError> {
        self.write_out(packer, style.block_bytes)?;
        self.publish_written(style)
    }

    /// The same for what is written already.
    pub(super) fn publish_written(&mut self, style: &FileStyle) -> Result<PathBuf, FileError> {
        if style.sync {
            self.file.sync_data().map_err(FileError::on("sync", &self.path))?;
        }
        let finished = Finished { channel: self.name.channel, offsets: self.name.first..=self.last };
        let path = self.directory.join(finished.format(&style.prefix, &style.suffix));
        disk::rename_new(&self.path, &path).map_err(FileError::on("give the final name to", &self.path))?;
        Ok(path)
    }

    /// Takes back what is not written as a whole block; `false` if nothing is left then.
    pub(super) fn cut_back(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        let Some(last) = self.stored_last else { return Ok(false) };
        self.last = last;
        self.file.set_len(self.stored_bytes)?;
        Ok(true)
    }

    /// The name in progress.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Events taken.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The deliveries that still wait.
    pub(super) fn into_waiting(self) -> Vec<u64> {
        self.waiting
    }
}
