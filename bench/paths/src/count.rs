//! Events in files of an HDFS, counted by what is in them: lines, compressed or not, and records of SequenceFiles. Shares
//! nothing with the code that wrote them but the client that fetches the bytes.

use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf as _, Bytes};
use tokio::runtime::Runtime;
use weir_hdfs::FileReader;

const BUFFER_BYTES: usize = 256 << 10;
/// How a SequenceFile begins, before its version.
const SEQUENCE: &[u8] = b"SEQ";
/// What marks a block: `SYNC_HASH_SIZE` of Hadoop.
const MARKER_BYTES: usize = 16;
/// A block holds lengths of keys, keys, lengths of values, and values.
const PARTS_OF_A_BLOCK: usize = 4;

/// A file of an HDFS as something to read from.
pub(crate) struct Remote<'a> {
    runtime: &'a Runtime,
    reader: Box<dyn FileReader>,
    rest: Bytes,
}

impl<'a> Remote<'a> {
    /// The whole file.
    pub(crate) fn new(runtime: &'a Runtime, reader: Box<dyn FileReader>) -> Self {
        Self { runtime, reader, rest: Bytes::new() }
    }
}

impl Read for Remote<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.reader.read()).map_err(io::Error::other)? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let bytes = out.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut out[..bytes]);
        Ok(bytes)
    }
}

/// Events in the file called `name`.
pub(crate) fn events(name: &str, file: impl Read) -> io::Result<u64> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    if file.fill_buf()?.starts_with(SEQUENCE) {
        return records(&mut file);
    }
    match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("gz") => lines(flate2::bufread::MultiGzDecoder::new(file)),
        Some("zst") => lines(zstd::stream::Decoder::with_buffer(file)?),
        _ => lines(file),
    }
}

/// Calls `each` with every line of the file called `name`, which is text.
pub(crate) fn each_line(name: &str, file: impl Read, mut each: impl FnMut(&str)) -> io::Result<()> {
    for line in BufReader::with_capacity(BUFFER_BYTES, file).lines() {
        each(&line.map_err(|error| io::Error::other(format!("{name}: {error}")))?);
    }
    Ok(())
}

fn lines(mut text: impl Read) -> io::Result<u64> {
    let (mut buffer, mut lines, mut last) = (vec![0; BUFFER_BYTES], 0, b'\n');
    loop {
        let read = text.read(&mut buffer)?;
        let Some(end) = buffer[..read].last() else { break };
        last = *end;
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    if last == b'\n' { Ok(lines) } else { Err(io::Error::other("the last line does not end")) }
}

/// Records of a SequenceFile that is compressed in blocks: each says how many it has.
fn records(file: &mut impl BufRead) -> io::Result<u64> {
    skip(file, SEQUENCE.len() + 1)?;
    // The classes of keys and values.
    for _ in 0..2 {
        skip_sized(file)?;
    }
    let mut flags = [0; 2];
    file.read_exact(&mut flags)?;
    if flags != [1, 1] {
        return Err(io::Error::other("a SequenceFile that is not compressed in blocks"));
    }
    // The class of the codec.
    skip_sized(file)?;
    let mut pairs = [0; 4];
    file.read_exact(&mut pairs)?;
    for _ in 0..2 * u32::from_be_bytes(pairs) {
        skip_sized(file)?;
    }
    skip(file, MARKER_BYTES)?;
    let mut records = 0;
    while !file.fill_buf()?.is_empty() {
        skip(file, size_of::<i32>() + MARKER_BYTES)?;
        records += number(file)?;
        for _ in 0..PARTS_OF_A_BLOCK {
            skip_sized(file)?;
        }
    }
    Ok(records)
}

fn skip_sized(file: &mut impl BufRead) -> io::Result<()> {
    let bytes = number(file)?;
    skip(file, bytes as usize)
}

fn skip(file: &mut impl BufRead, mut bytes: usize) -> io::Result<()> {
    while bytes > 0 {
        let here = file.fill_buf()?.len().min(bytes);
        if here == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.consume(here);
        bytes -= here;
    }
    Ok(())
}

/// `WritableUtils.readVLong`, of what is not negative: up to 127 in one byte, else the number of bytes as -113, -114 and so
/// on, and then these.
fn number(file: &mut impl Read) -> io::Result<u64> {
    let mut first = [0; 1];
    file.read_exact(&mut first)?;
    let first = i8::from_be_bytes(first);
    match first {
        0.. => Ok(first as u64),
        -120..=-113 => {
            let mut number = [0; 8];
            file.read_exact(&mut number[8 - (-112 - i32::from(first)) as usize..])?;
            Ok(u64::from_be_bytes(number))
        }
        _ => Err(io::Error::other("a length below zero")),
    }
}
