//! Files to hashes of lines: text and JSON lines, as they are or compressed.

use std::io::{self, BufRead, BufReader, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::digest;

const BUFFER_BYTES: usize = 256 << 10;
/// Twice what sources take; more is no line of ours.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// How lines stand in a file, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    Text,
    Json,
}

/// A line of a file in JSON; headers are not compared.
#[derive(Deserialize)]
struct Event {
    body: Option<String>,
    body_base64: Option<String>,
}

/// Calls `each` with the hash of every line of every event of the file called `name`.
///
/// # Errors
/// What the reader said, or what is wrong with the file.
pub(super) fn read(name: &str, file: impl Read, each: &mut dyn FnMut(u128)) -> io::Result<()> {
    let (stem, compression) = match name.rsplit_once('.') {
        Some((stem, compression @ ("gz" | "zst" | "bz2"))) => (stem, compression),
        _ => (name, ""),
    };
    let layout = match stem.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("json") => Layout::Json,
        Some(suffix @ ("seq" | "avro" | "parquet" | "snappy" | "lz4" | "deflate")) => {
            let what = format!("`weir verify` does not read files that end in .{suffix}");
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        _ => Layout::Text,
    };
    match compression {
        "gz" => lines(layout, flate2::read::MultiGzDecoder::new(file), each),
        "zst" => lines(layout, zstd::stream::Decoder::new(file)?, each),
        "bz2" => lines(layout, bzip2::read::MultiBzDecoder::new(file), each),
        _ => lines(layout, file, each),
    }
}

fn lines(layout: Layout, file: impl Read, each: &mut dyn FnMut(u128)) -> io::Result<()> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let Some((end, content)) = line.split_last() else { return Ok(()) };
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("line {number} {what}"));
        if *end != b'\n' {
            return Err(wrong("does not end: the file is cut off, or the line is longer than 64 MiB"));
        }
        match layout {
            Layout::Text => each(digest::hash(content)),
            Layout::Json => {
                let event = serde_json::from_slice(content).map_err(|error| wrong(&format!("is no event: {error}")))?;
                let body = match event {
                    Event { body: Some(body), .. } => body.into_bytes(),
                    Event { body_base64: Some(text), .. } => STANDARD
                        .decode(text)
                        .map_err(|error| wrong(&format!("has a body that is not base64: {error}")))?,
                    Event { .. } => return Err(wrong("is an event without a body")),
                };
                digest::lines(&body).for_each(|line| each(digest::hash(line)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::commands::verify::digest::Digest;

    fn digest(name: &str, bytes: &[u8]) -> io::Result<Digest> {
        let mut digest = Digest::default();
        read(name, bytes, &mut |hash| digest.add(hash)).map(|()| digest)
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).expect("a Vec takes everything");
        out.finish().expect("a Vec takes everything")
    }

    /// Scenario: the same three events as text, JSON, and both compressed in two blocks; one body has a line feed, one is no
    /// UTF-8.
    /// Guarantees: all give what the bodies themselves give.
    #[test]
    fn every_layout_gives_the_same() {
        let mut expected = Digest::default();
        for body in [&b"one"[..], b"two\nthree", b"\xff"] {
            expected.add_event(body);
        }
        let text = b"one\ntwo\nthree\n\xff\n";
        let json = b"{\"host\":\"a\",\"body\":\"one\"}\n{\"body\":\"two\\nthree\"}\n{\"body_base64\":\"/w==\"}\n";
        let blocks = |bytes: &[u8]| [gzipped(&bytes[..4]), gzipped(&bytes[4..])].concat();
        let zstd = zstd::encode_all(&text[..], 1).expect("compressed");
        let files: [(&str, &[u8]); 5] =
            [("a.log", text), ("a", text), ("a.json", json), ("a.json.gz", &blocks(json)), ("a.log.zst", &zstd)];
        for (name, bytes) in files {
            assert_eq!(digest(name, bytes).expect(name), expected, "{name}");
        }
    }

    /// Scenario: files that are cut off, damaged, or of another kind.
    /// Guarantees: each is an error that says what is wrong.
    #[test]
    fn damage_is_an_error() {
        let text = |name: &str, bytes: &[u8]| digest(name, bytes).expect_err(name).to_string();
        assert!(text("a.log", b"one\ntw").starts_with("line 2 does not end"));
        assert!(text("a.json", b"{}\n").contains("without a body"));
        assert!(text("a.json", b"one\n").starts_with("line 1 is no event"));
        let packed = gzipped(b"one\n");
        assert!(digest("a.log.gz", &packed[..packed.len() - 3]).is_err());
        assert!(text("a.seq", b"SEQ").contains(".seq"));
        assert_eq!(digest("empty.log", b"").expect("empty"), Digest::default());
    }
}
