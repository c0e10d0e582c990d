//! [`Packing`]: what a codec packed, unpacked up to a bound.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::input::{self, Input};
use super::{Limits, damage};

/// LZ4 gives at most 255 bytes for one, and a few for the last.
const LZ4_FACTOR: usize = 255;
/// Snappy gives at most 64 bytes for three.
const SNAPPY_FACTOR: usize = 22;
const SNAPPY_SUM_BYTES: usize = 4;

/// How a file, or what a SequenceFile compresses, is packed; see [`Codec`](crate::Codec) for the forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Not at all.
    None,
    /// Members of gzip.
    Gzip,
    /// Streams of zlib: Hadoop's `DefaultCodec`.
    Zlib,
    /// Snappy in Hadoop's blocks.
    Snappy,
    /// LZ4 in Hadoop's blocks.
    Lz4,
    /// Frames of zstd.
    Zstd,
    /// Streams of bzip2.
    Bzip2,
}

impl Packing {
    /// Of files whose names end so, as `gz` of `events.log.gz`; `None` if that is no packing.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "gz" => Self::Gzip,
            "deflate" => Self::Zlib,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zst" => Self::Zstd,
            "bz2" => Self::Bzip2,
            _ => return None,
        })
    }

    /// Of a Java class.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Some(match class.strip_prefix("org.apache.hadoop.io.compress.")? {
            "GzipCodec" => Self::Gzip,
            "DefaultCodec" | "DeflateCodec" => Self::Zlib,
            "SnappyCodec" => Self::Snappy,
            "Lz4Codec" => Self::Lz4,
            "ZStandardCodec" => Self::Zstd,
            "BZip2Codec" => Self::Bzip2,
            _ => return None,
        })
    }
}

/// What `file` holds packed. A file that ends within what is packed is an error of the reader.
///
/// # Errors
/// If the codec does not get its tables.
pub fn unpacked<'a>(packing: Packing, file: impl Read + 'a, limits: Limits) -> io::Result<Box<dyn Read + 'a>> {
    stream(packing, input::buffered(file), limits.block_bytes_max)
}

fn stream<'a>(packing: Packing, file: impl BufRead + 'a, chunk_bytes_max: usize) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match packing {
        Packing::None => Box::new(file),
        Packing::Snappy => Box::new(HadoopBlocks::new(snappy, chunk_bytes_max, file)),
        Packing::Lz4 => Box::new(HadoopBlocks::new(lz4, chunk_bytes_max, file)),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zlib => Box::new(Inflate::new(true, file)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
    })
}

/// Fills `out` with what `packed` holds, if that is not more than `bytes_max`.
pub(super) fn unpack(packing: Packing, packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    all(stream(packing, packed, bytes_max)?, bytes_max, out)
}

/// The same of deflate without a header, as Avro has it.
pub(super) fn unpack_deflate(packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    all(Inflate::new(false, packed), bytes_max, out)
}

/// The same of Avro's snappy: the CRC-32 of what was packed stands behind it.
pub(super) fn unpack_snappy_with_sum(packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let Some((packed, sum)) = packed.split_last_chunk::<SNAPPY_SUM_BYTES>() else { return Err(input::cut_off()) };
    snappy(packed, bytes_max, out)?;
    let mut own = Crc::new();
    own.update(out);
    if own.sum() != u32::from_be_bytes(*sum) {
        return Err(damage("what was packed with snappy does not match its sum"));
    }
    Ok(())
}

fn all(packed: impl Read, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    let failed = |error: io::Error| damage(format!("it cannot be unpacked: {error}"));
    packed.take(bytes_max as u64 + 1).read_to_end(out).map_err(failed)?;
    if out.len() > bytes_max {
        return Err(damage(format!("it unpacks to more than {bytes_max} bytes")));
    }
    Ok(())
}

/// A block of snappy without any frame.
pub(super) fn snappy(packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let wrong = |error: snap::Error| damage(format!("it is no snappy: {error}"));
    let length = snap::raw::decompress_len(packed).map_err(wrong)?;
    if length > bytes_max.min(packed.len().saturating_mul(SNAPPY_FACTOR)) {
        return Err(damage(format!("{} bytes of snappy claim to be {length}, of at most {bytes_max}", packed.len())));
    }
    out.resize(length, 0);
    snap::raw::Decoder::new().decompress(packed, out).map(drop).map_err(wrong)
}

/// A block of LZ4 without any frame.
pub(super) fn lz4(packed: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let most = packed.len().saturating_mul(LZ4_FACTOR).saturating_add(LZ4_FACTOR);
    out.resize(bytes_max.min(most), 0);
    let length = lz4_flex::block::decompress_into(packed, out);
    out.truncate(length.map_err(|error| damage(format!("it is no LZ4 of at most {bytes_max} bytes: {error}")))?);
    Ok(())
}

type Unpack = fn(&[u8], usize, &mut Vec<u8>) -> io::Result<()>;

