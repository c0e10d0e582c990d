//! Parquet files that have a column `body`: bytes, in every row. Other columns are not read.
//!
//! ```text
//!   "PAR1" | row groups: columns: [dictionary page] data pages | footer | length of the footer | "PAR1"
//!   page    header | packed values: bytes behind their length (plain), or places in the dictionary
//! ```

use std::io::{self, Read, Seek, SeekFrom};

use super::codec::{self, Packing};
use super::footer::{self, Chunk, Page};
use super::input;
use super::{Limits, Progress, ReadError, StoredEvent, damage};

const MAGIC: &[u8; 4] = b"PAR1";
/// Length of the footer and the magic bytes behind it.
const TAIL_BYTES: u64 = 8;
const PLAIN: i64 = 0;
/// The name of [`DICTIONARY`] in files of old writers.
const OLD_DICTIONARY: i64 = 2;
const DICTIONARY: i64 = 8;
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;

/// Calls `each` with the body of every row of a Parquet file, one row group in memory at a time.
///
/// # Errors
/// [`ReadError`].
pub fn parquet(
    mut file: impl Read + Seek,
    limits: Limits,
    each: &mut dyn FnMut(StoredEvent<'_>),
) -> Result<(), ReadError> {
    let mut progress = Progress::default();
    read(&mut file, limits, &mut progress, each).map_err(|error| progress.failed(error))
}

fn read(
    file: &mut (impl Read + Seek),
    limits: Limits,
    progress: &mut Progress,
    each: &mut dyn FnMut(StoredEvent<'_>),
) -> io::Result<()> {
    let (mut pages, max) = (Vec::new(), limits.block_bytes_max);
    let mut values = Values { dictionary: Dictionary::default(), plain: Vec::new(), limits, each };
    for chunk in chunks(file, max, progress)? {
        progress.at = chunk.begin;
        file.seek(SeekFrom::Start(chunk.begin))?;
        input::bytes(file, chunk.bytes, max, "the bodies of a row group", &mut pages)?;
        values.dictionary = Dictionary::default();
        let (mut rest, end) = (&pages[..], progress.events + chunk.rows);
        while !rest.is_empty() {
            progress.at = chunk.begin + (pages.len() - rest.len()) as u64;
            let page = Page::take(&mut rest)?;
            let packed = page.packed(&mut rest)?;
            values.page(&page, packed, chunk.codec, end, &mut progress.events)?;
        }
        if progress.events < end {
            return Err(damage(format!("{} rows of the row group have no body", end - progress.events)));
        }
    }
    Ok(())
}

fn chunks(file: &mut (impl Read + Seek), max: usize, progress: &mut Progress) -> io::Result<Vec<Chunk>> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let least = MAGIC.len() as u64 + TAIL_BYTES;
    let tail = bytes.checked_sub(TAIL_BYTES).filter(|_| bytes >= least);
    progress.at = tail.unwrap_or(0);
    let tail = tail.ok_or_else(|| damage("the file is too short for Parquet"))?;
    file.seek(SeekFrom::Start(tail))?;
    let [length, magic] = [input::array::<4>(file)?, input::array::<4>(file)?];
    if magic != *MAGIC {
        return Err(damage("the file does not end as Parquet: it is none, or was not finished"));
    }
    let length = u32::from_le_bytes(length);
    let begin = tail.checked_sub(length.into()).filter(|begin| *begin >= MAGIC.len() as u64);
    progress.at = begin.ok_or_else(|| damage(format!("the footer claims {length} bytes, more than the file has")))?;
    file.seek(SeekFrom::Start(progress.at))?;
    let mut footer = Vec::new();
    input::bytes(file, length.into(), max, "the footer", &mut footer)?;
    footer::chunks(&footer)
}

/// The entries of a dictionary page.
#[derive(Default)]
struct Dictionary {
    bytes: Vec<u8>,
    /// Where each begins, with its length.
    begins: Vec<usize>,
}

struct Values<'a> {
    dictionary: Dictionary,
    /// The page that is being read, unpacked.
    plain: Vec<u8>,
    limits: Limits,
    each: &'a mut dyn FnMut(StoredEvent<'_>),
}

impl Values<'_> {
    /// Gives what a page has, as far as to event `end`.
    fn page(&mut self, page: &Page, packed: &[u8], codec: i64, end: u64, events: &mut u64) -> io::Result<()> {
        unpack(codec, packed, page.plain_bytes, self.limits.block_bytes_max, &mut self.plain)?;
        let values = page.values.max(0).cast_unsigned();
        match (page.kind, page.encoding) {
            (DICTIONARY_PAGE, PLAIN | OLD_DICTIONARY) => return self.dictionary.fill(&mut self.plain),
            (DATA_PAGE, _) if values > end.saturating_sub(*events) => {
                return Err(damage(format!("the page claims {values} bodies, more than the row group has")));
            }
            (DATA_PAGE, PLAIN) => {
                let mut rest = &self.plain[..];
                for _ in 0..values {
                    (self.each)(StoredEvent::of_body(next(&mut rest)?));
                    *events += 1;
                }
                if !rest.is_empty() {
                    return Err(damage(format!("the page has more in it than the {values} bodies that it claims")));
                }
            }
            (DATA_PAGE, DICTIONARY | OLD_DICTIONARY) => {
                let mut places = Places::of(&self.plain)?;
                for _ in 0..values {
                    let place = places.next()?;
                    let entry = self.dictionary.get(place);
                    let body = entry.ok_or_else(|| damage(format!("the dictionary has no entry {place}")))?;
                    (self.each)(StoredEvent::of_body(body));
                    *events += 1;
                }
            }
            (kind, encoding) => {
                let what = format!("a page of type {kind} and encoding {encoding} is not read here");
                return Err(damage(what));
            }
        }
        Ok(())
    }
}

