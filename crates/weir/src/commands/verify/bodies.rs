//! Files to hashes of lines: every format that the sinks write, found by name and by the first bytes.
//!
//! Containers begin with bytes that no text has, so that they are known under any name; whether lines are JSON, and how they
//! are packed, only the name says. Parquet is read from its end: its bytes are put aside, in memory up to 16 MiB, beyond that
//! in a nameless file of the folder for temporary files (`TMPDIR`), which takes as much space as the file has. The others are
//! read as they come.

use std::io::{self, Read, Seek, SeekFrom, Write as _};

use weir_format::read::{self, Limits, Lines, Packing, StoredEvent};

use super::digest;

/// Bytes of a Parquet file that are kept in memory.
const ASIDE_BYTES_MAX: usize = 16 << 20;
/// Bytes that are put aside at once.
const PIECE_BYTES: usize = 256 << 10;
/// The longest beginning that tells a container from text.
const MAGIC_BYTES: usize = 5;

/// What is in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Lines(Lines),
    Sequence,
    Avro,
    Parquet,
}

/// Calls `each` with the hash of every line of every event of the file called `name`.
///
/// # Errors
/// What the reader said, or what is wrong with the file.
pub(super) fn read(name: &str, mut file: impl Read, each: &mut dyn FnMut(u128)) -> io::Result<()> {
    let mut begin = Vec::with_capacity(MAGIC_BYTES);
    file.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut begin)?;
    let (kind, packing) = kind(name, &begin);
    let limits = Limits::default();
    let mut file = read::unpacked(packing, begin.chain(file), limits)?;
    let mut each = |event: StoredEvent<'_>| digest::lines(event.body).for_each(|line| each(digest::hash(line)));
    let result = match kind {
        Kind::Lines(layout) => read::lines(layout, file, limits, &mut each),
        Kind::Sequence => read::sequence(file, limits, &mut each),
        Kind::Avro => read::avro(file, limits, &mut each),
        Kind::Parquet => read::parquet(aside(&mut file)?, limits, &mut each),
    };
    result.map_err(io::Error::other)
}

/// What `name` and the first bytes say.
fn kind(name: &str, begin: &[u8]) -> (Kind, Packing) {
    // No text has these control characters; behind the third begins the header of a page.
    let by_content = match begin {
        [b'S', b'E', b'Q', 6, ..] => Some(Kind::Sequence),
        [b'O', b'b', b'j', 1, ..] => Some(Kind::Avro),
        [b'P', b'A', b'R', b'1', 0x15] => Some(Kind::Parquet),
        _ => None,
    };
    if let Some(kind) = by_content {
        return (kind, Packing::None);
    }
    let split = name.rsplit_once('.').map(|(stem, suffix)| (stem, Packing::of_suffix(suffix)));
    let (stem, packing) = match split {
        Some((stem, Some(packing))) => (stem, packing),
        _ => (name, Packing::None),
    };
    let kind = match stem.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("json") => Kind::Lines(Lines::Json),
        Some("seq") => Kind::Sequence,
        Some("avro") => Kind::Avro,
        Some("parquet") => Kind::Parquet,
        _ => Kind::Lines(Lines::Text),
    };
    (kind, packing)
}

