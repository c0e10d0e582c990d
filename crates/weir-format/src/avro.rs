//! Avro object container files (Avro specification 1.11, "Object Container Files").

use std::borrow::Cow;
use std::io;

use weir_event::{Column, EventBatch, HeaderName, names};

use crate::Codec;
use crate::codec::Compressor;
use crate::format::Layout;
use crate::rows::Syslog;

pub(crate) const MAGIC: [u8; 4] = *b"Obj\x01";
/// Flume's event, as its `avro_event` serializer declares it.
const FLUME_SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}"#;
/// A syslog record; fields that a device did not send are null.
const SYSLOG_SCHEMA: &str = r#"{"type":"record","name":"Syslog","namespace":"weir","fields":[{"name":"timestamp","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},{"name":"facility","type":["null","int"]},{"name":"severity","type":["null","int"]},{"name":"host","type":["null","string"]},{"name":"app","type":["null","string"]},{"name":"procid","type":["null","string"]},{"name":"msgid","type":["null","string"]},{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}"#;

/// Appends an event as Flume's record.
pub(crate) fn gather_flume(batch: &EventBatch, headers: &[(&HeaderName, &Column)], row: usize, out: &mut Vec<u8>) {
    write_headers(batch, headers, row, out);
    write_bytes(batch.body(row), out);
}

/// Appends an event as a syslog record.
pub(crate) fn gather_syslog(syslog: &Syslog<'_>, row: usize, out: &mut Vec<u8>) {
    let batch = syslog.batch;
    write_optional(batch.timestamp_ms(row), out);
    for name in [names::FACILITY, names::SEVERITY] {
        let number = batch.numbers(name.as_str()).get(row);
        write_optional(number.filter(|number| i32::try_from(*number).is_ok()), out);
    }
    for field in &syslog.fields {
        match field.and_then(|column| batch.value(column, row)) {
            Some(value) => {
                write_long(1, out);
                write_string(&value, out);
            }
            None => write_long(0, out),
        }
    }
    write_headers(batch, &syslog.headers, row, out);
    write_bytes(batch.body(row), out);
}

/// A union of null and a number.
fn write_optional(number: Option<i64>, out: &mut Vec<u8>) {
    match number {
        Some(number) => {
            write_long(1, out);
            write_long(number, out);
        }
        None => write_long(0, out),
    }
}

fn write_headers(batch: &EventBatch, headers: &[(&HeaderName, &Column)], row: usize, out: &mut Vec<u8>) {
    let present = headers.iter().filter(|(_, column)| batch.value(column, row).is_some()).count();
    if present > 0 {
        write_long(present as i64, out);
        for (name, column) in headers {
            if let Some(value) = batch.value(column, row) {
                write_bytes(name.as_str().as_bytes(), out);
                write_string(&value, out);
            }
        }
    }
    write_long(0, out);
}

/// Text, with what is none of it replaced: readers check it.
fn write_string(value: &[u8], out: &mut Vec<u8>) {
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(text) => write_bytes(text.as_bytes(), out),
        Cow::Owned(text) => write_bytes(text.as_bytes(), out),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Zigzag, then seven bits a byte, the lowest first.
pub(crate) fn write_long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads what [`write_long`] wrote; `None` if it is cut off or longer than a number.
pub(crate) fn read_long(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

/// Reads what `write_bytes` wrote.
pub(crate) fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_long(bytes)?).ok()?;
    let (found, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(found)
}

/// The header of a file.
pub(crate) fn header(
    layout: Layout,
    codec: Codec,
    metadata: &[(String, String)],
    marker: &[u8; 16],
    out: &mut Vec<u8>,
) {
    let schema = if layout == Layout::AvroFlume { FLUME_SCHEMA } else { SYSLOG_SCHEMA };
    let codec = match codec {
        Codec::None | Codec::Lz4 => "null",
        Codec::Gzip(_) => "deflate",
        Codec::Snappy => "snappy",
        Codec::Zstd(_) => "zstandard",
        Codec::Bzip2(_) => "bzip2",
    };
    out.extend_from_slice(&MAGIC);
    write_long(2 + metadata.len() as i64, out);
    let own = [("avro.schema", schema), ("avro.codec", codec)];
    let more = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in own.into_iter().chain(more) {
        write_bytes(key.as_bytes(), out);
        write_bytes(value.as_bytes(), out);
    }
    write_long(0, out);
    out.extend_from_slice(marker);
}

/// A block of gathered records.
pub(crate) fn block(
    gathered: &[u8],
    events: u64,
    marker: &[u8; 16],
    packed: &mut Vec<u8>,
    compressor: &mut Compressor,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    packed.clear();
    compressor.avro(gathered, packed)?;
    write_long(events as i64, out);
    write_bytes(packed, out);
    out.extend_from_slice(marker);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Scenario: any number, alone and cut off.
        /// Guarantees: it is read back, or refused.
        #[test]
        fn numbers_are_read_back(number: i64) {
            let mut out = Vec::new();
            write_long(number, &mut out);
            prop_assert_eq!(read_long(&mut &out[..]), Some(number));
            prop_assert_eq!(read_long(&mut &out[..out.len() - 1]), None);
        }
    }
}
