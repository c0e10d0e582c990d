//! The writing side: encode on the lane's thread, append to the log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};
use weir_codec::record_batch::{Compression, Encoder, EncoderOptions};
use weir_event::{ChannelId, EventBatch};
use weir_log::{Durability, Health, Log, LogOptions, OpenReport, RealDisk};

use super::cursor::FileCursor;
use crate::channel::{AppendError, Channel, ChannelError, ChannelUsage, Cursor};
use crate::receipt::{ReceiptFailure, ReceiptTicket};
use crate::source::StartError;

/// A durable log with encoders in front.
pub(super) struct FileChannel {
    name: String,
    log: Log,
    capacity_bytes: u64,
    durability_mode: &'static str,
    batch_bytes_max: usize,
    compression: Compression,
    /// One encoder per lane that is encoding now; their tables and buffers are reused.
    encoders: Mutex<Vec<Encoder>>,
    appended: Arc<AtomicU64>,
    wakeup: Arc<Notify>,
    degraded_at_open: Vec<String>,
}

impl FileChannel {
    pub(super) fn open(
        name: &str,
        path: &Path,
        options: LogOptions,
        compression: Compression,
    ) -> Result<Self, StartError> {
        if let Durability::Interval(delay) = options.durability {
            warn!(
                channel = name,
                sync_delay_ms = delay.as_millis() as u64,
                "durability interval: receipts come before the sync"
            );
        }
        let durability_mode = match options.durability {
            Durability::Always => "always",
            Durability::Group { .. } => "group",
            Durability::Interval(_) => "interval",
        };
        let (capacity_bytes, batch_bytes_max) = (options.capacity_bytes, options.batch_bytes_max);
        let (log, report) = Log::open(Arc::new(RealDisk), path, options).map_err(|error| {
            StartError::new(format!("channel {name}: log in {} did not open", path.display()), error)
        })?;
        info!(
            channel = name, path = %path.display(), epoch = log.epoch(),
            start = report.start_offset, end = report.end_offset, segments = report.segments,
            torn_bytes = report.torn_bytes, closed_in_order = report.was_closed, "log opened"
        );
        let wakeup = Arc::new(Notify::new());
        let wake = wakeup.clone();
        log.on_change(Box::new(move || wake.notify_waiters()));
        Ok(Self {
            name: name.into(),
            log,
            capacity_bytes,
            durability_mode,
            compression,
            encoders: Mutex::default(),
            appended: Arc::default(),
            wakeup,
            degraded_at_open: troubles(&report),
            batch_bytes_max,
        })
    }

    fn encoder(&self) -> Encoder {
        let options = EncoderOptions { compression: self.compression, ..EncoderOptions::default() };
        Encoder::new(options).expect("without a level there is no invalid one")
    }

    fn error(&self, message: &str, source: impl std::error::Error + Send + Sync + 'static) -> ChannelError {
        ChannelError { channel: self.name.clone(), message: message.into(), source: Some(Box::new(source)) }
    }
}

impl Channel for FileChannel {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn try_append(&self, batch: &EventBatch, ticket: ReceiptTicket) -> Result<(), AppendError> {
        if batch.is_empty() {
            ticket.complete(Ok(()));
            return Ok(());
        }
        // Before encoding: a full log should cost a waiting lane nothing.
        if !self.log.wait_for_room(Duration::ZERO) {
            return Err(AppendError::Full(ticket));
        }
        let encoder = self.encoders.lock().pop();
        let mut encoder = encoder.unwrap_or_else(|| self.encoder());
        let encoded = encoder.encode(batch, self.log.buffer());
        self.encoders.lock().push(encoder);
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(_) => {
                let bytes = batch.memory_bytes();
                return Err(AppendError::TooLarge { ticket, bytes, bytes_max: self.batch_bytes_max });
            }
        };
        // The ticket stays reachable for the case that the log refuses the batch.
        let events = u64::from(encoded.record_count());
        let slot = Arc::new(Mutex::new(Some(ticket)));
        let (done, name, appended) = (slot.clone(), self.name.clone(), self.appended.clone());
        let completion = Box::new(move |outcome: Result<(), weir_log::AppendFailure>| {
            if outcome.is_ok() {
                appended.fetch_add(events, Relaxed);
            }
            if let Some(ticket) = done.lock().take() {
                let failed =
                    |failure: weir_log::AppendFailure| ReceiptFailure { channel: name, reason: failure.to_string() };
                ticket.complete(outcome.map_err(failed));
            }
        });
        let bytes = encoded.as_bytes().len();
        match self.log.append(encoded, batch.arrival_ms(), completion) {
            Ok(_) => Ok(()),
            Err(error) => {
                let ticket = slot.lock().take().expect("a refused append leaves its completion uncalled");
                Err(match error {
                    weir_log::AppendError::Full { .. } | weir_log::AppendError::ReadOnly { .. } => {
                        AppendError::Full(ticket)
                    }
                    weir_log::AppendError::TooLarge { .. } | weir_log::AppendError::Unfit { .. } => {
                        AppendError::TooLarge { ticket, bytes, bytes_max: self.batch_bytes_max }
                    }
                    weir_log::AppendError::Closed { .. } => AppendError::Closed(ticket),
                })
            }
        }
    }

    fn wait_for_room(&self, timeout: Duration) -> bool {
        self.log.wait_for_room(timeout)
    }

    fn cursor(&self, group: &str) -> Result<Box<dyn Cursor>, ChannelError> {
        let group =
            self.log.group(group).map_err(|error| self.error("position of a group could not be opened", error))?;
        let id = ChannelId { log: self.log.id(), partition: 0 };
        Ok(Box::new(FileCursor::new(&self.name, id, self.log.clone(), group, self.wakeup.clone())))
    }

    fn usage(&self) -> ChannelUsage {
        let status = self.log.status();
        let mut degraded = self.degraded_at_open.clone();
        if let Health::ReadOnly { reason } = &status.health {
            degraded.push(format!("the log takes nothing: {reason}"));
        }
        degraded.extend(status.positions_failing.map(|detail| format!("positions cannot be written: {detail}")));
        ChannelUsage {
            bytes: status.used_bytes,
            capacity_bytes: self.capacity_bytes,
            appended: self.appended.load(Relaxed),
            syncs: status.sync_count,
            events_share: 0.0,
            durability_mode: self.durability_mode,
            degraded,
        }
    }

    fn close(&self) -> Result<(), ChannelError> {
        self.log.close().map_err(|error| self.error("log did not close cleanly", error))
    }
}

/// What was found at opening that a person should know of.
fn troubles(report: &OpenReport) -> Vec<String> {
    let damaged = report.damaged.iter().map(|damage| {
        format!("{} is damaged at bytes {} to {}", damage.path.display(), damage.bytes.start, damage.bytes.end)
    });
    let lost = report.lost.iter().map(|lost| format!("events {} to {} are lost", lost.offsets.start, lost.offsets.end));
    let reset = report
        .positions_reset
        .iter()
        .map(|group| format!("the position of group {group} was damaged: it repeats events"));
    let aside = report.set_aside.iter().map(|path| format!("{} was set aside", path.display()));
    let meta = report
        .meta_rebuilt
        .then(|| "the meta file was missing or damaged and was rebuilt from the segments".to_owned());
    damaged.chain(lost).chain(reset).chain(aside).chain(meta).collect()
}