/// The bytes of a file where they can be read in any order.
fn aside(file: &mut dyn Read) -> io::Result<impl Read + Seek> {
    let mut aside = tempfile::spooled_tempfile(ASIDE_BYTES_MAX);
    let full = |error: io::Error| {
        let folder = std::env::temp_dir();
        let what =
            format!("its bytes cannot be put aside in {}: {error}; TMPDIR names another folder", folder.display());
        io::Error::new(error.kind(), what)
    };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => aside.write_all(&piece[..count]).map_err(full)?,
        }
    }
    aside.seek(SeekFrom::Start(0))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use weir_event::EventBatch;
    use weir_format::{Codec, Encoder, FileState, Format, Layout, Rows, SequenceCompression, SequenceValue};

    use super::*;
    use crate::commands::verify::digest::Digest;

    const LAYOUTS: [Layout; 7] = [
        Layout::Text,
        Layout::Json,
        Layout::Sequence(SequenceValue::Writable, SequenceCompression::Block),
        Layout::Sequence(SequenceValue::Text, SequenceCompression::Record),
        Layout::AvroFlume,
        Layout::AvroSyslog,
        Layout::Parquet,
    ];
    const CODECS: [Codec; 6] =
        [Codec::None, Codec::Gzip(1), Codec::Snappy, Codec::Lz4, Codec::Zstd(1), Codec::Bzip2(1)];

    fn digest(name: &str, bytes: &[u8]) -> io::Result<Digest> {
        let mut digest = Digest::default();
        read(name, bytes, &mut |hash| digest.add(hash)).map(|()| digest)
    }

    /// A file as a sink writes it, in two blocks.
    fn file(format: Format, bodies: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(format).expect("a codec");
        let (mut file, mut bytes) = (FileState::new(Vec::new()), Vec::new());
        for half in [&bodies[..1], &bodies[1..]] {
            let batch = EventBatch::from_bodies(half, 0);
            let (rows, mut gathered) = (Rows::new(format, &batch), Vec::new());
            (0..half.len()).for_each(|row| rows.write(row, &mut gathered));
            bytes.extend_from_slice(encoder.block(&mut file, &gathered, half.len() as u64).expect("a block"));
        }
        bytes.extend_from_slice(encoder.end(&mut file, Vec::new()).expect("an end"));
        bytes
    }

    /// Scenario: the same three events in every layout and codec, in two blocks; one body has a line feed, one is no UTF-8.
    /// Containers also under names that say nothing, or something else.
    /// Guarantees: all give what the bodies themselves give.
    #[test]
    fn every_format_gives_the_same() {
        let bodies = [&b"one"[..], b"two\nthree", b"\xff"];
        let mut expected = Digest::default();
        bodies.iter().for_each(|body| expected.add_event(body));
        let formats = LAYOUTS.iter().flat_map(|layout| CODECS.map(|codec| Format::new(*layout, codec)));
        for format in formats.flatten() {
            let bytes = file(format, &bodies);
            let own = format!("events.x{}", format.suffix());
            assert_eq!(digest(&own, &bytes).expect(&own), expected, "{own} {format:?}");
            if !matches!(format.layout(), Layout::Text | Layout::Json) {
                for name in ["events", "events.log.gz"] {
                    assert_eq!(digest(name, &bytes).expect(name), expected, "{name} {format:?}");
                }
            }
        }
        assert_eq!(digest("a", b"one\ntwo\nthree\n\xff\n").expect("text"), expected);
    }

    /// Scenario: files that are cut off, damaged, or of another kind.
    /// Guarantees: each is an error that says what is wrong.
    #[test]
    fn damage_is_an_error() {
        let text = |name: &str, bytes: &[u8]| digest(name, bytes).expect_err(name).to_string();
        assert!(text("a.log", b"one\ntw").starts_with("event 2, at byte 4: the line does not end"));
        assert!(text("a.json", b"{}\n").contains("without a body"));
        assert!(text("a.json", b"one\n").starts_with("event 1, at byte 0: the line is no event"));
        assert!(text("a.seq", b"SEQ").contains("cut off"));
        assert!(text("a.avro", b"text").contains("no Avro container"));
        assert!(text("a.parquet", b"a text that is long enough").contains("does not end as Parquet"));
        for format in CODECS[1..].iter().map(|codec| Format::new(Layout::Text, *codec).expect("a format")) {
            let packed = file(format, &[b"one", b"two"]);
            let name = format!("a{}", format.suffix());
            assert!(digest(&name, &packed[..packed.len() - 3]).is_err(), "{name}");
        }
        assert_eq!(digest("empty.log", b"").expect("empty"), Digest::default());
    }
}
