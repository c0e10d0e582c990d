//! Files of this crate, read by the programs of others, and the other way round. Ignored, with the reason, where these cannot
//! be had.

mod flume;

use std::path::Path;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed};
use weir_event::{ABSENT_I64, EventBatch, HeaderName, Span, TextColumn, names};
use weir_format::{Codec, Encoder, FileState, Format, Layout, Rows, SequenceCompression, SequenceValue};
use weir_servers::hdfs::Distribution;
use weir_servers::parquet::Reader;
use weir_servers::trial;

/// Enough for several blocks of every layout but Parquet, whose row groups are cut here by hand.
const EVENTS: usize = 30_000;

fn main() -> std::process::ExitCode {
    let (hadoop, parquet) = (Distribution::find(), Reader::find());
    let mut trials = vec![
        trial("hadoop_reads_lines_and_sequences", &hadoop, hadoop_reads_lines_and_sequences),
        trial("hadoop_reads_avro", &hadoop, hadoop_reads_avro),
        trial("parquet_reads_parquet", &parquet, parquet_reads_parquet),
    ];
    trials.extend(flume::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Events with a host, a time but every tenth, a severity, and a header that half of them have.
fn events() -> EventBatch {
    let bodies: Vec<String> = (0..EVENTS).map(body).collect();
    let mut batch = EventBatch::from_bodies(&bodies, 1_600_000_000_000);
    let text = |value: &dyn Fn(usize) -> Option<String>| {
        let (mut arena, mut spans) = (Vec::new(), Vec::new());
        for number in 0..EVENTS {
            match value(number) {
                Some(value) => {
                    spans.push(Span::new(arena.len(), value.len()));
                    arena.extend_from_slice(value.as_bytes());
                }
                None => spans.push(Span::ABSENT),
            }
        }
        TextColumn { arena: arena.into(), spans: Arc::new(spans) }
    };
    batch.set_text(names::HOST, text(&|number| Some(format!("fw{}", number % 7))));
    batch.set_text(HeaderName::from_static("zone"), text(&|number| (number % 2 == 1).then(|| "dmz".to_owned())));
    batch.set_i64(names::SEVERITY, (0..EVENTS).map(|number| (number % 8) as i64).collect());
    let time = |number| if number % 10 == 0 { ABSENT_I64 } else { 1_700_000_000_000 + number as i64 };
    batch.set_i64(names::TIMESTAMP, (0..EVENTS).map(time).collect());
    batch
}

fn body(number: usize) -> String {
    format!("event {number}: denied tcp from 10.0.0.{} to 192.0.2.1, \u{e4}", number % 250)
}

/// Writes all events in `blocks` blocks, as a sink would.
fn write(path: &Path, format: Format, blocks: usize) -> std::io::Result<()> {
    let batch = events();
    let mut encoder = Encoder::new(format)?;
    let mut file = FileState::new(vec![("weir.agent".to_owned(), "edge".to_owned())]);
    let (rows, mut gathered, mut bytes) = (Rows::new(format, &batch), Vec::new(), Vec::new());
    for block in 0..blocks {
        gathered.clear();
        let range = EVENTS * block / blocks..EVENTS * (block + 1) / blocks;
        range.clone().for_each(|row| rows.write(row, &mut gathered));
        bytes.extend_from_slice(encoder.block(&mut file, &gathered, range.len() as u64)?);
    }
    bytes.extend_from_slice(encoder.end(&mut file, vec![("weir.offsets".to_owned(), "0-29999".to_owned())])?);
    std::fs::write(path, bytes)
}

fn shell_text(hadoop: &Distribution, path: &Path) -> Result<String, Failed> {
    Ok(hadoop.shell(&["-text", &format!("file://{}", path.display())])?.text())
}

/// Scenario: text in every codec, SequenceFiles of both classes of values, in records and blocks, in every codec.
/// Guarantees: `FsShell -text` prints every event once, in order, with its time where the layout has one. zstd is left out:
/// Hadoop reads it by a native library only, which the jars do not have.
fn hadoop_reads_lines_and_sequences() -> Result<(), Failed> {
    let (hadoop, folder) = (Distribution::find()?, tempfile::tempdir()?);
    let codecs = [Codec::None, Codec::Gzip(6), Codec::Snappy, Codec::Lz4, Codec::Bzip2(1)];
    for codec in codecs {
        let format = Format::new(Layout::Text, codec)?;
        let path = folder.path().join(format!("file{}", format.suffix()));
        write(&path, format, 3)?;
        let text = shell_text(&hadoop, &path)?;
        assert!(text.lines().eq((0..EVENTS).map(body)), "{codec:?}: {} lines", text.lines().count());
        for (value, compression) in [
            (SequenceValue::Text, SequenceCompression::Block),
            (SequenceValue::Text, SequenceCompression::Record),
            (SequenceValue::Writable, SequenceCompression::Block),
        ] {
            let format = Format::new(Layout::Sequence(value, compression), codec)?;
            let path = folder.path().join(format!("{codec:?}-{value:?}-{compression:?}.seq"));
            write(&path, format, 3)?;
            let text = shell_text(&hadoop, &path)?;
            let wanted = |number: usize| {
                let ms = if number.is_multiple_of(10) { 1_600_000_000_000 } else { 1_700_000_000_000 + number };
                match value {
                    SequenceValue::Text => format!("{ms}\t{}", body(number)),
                    SequenceValue::Writable => {
                        let hex: Vec<String> = body(number).bytes().map(|byte| format!("{byte:02x}")).collect();
                        format!("{ms}\t{}", hex.join(" "))
                    }
                }
            };
            let right = text.lines().zip(0..).take_while(|(line, number)| *line == wanted(*number)).count();
            assert_eq!((right, text.lines().count()), (EVENTS, EVENTS), "{codec:?} {value:?} {compression:?}");
        }
    }
    Ok(())
}

/// Scenario: both Avro schemas in every codec that Hadoop's Avro has.
/// Guarantees: Avro's Java reader, in `FsShell -text`, gives every event with body, headers and fields.
fn hadoop_reads_avro() -> Result<(), Failed> {
    let (hadoop, folder) = (Distribution::find()?, tempfile::tempdir()?);
    for layout in [Layout::AvroFlume, Layout::AvroSyslog] {
        for codec in [Codec::None, Codec::Gzip(6), Codec::Snappy, Codec::Bzip2(1)] {
            let path = folder.path().join(format!("{layout:?}-{codec:?}.avro"));
            write(&path, Format::new(layout, codec)?, 3)?;
            let text = shell_text(&hadoop, &path)?;
            let records: Vec<serde_json::Value> =
                serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>()?;
            assert_eq!(records.len(), EVENTS, "{layout:?} {codec:?}");
            for (record, number) in records.iter().zip(0..) {
                // JSON of Avro gives bytes as characters of the same numbers.
                let bytes: String = body(number).bytes().map(char::from).collect();
                assert_eq!(record["body"], bytes, "{layout:?} {codec:?} {number}");
                let zone = if number % 2 == 1 { serde_json::json!("dmz") } else { serde_json::Value::Null };
                assert_eq!(record["headers"]["zone"], zone);
                let severity = if layout == Layout::AvroFlume {
                    &record["headers"]["Severity"]
                } else {
                    &record["severity"]["int"]
                };
                assert_eq!(severity.to_string().trim_matches('"'), (number % 8).to_string());
            }
        }
    }
    Ok(())
}

/// Scenario: Parquet files of several row groups in every codec.
/// Guarantees: Parquet's own reader in Java gives every event with its columns.
fn parquet_reads_parquet() -> Result<(), Failed> {
    let (reader, folder) = (Reader::find()?, tempfile::tempdir()?);
    for codec in [Codec::None, Codec::Gzip(6), Codec::Snappy, Codec::Lz4, Codec::Zstd(3)] {
        let path = folder.path().join(format!("{codec:?}.parquet"));
        write(&path, Format::new(Layout::Parquet, codec)?, 3)?;
        let text = reader.print(&path)?.text();
        assert_eq!(text.lines().count(), EVENTS, "{codec:?}");
        for (line, number) in text.lines().zip(0..) {
            assert!(line.contains(&format!("host: fw{}|", number % 7)), "{codec:?}: {line}");
            assert!(line.contains(&format!("severity: {}|", number % 8)), "{codec:?}: {line}");
            assert!(line.contains(&body(number)), "{codec:?}: {line}");
            assert_eq!(line.contains("zone"), number % 2 == 1, "{codec:?}: {line}");
            assert_eq!(line.contains("timestamp: "), number % 10 != 0, "{codec:?}: {line}");
        }
    }
    Ok(())
}
