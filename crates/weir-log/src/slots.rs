//! Small values that are overwritten in place: positions of groups, and the epoch of the log.
//!
//! A slot file has two slots, 4 KiB apart so that no write touches both. Values are written to them in turn, each with
//! a sequence number, the id of the log and a CRC; the newest valid one counts (L6). A write that is torn leaves the
//! other slot. The file is allocated in full when it is made: overwriting it needs no space on a full disk (L9).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile, SyncSite, read_tolerant, write_all};
use crate::errors::Refusal;
use crate::format::OFFSET_CEILING;

const MAGIC: u32 = 0x5745_4952;
const VERSION: u16 = 1;
const SLOT_BYTES: usize = 48;
const SLOT_STRIDE: usize = 4096;
pub(crate) const FILE_BYTES: usize = 2 * SLOT_STRIDE;

/// What a slot file is about; part of every slot, so that a file in the wrong place is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Meta = 1,
    Position = 2,
}

/// One stored value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) sequence: u64,
    pub(crate) log_id: u64,
    /// Meta: the epoch. Position: the offset up to which the group is done.
    pub(crate) value: u64,
    /// Meta: one more than the end of the log at a clean close, 0 while open. Position: 0.
    pub(crate) extra: u64,
}

impl Slot {
    pub(crate) fn encode(&self, kind: Kind) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&(kind as u16).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.value.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.extra.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..SLOT_BYTES - 4]);
        bytes[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], kind: Kind) -> Option<Self> {
        let bytes: &[u8; SLOT_BYTES] = bytes.get(..SLOT_BYTES)?.try_into().ok()?;
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let crc = crc32c::crc32c(&bytes[..SLOT_BYTES - 4]).to_le_bytes();
        let head = Self { sequence: 0, log_id: 0, value: 0, extra: 0 }.encode(kind);
        let slot = Self { sequence: word(8), log_id: word(16), value: word(24), extra: word(32) };
        let valid = bytes[..8] == head[..8] && bytes[SLOT_BYTES - 4..] == crc && slot.value < OFFSET_CEILING;
        (valid && slot.extra <= OFFSET_CEILING && slot.sequence < u64::MAX).then_some(slot)
    }
}

/// The two slots in the content of a file, as far as it reaches.
fn raw_slots(bytes: &[u8]) -> [&[u8]; 2] {
    [0, SLOT_STRIDE].map(|at| bytes.get(at..(at + SLOT_BYTES).min(bytes.len())).unwrap_or_default())
}

/// The greatest version in a whole slot, if it is newer than this code reads. Relies only on what all versions share:
/// where the magic, the version and the CRC stand. One such slot is enough, since the older value beside it may be out
/// of date.
pub(crate) fn newer_version(bytes: &[u8]) -> Option<u16> {
    let version = |slot: &[u8]| {
        let slot: &[u8; SLOT_BYTES] = slot.try_into().ok()?;
        let crc = crc32c::crc32c(&slot[..SLOT_BYTES - 4]).to_le_bytes();
        let is_whole = slot[..4] == MAGIC.to_le_bytes() && slot[SLOT_BYTES - 4..] == crc;
        is_whole.then(|| u16::from_le_bytes([slot[4], slot[5]]))
    };
    raw_slots(bytes).into_iter().filter_map(version).max().filter(|version| *version > VERSION)
}

/// What the two slots of a file say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    /// The newest valid value.
    pub(crate) newest: Option<Slot>,
    /// A slot holds something that is not a value: a torn write or damage.
    pub(crate) damaged: bool,
}

/// Reads both slots out of the content of a file.
pub(crate) fn decode_file(bytes: &[u8], kind: Kind) -> Verdict {
    let raw = raw_slots(bytes);
    let read = raw.map(|bytes| Slot::decode(bytes, kind));
    let damaged = raw.iter().zip(&read).any(|(raw, read)| read.is_none() && raw.iter().any(|byte| *byte != 0));
    let newest = read.into_iter().flatten().max_by_key(|slot| slot.sequence);
    Verdict { newest, damaged: damaged || newest.is_none() }
}

