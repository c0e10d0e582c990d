//! Reusable byte buffers behind batches.
//!
//! A fresh large buffer costs a page fault per 4 KiB at first touch, more than framing and parsing what is read into
//! it. So buffers are recycled: the last batch that refers to an arena gives its memory back to the pool.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A growable buffer that returns to its pool when the last reference to it goes away.
#[derive(Debug)]
pub struct Arena {
    bytes: Vec<u8>,
    home: Option<Arc<Shelf>>,
}

#[derive(Debug)]
struct Shelf {
    /// Guards the free buffers; held for a push or pop only.
    free: Mutex<Vec<Vec<u8>>>,
    arena_bytes: usize,
    free_max: usize,
}

/// A shelf of free buffers of one capacity. Cloning shares the shelf.
#[derive(Clone, Debug)]
pub struct ArenaPool {
    shelf: Arc<Shelf>,
}

impl ArenaPool {
    /// A pool of buffers of `arena_bytes` capacity that keeps at most `free_max` of them while unused.
    #[must_use]
    pub fn new(arena_bytes: usize, free_max: usize) -> Self {
        Self { shelf: Arc::new(Shelf { free: Mutex::new(Vec::new()), arena_bytes, free_max }) }
    }

    /// An empty arena: a recycled one, or a new allocation.
    #[must_use]
    pub fn take(&self) -> Arena {
        let recycled = self.shelf.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = recycled.unwrap_or_else(|| Vec::with_capacity(self.shelf.arena_bytes));
        Arena { bytes, home: Some(self.shelf.clone()) }
    }

    /// Capacity of each arena.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.shelf.arena_bytes
    }
}

impl Arena {
    /// An arena without a pool, for tests and one-off batches.
    #[must_use]
    pub fn detached(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }

    /// The buffer itself.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was written so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Ends writing; the memory goes back to the pool when the last clone or slice of the result is dropped.
    ///
    /// An arena that is mostly empty is copied to a buffer of its size and goes back at once: a quiet source must not
    /// make a channel keep large arenas for a few bytes each.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        if self.home.is_some() && self.bytes.len() < self.bytes.capacity() / 4 {
            return Bytes::copy_from_slice(&self.bytes);
        }
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Arena {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        // An arena that had to grow past twice its size is not kept: one giant event must not fatten the pool.
        if self.bytes.capacity() > 2 * home.arena_bytes {
            return;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < home.free_max {
            free.push(bytes);
        }
    }
}
