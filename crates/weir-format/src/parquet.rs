//! Parquet, by the crate `parquet`: a row group per block, columns of a syslog record.

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::Codec;
use crate::avro::{read_bytes, read_long};
use crate::rows::TEXT_FIELDS;

const SCHEMA: &str = "message syslog {
  optional int64 timestamp (TIMESTAMP(MILLIS,true));
  optional int32 facility;
  optional int32 severity;
  optional binary host (STRING);
  optional binary app (STRING);
  optional binary procid (STRING);
  optional binary msgid (STRING);
  required group headers (MAP) {
    repeated group key_value {
      required binary key (STRING);
      optional binary value (STRING);
    }
  }
  required binary body;
}";

/// A file in progress: what has been written but for its bytes.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<Vec<u8>>,
}

/// A column of a row group: values that are there, and for each event whether one is.
struct Optional<T> {
    values: Vec<T>,
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// The columns of a row group.
#[derive(Default)]
struct Columns {
    timestamps: Optional<i64>,
    numbers: [Optional<i32>; 2],
    texts: [Optional<ByteArray>; TEXT_FIELDS.len()],
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    /// Of headers: 0 where an event begins, 1 behind that.
    repetitions: Vec<i16>,
    /// Of headers: 0 of an event without any, 1 of a key, 2 of a value.
    definitions: Vec<i16>,
    bodies: Vec<ByteArray>,
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

fn key_value((key, value): (String, String)) -> KeyValue {
    KeyValue { key, value: Some(value) }
}

impl ParquetFile {
    pub(crate) fn new(codec: Codec, metadata: &[(String, String)]) -> io::Result<Self> {
        let compression = match codec {
            Codec::None | Codec::Bzip2(_) => Compression::UNCOMPRESSED,
            Codec::Gzip(level) => Compression::GZIP(GzipLevel::try_new(level).map_err(failed)?),
            Codec::Snappy => Compression::SNAPPY,
            Codec::Lz4 => Compression::LZ4_RAW,
            Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level).map_err(failed)?),
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_created_by(format!("weir version {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(metadata.iter().cloned().map(key_value).collect()))
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer })
    }

    /// Gathered events as a row group.
    pub(crate) fn row_group(&mut self, gathered: &[u8], events: u64, out: &mut Vec<u8>) -> io::Result<()> {
        let mut columns = Columns::default();
        let mut rest = gathered;
        for _ in 0..events {
            columns.take(&mut rest).ok_or_else(|| io::Error::other("gathered events cannot be read back"))?;
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        columns.write(&mut group).map_err(failed)?;
        group.close().map_err(failed)?;
        self.writer.flush()?;
        // Positions in the file are counted by the writer, not by what lies here.
        out.append(self.writer.inner_mut());
        Ok(())
    }

    /// The footer.
    pub(crate) fn end(mut self, metadata: Vec<(String, String)>, out: &mut Vec<u8>) -> io::Result<()> {
        metadata.into_iter().for_each(|pair| self.writer.append_key_value_metadata(key_value(pair)));
        out.append(&mut self.writer.into_inner().map_err(failed)?);
        Ok(())
    }
}

impl Columns {
    /// The next gathered event; `None` if it is not one.
    fn take(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let optional = |bytes: &mut &[u8]| -> Option<Option<i64>> {
            Some(if read_long(bytes)? == 0 { None } else { Some(read_long(bytes)?) })
        };
        let timestamp = optional(bytes)?;
        self.timestamps.push(timestamp);
        for column in &mut self.numbers {
            let number = optional(bytes)?;
            column.push(number.and_then(|number| i32::try_from(number).ok()));
        }
        for column in &mut self.texts {
            let text = if read_long(bytes)? == 0 { None } else { Some(read_bytes(bytes)?.to_vec().into()) };
            column.push(text);
        }
        let headers = read_long(bytes)?;
        for header in 0..headers {
            self.keys.push(read_bytes(bytes)?.to_vec().into());
            self.values.push(read_bytes(bytes)?.to_vec().into());
            self.repetitions.push(i16::from(header > 0));
            self.definitions.push(1);
        }
        if headers == 0 {
            self.repetitions.push(0);
            self.definitions.push(0);
        } else if read_long(bytes)? != 0 {
            return None;
        }
        self.bodies.push(read_bytes(bytes)?.to_vec().into());
        Some(())
    }

    /// In the order of the schema.
    fn write(&self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        let value_levels: Vec<i16> = self.definitions.iter().map(|level| level * 2).collect();
        let mut index = 0;
        while let Some(mut column) = group.next_column()? {
            match index {
                0 => column.typed::<Int64Type>().write_batch(
                    &self.timestamps.values,
                    Some(&self.timestamps.levels),
                    None,
                )?,
                1 | 2 => {
                    let numbers = &self.numbers[index - 1];
                    column.typed::<Int32Type>().write_batch(&numbers.values, Some(&numbers.levels), None)?
                }
                3..=6 => {
                    let texts = &self.texts[index - 3];
                    column.typed::<ByteArrayType>().write_batch(&texts.values, Some(&texts.levels), None)?
                }
                7 => column.typed::<ByteArrayType>().write_batch(
                    &self.keys,
                    Some(&self.definitions),
                    Some(&self.repetitions),
                )?,
                8 => column.typed::<ByteArrayType>().write_batch(
                    &self.values,
                    Some(&value_levels),
                    Some(&self.repetitions),
                )?,
                _ => column.typed::<ByteArrayType>().write_batch(&self.bodies, None, None)?,
            };
            column.close()?;
            index += 1;
        }
        Ok(())
    }
}