/// What `BlockCompressorStream` of Hadoop wrote: the length of a plain block, then packed chunks of it, each behind its own
/// length, until the block is full.
struct HadoopBlocks<R> {
    unpack: Unpack,
    bytes_max: usize,
    input: Input<R>,
    /// What the block still lacks.
    left: u64,
    packed: Vec<u8>,
    plain: Vec<u8>,
    /// How much of `plain` was given.
    given: usize,
}

impl<R: BufRead> HadoopBlocks<R> {
    fn new(unpack: Unpack, bytes_max: usize, file: R) -> Self {
        let (packed, plain) = (Vec::new(), Vec::new());
        Self { unpack, bytes_max, input: Input::new(file), left: 0, packed, plain, given: 0 }
    }

    /// Unpacks the next chunk; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            if self.input.is_end()? {
                return Ok(false);
            }
            self.left = u32::from_be_bytes(input::array(&mut self.input)?).into();
        }
        let length = u32::from_be_bytes(input::array(&mut self.input)?).into();
        input::bytes(&mut self.input, length, self.bytes_max, "a packed chunk", &mut self.packed)?;
        let max = usize::try_from(self.left).map_or(self.bytes_max, |left| left.min(self.bytes_max));
        (self.unpack)(&self.packed, max, &mut self.plain)?;
        self.left -= self.plain.len() as u64;
        self.given = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for HadoopBlocks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            let at = self.input.at();
            let place = |error: io::Error| io::Error::new(error.kind(), format!("in packed byte {at}: {error}"));
            if !self.fill().map_err(place)? {
                return Ok(0);
            }
        }
        let count = out.len().min(self.plain.len() - self.given);
        out[..count].copy_from_slice(&self.plain[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Streams of deflate, one behind the other. One that does not end is an error, which it is not to flate2.
struct Inflate<R> {
    input: R,
    has_header: bool,
    stream: Decompress,
    is_done: bool,
}

impl<R: BufRead> Inflate<R> {
    fn new(has_header: bool, input: R) -> Self {
        Self { input, has_header, stream: Decompress::new(has_header), is_done: false }
    }
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.input.fill_buf()?;
            if self.is_done {
                if packed.is_empty() {
                    return Ok(0);
                }
                self.stream.reset(self.has_header);
                self.is_done = false;
            }
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(packed, out, FlushDecompress::None);
            let taken = (self.stream.total_in() - before_in) as usize;
            let given = (self.stream.total_out() - before_out) as usize;
            let is_end = packed.is_empty();
            self.input.consume(taken);
            let status = status.map_err(|error| damage(error.to_string()))?;
            self.is_done = status == Status::StreamEnd;
            if given > 0 || out.is_empty() {
                return Ok(given);
            }
            if !self.is_done && (is_end || taken == 0) {
                return Err(input::cut_off());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn unpacked_all(packing: Packing, packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpack(packing, packed, 1_000, &mut out).map(|()| out)
    }

    /// Scenario: a block of Hadoop's that is packed in two chunks, one that is empty, and one more; the same cut off anywhere.
    /// Guarantees: all of them, or an error unless a block has ended.
    #[test]
    fn blocks_may_have_several_chunks() {
        let chunk = |plain: &[u8]| {
            let packed = snap::raw::Encoder::new().compress_vec(plain).expect("packed");
            [&(packed.len() as u32).to_be_bytes()[..], &packed].concat()
        };
        let block = |length: u32, chunks: &[&[u8]]| {
            let chunks: Vec<Vec<u8>> = chunks.iter().map(|plain| chunk(plain)).collect();
            [&length.to_be_bytes()[..], &chunks.concat()].concat()
        };
        let blocks = [block(6, &[b"one", b"two"]), block(0, &[]), block(4, &[b"last"])];
        let file = blocks.concat();
        assert_eq!(unpacked_all(Packing::Snappy, &file).expect("whole"), b"onetwolast");
        let ends = [0, blocks[0].len(), blocks[0].len() + 4, file.len()];
        for end in 0..file.len() {
            assert_eq!(unpacked_all(Packing::Snappy, &file[..end]).is_ok(), ends.contains(&end), "{end}");
        }
        let error = unpacked_all(Packing::Snappy, &block(5, &[b"one", b"two"])).expect_err("too much");
        assert!(error.to_string().contains("in packed byte 13: "), "{error}");
    }

    /// Scenario: two streams of zlib, as Hadoop's `DefaultCodec` writes them; the same cut off anywhere; more than is allowed.
    /// Guarantees: both, or an error unless the first has ended.
    #[test]
    fn zlib_must_end() {
        let stream = |plain: &[u8]| {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).expect("a Vec takes everything");
            encoder.finish().expect("a Vec takes everything")
        };
        let first = stream(b"one");
        let both = [&first[..], &stream(b"two")].concat();
        assert_eq!(unpacked_all(Packing::Zlib, &both).expect("whole"), b"onetwo");
        for end in 0..both.len() {
            assert_eq!(unpacked_all(Packing::Zlib, &both[..end]).is_ok(), end == first.len(), "{end}");
        }
        let error = unpacked_all(Packing::Zlib, &stream(&[b'x'; 1_001])).expect_err("too much");
        assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
    }
}
