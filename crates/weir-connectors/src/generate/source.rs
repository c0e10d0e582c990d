//! The lanes: lines made or replayed, parsed as the syslog source would, sent at their time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::sleep_until;
use weir_codec::synth::{Synth, SynthOptions};
use weir_codec::syslog::{ParseContext, Status, parse_header};
use weir_engine::clock::now_ms;
use weir_engine::outlet::Outlet;
use weir_engine::source::{Source, SourceError, StartError};
use weir_engine::stop::StopSignal;
use weir_event::{ArenaPool, BatchBuilder, ColumnId, EventBatch, HeaderName, Span, names};

use super::config::{GenerateSpec, INPUT_BYTES_MAX};

/// At a rate, a batch is made at least this often, so that events are not held back to fill it.
const TICK: Duration = Duration::from_millis(5);
/// Text of the status header of a replayed line that does not parse; every arena starts with it.
const INVALID: &[u8] = b"Invalid";

/// Reads the input, if there is one, and makes the lanes.
pub(super) fn start(name: &str, spec: &GenerateSpec) -> Result<Vec<Box<dyn Source>>, StartError> {
    let lines = spec.input.as_ref().map(|path| read_lines(name, path)).transpose()?;
    Ok((0..spec.lanes)
        .map(|lane| {
            let lines = match &lines {
                Some(lines) => Lines::Replayed { lines: lines.clone(), next: 0 },
                None => Lines::Made(Box::new(Synth::new(spec.seed.wrapping_add(lane), SynthOptions::default()))),
            };
            // The last lane takes what does not divide evenly.
            let share = spec
                .events
                .map(|events| events / spec.lanes + if lane + 1 == spec.lanes { events % spec.lanes } else { 0 });
            let rate = spec.rate.map(|rate| rate / spec.lanes as f64);
            Box::new(Lane::new(lines, rate, share, spec.batch_events)) as Box<dyn Source>
        })
        .collect())
}

fn read_lines(name: &str, path: &std::path::Path) -> Result<Arc<Vec<Vec<u8>>>, StartError> {
    let fail = |error| StartError::new(format!("source {name}: input {} cannot be read", path.display()), error);
    let bytes = std::fs::metadata(path).map_err(fail)?.len();
    if bytes > INPUT_BYTES_MAX {
        let message = format!(
            "source {name}: input {} has {bytes} bytes, more than the {INPUT_BYTES_MAX} that are held in memory; cut it",
            path.display()
        );
        return Err(StartError::plain(message));
    }
    let content = std::fs::read(path).map_err(fail)?;
    let lines: Vec<Vec<u8>> = content
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return Err(StartError::plain(format!("source {name}: input {} has no lines", path.display())));
    }
    Ok(Arc::new(lines))
}

pub(super) enum Lines {
    Made(Box<Synth>),
    Replayed { lines: Arc<Vec<Vec<u8>>>, next: usize },
}

/// One lane.
pub(super) struct Lane {
    lines: Lines,
    rate: Option<f64>,
    left: Option<u64>,
    batch_events: u64,
    pool: ArenaPool,
    builder: BatchBuilder,
    columns: [ColumnId; 2],
    timestamp: ColumnId,
    host: ColumnId,
    status: ColumnId,
    sequence: ColumnId,
    made: u64,
}

impl Lane {
    pub(super) fn new(lines: Lines, rate: Option<f64>, left: Option<u64>, batch_events: u64) -> Self {
        let mut builder = BatchBuilder::new();
        Self {
            lines,
            rate,
            left,
            batch_events,
            // 256 bytes a line on average with room to spare; an arena that grows beyond is simply not kept.
            pool: ArenaPool::new(batch_events as usize * 256, 16),
            columns: [builder.i64_column(names::FACILITY), builder.i64_column(names::SEVERITY)],
            timestamp: builder.i64_column(names::TIMESTAMP),
            host: builder.text_column(names::HOST),
            status: builder.text_column(names::SYSLOG_STATUS),
            sequence: builder.i64_column(HeaderName::from_static("sequence")),
            builder,
            made: 0,
        }
    }

    /// A batch of `events` events of now.
    pub(super) fn batch(&mut self, events: u64, now_ms: i64) -> EventBatch {
        let context = ParseContext::new(now_ms, 0);
        let mut arena = self.pool.take();
        arena.buffer().extend_from_slice(INVALID);
        for _ in 0..events {
            let buffer = arena.buffer();
            let start = buffer.len();
            match &mut self.lines {
                Lines::Made(synth) => {
                    synth.line(now_ms, buffer);
                }
                Lines::Replayed { lines, next } => {
                    buffer.extend_from_slice(&lines[*next]);
                    *next = (*next + 1) % lines.len();
                }
            }
            let line = &arena.as_slice()[start..];
            let header = parse_header(line, &context);
            let place = |span: Span| Span::new(start + span.start as usize, span.len as usize);
            self.builder.set_i64(self.columns[0], i64::from(header.facility));
            self.builder.set_i64(self.columns[1], i64::from(header.severity));
            let made = matches!(self.lines, Lines::Made(_)).then_some(now_ms);
            // RFC 3164 lines say whole seconds; of a line made here the moment is known better.
            if let Some(timestamp_ms) = made.or(header.timestamp_ms) {
                self.builder.set_i64(self.timestamp, timestamp_ms);
            }
            if let Some(host) = header.host {
                self.builder.set_text(self.host, place(host));
            }
            if header.status == Status::Invalid {
                self.builder.set_text(self.status, Span::new(0, INVALID.len()));
            }
            self.builder.set_i64(self.sequence, self.made as i64);
            self.builder.push(place(header.message));
            self.made += 1;
        }
        self.builder.seal(arena, now_ms)
    }

    /// How many events are due `elapsed` after the start, at most a batch.
    fn due(&self, elapsed: Duration) -> u64 {
        let due = match self.rate {
            None => self.batch_events,
            Some(rate) => ((elapsed.as_secs_f64() * rate) as u64).saturating_sub(self.made),
        };
        due.min(self.batch_events).min(self.left.unwrap_or(u64::MAX))
    }
}

#[async_trait(?Send)]
impl Source for Lane {
    async fn run(mut self: Box<Self>, mut outlet: Outlet, stop: StopSignal) -> Result<(), SourceError> {
        let start = Instant::now();
        while !stop.is_given() && self.left != Some(0) {
            let events = self.due(start.elapsed());
            if events > 0 {
                let batch = self.batch(events, now_ms());
                if let Some(left) = &mut self.left {
                    *left -= events;
                }
                // Counted by the outlet; generated events have nobody to be reported to.
                let _receipt = outlet.send(batch);
            }
            if self.rate.is_some() && events < self.batch_events {
                tokio::select! {
                    () = sleep_until((Instant::now() + TICK).into()) => {}
                    () = stop.given() => {}
                }
            }
        }
        Ok(())
    }
}
