//! Hadoop's SequenceFile, version 6 (`org.apache.hadoop.io.SequenceFile`), as Flume's HDFS sink writes it: keys are
//! `LongWritable` times, values `BytesWritable` or `Text` bodies.
//!
//! ```text
//!   header   "SEQ" 6 | key class | value class | compressed? | in blocks? | codec class | metadata | marker of 16 bytes
//!   record   length of key and value | length of key | key | value, packed or not       (-1 and the marker now and then)
//!   block    -1 | marker | number of records | lengths of keys | keys | lengths of values | values
//!            each of the four: packed length, packed bytes
//! ```

use std::io;

use weir_event::EventBatch;

use crate::Codec;
use crate::codec::Compressor;
use crate::format::{SequenceCompression, SequenceValue};

pub(crate) const VERSION: [u8; 4] = *b"SEQ\x06";
pub(crate) const KEY_CLASS: &str = "org.apache.hadoop.io.LongWritable";
pub(crate) const BYTES_CLASS: &str = "org.apache.hadoop.io.BytesWritable";
pub(crate) const TEXT_CLASS: &str = "org.apache.hadoop.io.Text";
pub(crate) const KEY_BYTES: usize = 8;
/// In place of a length: the marker follows.
pub(crate) const ESCAPE: [u8; 4] = (-1_i32).to_be_bytes();
/// Bytes between markers in files of records, as Hadoop 3 has it: a reader that begins in the middle finds one.
const MARKER_EVERY_BYTES: usize = 5 * 1024 * 20;
/// What a gathered event has before its body: time, length.
const GATHERED_HEAD: usize = KEY_BYTES + 4;

/// Gathered keys and values, and what is packed of them; kept for the next block.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) keys: Vec<u8>,
    key_lengths: Vec<u8>,
    values: Vec<u8>,
    value_lengths: Vec<u8>,
    packed: Vec<u8>,
}

/// What a file of this kind is like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) value: SequenceValue,
    pub(crate) compression: SequenceCompression,
    pub(crate) codec: Codec,
    pub(crate) marker: [u8; 16],
}

/// Time of the event (its arrival if it has none), length of the body, body.
#[inline]
pub(crate) fn gather(batch: &EventBatch, row: usize, out: &mut Vec<u8>) {
    let body = batch.body(row);
    let ms = batch.timestamp_ms(row).unwrap_or(batch.arrival_ms());
    out.extend_from_slice(&ms.to_be_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

/// Key and body of each gathered event.
fn gathered(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_at_checked(GATHERED_HEAD)?;
        let (key, length) = head.split_at(KEY_BYTES);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (body, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some((key, body))
    })
}

/// The header of a file.
pub(crate) fn header(
    value: SequenceValue,
    compression: SequenceCompression,
    codec: Codec,
    metadata: &[(String, String)],
    marker: &[u8; 16],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&VERSION);
    write_text(KEY_CLASS.as_bytes(), out);
    let class = match value {
        SequenceValue::Writable => BYTES_CLASS,
        SequenceValue::Text => TEXT_CLASS,
    };
    write_text(class.as_bytes(), out);
    let codec = codec.class();
    out.push(u8::from(codec.is_some()));
    out.push(u8::from(codec.is_some() && compression == SequenceCompression::Block));
    if let Some(codec) = codec {
        write_text(codec.as_bytes(), out);
    }
    out.extend_from_slice(&(metadata.len() as u32).to_be_bytes());
    for (key, value) in metadata {
        write_text(key.as_bytes(), out);
        write_text(value.as_bytes(), out);
    }
    out.extend_from_slice(marker);
}

/// Gathered events as records or as one block.
pub(crate) fn block(
    shape: Shape,
    bytes: &[u8],
    buffers: &mut Buffers,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    if shape.codec != Codec::None && shape.compression == SequenceCompression::Block {
        return compressed_block(shape, bytes, buffers, compressor, out);
    }
    let mut marked = None;
    for (key, body) in gathered(bytes) {
        if marked.is_none_or(|at| out.len() - at >= MARKER_EVERY_BYTES) {
            out.extend_from_slice(&ESCAPE);
            out.extend_from_slice(&shape.marker);
            marked = Some(out.len());
        }
        let value = &mut buffers.values;
        value.clear();
        write_value(shape.value, body, value)?;
        if shape.codec != Codec::None {
            buffers.packed.clear();
            compressor.hadoop(value, &mut buffers.packed)?;
            std::mem::swap(value, &mut buffers.packed);
        }
        out.extend_from_slice(&length(KEY_BYTES + value.len())?);
        out.extend_from_slice(&(KEY_BYTES as u32).to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    Ok(())
}

fn compressed_block(
    shape: Shape,
    bytes: &[u8],
    buffers: &mut Buffers,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let Buffers { keys, key_lengths, values, value_lengths, packed } = buffers;
    [&mut *keys, &mut *key_lengths, &mut *values, &mut *value_lengths].into_iter().for_each(Vec::clear);
    let mut records = 0;
    for (key, body) in gathered(bytes) {
        keys.extend_from_slice(key);
        write_number(KEY_BYTES as i64, key_lengths);
        let before = values.len();
        write_value(shape.value, body, values)?;
        write_number((values.len() - before) as i64, value_lengths);
        records += 1;
    }
    out.extend_from_slice(&ESCAPE);
    out.extend_from_slice(&shape.marker);
    write_number(records, out);
    for part in [key_lengths, keys, value_lengths, values] {
        packed.clear();
        compressor.hadoop(part, packed)?;
        write_number(packed.len() as i64, out);
        out.extend_from_slice(packed);
    }
    Ok(())
}

fn write_value(value: SequenceValue, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match value {
        SequenceValue::Writable => out.extend_from_slice(&length(body.len())?),
        SequenceValue::Text => write_number(body.len() as i64, out),
    }
    out.extend_from_slice(body);
    Ok(())
}

/// Java counts with 31 bits.
fn length(bytes: usize) -> io::Result<[u8; 4]> {
    let bytes = i32::try_from(bytes).map_err(|_| io::Error::other("an event is larger than 2 GiB"))?;
    Ok(bytes.to_be_bytes())
}

/// `Text.writeString`.
fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_number(text.len() as i64, out);
    out.extend_from_slice(text);
}

/// `WritableUtils.writeVLong`: one byte from -112 to 127; else sign and number of bytes in one, then these, big-endian.
pub(crate) fn write_number(number: i64, out: &mut Vec<u8>) {
    if (-112..=127).contains(&number) {
        out.push(number as i8 as u8);
        return;
    }
    let (base, magnitude) = if number < 0 { (-120, !number) } else { (-112, number) };
    let bytes = (i64::BITS - magnitude.leading_zeros()).div_ceil(8) as i64;
    out.push((base - bytes) as i8 as u8);
    out.extend_from_slice(&magnitude.to_be_bytes()[(8 - bytes) as usize..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: numbers around every change of length.
    /// Guarantees: they are as `WritableUtils` of Hadoop writes them.
    #[test]
    fn numbers_are_as_hadoop_writes_them() {
        for (number, wanted) in [
            (0, vec![0]),
            (127, vec![127]),
            (-112, vec![0x90]),
            (128, vec![0x8f, 0x80]),
            (255, vec![0x8f, 0xff]),
            (256, vec![0x8e, 1, 0]),
            (-113, vec![0x87, 0x70]),
            (65_536, vec![0x8d, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_number(number, &mut out);
            assert_eq!(out, wanted, "{number}");
        }
    }
}
