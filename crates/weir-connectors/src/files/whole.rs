//! What is whole of a file that was cut off: lines, or blocks that each stand for themselves.

use std::io::{self, BufRead as _, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::GzDecoder;

/// Where the last whole line or block of a file ends, and as what it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WholePart {
    /// Bytes up to there.
    pub(super) bytes: u64,
    /// The end of the name of such a file.
    pub(super) suffix: &'static str,
}

/// Finds the part of a cut-off file that is whole. Reads packed files once, text from its end.
pub(super) fn whole_part(file: &mut (impl Read + Seek)) -> io::Result<WholePart> {
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

    use weir_format::{Codec, Encoder, FileState, Format, Layout};

    use super::*;

    fn text(lines: usize) -> Vec<u8> {
        (0..lines).flat_map(|n| format!("line {n} of some text\n").into_bytes()).collect()
    }

    fn unpacked(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match codec {
            Codec::None => out.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            Codec::Gzip(_) => {
                flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
            }
            _ => out = zstd::decode_all(bytes).expect("zstd"),
        }
        out
    }

    /// Scenario: two blocks of each kind, cut at every few bytes.
    /// Guarantees: exactly the whole blocks or lines are found; they read as the text they were.
    #[test]
    fn whole_parts_are_found_at_any_cut() {
        for codec in [Codec::None, Codec::Gzip(6), Codec::Zstd(3)] {
            let mut encoder =
                Encoder::new(Format::new(Layout::Text, codec).expect("they go together")).expect("tables");
            let mut file = FileState::new(Vec::new());
            let first = encoder.block(&mut file, &text(400), 400).expect("packs").to_vec();
            let both = [&first[..], encoder.block(&mut file, &text(30), 30).expect("packs")].concat();
            let everything = unpacked(codec, &both);
            assert_eq!(everything, [text(400), text(30)].concat());
            for cut in (0..both.len()).step_by(7).chain([both.len()]) {
                let part = whole_part(&mut Cursor::new(&both[..cut])).expect("reads");
                let whole = unpacked(codec, &both[..part.bytes as usize]);
                assert!(everything.starts_with(&whole) && part.bytes <= cut as u64);
                let expected = match codec {
                    Codec::None => memchr::memrchr(b'\n', &both[..cut]).map_or(0, |at| at + 1),
                    _ if cut == both.len() => cut,
                    _ if cut >= first.len() => first.len(),
                    _ => 0,
                };
                assert_eq!(part.bytes, expected as u64, "{codec:?} cut at {cut}");
                assert!(part.bytes == 0 || part.suffix == codec.suffix());
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
