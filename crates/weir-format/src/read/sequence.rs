//! SequenceFiles; see the writer's module for their form.

use std::io::{self, BufRead, Read};

use super::codec::{self, Packing};
use super::input::{self, Input};
use super::{Limits, Progress, ReadError, StoredEvent, damage};
use crate::format::{SequenceCompression, SequenceValue};
use crate::sequence::{BYTES_CLASS, ESCAPE, KEY_BYTES, KEY_CLASS, TEXT_CLASS, VERSION};

/// Names of classes and pairs of metadata are shorter than that.
const TEXT_BYTES_MAX: usize = 1 << 20;
const MARKER_BYTES: usize = 16;
/// What a value has before its body.
const LENGTH_BYTES_MAX: usize = 9;

/// Calls `each` with the body and time of every record of a SequenceFile.
///
/// # Errors
/// [`ReadError`].
pub fn sequence(file: impl Read, limits: Limits, each: &mut dyn FnMut(StoredEvent<'_>)) -> Result<(), ReadError> {
    let mut reader = Reader {
        input: Input::new(input::buffered(file)),
        limits,
        progress: Progress::default(),
        buffer: Vec::new(),
        plain: Default::default(),
        each,
    };
    reader.read().map_err(|error| reader.progress.failed(error))
}

/// What the header says.
struct Header {
    value: SequenceValue,
    compression: Option<(SequenceCompression, Packing)>,
    marker: [u8; MARKER_BYTES],
}

struct Reader<'a, R> {
    input: Input<R>,
    limits: Limits,
    progress: Progress,
    /// A record, or a packed part of a block.
    buffer: Vec<u8>,
    /// Unpacked: a value, or the four parts of a block.
    plain: [Vec<u8>; 4],
    each: &'a mut dyn FnMut(StoredEvent<'_>),
}

impl<R: BufRead> Reader<'_, R> {
    fn read(&mut self) -> io::Result<()> {
        let header = header(&mut self.input)?;
        loop {
            self.progress.at = self.input.at();
            if self.input.is_end()? {
                return Ok(());
            }
            match header.compression {
                Some((SequenceCompression::Block, packing)) => self.block(&header, packing)?,
                Some((SequenceCompression::Record, packing)) => self.record(&header, Some(packing))?,
                None => self.record(&header, None)?,
            }
        }
    }

    /// A record, or a marker in its place.
    fn record(&mut self, header: &Header, packing: Option<Packing>) -> io::Result<()> {
        let length = input::array::<4>(&mut self.input)?;
        if length == ESCAPE {
            return self.marker(header);
        }
        let key_length = u32::from_be_bytes(input::array(&mut self.input)?);
        let max = self.limits.event_bytes_max.saturating_add(KEY_BYTES + LENGTH_BYTES_MAX);
        let length = i32::from_be_bytes(length).into();
        input::bytes(&mut self.input, length, max, "a record", &mut self.buffer)?;
        let mut record = &self.buffer[..];
        let key = key(&mut record, key_length.into())?;
        if let Some(packing) = packing {
            codec::unpack(packing, record, max, &mut self.plain[0])?;
            record = &self.plain[0];
        }
        let body = body(header.value, record)?;
        (self.each)(StoredEvent { time_ms: Some(key), ..StoredEvent::of_body(body) });
        self.progress.events += 1;
        Ok(())
    }

    fn marker(&mut self, header: &Header) -> io::Result<()> {
        if input::array(&mut self.input)? != header.marker {
            return Err(damage("the marker is not that of the file"));
        }
        Ok(())
    }

    fn block(&mut self, header: &Header, packing: Packing) -> io::Result<()> {
        if input::array(&mut self.input)? != ESCAPE {
            return Err(damage("no block begins there"));
        }
        self.marker(header)?;
        let records = number(&mut self.input)?;
        for plain in &mut self.plain {
            let (length, max) = (number(&mut self.input)?, self.limits.block_bytes_max);
            input::bytes(&mut self.input, length, max, "a part of a block", &mut self.buffer)?;
            codec::unpack(packing, &self.buffer, max, plain)?;
        }
        let [mut key_lengths, mut keys, mut value_lengths, mut values] = self.plain.each_ref().map(|part| &part[..]);
        for _ in 0..records {
            let key = key(&mut keys, number(&mut key_lengths)?)?;
            let length = number(&mut value_lengths)?;
            let length = input::checked(length, values.len(), "a value")?;
            let body = body(header.value, input::split(&mut values, length)?)?;
            (self.each)(StoredEvent { time_ms: Some(key), ..StoredEvent::of_body(body) });
            self.progress.events += 1;
        }
        match [key_lengths, keys, value_lengths, values].iter().all(|part| part.is_empty()) && records >= 0 {
            true => Ok(()),
            false => Err(damage(format!("the block has more in it than the {records} records that it claims"))),
        }
    }
}

