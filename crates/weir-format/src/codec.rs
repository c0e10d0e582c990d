//! [`Codec`]: compression as Hadoop's codecs frame it.
//!
//! gzip, zstd and bzip2: each block is a member, frame or stream of its own; a file is a sequence of them, which these
//! formats define to be the sequence of their contents. snappy and lz4: Hadoop's framing (`BlockCompressorStream`): length of
//! the plain block, then length and bytes of the packed one, lengths of 4 bytes, big-endian.

use std::io::{self, Write as _};

use libdeflater::CompressionLvl;

/// Plain bytes of a block of snappy or lz4: Hadoop's readers have buffers of 256 KiB for one.
const HADOOP_BLOCK_BYTES: usize = 128 << 10;

/// How files are compressed, with the level where there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// Not at all.
    None,
    /// Levels 1 to 9, but for Parquet by libdeflate: at level 1 it makes what zlib makes at level 3, at twice the speed; its
    /// levels 5 and zlib's 6 make the same, at 1.4 times the speed.
    Gzip(u32),
    /// Fast, and large.
    Snappy,
    /// Fast, and large.
    Lz4,
    /// Levels 1 to 22.
    Zstd(i32),
    /// Small, and slow: levels 1 to 9. Hadoop can split such files.
    Bzip2(u32),
}

impl Codec {
    /// The end of the name of a file that is compressed as a whole, as Hadoop knows it.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Snappy => ".snappy",
            Self::Lz4 => ".lz4",
            Self::Zstd(_) => ".zst",
            Self::Bzip2(_) => ".bz2",
        }
    }

    /// The Java class that reads it.
    pub(crate) fn class(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Gzip(_) => "org.apache.hadoop.io.compress.GzipCodec",
            Self::Snappy => "org.apache.hadoop.io.compress.SnappyCodec",
            Self::Lz4 => "org.apache.hadoop.io.compress.Lz4Codec",
            Self::Zstd(_) => "org.apache.hadoop.io.compress.ZStandardCodec",
            Self::Bzip2(_) => "org.apache.hadoop.io.compress.BZip2Codec",
        })
    }

    /// Most bytes of tables: for zstd those of its highest level, which follow the size of a block.
    pub(crate) fn table_bytes(self) -> u64 {
        match self {
            Self::None | Self::Snappy | Self::Lz4 => 0,
            // Chains of matches, 256 KiB, and 50,000 sequences of a block.
            Self::Gzip(_) => 1 << 20,
            Self::Zstd(_) => 16 << 20,
            // 8 times a block of 900 kB.
            Self::Bzip2(_) => 8 << 20,
        }
    }
}

/// A codec with its tables; one per encoder.
pub(crate) struct Compressor {
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    deflate: Option<libdeflater::Compressor>,
    snappy: snap::raw::Encoder,
    scratch: Vec<u8>,
}

impl Compressor {
    /// Allocates the tables.
    pub(crate) fn new(codec: Codec) -> io::Result<Self> {
        let zstd = match codec {
            Codec::Zstd(level) => {
                let mut zstd = zstd::bulk::Compressor::new(level)?;
                zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
                Some(zstd)
            }
            _ => None,
        };
        let deflate = match codec {
            Codec::Gzip(level) => {
                let level = i32::try_from(level).ok().and_then(|level| CompressionLvl::new(level).ok());
                Some(libdeflater::Compressor::new(level.ok_or(io::ErrorKind::InvalidInput)?))
            }
            _ => None,
        };
        Ok(Self { codec, zstd, deflate, snappy: snap::raw::Encoder::new(), scratch: Vec::new() })
    }

    /// Appends `plain` as Hadoop's codec of that name reads it.
    pub(crate) fn hadoop(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(deflate) = &mut self.deflate {
            let most = deflate.gzip_compress_bound(plain.len());
            return append(out, most, |room| deflate.gzip_compress(plain, room).map_err(io::Error::other));
        }
        match (self.codec, &mut self.zstd) {
            (Codec::Snappy | Codec::Lz4, _) => self.hadoop_blocks(plain, out),
            (_, Some(zstd)) => append_zstd(zstd, plain, out),
            (Codec::Bzip2(level), _) => {
                let mut encoder = bzip2::write::BzEncoder::new(out, bzip2::Compression::new(level));
                encoder.write_all(plain)?;
                encoder.finish().map(drop)
            }
            _ => {
                out.extend_from_slice(plain);
                Ok(())
            }
        }
    }

    /// Appends `plain` as an Avro container has it.
    pub(crate) fn avro(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(deflate) = &mut self.deflate {
            let most = deflate.deflate_compress_bound(plain.len());
            return append(out, most, |room| deflate.deflate_compress(plain, room).map_err(io::Error::other));
        }
        match (self.codec, &mut self.zstd) {
            (Codec::Snappy, _) => {
                self.scratch.resize(snap::raw::max_compress_len(plain.len()), 0);
                let bytes = self.snappy.compress(plain, &mut self.scratch).map_err(io::Error::other)?;
                out.extend_from_slice(&self.scratch[..bytes]);
                let mut sum = flate2::Crc::new();
                sum.update(plain);
                out.extend_from_slice(&sum.sum().to_be_bytes());
                Ok(())
            }
            (_, Some(zstd)) => append_zstd(zstd, plain, out),
            _ => self.hadoop(plain, out),
        }
    }

    fn hadoop_blocks(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        for block in plain.chunks(HADOOP_BLOCK_BYTES) {
            let bytes = if self.codec == Codec::Snappy {
                self.scratch.resize(snap::raw::max_compress_len(block.len()), 0);
                self.snappy.compress(block, &mut self.scratch).map_err(io::Error::other)?
            } else {
                self.scratch.resize(lz4_flex::block::get_maximum_output_size(block.len()), 0);
                lz4_flex::block::compress_into(block, &mut self.scratch).map_err(io::Error::other)?
            };
            out.extend_from_slice(&(block.len() as u32).to_be_bytes());
            out.extend_from_slice(&(bytes as u32).to_be_bytes());
            out.extend_from_slice(&self.scratch[..bytes]);
        }
        Ok(())
    }
}

fn append_zstd(zstd: &mut zstd::bulk::Compressor<'_>, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    append(out, zstd::zstd_safe::compress_bound(plain.len()), |room| zstd.compress_to_buffer(plain, room))
}

/// Appends what `pack` puts into a room of `most` bytes, of which it says how many it took.
fn append(out: &mut Vec<u8>, most: usize, pack: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
    let start = out.len();
    out.resize(start + most, 0);
    let bytes = pack(&mut out[start..])?;
    out.truncate(start + bytes);
    Ok(())
}
