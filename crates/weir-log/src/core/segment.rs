//! Making segments (L2, L9).

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Core;
use super::commit::Fault;
use super::machine::Active;
use crate::SyncSite;
use crate::disk::{DiskFile, write_all};
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, arrival_seconds, segment_name};
use crate::shared::SegmentView;

/// Names tried for one base offset before giving up; each poisoned segment without a good batch takes one.
const ATTEMPTS_MAX: u32 = 1000;
/// Space kept aside so that positions can be written on a full disk even where overwriting takes space (copy on write).
const RESERVE_BYTES: u64 = 1 << 20;

impl Core {
    /// Makes a segment that starts at offset `base`: allocated in full, with header, file and directory entry durable
    /// before anything is appended. Readers see it at once, empty.
    pub(crate) fn create_segment(&mut self, base: u64) -> Result<Active, Fault> {
        let (path, file) = self.create_file(base)?;
        let header = SegmentHeader {
            log_id: self.shared.id,
            base,
            epoch: self.shared.epoch,
            ordinal: self.ordinal,
            created_ms: self.clock.unix_ms(),
        };
        self.ordinal += 1;
        if let Err(fault) = self.fill_new(&path, &*file, &header) {
            // A leftover is recognised by its older ordinal or its missing header.
            let _ = self.disk.unlink(&path);
            return Err(fault);
        }
        let created_s = arrival_seconds(header.created_ms);
        let view = SegmentView::new(path, base, Some(header.epoch), SEGMENT_HEADER_BYTES, created_s);
        let view = Arc::new(view);
        let mut state = self.shared.state.lock();
        state.segments.push(view.clone());
        state.used_bytes += SEGMENT_HEADER_BYTES;
        Ok(Active { file, view, written: SEGMENT_HEADER_BYTES, end: base })
    }

    fn create_file(&self, base: u64) -> Result<(std::path::PathBuf, Arc<dyn DiskFile>), Fault> {
        let fallback = self.dirs.fallback.as_ref().filter(|_| self.uses_fallback);
        let dir = fallback.unwrap_or(&self.dirs.segments);
        let mut attempt = 0;
        loop {
            let path = dir.join(segment_name(base, attempt));
            match self.disk.create(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(Fault::new("create", &path, &error)),
            }
        }
    }

    fn fill_new(&self, path: &Path, file: &dyn DiskFile, header: &SegmentHeader) -> Result<(), Fault> {
        file.allocate(self.options.segment_bytes).map_err(|error| Fault::new("allocate", path, &error))?;
        write_all(file, &header.encode(), 0).map_err(|error| Fault::new("write the header of", path, &error))?;
        file.sync(SyncSite::SegmentHeader).map_err(|error| Fault::new("sync the header of", path, &error))?;
        let dir = path.parent().expect("a segment lies in a directory of the log");
        self.disk.sync_dir(dir, SyncSite::SegmentCreate).map_err(|error| Fault::new("sync the directory", dir, &error))
    }

    /// Makes sure that there is space to give up when the disk is full. Best effort: without it, positions are only
    /// written on a full disk where overwriting takes no space.
    pub(crate) fn make_reserve(&mut self) {
        let path = self.dirs.root.join("reserve");
        if self.has_reserve {
            return;
        }
        let made = match self.disk.create(&path) {
            Ok(file) => file.allocate(RESERVE_BYTES.min(self.options.segment_bytes)).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
        };
        if !made {
            let _ = self.disk.unlink(&path);
        }
        self.has_reserve = made;
    }

    /// Gives the reserve up. `false` if there was none.
    pub(crate) fn spend_reserve(&mut self) -> bool {
        let had = std::mem::take(&mut self.has_reserve);
        had && self.disk.unlink(&self.dirs.root.join("reserve")).is_ok()
    }
}
