//! Finished output files to an account.
//!
//! Reads what a person would read: every file under a folder that is not hidden and not `*.tmp`, as lines of text,
//! unpacked by its suffix `.gz` or `.zst`. It shares nothing with the code that wrote them. Memory is bounded by one
//! line and the gaps between sequence numbers; several gzip members or zstd frames in one file are read as one text.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::account::Account;
use crate::stamp::Stamp;

/// A line longer than this is not text: four times the largest event a log takes.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Room to start with; files of normal lines never need more.
const BUFFER_BYTES: usize = 1 << 20;

/// What was found in a folder.
#[derive(Clone, Debug, Default)]
pub struct FilesAccount {
    /// The stamps; order is judged inside each file.
    pub account: Account,
    /// How much was read.
    pub totals: FilesTotals,
}

/// How much was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FilesTotals {
    /// Files read.
    pub files: u64,
    /// Files left alone: hidden or still being written.
    pub skipped_files: u64,
    /// Lines, with and without a stamp.
    pub lines: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Bytes of text.
    pub text_bytes: u64,
    /// Files whose last line has no line feed.
    pub unterminated_files: u64,
}

/// Why files could not be read.
#[derive(Debug, Error)]
pub enum ReadFilesError {
    /// The operating system refused, or compressed data is damaged or cut off.
    #[error("failed to read {path}", path = path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file without line feeds.
    #[error("line {line} of {path} is longer than {LINE_BYTES_MAX} bytes: this is not a file of lines", path = path.display())]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
    },
}

/// Reads every finished file under `folder`, folders in it included, links not followed. Blocks; about 1 GB of text a
/// second.
///
/// # Errors
/// [`ReadFilesError`] at the first file that cannot be read to its end: an account with a hole proves nothing.
pub fn read_files(folder: &Path) -> Result<FilesAccount, ReadFilesError> {
    let mut found = FilesAccount::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let io = |source| ReadFilesError::Io { path: folder.clone(), source };
        let mut entries = std::fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(io)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type().map_err(io)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            if name.starts_with('.') || (kind.is_file() && name.ends_with(".tmp")) {
                found.totals.skipped_files += u64::from(kind.is_file());
            } else if kind.is_dir() {
                folders.push(entry.path());
            } else {
                read_file(&entry.path(), &mut buffer, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn read_file(path: &Path, buffer: &mut Vec<u8>, found: &mut FilesAccount) -> Result<(), ReadFilesError> {
    let io = |source| ReadFilesError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    found.totals.files += 1;
    found.totals.stored_bytes += file.metadata().map_err(io)?.len();
    let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or("");
    let mut text: Box<dyn Read> = match suffix {
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(file)),
        "zst" => Box::new(zstd::stream::read::Decoder::new(file).map_err(io)?),
        _ => Box::new(file),
    };
    let mut account = Account::new();
    let first_line = found.totals.lines;
    // Bytes of an unfinished line at the start of the buffer.
    let mut carried = 0;
    loop {
        if carried == buffer.len() {
            if carried >= LINE_BYTES_MAX {
                return Err(ReadFilesError::LineTooLong {
                    path: path.to_owned(),
                    line: found.totals.lines - first_line + 1,
                });
            }
            buffer.resize(2 * carried, 0);
        }
        let read = match text.read(&mut buffer[carried..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(io)?,
        };
        if read == 0 {
            break;
        }
        found.totals.text_bytes += read as u64;
        let filled = carried + read;
        let mut start = 0;
        // The carried part has been searched already.
        for end in memchr::memchr_iter(b'\n', &buffer[carried..filled]).map(|at| carried + at) {
            note_line(&buffer[start..end], &mut account);
            found.totals.lines += 1;
            start = end + 1;
        }
        buffer.copy_within(start..filled, 0);
        carried = filled - start;
    }
    if carried > 0 {
        note_line(&buffer[..carried], &mut account);
        found.totals.lines += 1;
        found.totals.unterminated_files += 1;
    }
    found.account.merge(&account);
    Ok(())
}

fn note_line(line: &[u8], account: &mut Account) {
    match Stamp::find(line) {
        None => account.add_unstamped(),
        Some((stamp, at)) => {
            account.add(stamp.producer, stamp.sequence);
            if stamp.text_is_intact(line, at) == Some(false) {
                account.add_damaged();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::account::Sequences;
    use crate::stamp::Check;

    fn lines(producer: u16, numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut out = Vec::new();
        for sequence in numbers {
            let message = format!("message {sequence}");
            out.extend_from_slice(message.as_bytes());
            let check = Some(Check::of(message.as_bytes()));
            Stamp { producer, sequence, time_ms: 1, check }.write(&mut out);
            out.push(b'\n');
        }
        out
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    /// Scenario: a tree of plain, gzip (two members) and zstd (two frames) files, with hidden and unfinished ones
    /// beside them, one late duplicate, one late line, one unstamped, one damaged and one unterminated line.
    /// Guarantees: every finished line counts once and as what it is; the others not at all.
    #[test]
    fn every_finished_file_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
            std::fs::write(path, bytes).expect("writes");
        };
        write("a.log", &[&lines(1, 0..100)[..], b"no stamp here\n"].concat());
        write("day=1/b.log.gz", &[gzip(&lines(1, 100..20_000)), gzip(&lines(2, 0..50))].concat());
        let frames = [lines(1, 20_000..20_010), lines(1, 99..100)];
        let frames = frames.map(|text| zstd::encode_all(&text[..], 1).expect("memory"));
        write("day=1/deep/c.zst", &frames.concat());
        let mut damaged = lines(3, [7, 6]);
        damaged[3] ^= 1;
        write("d.log", &damaged[..damaged.len() - 1]);
        write("e.log.tmp", &lines(9, 0..5));
        write(".f.log", &lines(9, 0..5));
        write(".hidden/g.log", &lines(9, 0..5));

        let found = read_files(folder.path()).expect("reads");
        let mut sent = Sequences::new();
        for (producer, last) in [(1, 20_009), (2, 49)] {
            sent.add_range(producer, 0, last);
        }
        sent.add_range(3, 6, 7);
        let verdict = found.account.verdict(&sent, Some(&sent));
        assert_eq!((verdict.lost, verdict.phantom, verdict.seen), (0, 0, sent.count()));
        assert_eq!((verdict.duplicates, verdict.unstamped, verdict.damaged, verdict.reordered), (1, 1, 1, 2));
        let totals = found.totals;
        assert_eq!((totals.files, totals.skipped_files, totals.unterminated_files), (4, 2, 1));
        assert_eq!(totals.lines, sent.count() + 2);
    }

    /// Scenario: lines larger than the first buffer, and a gzip file cut in half.
    /// Guarantees: long lines are read whole; a file that ends too early is an error that names it.
    #[test]
    fn long_lines_and_cut_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text = vec![b'x'; 3 * BUFFER_BYTES];
        text.extend_from_slice(&lines(1, 0..3));
        std::fs::write(folder.path().join("long.log"), &text).expect("writes");
        assert_eq!(read_files(folder.path()).expect("reads").account.seen().count(), 3);
        let packed = gzip(&text);
        std::fs::write(folder.path().join("cut.gz"), &packed[..packed.len() - 9]).expect("writes");
        let error = read_files(folder.path()).expect_err("cut off");
        assert!(error.to_string().ends_with("cut.gz"), "{error}");
    }
}
