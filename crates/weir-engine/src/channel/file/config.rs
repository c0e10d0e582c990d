//! Channel type `file`: options.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_codec::record_batch::Compression;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, TypeSpec};
use weir_log::{Durability, LogOptions};

use super::channel::FileChannel;
use crate::channel::Channel;
use crate::registry::{ChannelContext, ChannelSpec, ChannelType};
use crate::source::StartError;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Channel,
    name: "file",
    aliases: &[],
    summary: "Holds events in a durable log on this machine: what has a receipt survives kill -9 and power loss.",
    options: &[
        OptionSpec::unset(
            "path",
            Kind::Path,
            "The folder that holds the log; the default is channels/NAME in the agent's data_dir. One process at a time.",
        )
        .example("/var/lib/weir/spool"),
        OptionSpec::unset(
            "fallback_path",
            Kind::Path,
            "A folder on another disk: if writing to path fails, the log goes on there with what was not yet durable.",
        )
        .example("/mnt/second/weir/spool"),
        OptionSpec::defaulted(
            "capacity_bytes",
            Kind::Bytes { min: 64 * MIB, max: u64::MAX },
            "16 GiB",
            "Most bytes on disk; when it is reached, sources wait. At least 64 MiB, or no two segments would fit.",
        ),
        OptionSpec::defaulted(
            "segment_bytes",
            Kind::Bytes { min: MIB, max: 4 * GIB },
            "256 MiB",
            "Size of a segment, allocated at once; space is freed by whole segments. Above 4 GiB freeing comes too late.",
        ),
        OptionSpec::defaulted(
            "durability",
            Kind::Choice(&[
                ("always", "a sync for every batch before its receipt: slowest, nothing acknowledged is ever lost"),
                ("group", "one sync for all batches of a few milliseconds, receipts after it: nothing acknowledged is ever lost"),
                ("interval", "receipts before the sync: a power loss takes what came since the last sync, although it was acknowledged"),
            ]),
            "group",
            "When batches are synced to disk, and so what a receipt means.",
        ),
        OptionSpec::defaulted(
            "sync_delay",
            Kind::Duration { min_ms: 0, max_ms: 1_000 },
            "5 ms",
            "Longest wait of a batch for company before it is synced (durability group), or time between syncs (interval). At most 1 s, or senders time out first.",
        ),
        OptionSpec::defaulted(
            "sync_bytes",
            Kind::Bytes { min: 4096, max: GIB },
            "4 MiB",
            "Bytes that are synced at once without waiting longer (durability group).",
        ),
        OptionSpec::defaulted(
            "compression",
            Kind::Choice(&[
                ("none", "fastest"),
                ("lz4", "a quarter to a third of the size for about 0.3 CPU s per million events"),
                ("zstd", "smallest for the CPU"),
                ("snappy", "as lz4, for readers that want it"),
                ("gzip", "for readers that have nothing else"),
            ]),
            "none",
            "Compression of batches at rest.",
        ),
    ],
};

/// The type `file`, for the registry.
#[must_use]
pub fn file_channel_type() -> ChannelType {
    ChannelType { spec: &SPEC, is_shared: false, parse }
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn ChannelSpec>> {
    let options = &config.options;
    let (capacity_bytes, segment_bytes) = (options.bytes("capacity_bytes"), options.bytes("segment_bytes"));
    if capacity_bytes < 2 * segment_bytes {
        let message = "capacity_bytes is less than two segments: nothing could be freed while one is written";
        diagnostics
            .push(options.error("capacity_bytes", message).with_hint("raise capacity_bytes or lower segment_bytes"));
        return None;
    }
    let delay = options.duration("sync_delay");
    let durability = match options.choice("durability") {
        "always" => Durability::Always,
        "interval" => Durability::Interval(delay),
        _ => Durability::Group { delay_max: delay, bytes_max: options.bytes("sync_bytes") },
    };
    let compression = match options.choice("compression") {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        "snappy" => Compression::Snappy,
        "gzip" => Compression::Gzip,
        _ => Compression::None,
    };
    let defaults = LogOptions::default();
    let fallback_dir = options.path_opt("fallback_path").map(Path::to_path_buf);
    // Two batches fit a segment, whatever its size; larger ones are split on the way in.
    let batch_bytes_max = defaults.batch_bytes_max.min(segment_bytes as usize / 2);
    let log = LogOptions { segment_bytes, capacity_bytes, durability, batch_bytes_max, fallback_dir, ..defaults };
    Some(Arc::new(Spec { path: options.path_opt("path").map(Path::to_path_buf), log, compression }))
}

struct Spec {
    path: Option<PathBuf>,
    log: LogOptions,
    compression: Compression,
}

impl ChannelSpec for Spec {
    fn memory_bytes(&self) -> u64 {
        // Batches queued for the writer and written but not synced, and the buffers they are encoded into.
        self.log.queue_bytes_max
    }

    fn open(&self, context: &ChannelContext) -> Result<Arc<dyn Channel>, StartError> {
        let path = match (&self.path, &context.data_dir) {
            (Some(path), _) => path.clone(),
            (None, Some(data_dir)) => data_dir.join("channels").join(&context.name),
            (None, None) => {
                let name = &context.name;
                return Err(StartError::plain(format!(
                    "channel {name} has no place for its log: set path on channels.{name}, or data_dir on agent"
                )));
            }
        };
        Ok(Arc::new(FileChannel::open(&context.name, &path, self.log.clone(), self.compression)?))
    }
}
