//! [`Encoder`]: gathered events to the bytes of a file.

use std::io;

use crate::avro;
use crate::codec::Compressor;
use crate::format::{Format, Layout};
use crate::parquet::ParquetFile;
use crate::sequence::{self, Buffers};

/// Encodes blocks of any number of files; one per lane.
pub struct Encoder {
    format: Format,
    compressor: Compressor,
    buffers: Buffers,
    out: Vec<u8>,
}

/// What has to be remembered of a file between its blocks.
pub struct FileState {
    /// Key and value pairs that its header or footer carries, where the layout has a place for them.
    metadata: Vec<(String, String)>,
    /// Tells the blocks of this file apart from bytes that look like them.
    pub(crate) marker: [u8; 16],
    has_begun: bool,
    parquet: Option<ParquetFile>,
}

impl FileState {
    /// Of a file that has nothing in it. `metadata` is for readers: which agent wrote it, from which channel.
    #[must_use]
    pub fn new(metadata: Vec<(String, String)>) -> Self {
        let marker = fastrand::u128(..).to_le_bytes();
        Self { metadata, marker, has_begun: false, parquet: None }
    }
}

impl Encoder {
    /// Allocates the tables of the codec.
    ///
    /// # Errors
    /// If the codec does not get them.
    pub fn new(format: Format) -> io::Result<Self> {
        let compressor = Compressor::new(format.codec)?;
        Ok(Self { format, compressor, buffers: Buffers::default(), out: Vec::new() })
    }

    /// The bytes to write for `gathered`, `events` events as [`Rows`](crate::Rows) has written them. They are `gathered`
    /// itself where nothing is to be done.
    ///
    /// # Errors
    /// If a codec fails, or an event is larger than 2 GiB, which containers cannot hold.
    pub fn block<'a>(&'a mut self, file: &mut FileState, gathered: &'a [u8], events: u64) -> io::Result<&'a [u8]> {
        self.out.clear();
        let (format, out) = (self.format, &mut self.out);
        match format.layout {
            Layout::Text | Layout::Json if format.codec == crate::Codec::None => return Ok(gathered),
            Layout::Text | Layout::Json => self.compressor.hadoop(gathered, out)?,
            Layout::Sequence(value, compression) => {
                if !file.has_begun {
                    sequence::header(value, compression, format.codec, &file.metadata, &file.marker, out);
                }
                let shape = sequence::Shape { value, compression, codec: format.codec, marker: file.marker };
                sequence::block(shape, gathered, &mut self.buffers, &mut self.compressor, out)?;
            }
            Layout::AvroFlume | Layout::AvroSyslog => {
                if !file.has_begun {
                    avro::header(format.layout, format.codec, &file.metadata, &file.marker, out);
                }
                avro::block(gathered, events, &file.marker, &mut self.buffers.keys, &mut self.compressor, out)?;
            }
            Layout::Parquet => {
                let parquet = match &mut file.parquet {
                    Some(parquet) => parquet,
                    none => none.insert(ParquetFile::new(format.codec, &file.metadata)?),
                };
                parquet.row_group(gathered, events, out)?;
            }
        }
        file.has_begun = true;
        Ok(&self.out)
    }

    /// The bytes that end a file: Parquet's footer; nothing of other layouts. `metadata` is added to what the footer carries.
    ///
    /// # Errors
    /// As [`Encoder::block`].
    pub fn end(&mut self, file: &mut FileState, metadata: Vec<(String, String)>) -> io::Result<&[u8]> {
        self.out.clear();
        if let Some(parquet) = file.parquet.take() {
            parquet.end(metadata, &mut self.out)?;
        }
        Ok(&self.out)
    }
}
