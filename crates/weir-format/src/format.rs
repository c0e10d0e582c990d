//! [`Format`]: a layout and a codec that go together.

use thiserror::Error;

use crate::Codec;

/// How events lie in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The body and a line feed.
    Text,
    /// One JSON object per line.
    Json,
    /// Hadoop's SequenceFile, version 6: keys are times (`LongWritable`, milliseconds), values are bodies.
    Sequence(SequenceValue, SequenceCompression),
    /// Avro object container of Flume's event: `headers` (map of strings) and `body` (bytes).
    AvroFlume,
    /// Avro object container of a syslog record: timestamp, host, facility, severity, app, procid, msgid, headers, body.
    AvroSyslog,
    /// Parquet with the columns of [`Layout::AvroSyslog`].
    Parquet,
}

/// The class of values in a SequenceFile (Flume's `hdfs.writeFormat`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SequenceValue {
    /// `org.apache.hadoop.io.BytesWritable`: any bytes.
    Writable,
    /// `org.apache.hadoop.io.Text`: readers take it for UTF-8.
    Text,
}

/// What a SequenceFile compresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SequenceCompression {
    /// Each value by itself.
    Record,
    /// Thousands of records together: what Flume does, and far smaller.
    Block,
}

/// A layout and a codec do not go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{layout} files have no compression {codec}; they have {has}")]
pub struct FormatError {
    layout: &'static str,
    codec: &'static str,
    has: &'static str,
}

/// A layout and a codec that go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    pub(crate) layout: Layout,
    pub(crate) codec: Codec,
}

impl Format {
    /// # Errors
    /// [`FormatError`] if the layout does not have the codec.
    pub fn new(layout: Layout, codec: Codec) -> Result<Self, FormatError> {
        if layout == Layout::Parquet && matches!(codec, Codec::Bzip2(_)) {
            return Err(FormatError { layout: "parquet", codec: "bzip2", has: "none, gzip, snappy, lz4, zstd" });
        }
        if matches!(layout, Layout::AvroFlume | Layout::AvroSyslog) && codec == Codec::Lz4 {
            return Err(FormatError {
                layout: "avro",
                codec: "lz4",
                has: "none, gzip (as deflate), snappy, zstd, bzip2",
            });
        }
        Ok(Self { layout, codec })
    }

    /// The layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The usual end of the names of such files. Containers name their codec inside, not in the name.
    #[must_use]
    pub fn suffix(&self) -> String {
        match self.layout {
            Layout::Text => format!(".log{}", self.codec.suffix()),
            Layout::Json => format!(".json{}", self.codec.suffix()),
            Layout::Sequence(..) => ".seq".to_owned(),
            Layout::AvroFlume | Layout::AvroSyslog => ".avro".to_owned(),
            Layout::Parquet => ".parquet".to_owned(),
        }
    }

    /// Bytes to gather before a block is made of them. Plain: a quarter of a MiB makes the system call small against the
    /// copy. Packed: larger blocks pack better, by a few percent. Parquet: a row group, whose columns are read one by one.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        match (self.layout, self.codec) {
            (Layout::Parquet, _) => 8 << 20,
            (Layout::Sequence(_, SequenceCompression::Record), _) | (_, Codec::None) => 256 << 10,
            _ => 512 << 10,
        }
    }

    /// Most bytes that one encoder takes besides what is gathered: a block as it is stored, tables of the codec, and for
    /// Parquet the columns of a row group and what is known of those before it.
    #[must_use]
    pub fn encoder_bytes(&self) -> u64 {
        let blocks = if self.layout == Layout::Parquet { 4 } else { 2 };
        blocks * self.block_bytes() as u64 + self.codec.table_bytes()
    }

    /// Whether a file that ends after any block is readable.
    #[must_use]
    pub fn blocks_stand_alone(&self) -> bool {
        self.layout != Layout::Parquet
    }
}
