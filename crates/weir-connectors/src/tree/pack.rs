//! Compression, a block at a time.
//!
//! Each block is a gzip member or zstd frame of its own; a file is a sequence of them, which both formats define to be
//! the sequence of their contents, and which gunzip, zstd and Hadoop read. So one compressor serves all open files,
//! memory does not grow with their number, and a crash leaves whole blocks that can be kept without packing them anew.
//! A block of 512 KiB costs a few percent of ratio against one stream.

use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom, Write as _};

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// How files are compressed, with the level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    None,
    Gzip(u32),
    Zstd(i32),
}

impl Compression {
    /// The usual end of the name of such a file.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Zstd(_) => ".zst",
        }
    }

    /// Bytes of text that are gathered before they are written. Plain text: a quarter of a MiB makes the system call
    /// small against the copy. Packed: larger blocks pack better.
    pub(crate) fn block_bytes(self) -> usize {
        match self {
            Self::None => 256 << 10,
            Self::Gzip(_) | Self::Zstd(_) => 512 << 10,
        }
    }

    /// Most bytes that the one packer of a lane takes besides blocks: for zstd that is its highest level, whose tables
    /// follow the size of a block.
    pub(crate) fn table_bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Gzip(_) => 512 << 10,
            Self::Zstd(_) => 16 << 20,
        }
    }
}

/// Packs blocks of any number of files; one per lane.
pub(crate) struct Packer {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    /// A packer; allocates its tables.
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        let zstd = match compression {
            Compression::Zstd(level) => {
                let mut zstd = zstd::bulk::Compressor::new(level)?;
                zstd.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
                Some(zstd)
            }
            _ => None,
        };
        Ok(Self { compression, zstd, packed: Vec::new() })
    }

    /// The bytes to write for `text`.
    pub(crate) fn pack<'a>(&'a mut self, text: &'a [u8]) -> io::Result<&'a [u8]> {
        self.packed.clear();
        match (self.compression, &mut self.zstd) {
            (Compression::Gzip(level), _) => {
                let mut encoder = GzEncoder::new(&mut self.packed, flate2::Compression::new(level));
                encoder.write_all(text)?;
                encoder.finish()?;
            }
            (_, Some(zstd)) => {
                self.packed.reserve(zstd::zstd_safe::compress_bound(text.len()));
                zstd.compress_to_buffer(text, &mut self.packed)?;
            }
            (_, None) => return Ok(text),
        }
        Ok(&self.packed)
    }
}

/// Where the last whole line or block of a file ends, and as what it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WholePart {
    /// Bytes up to there.
    pub(crate) bytes: u64,
    /// The end of the name of such a file.
    pub(crate) suffix: &'static str,
}

/// Finds the part of a cut-off file that is whole. Reads packed files once, text from its end.
pub(crate) fn whole_part(file: &mut (impl Read + Seek)) -> io::Result<WholePart> {
    let mut magic = [0; 4];
    file.seek(SeekFrom::Start(0))?;
    let read = file.by_ref().take(4).read(&mut magic)?;
    let suffix = match magic {
        [0x1f, 0x8b, ..] if read >= 2 => ".gz",
        [0x28, 0xb5, 0x2f, 0xfd] => ".zst",
        _ => "",
    };
    if !suffix.is_empty() {
        let bytes = whole_blocks(file, suffix == ".gz")?;
        if bytes > 0 {
            return Ok(WholePart { bytes, suffix });
        }
    }
    // Cut inside its first block: no line of text ends there either, save by chance.
    let bytes = if suffix.is_empty() { whole_lines(file)? } else { 0 };
    Ok(WholePart { bytes, suffix })
}

fn whole_blocks(file: &mut (impl Read + Seek), is_gzip: bool) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut whole = 0;
    while !reader.fill_buf()?.is_empty() {
        let copied = if is_gzip {
            io::copy(&mut GzDecoder::new(&mut reader), &mut io::sink())
        } else {
            let decoder = zstd::stream::read::Decoder::with_buffer(&mut reader)?;
            io::copy(&mut decoder.single_frame(), &mut io::sink())
        };
        if copied.is_err() {
            break;
        }
        whole = reader.stream_position()?;
    }
    Ok(whole)
}

fn whole_lines(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        file.by_ref().take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn text(lines: usize) -> Vec<u8> {
        (0..lines).flat_map(|n| format!("line {n} of some text\n").into_bytes()).collect()
    }

    fn unpacked(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::None => out.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            Compression::Gzip(_) => {
                flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
            }
            Compression::Zstd(_) => out = zstd::decode_all(bytes).expect("zstd"),
        }
        out
    }

    /// Scenario: two blocks of each kind, cut at every few bytes.
    /// Guarantees: exactly the whole blocks or lines are found; they read as the text they were.
    #[test]
    fn whole_parts_are_found_at_any_cut() {
        for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(3)] {
            let mut packer = Packer::new(compression).expect("a packer");
            let first = packer.pack(&text(400)).expect("packs").to_vec();
            let both = [&first[..], packer.pack(&text(30)).expect("packs")].concat();
            let everything = unpacked(compression, &both);
            assert_eq!(everything, [text(400), text(30)].concat());
            for cut in (0..both.len()).step_by(7).chain([both.len()]) {
                let part = whole_part(&mut Cursor::new(&both[..cut])).expect("reads");
                let whole = unpacked(compression, &both[..part.bytes as usize]);
                assert!(everything.starts_with(&whole) && part.bytes <= cut as u64);
                let expected = match compression {
                    Compression::None => memchr::memrchr(b'\n', &both[..cut]).map_or(0, |at| at + 1),
                    _ if cut == both.len() => cut,
                    _ if cut >= first.len() => first.len(),
                    _ => 0,
                };
                assert_eq!(part.bytes, expected as u64, "{compression:?} cut at {cut}");
                assert!(part.bytes == 0 || part.suffix == compression.suffix());
            }
        }
    }

    /// Scenario: a last line longer than what is read at once.
    /// Guarantees: the line feed before it is found.
    #[test]
    fn long_lines_are_searched_through() {
        let file = [&b"first\n"[..], &vec![b'x'; 200_000]].concat();
        assert_eq!(whole_part(&mut Cursor::new(file)).expect("reads").bytes, 6);
        assert_eq!(whole_part(&mut Cursor::new(vec![b'x'; 200_000])).expect("reads").bytes, 0);
    }
}
