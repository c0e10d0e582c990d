//! Files that Flume 1.11's HDFS sink wrote, read by ours. Ignored, with the reason, where the sample data is not there.

use std::fs::File;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use weir_format::read::{self, Limits, Lines, Packing, StoredEvent};

/// The variable that names the folder of samples.
const FOLDER_VARIABLE: &str = "WEIR_TEST_DATA";
const SAMPLE: &str = "flume-golden/hdfs";
/// Of the events that the samples were made of, as Flume's interceptor set it.
const TIME_MS: i64 = 1_700_000_000_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("flume_sequences_are_read", sequences_are_read),
        trial("flume_avro_is_read", avro_is_read),
        trial("flume_lines_are_read", lines_are_read),
    ]
}

/// A test that gets the folder of samples.
fn trial(name: &str, test: fn(&Path) -> Result<(), Failed>) -> Trial {
    match folder() {
        Ok(folder) => Trial::test(name, move || test(&folder)),
        Err(reason) => {
            report(&format!("ignored: {name}: {reason}"));
            Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
        }
    }
}

/// The samples: below `WEIR_TEST_DATA`, or `../shared/data` beside the workspace.
fn folder() -> Result<PathBuf, String> {
    let (folder, origin) = match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) => (PathBuf::from(folder), FOLDER_VARIABLE),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), "../shared/data"),
    };
    let folder = folder.join(SAMPLE);
    if folder.is_dir() { Ok(folder) } else { Err(format!("no {SAMPLE} at {origin}; set {FOLDER_VARIABLE}")) }
}

/// One line for whoever reads the test output.
#[expect(clippy::print_stderr, reason = "the output of tests is standard error")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// The files of a folder of samples, in the order in which they were begun.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    Ok(files)
}

/// The lines that were sent, against those that were read.
fn compare(folder: &Path, what: &str, bodies: &[Vec<u8>]) -> Result<(), Failed> {
    let sent = std::fs::read(folder.join("input-1000.txt"))?;
    let sent: Vec<&[u8]> = sent.strip_suffix(b"\n").unwrap_or(&sent).split(|byte| *byte == b'\n').collect();
    let right = sent.iter().zip(bodies).take_while(|(sent, body)| *sent == body).count();
    assert_eq!((right, bodies.len()), (sent.len(), sent.len()), "{what}");
    Ok(())
}

/// Scenario: SequenceFiles of Flume with values `Text` and `BytesWritable`, the latter in four files rolled by number, and one
/// in blocks packed with gzip.
/// Guarantees: every body, in the order in which it was sent, with the time that Flume gave it.
fn sequences_are_read(folder: &Path) -> Result<(), Failed> {
    for kind in ["seq-text", "seq-writable", "seq-gz"] {
        let mut bodies = Vec::new();
        let mut each = |event: StoredEvent<'_>| {
            assert_eq!(event.time_ms, Some(TIME_MS), "{kind}");
            bodies.push(event.body.to_vec());
        };
        for file in files(&folder.join(kind))? {
            read::sequence(File::open(file)?, Limits::default(), &mut each)?;
        }
        compare(folder, kind, &bodies)?;
    }
    Ok(())
}

/// Scenario: an Avro container of Flume's serializer `avro_event`.
/// Guarantees: every body in order, and the headers that the source and the interceptors had set.
fn avro_is_read(folder: &Path) -> Result<(), Failed> {
    let mut bodies = Vec::new();
    let mut each = |event: StoredEvent<'_>| {
        let header =
            |name: &str| event.headers.iter().find(|(own, _)| *own == name.as_bytes()).map(|(_, value)| *value);
        assert_eq!(header("basename"), Some(&b"in-1000.txt"[..]));
        assert_eq!(header("timestamp"), Some(TIME_MS.to_string().as_bytes()));
        bodies.push(event.body.to_vec());
    };
    for file in files(&folder.join("avro"))? {
        read::avro(File::open(file)?, Limits::default(), &mut each)?;
    }
    compare(folder, "avro", &bodies)
}

/// Scenario: Flume's text, plain and packed with gzip.
/// Guarantees: every line in order.
fn lines_are_read(folder: &Path) -> Result<(), Failed> {
    for (kind, packing) in [("text/2023-11-14", Packing::None), ("gzip", Packing::Gzip)] {
        let mut bodies = Vec::new();
        for file in files(&folder.join(kind))? {
            let file = read::unpacked(packing, File::open(file)?, Limits::default())?;
            read::lines(Lines::Text, file, Limits::default(), &mut |event| bodies.push(event.body.to_vec()))?;
        }
        compare(folder, kind, &bodies)?;
    }
    Ok(())
}
