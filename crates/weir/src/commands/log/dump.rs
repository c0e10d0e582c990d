//! `weir log dump`: the events themselves.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;

use serde_json::json;
use weir_codec::record_batch::{DecodeError, Decoder, DecoderOptions};
use weir_codec::synth::TimeText;
use weir_event::{ArenaPool, EventBatch};
use weir_log::tools;
use weir_log::{RealDisk, StoredBatch};

use super::{failed, offsets};
use crate::cli::LogDumpArgs;
use crate::exit::{self, Exit, Failure};

/// Room for a usual batch; larger ones grow it.
const ARENA_BYTES: usize = 1 << 20;

pub(crate) fn dump(args: &LogDumpArgs) -> Result<Exit, Failure> {
    let mut dump = Dump {
        args,
        left: args.count,
        decoder: Decoder::new(
            ArenaPool::new(ARENA_BYTES, 2),
            DecoderOptions { verify_crc: false, ..DecoderOptions::default() },
        ),
        time: TimeText::new(),
        out: BufWriter::new(std::io::stdout().lock()),
        undecodable: Vec::new(),
    };
    let range = args.from..args.to;
    let report = tools::dump(&RealDisk, &args.dir, None, range, |stored| dump.batch(stored));
    let report = report.map_err(|error| failed(&error, &args.dir))?;
    // A reader that went away (`| head`) has what it wanted.
    let _ = dump.out.flush();
    for lost in &report.lost {
        exit::report(&Failure::new(format!(
            "{} are not in the log; `weir log check` tells why",
            offsets(&lost.offsets)
        )));
    }
    for text in &dump.undecodable {
        exit::report(&Failure::new(text));
    }
    Ok(if dump.undecodable.is_empty() { Exit::Success } else { Exit::Damage })
}

struct Dump<'a, W> {
    args: &'a LogDumpArgs,
    /// Events still to be shown.
    left: u64,
    decoder: Decoder,
    time: TimeText,
    out: W,
    /// Batches whose checksum was right and which could not be decoded all the same.
    undecodable: Vec<String>,
}

impl<W: Write> Dump<'_, W> {
    fn batch(&mut self, stored: &StoredBatch) -> ControlFlow<()> {
        let first = stored.range().start;
        match self.decode(stored) {
            Ok(Some(events)) => self.events(first, &events),
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => {
                self.undecodable.push(format!("the batch at {} cannot be decoded: {error}", offsets(&stored.range())));
                ControlFlow::Continue(())
            }
        }
    }

    fn decode(&mut self, stored: &StoredBatch) -> Result<Option<EventBatch>, DecodeError> {
        Ok(self.decoder.decode(stored.bytes.clone(), None, stored.arrival_ms())?.into_events())
    }

    fn events(&mut self, first: u64, events: &EventBatch) -> ControlFlow<()> {
        for row in 0..events.len() {
            let offset = first + row as u64;
            if offset < self.args.from {
                continue;
            }
            if offset >= self.args.to || self.left == 0 {
                return ControlFlow::Break(());
            }
            self.left -= 1;
            let line = if self.args.json { as_json(offset, events, row) } else { self.as_text(offset, events, row) };
            if writeln!(self.out, "{line}").is_err() {
                return ControlFlow::Break(());
            }
        }
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn as_text(&mut self, offset: u64, events: &EventBatch, row: usize) -> String {
        let time_ms = events.timestamp_ms(row).unwrap_or(events.arrival_ms());
        let time = String::from_utf8_lossy(self.time.rfc5424_millis(time_ms)).into_owned();
        let headers = headers(events, row).into_iter().filter(|(name, _)| *name != "timestamp");
        let headers: Vec<_> = headers.map(|(name, value)| format!("{name}={}", one_line(&value))).collect();
        format!("{offset} {time} {{{}}} {}", headers.join(" "), one_line(&String::from_utf8_lossy(events.body(row))))
    }
}

fn headers(events: &EventBatch, row: usize) -> Vec<(&str, String)> {
    let value = |column| events.value(column, row).map(|value| String::from_utf8_lossy(&value).into_owned());
    events.columns().iter().filter_map(|(name, column)| Some((name.as_str(), value(column)?))).collect()
}

fn as_json(offset: u64, events: &EventBatch, row: usize) -> String {
    json!({
        "offset": offset,
        "timestamp_ms": events.timestamp_ms(row),
        "arrival_ms": events.arrival_ms(),
        "headers": headers(events, row).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "body": String::from_utf8_lossy(events.body(row)),
    })
    .to_string()
}

/// Control characters escaped: an event is a line here, and cannot write to the terminal.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a body with a line feed, a terminal escape and letters beyond ASCII.
    /// Guarantees: it is one harmless line; letters stay as they are.
    #[test]
    fn no_event_writes_to_the_terminal() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc \u{e9}"), "a\\nb\\u{1b}[2Jc \u{e9}");
    }
}
