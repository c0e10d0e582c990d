//! Thrift's compact protocol, as far as Parquet's footer and page headers need it.

use std::io;

use super::{damage, input};

/// Types of fields.
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;

/// Parquet nests less; more is damage, and would be a stack of our own.
const DEPTH_MAX: u32 = 16;

/// What is left of the bytes.
pub(super) struct Thrift<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Thrift<'a> {
    /// Calls `each` with number and type of every field of a struct; it takes the value and says `true`, or leaves it.
    pub(super) fn fields(&mut self, each: &mut dyn FnMut(&mut Self, i64, u8) -> io::Result<bool>) -> io::Result<()> {
        let mut number = 0_i64;
        loop {
            let [head] = input::array(&mut self.rest)?;
            let (step, kind) = (head >> 4, head & 15);
            if kind == 0 {
                return Ok(());
            }
            number = if step == 0 { self.number()? } else { number.saturating_add(step.into()) };
            if !each(self, number, kind)? {
                self.skip(kind, 0)?;
            }
        }
    }

    /// Calls `each` for every item of a list of `kind`, which it takes.
    pub(super) fn items(&mut self, kind: u8, each: &mut dyn FnMut(&mut Self) -> io::Result<()>) -> io::Result<()> {
        let (own, count) = self.list()?;
        if own != kind && count > 0 {
            return Err(damage(format!("a list is of type {own}, not {kind}")));
        }
        (0..count).try_for_each(|_| each(self))
    }

    pub(super) fn number(&mut self) -> io::Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.unsigned()?;
        let length = input::checked(i64::try_from(length).unwrap_or(i64::MAX), self.rest.len(), "a text")?;
        input::split(&mut self.rest, length)
    }

    fn list(&mut self) -> io::Result<(u8, u64)> {
        let [head] = input::array(&mut self.rest)?;
        let count = if head >> 4 == 15 { self.unsigned()? } else { (head >> 4).into() };
        Ok((head & 15, count))
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = input::array(&mut self.rest)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damage("a number has more than 64 bits"))
    }

    fn skip(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(damage("structs lie too deep in each other"));
        }
        match kind {
            // A field that is true or false has no bytes, an item of a list has one; see `skip_item`.
            1 | 2 => {}
            3 => drop(input::split(&mut self.rest, 1)?),
            4 | I32 | I64 => drop(self.unsigned()?),
            7 => drop(input::split(&mut self.rest, 8)?),
            BINARY => drop(self.bytes()?),
            LIST | 10 => {
                let (item, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_item(item, depth + 1))?;
            }
            11 => {
                let count = self.unsigned()?;
                let kinds = if count == 0 { 0 } else { input::array::<1>(&mut self.rest)?[0] };
                (0..count).try_for_each(|_| {
                    self.skip_item(kinds >> 4, depth + 1)?;
                    self.skip_item(kinds & 15, depth + 1)
                })?;
            }
            STRUCT => self.skip_fields(depth + 1)?,
            13 => drop(input::split(&mut self.rest, 16)?),
            other => return Err(damage(format!("there is no type {other}"))),
        }
        Ok(())
    }

    fn skip_item(&mut self, kind: u8, depth: u32) -> io::Result<()> {
        match kind {
            1 | 2 => input::split(&mut self.rest, 1).map(drop),
            kind => self.skip(kind, depth),
        }
    }

    fn skip_fields(&mut self, depth: u32) -> io::Result<()> {
        loop {
            let [head] = input::array(&mut self.rest)?;
            if head & 15 == 0 {
                return Ok(());
            }
            if head >> 4 == 0 {
                self.number()?;
            }
            self.skip(head & 15, depth)?;
        }
    }
}