impl Dictionary {
    fn fill(&mut self, plain: &mut Vec<u8>) -> io::Result<()> {
        std::mem::swap(&mut self.bytes, plain);
        self.begins.clear();
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            self.begins.push(self.bytes.len() - rest.len());
            next(&mut rest)?;
        }
        Ok(())
    }

    fn get(&self, place: u32) -> Option<&[u8]> {
        let begin = self.begins.get(place as usize)?;
        next(&mut self.bytes.get(*begin..)?).ok()
    }
}

/// Bytes behind their length.
fn next<'a>(bytes: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let length = u32::from_le_bytes(input::array(bytes)?);
    let length = input::checked(length.into(), bytes.len(), "a body")?;
    input::split(bytes, length)
}

/// `codec` is the number that Parquet gives it.
fn unpack(codec: i64, packed: &[u8], plain_bytes: i64, max: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let length = input::checked(plain_bytes, max, "an unpacked page")?;
    match codec {
        0 => codec::unpack(Packing::None, packed, length, out)?,
        1 => codec::snappy(packed, length, out)?,
        2 => codec::unpack(Packing::Gzip, packed, length, out)?,
        6 => codec::unpack(Packing::Zstd, packed, length, out)?,
        7 => codec::lz4(packed, length, out)?,
        other => return Err(damage(format!("codec {other} is not known here"))),
    }
    if out.len() != length {
        return Err(damage(format!("the page claims {length} bytes and has {}", out.len())));
    }
    Ok(())
}

/// Places in a dictionary: runs of one place, and groups of eight places with a few bits each.
struct Places<'a> {
    rest: &'a [u8],
    bits: u32,
    /// How many places the run still has, and the place.
    run: (u64, u32),
    /// What is left of groups, and how many bits of its first byte are taken.
    packed: (&'a [u8], u32),
}

impl<'a> Places<'a> {
    fn of(bytes: &'a [u8]) -> io::Result<Self> {
        let (bits, rest) = bytes.split_first().ok_or_else(input::cut_off)?;
        if *bits > 32 {
            return Err(damage(format!("places in the dictionary claim {bits} bits")));
        }
        Ok(Self { rest, bits: (*bits).into(), run: (0, 0), packed: (&[], 0) })
    }

    fn next(&mut self) -> io::Result<u32> {
        loop {
            if let (left @ 1.., place) = self.run {
                self.run.0 = left - 1;
                return Ok(place);
            }
            if !self.packed.0.is_empty() {
                return Ok(self.next_packed());
            }
            self.head()?;
        }
    }

    /// Reads what stands before a run or before groups.
    fn head(&mut self) -> io::Result<()> {
        let mut head = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = input::array(&mut self.rest)?;
            head |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if head & 1 == 1 && self.bits > 0 {
            // The last group of a page may be cut short by writers that save its padding.
            let bytes = (head >> 1).saturating_mul(self.bits.into());
            let bytes = self.rest.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.packed = (input::split(&mut self.rest, bytes)?, 0);
            return Ok(());
        }
        let mut place = [0; 4];
        let bytes = self.bits.div_ceil(8) as usize;
        place[..bytes].copy_from_slice(input::split(&mut self.rest, bytes)?);
        let count = if head & 1 == 1 { (head >> 1).saturating_mul(8) } else { head >> 1 };
        self.run = (count, u32::from_le_bytes(place));
        Ok(())
    }

    /// The next place of a group, the lowest bits first. Bits that are cut off are 0.
    fn next_packed(&mut self) -> u32 {
        let (bytes, taken) = self.packed;
        let mut window = [0; 8];
        let count = bytes.len().min(window.len());
        window[..count].copy_from_slice(&bytes[..count]);
        let place = (u64::from_le_bytes(window) >> taken) & ((1 << self.bits) - 1);
        let end = taken + self.bits;
        self.packed = (bytes.get(end as usize / 8..).unwrap_or_default(), end % 8);
        place as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the example of Parquet's specification, 0 to 7 in three bits; a run; places without any bits.
    /// Guarantees: the places, and an error behind their end.
    #[test]
    fn places_are_read() {
        let all = |bytes: &[u8], count: usize| -> io::Result<Vec<u32>> {
            let mut places = Places::of(bytes)?;
            (0..count).map(|_| places.next()).collect()
        };
        let packed = [3, 0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(all(&packed, 8).expect("places"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(all(&packed, 9).is_err());
        assert_eq!(all(&[9, 3 << 1, 0x05, 0x01, 2 << 1, 7, 0], 5).expect("places"), [261, 261, 261, 7, 7]);
        assert_eq!(all(&[0, 4 << 1], 4).expect("places"), [0; 4]);
        assert!(all(&[0, 4 << 1], 5).is_err());
        assert!(all(&[33], 1).is_err() && all(&[], 1).is_err());
    }
}
