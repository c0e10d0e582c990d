//! Avro object containers whose records have a body: Flume's event, our syslog record, and what is like them.

use std::io::{self, BufRead, Read};

use super::codec::{self, Packing};
use super::input::{self, Input};
use super::schema::{Type, Value, items, long, sized};
use super::{Limits, Progress, ReadError, StoredEvent, damage};
use crate::avro::MAGIC;

/// The schema and what else the header carries are shorter than that, each.
const METADATA_BYTES_MAX: usize = 16 << 20;
const MARKER_BYTES: usize = 16;
const NUMBER_BYTES_MAX: usize = 10;

/// Calls `each` with every event of an Avro container.
///
/// # Errors
/// [`ReadError`].
pub fn avro(file: impl Read, limits: Limits, each: &mut dyn FnMut(StoredEvent<'_>)) -> Result<(), ReadError> {
    let mut progress = Progress::default();
    read(Input::new(input::buffered(file)), limits, &mut progress, each).map_err(|error| progress.failed(error))
}

/// What the header says.
struct Header {
    record: Record,
    unpack: fn(&[u8], usize, &mut Vec<u8>) -> io::Result<()>,
    marker: [u8; MARKER_BYTES],
}

/// The fields of a record, and which of them events are made of.
struct Record {
    fields: Vec<(String, Type)>,
}

fn read(
    mut input: Input<impl BufRead>,
    limits: Limits,
    progress: &mut Progress,
    each: &mut dyn FnMut(StoredEvent<'_>),
) -> io::Result<()> {
    let header = header(&mut input)?;
    let (mut packed, mut plain) = (Vec::new(), Vec::new());
    loop {
        progress.at = input.at();
        if input.is_end()? {
            return Ok(());
        }
        let records = read_number(&mut input)?;
        let length = read_number(&mut input)?;
        input::bytes(&mut input, length, limits.block_bytes_max, "a block", &mut packed)?;
        (header.unpack)(&packed, limits.block_bytes_max, &mut plain)?;
        if input::array(&mut input)? != header.marker {
            return Err(damage("the marker behind the block is not that of the file"));
        }
        let (mut rest, mut headers) = (&plain[..], Vec::new());
        for _ in 0..records {
            header.record.take(&mut rest, &mut headers, each)?;
            progress.events += 1;
        }
        if !rest.is_empty() || records < 0 {
            return Err(damage(format!("the block has more in it than the {records} records that it claims")));
        }
    }
}

fn header(input: &mut Input<impl BufRead>) -> io::Result<Header> {
    if input::array(input)? != MAGIC {
        return Err(damage("the file is no Avro container"));
    }
    let (mut schema, mut codec) = (Vec::new(), b"null".to_vec());
    let (mut key, mut value) = (Vec::new(), Vec::new());
    loop {
        let mut pairs = read_number(input)?;
        if pairs == 0 {
            break;
        }
        if pairs < 0 {
            read_number(input)?;
            pairs = pairs.saturating_neg();
        }
        for _ in 0..pairs {
            for part in [&mut key, &mut value] {
                let length = read_number(input)?;
                input::bytes(input, length, METADATA_BYTES_MAX, "a part of the header", part)?;
            }
            match &key[..] {
                b"avro.schema" => std::mem::swap(&mut schema, &mut value),
                b"avro.codec" => std::mem::swap(&mut codec, &mut value),
                _ => {}
            }
        }
    }
    let unpack = match &codec[..] {
        b"null" => |packed: &[u8], max, out: &mut Vec<u8>| codec::unpack(Packing::None, packed, max, out),
        b"deflate" => codec::unpack_deflate,
        b"snappy" => codec::unpack_snappy_with_sum,
        b"zstandard" => |packed: &[u8], max, out: &mut Vec<u8>| codec::unpack(Packing::Zstd, packed, max, out),
        b"bzip2" => |packed: &[u8], max, out: &mut Vec<u8>| codec::unpack(Packing::Bzip2, packed, max, out),
        other => return Err(damage(format!("codec {:?} is not known here", String::from_utf8_lossy(other)))),
    };
    Ok(Header { record: Record::of(&schema)?, unpack, marker: input::array(input)? })
}

impl Record {
    fn of(schema: &[u8]) -> io::Result<Self> {
        let schema =
            serde_json::from_slice(schema).map_err(|error| damage(format!("the schema is no JSON: {error}")))?;
        match Type::of(&schema)? {
            Type::Record(fields) if fields.iter().any(|(name, kind)| name == "body" && matches!(kind, Type::Bytes)) => {
                Ok(Self { fields })
            }
            _ => Err(damage("the schema is none of records with a field body of bytes")),
        }
    }

    /// Takes a record off the front of `bytes`.
    fn take<'a>(
        &self,
        bytes: &mut &'a [u8],
        headers: &mut Vec<(&'a [u8], &'a [u8])>,
        each: &mut dyn FnMut(StoredEvent<'_>),
    ) -> io::Result<()> {
        headers.clear();
        let mut event = StoredEvent::of_body(&[]);
        for (name, kind) in &self.fields {
            match (name.as_str(), kind) {
                ("headers", Type::Map(value)) if matches!(**value, Type::Bytes) => items(bytes, &mut |bytes| {
                    headers.push((sized(bytes)?, sized(bytes)?));
                    Ok(())
                })?,
                _ => match (name.as_str(), kind.take(bytes)?) {
                    ("body", Value::Bytes(body)) => event.body = body,
                    ("timestamp", Value::Number(ms)) => event.time_ms = Some(ms),
                    _ => {}
                },
            }
        }
        each(StoredEvent { headers, ..event });
        Ok(())
    }
}

/// A number at the front of what is still to be read.
fn read_number(input: &mut Input<impl BufRead>) -> io::Result<i64> {
    let mut bytes = [0; NUMBER_BYTES_MAX];
    for index in 0..NUMBER_BYTES_MAX {
        let [byte] = input::array(input)?;
        bytes[index] = byte;
        if byte & 0x80 == 0 {
            return long(&mut &bytes[..=index]);
        }
    }
    Err(damage("a number has more than 10 bytes"))
}