fn header(input: &mut Input<impl BufRead>) -> io::Result<Header> {
    if input::array(input)? != VERSION {
        return Err(damage("the file is no SequenceFile of version 6"));
    }
    let (key, value) = (text(input)?, text(input)?);
    if key != KEY_CLASS {
        return Err(damage(format!("the keys are of class {key:?}, not {KEY_CLASS}")));
    }
    let value = match value.as_str() {
        BYTES_CLASS => SequenceValue::Writable,
        TEXT_CLASS => SequenceValue::Text,
        other => return Err(damage(format!("the values are of class {other:?}, neither BytesWritable nor Text"))),
    };
    let compression = match input::array(input)? {
        [0, 0] => None,
        [1, 0] => Some(SequenceCompression::Record),
        [1, 1] => Some(SequenceCompression::Block),
        other => return Err(damage(format!("the header has {other:?} where it says whether it is compressed"))),
    };
    let packing = |input: &mut Input<_>| {
        let class = text(input)?;
        Packing::of_class(&class).ok_or_else(|| damage(format!("codec {class:?} is not known here")))
    };
    let compression = compression.map(|kind| packing(input).map(|packing| (kind, packing))).transpose()?;
    let pairs = i32::from_be_bytes(input::array(input)?);
    if pairs < 0 {
        return Err(damage(format!("the header claims {pairs} pairs of metadata")));
    }
    for _ in 0..pairs {
        text(input)?;
        text(input)?;
    }
    Ok(Header { value, compression, marker: input::array(input)? })
}

/// `Text.readString`.
fn text(input: &mut Input<impl BufRead>) -> io::Result<String> {
    let mut text = Vec::new();
    let length = number(input)?;
    input::bytes(input, length, TEXT_BYTES_MAX, "a text of the header", &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn key(bytes: &mut &[u8], length: i64) -> io::Result<i64> {
    if length != KEY_BYTES as i64 {
        return Err(damage(format!("a key claims {length} bytes, where a LongWritable has {KEY_BYTES}")));
    }
    Ok(i64::from_be_bytes(input::array(bytes)?))
}

/// What a value holds: all that follows its length.
fn body(value: SequenceValue, mut bytes: &[u8]) -> io::Result<&[u8]> {
    let length = match value {
        SequenceValue::Writable => i32::from_be_bytes(input::array(&mut bytes)?).into(),
        SequenceValue::Text => number(&mut bytes)?,
    };
    if length != bytes.len() as i64 {
        return Err(damage(format!("a value claims {length} bytes and has {}", bytes.len())));
    }
    Ok(bytes)
}

/// `WritableUtils.readVLong`.
fn number(input: &mut impl Read) -> io::Result<i64> {
    let [first] = input::array(input)?;
    let first = first as i8;
    let (count, is_negative) = match first {
        -112.. => return Ok(first.into()),
        -120..=-113 => (-112 - i32::from(first), false),
        _ => (-120 - i32::from(first), true),
    };
    let mut number = 0;
    for _ in 0..count {
        let [byte] = input::array(input)?;
        number = number << 8 | i64::from(byte);
    }
    Ok(if is_negative { !number } else { number })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// Scenario: any number, alone and cut off.
        /// Guarantees: it is read back, or refused.
        #[test]
        fn numbers_are_read_back(number: i64, shift in 0_u32..64) {
            let wanted = number >> shift;
            let mut out = Vec::new();
            crate::sequence::write_number(wanted, &mut out);
            prop_assert_eq!(super::number(&mut &out[..]).ok(), Some(wanted));
            prop_assert!(super::number(&mut &out[..out.len() - 1]).is_err());
        }
    }
}
