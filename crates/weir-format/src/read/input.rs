//! [`Input`]: bytes with their position.

use std::io::{self, BufRead, BufReader, Read};

use super::damage;

const BUFFER_BYTES: usize = 256 << 10;

/// A stream that knows how much of it was taken.
pub(super) struct Input<R> {
    reader: R,
    at: u64,
}

/// `file` in pieces that are worth a call.
pub(super) fn buffered<R: Read>(file: R) -> BufReader<R> {
    BufReader::with_capacity(BUFFER_BYTES, file)
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, at: 0 }
    }

    /// Bytes taken so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn is_end(&mut self) -> io::Result<bool> {
        loop {
            match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                found => return Ok(found?.is_empty()),
            }
        }
    }
}

impl<R: BufRead> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(out)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The next `N` bytes.
pub(super) fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    input.read_exact(&mut out).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(),
        _ => error,
    })?;
    Ok(out)
}

/// Fills `out` with the next `length` bytes, if `length` is one that `what` may have. Memory grows as they come.
pub(super) fn bytes(input: &mut impl Read, length: i64, max: usize, what: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let length = checked(length, max, what)?;
    out.clear();
    if input.take(length as u64).read_to_end(out)? < length {
        return Err(cut_off());
    }
    Ok(())
}

/// `length`, if `what` may have it.
pub(super) fn checked(length: i64, max: usize, what: &str) -> io::Result<usize> {
    match usize::try_from(length) {
        Ok(length) if length <= max => Ok(length),
        Ok(length) => Err(damage(format!("{what} claims {length} bytes; more than {max} are not taken"))),
        Err(_) => Err(damage(format!("{what} claims {length} bytes"))),
    }
}

/// The next `length` of `bytes`.
pub(super) fn split<'a>(bytes: &mut &'a [u8], length: usize) -> io::Result<&'a [u8]> {
    let (found, rest) = bytes.split_at_checked(length).ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(found)
}

/// The bytes end too early.
pub(super) fn cut_off() -> io::Error {
    damage("it is cut off: the bytes end before it does")
}
