//! Groups: who has to be done with a record before it may go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::SyncSite;
use crate::errors::GroupError;
use crate::reader::Reader;
use crate::report::GroupStatus;
use crate::shared::Shared;
use crate::slots::{Kind, Slot, SlotFile};

/// Suffix of position files.
pub(crate) const POSITION_SUFFIX: &str = ".pos";

/// A reader group of a log: a durable position. Cloning shares it.
#[derive(Clone)]
pub struct Group {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inner: Arc<GroupInner>,
}

pub(crate) struct GroupInner {
    pub(crate) name: String,
    pub(crate) released: AtomicU64,
    pub(crate) persisted: AtomicU64,
}

impl GroupInner {
    pub(crate) fn new(name: &str, position: u64) -> Self {
        let (released, persisted) = (AtomicU64::new(position), AtomicU64::new(position));
        Self { name: name.to_owned(), released, persisted }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        // Sequentially consistent, as in `release`: either the releasing thread sees the position persisted and wakes
        // the writer, or the writer sees the release.
        self.released.load(Ordering::SeqCst) > self.persisted.load(Ordering::SeqCst)
    }

    pub(crate) fn status(&self, durable_end: u64) -> GroupStatus {
        let position = self.released.load(Ordering::Acquire);
        let durable_position = self.persisted.load(Ordering::Acquire);
        GroupStatus { name: self.name.clone(), position, durable_position, lag: durable_end.saturating_sub(position) }
    }
}

impl Group {
    /// The name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Everything below it was released.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.inner.released.load(Ordering::Acquire)
    }

    /// The group is done with everything below `up_to`. Never goes back, and never past the durable end: both are
    /// clamped. Does not touch the disk; the writer thread persists the position within
    /// [`crate::LogOptions::position_delay_max`], before any segment below it is deleted, and at close.
    pub fn release(&self, up_to: u64) {
        let up_to = up_to.min(self.shared.durable_end());
        let before = self.inner.released.fetch_max(up_to, Ordering::SeqCst);
        // The writer learns of the first release of a series; it then looks at all of them.
        if before < up_to && before <= self.inner.persisted.load(Ordering::SeqCst) {
            self.shared.kick();
        }
    }

    /// A reader that starts at `from`. Any number may read a group, or several groups, independently.
    #[must_use]
    pub fn reader(&self, from: u64) -> Reader {
        Reader::new(self.shared.clone(), from)
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Group").field("name", &self.name()).field("position", &self.position()).finish()
    }
}

/// Whether `name` can be a group: it becomes a file name, so no path may hide in it.
pub(crate) fn is_valid_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

fn position_path(shared: &Shared, name: &str) -> PathBuf {
    shared.groups_dir.join(format!("{name}{POSITION_SUFFIX}"))
}

/// Takes a group found at open into the log. `newest` is what its file says, `None` if that is damaged.
pub(crate) fn adopt(shared: &Shared, name: &str, position: u64, newest: Option<Slot>) {
    let file = SlotFile::open(&*shared.disk, position_path(shared, name), Kind::Position, shared.id, newest);
    shared.positions.lock().insert(name.to_owned(), file);
    let mut state = shared.state.lock();
    let inner = GroupInner::new(name, position);
    // Not yet known to be durable: what was read may come from the page cache.
    inner.persisted.store(state.start_offset, Ordering::SeqCst);
    state.groups.insert(name.to_owned(), Arc::new(inner));
}

/// Opens a group, or makes it durably.
pub(crate) fn open(shared: &Arc<Shared>, name: &str) -> Result<Group, GroupError> {
    if !is_valid_name(name) {
        return Err(GroupError::Name { name: name.to_owned() });
    }
    let mut positions = shared.positions.lock();
    let inner = {
        let mut state = shared.state.lock();
        if let Some(inner) = state.groups.get(name) {
            return Ok(Group { shared: shared.clone(), inner: inner.clone() });
        }
        // Registered before its file is made, so that from here on nothing it has to read is deleted.
        let inner = Arc::new(GroupInner::new(name, state.start_offset));
        state.groups.insert(name.to_owned(), inner.clone());
        inner
    };
    let path = position_path(shared, name);
    let mut file = SlotFile::open(&*shared.disk, path.clone(), Kind::Position, shared.id, None);
    match file.write(&*shared.disk, inner.persisted.load(Ordering::Acquire), 0) {
        Ok(()) => {
            positions.insert(name.to_owned(), file);
            Ok(Group { shared: shared.clone(), inner })
        }
        Err(source) => {
            // Or the next opening would find a group that nobody was told of, and hold records for it.
            let _ = shared.disk.unlink(&path);
            shared.state.lock().groups.remove(name);
            Err(GroupError::Io { name: name.to_owned(), path, source })
        }
    }
}

/// Forgets a group. What only it had still to read may be deleted at once.
pub(crate) fn drop_group(shared: &Shared, name: &str) -> Result<(), GroupError> {
    let mut positions = shared.positions.lock();
    if !shared.state.lock().groups.contains_key(name) {
        return Err(GroupError::Unknown { name: name.to_owned() });
    }
    let path = position_path(shared, name);
    let failed = |source| GroupError::Io { name: name.to_owned(), path: path.clone(), source };
    match shared.disk.unlink(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // Its file is gone from here on, so it cannot stay even if that is not durable.
    positions.remove(name);
    shared.state.lock().groups.remove(name);
    shared.disk.sync_dir(&shared.groups_dir, SyncSite::PositionRename).map_err(failed)?;
    drop(positions);
    shared.kick();
    Ok(())
}