/// Reads a slot file without changing it. `None` if there is none.
///
/// # Errors
/// The file cannot be opened, or was written by a newer version.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path, kind: Kind) -> Result<Option<Verdict>, Refusal> {
    let file = match disk.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Refusal::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    // Unreadable is as good as damaged: both slots are gone, the caller starts over from the segments.
    if read_tolerant(&*file, &mut bytes, FILE_BYTES, 0).is_err() {
        bytes.clear();
    }
    if let Some(found) = newer_version(&bytes) {
        return Err(Refusal::Version { path: path.to_owned(), found, known: VERSION });
    }
    Ok(Some(decode_file(&bytes, kind)))
}

/// The sync sites of one kind of slot file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sites {
    pub(crate) write: SyncSite,
    pub(crate) create: SyncSite,
    pub(crate) rename: SyncSite,
}

/// Sites of the meta file.
pub(crate) const META_SITES: Sites =
    Sites { write: SyncSite::Meta, create: SyncSite::MetaCreate, rename: SyncSite::MetaRename };
/// Sites of a position file.
pub(crate) const POSITION_SITES: Sites =
    Sites { write: SyncSite::Position, create: SyncSite::PositionCreate, rename: SyncSite::PositionRename };

/// A slot file that is written.
pub(crate) struct SlotFile {
    path: PathBuf,
    kind: Kind,
    sites: Sites,
    log_id: u64,
    sequence: u64,
    /// `None` after a failed write: that descriptor is not trusted again, the file is made anew.
    file: Option<Arc<dyn DiskFile>>,
}

impl SlotFile {
    /// Takes over an existing file whose newest value is `newest`, or prepares to make one at the first write.
    pub(crate) fn open(disk: &dyn Disk, path: PathBuf, kind: Kind, log_id: u64, newest: Option<Slot>) -> Self {
        let sites = if kind == Kind::Meta { META_SITES } else { POSITION_SITES };
        // A file without a valid slot, or cut short, is made anew: a write into it might need space.
        let file = newest.and_then(|_| disk.open(&path, Access::Write).ok());
        let file = file.filter(|file| file.bytes().is_ok_and(|bytes| bytes == FILE_BYTES as u64));
        Self { path, kind, sites, log_id, sequence: newest.map_or(0, |slot| slot.sequence), file }
    }

    /// Makes `value` durable: on `Ok` it survives a power loss. On an error the older value may or may not have been
    /// replaced, and the next write makes a new file, since a descriptor whose sync failed proves nothing any more.
    pub(crate) fn write(&mut self, disk: &dyn Disk, value: u64, extra: u64) -> io::Result<()> {
        let slot = Slot { sequence: self.sequence + 1, log_id: self.log_id, value, extra };
        match self.file.take() {
            Some(file) => {
                let at = (slot.sequence % 2) * SLOT_STRIDE as u64;
                if write_all(&*file, &slot.encode(self.kind), at).and_then(|()| file.sync(self.sites.write)).is_err() {
                    self.create(disk, slot)?;
                } else {
                    self.file = Some(file);
                }
            }
            None => self.create(disk, slot)?,
        }
        self.sequence = slot.sequence;
        Ok(())
    }

    /// Makes the file under another name, complete and synced, and puts it in place with one rename.
    fn create(&mut self, disk: &dyn Disk, slot: Slot) -> io::Result<()> {
        let mut bytes = vec![0; FILE_BYTES];
        let at = (slot.sequence % 2) as usize * SLOT_STRIDE;
        bytes[at..at + SLOT_BYTES].copy_from_slice(&slot.encode(self.kind));
        let temporary = self.path.with_extension("tmp");
        if let Err(error) = disk.unlink(&temporary)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = disk.create(&temporary)?;
        write_all(&*file, &bytes, 0)?;
        file.sync(self.sites.create)?;
        disk.rename(&temporary, &self.path)?;
        let directory = self.path.parent().expect("a slot file lies in a directory of the log");
        disk.sync_dir(directory, self.sites.rename)?;
        self.file = Some(file);
        Ok(())
    }
}
