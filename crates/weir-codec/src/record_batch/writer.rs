//! Writing into the spare capacity of a vector without filling it with zeros first.

use std::mem::MaybeUninit;

use super::varint::{VARINT_BYTES_MAX, zigzag};

/// Room past the last byte that short copies may scribble on: the widest of them.
const SLACK_BYTES: usize = 32;

/// Appends to a vector through a window of fixed size. Every write is bounds-checked.
pub(crate) struct Writer<'a> {
    /// Invariant: the first `at` bytes are initialised.
    room: &'a mut [MaybeUninit<u8>],
    at: usize,
}

/// Appends up to `bytes_max` bytes to `out` by means of `write`. Allocates only if the capacity does not suffice.
pub(crate) fn append(out: &mut Vec<u8>, bytes_max: usize, write: impl FnOnce(&mut Writer<'_>)) {
    out.reserve(bytes_max + SLACK_BYTES);
    let before = out.len();
    let mut writer = Writer { room: out.spare_capacity_mut(), at: 0 };
    write(&mut writer);
    let written = writer.at;
    // SAFETY: the writer had the spare capacity, and by its invariant the first `written` bytes are initialised.
    unsafe { out.set_len(before + written) };
}

impl Writer<'_> {
    /// Bytes written so far.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.room[self.at].write(byte);
        self.at += 1;
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.room[self.at..end].write_copy_of_slice(bytes);
        self.at = end;
    }

    /// The `len` bytes of `source` at `start`, by one copy of constant width where they are short: a call of memcpy
    /// costs more than the copy then. What is copied too much is overwritten by the next write.
    #[inline(always)]
    pub(crate) fn short<const WIDTH: usize>(&mut self, source: &[u8], start: usize, len: usize) {
        const { assert!(WIDTH <= SLACK_BYTES) };
        if len <= WIDTH
            && let Some(chunk) = source.get(start..).and_then(|rest| rest.first_chunk::<WIDTH>())
            && let Some(room) = self.room.get_mut(self.at..self.at + WIDTH)
        {
            room.write_copy_of_slice(chunk);
            self.at += len;
        } else {
            self.bytes(&source[start..start + len]);
        }
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self, value: i64) {
        let mut rest = zigzag(value);
        let room = &mut self.room[self.at..self.at + VARINT_BYTES_MAX];
        if rest < 1 << 7 {
            room[0].write(rest as u8);
            self.at += 1;
        } else if rest < 1 << 14 {
            room[0].write(rest as u8 | 0x80);
            room[1].write((rest >> 7) as u8);
            self.at += 2;
        } else {
            let mut count = 0;
            while rest >= 0x80 {
                room[count].write(rest as u8 | 0x80);
                rest >>= 7;
                count += 1;
            }
            room[count].write(rest as u8);
            self.at += count + 1;
        }
    }

    #[inline(always)]
    pub(crate) fn length(&mut self, length: usize) {
        self.varint(length as i64);
    }
}
