//! Receipts journals: which events were acknowledged, told to the disk before anyone relies on it.
//!
//! A text file of lines `producer first last`, both ends included, appended and synced. It is not the log of the
//! product: it is the independent witness that a fault test holds against the output. A crash can tear the last line;
//! a line without its line feed does not count and is cut off when the file is opened again. Anything else that does
//! not parse is an error, never skipped.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::account::Sequences;

/// Why a journal cannot be written or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("failed to {what} the receipts journal {path}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A whole line that is not `producer first last`.
    #[error("line {line} of the receipts journal {path} is not `producer first last`: restore the file or discard the run", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
    },
}

/// Appends acknowledged ranges. What is not yet synced is lost with the machine, not with the process.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    pending: Vec<u8>,
}

impl Journal {
    /// Opens or creates the file, cuts off a torn last line, and syncs the folder so that the name survives.
    ///
    /// # Errors
    /// [`JournalError::Io`] as the file system reports.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |what| move |source| JournalError::Io { what, path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io("open"))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io("read"))?;
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1) as u64;
        file.set_len(whole).map_err(io("cut"))?;
        file.seek(SeekFrom::Start(whole)).map_err(io("seek in"))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder of"))?;
        Ok(Self { file, path: path.to_owned(), pending: Vec::new() })
    }

    /// Notes that `first..=last` of `producer` are acknowledged. Only in memory until [`Journal::sync`].
    pub fn record(&mut self, producer: u16, first: u64, last: u64) {
        // Writing to a vector cannot fail.
        let _ = writeln!(self.pending, "{producer} {first} {last}");
    }

    /// Writes and fsyncs what was recorded; blocks for one disk sync.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was recorded may then be partly in the file.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let path = &self.path;
        let io = |what| move |source| JournalError::Io { what, path: path.clone(), source };
        self.file.write_all(&self.pending).map_err(io("write"))?;
        self.file.sync_data().map_err(io("sync"))?;
        self.pending.clear();
        Ok(())
    }
}

/// Reads a journal: every acknowledged number. A torn last line does not count.
///
/// # Errors
/// [`JournalError`] if the file cannot be read or holds a whole line of another form.
pub fn read_journal(path: &Path) -> Result<Sequences, JournalError> {
    let text =
        std::fs::read(path).map_err(|source| JournalError::Io { what: "read", path: path.to_owned(), source })?;
    let mut sequences = Sequences::new();
    let whole = memchr::memrchr(b'\n', &text).unwrap_or(0);
    for (line, bytes) in (1..).zip(text[..whole].split(|byte| *byte == b'\n')) {
        match parse_line(bytes) {
            Some((producer, first, last)) => sequences.add_range(producer, first, last),
            None if whole == 0 => break,
            None => {
                return Err(JournalError::Malformed { path: path.to_owned(), line });
            }
        };
    }
    Ok(sequences)
}

fn parse_line(line: &[u8]) -> Option<(u16, u64, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let parsed = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next().is_none() && parsed.1 <= parsed.2).then_some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ranges are recorded and synced, a crash leaves half a line, the journal is opened and continued.
    /// Guarantees: the half line never counts and never spoils the next one.
    #[test]
    fn a_torn_line_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        let mut journal = Journal::open(&path).expect("opens");
        assert_eq!(read_journal(&path).expect("reads").count(), 0);
        journal.record(1, 0, 9);
        journal.record(2, 5, 5);
        journal.sync().expect("syncs");
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(b"1 10 4").expect("writes");
        assert_eq!(read_journal(&path).expect("reads").count(), 11);
        let mut journal = Journal::open(&path).expect("opens");
        journal.record(1, 10, 400);
        journal.sync().expect("syncs");
        assert_eq!(read_journal(&path).expect("reads").count(), 402);
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "1 0 9\n2 5 5\n1 10 400\n");
    }

    /// Scenario: whole lines that are no receipts stand in the file.
    /// Guarantees: an error with the line number; nothing is skipped.
    #[test]
    fn a_malformed_line_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("receipts");
        for bad in ["1 0 9\n1 9\n", "1 0 9\n1 9 8\n", "1 0 9\n\n", "1 0 9\n70000 1 2\n"] {
            std::fs::write(&path, bad).expect("writes");
            assert!(matches!(read_journal(&path), Err(JournalError::Malformed { line: 2, .. })), "{bad}");
        }
    }
}
