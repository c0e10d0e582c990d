use std::io::Write as _;

use weir_event::EventBatch;

use super::config::GenerateSpec;
use super::source::{Lane, Lines, start};

fn spec(input: Option<&std::path::Path>) -> GenerateSpec {
    GenerateSpec { rate: None, events: Some(10), input: input.map(Into::into), seed: 7, lanes: 3, batch_events: 100 }
}

fn lane(seed: u64) -> Lane {
    let synth = weir_codec::synth::Synth::new(seed, Default::default());
    Lane::new(Lines::Made(Box::new(synth)), None, None, 100)
}

fn bodies(batch: &EventBatch) -> Vec<Vec<u8>> {
    (0..batch.len()).map(|row| batch.body(row).to_vec()).collect()
}

/// Scenario: two lanes of one seed, one of another.
/// Guarantees: a seed gives the same events; they carry the headers of syslog and the time they were made.
#[test]
fn a_seed_gives_the_same_events() {
    let now = 1_795_341_600_123;
    let (first, second, other) = (lane(1).batch(100, now), lane(1).batch(100, now), lane(2).batch(100, now));
    assert_eq!(bodies(&first), bodies(&second));
    assert_ne!(bodies(&first), bodies(&other));
    for row in 0..100 {
        assert!(first.header(row, "host").is_some() && first.header(row, "Severity").is_some());
        assert_eq!(first.timestamp_ms(row), Some(now));
        assert!(first.header(row, "flume.syslog.status").is_none(), "generated lines parse");
    }
}

/// Scenario: a file with a line that is no syslog is replayed past its end.
/// Guarantees: lines come in order, over and over; what does not parse is kept and flagged.
#[test]
fn a_file_is_replayed() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"<13>Nov 22 10:00:00 fw1 one\r\n\nplain\n").expect("written");
    let lanes = start("in", &spec(Some(file.path()))).expect("starts");
    assert_eq!(lanes.len(), 3);
    let lines = std::sync::Arc::new(vec![b"<13>Nov 22 10:00:00 fw1 one".to_vec(), b"plain".to_vec()]);
    let batch = Lane::new(Lines::Replayed { lines, next: 0 }, None, None, 100).batch(3, 0);
    assert_eq!(bodies(&batch), [b"one".to_vec(), b"plain".to_vec(), b"one".to_vec()]);
    assert_eq!(batch.header(1, "flume.syslog.status").as_deref(), Some(&b"Invalid"[..]));
}

/// Scenario: an input that is not there, and one without lines.
/// Guarantees: the start fails and names the file.
#[test]
fn a_bad_input_is_named() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for (path, word) in [(empty.path(), "no lines"), (std::path::Path::new("/nowhere/at/all"), "cannot be read")] {
        let Err(error) = start("in", &spec(Some(path))) else { panic!("no lines to replay") };
        let message = error.to_string();
        assert!(message.contains(&path.display().to_string()) && message.contains(word), "{message}");
    }
}
