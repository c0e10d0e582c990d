//! Options that sinks of files share, and what is checked of them.

use std::time::Duration;

use jiff::tz::TimeZone;
use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_engine::sink::SinkContext;
use weir_engine::source::StartError;
use weir_format::{Codec, Format, Layout};

use super::buckets::{BUCKET_BYTES, BUCKETS_MAX, Buckets, EventTime};
use super::file::{Counts, FileStyle, RollLimits};
use super::lane::{Clock, LaneOptions, TreeSink};
use super::machine;
use super::name::IN_PROGRESS_SUFFIX;
use super::path::{HostPart, PathTemplate};
use super::store::Store;
use super::time::Rounding;

/// Longest prefix and suffix in bytes: with a prefix, 60 bytes of positions and a suffix a name stays under the 255
/// that file systems allow.
const AFFIX_BYTES_MAX: usize = 64;

/// What names may be of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// Everything but `/` and what is special.
    Unix,
    /// No colons, too.
    Hdfs,
}

/// What the options say that all sinks of files have.
#[derive(Clone, Debug)]
pub(crate) struct TreeSpec {
    pub(crate) template: PathTemplate,
    time: EventTime,
    /// `None`: that of this machine.
    pub(crate) zone: Option<TimeZone>,
    rounding: Option<Rounding>,
    pub(crate) lane: LaneOptions,
}

impl TreeSpec {
    /// Checks what the table cannot. Reads the time zone database, so that a wrong name is found before the start.
    pub(crate) fn from_options(
        options: &Options,
        path: &str,
        layout: Layout,
        (counts, names): (Counts, Names),
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let template = template(options, path, names, diagnostics);
        let prefix = affix(options, "prefix", options.text("prefix"), names, diagnostics);
        let format = format(options, layout, diagnostics);
        let suffix = match options.text_opt("suffix") {
            Some(suffix) => suffix_option(options, suffix, names, diagnostics),
            None => format.map(|format| format.suffix()),
        };
        let zone = zone(options, diagnostics);
        let rounding = rounding(options, diagnostics);
        let limits = limits(options);
        if limits.time.is_none() && limits.idle.is_none() {
            let message = "without roll_time and roll_idle a quiet file is never finished";
            let hint = "set roll_idle, so that its events get acknowledged";
            diagnostics.push(options.warning("roll_time", message).with_hint(hint));
        }
        let (template, format) = (template?, format?);
        let block_bytes = format.block_bytes();
        let style = FileStyle { prefix: prefix?, suffix: suffix?, block_bytes, counts, limits };
        let open_files_max = usize::try_from(options.count("open_files_max")).unwrap_or(usize::MAX);
        Some(Self {
            template,
            time: if options.choice("time") == "arrival" { EventTime::Arrival } else { EventTime::Event },
            zone: zone?,
            rounding: rounding?,
            lane: LaneOptions {
                style,
                format,
                open_files_max,
                waits_for_names: false,
                complete_after: None,
                sync_interval: None,
            },
        })
    }

    /// The template with the name of this machine in it.
    pub(crate) fn named_template(&self, sink: &str) -> Result<PathTemplate, StartError> {
        let mut template = self.template.clone();
        if template.host_parts().next().is_some() {
            name_host(&mut template, sink)?;
        }
        Ok(template)
    }

    /// The lane, over `store`.
    pub(crate) fn open<S: Store>(
        &self,
        context: &SinkContext,
        template: PathTemplate,
        store: S,
        clock: Clock,
    ) -> Result<TreeSink<S>, StartError> {
        let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
        let buckets = Buckets::new(template, self.time, zone, self.rounding);
        TreeSink::new(context.clone(), self.lane.clone(), buckets, store, clock)
            .map_err(|error| StartError::new(format!("sink {}: no memory for compression", context.name), error))
    }

    /// With one lane: a block for each open file, and what the lane takes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let blocks = self.lane.open_files_max as u64 * self.lane.style.block_bytes as u64;
        blocks + self.lane_bytes()
    }

    /// What a lane takes without its files: the encoder, and what is remembered of directories.
    pub(crate) fn lane_bytes(&self) -> u64 {
        self.lane.format.encoder_bytes() + BUCKETS_MAX as u64 * BUCKET_BYTES
    }
}

/// A day in milliseconds.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Option `prefix`.
pub(crate) const PREFIX: OptionSpec = OptionSpec::defaulted(
    "prefix",
    Kind::Text,
    "events",
    "How names of files begin. Sinks that write below the same directory need different prefixes; after a change of what path means, another prefix keeps old and new files apart.",
);
/// Option `suffix`.
pub(crate) const SUFFIX: OptionSpec = OptionSpec::unset(
    "suffix",
    Kind::Text,
    "How names of finished files end; the default follows format and compression: .log or .json, then .gz or .zst.",
)
.example(".log");
/// Option `compression_level`.
pub(crate) const COMPRESSION_LEVEL: OptionSpec = OptionSpec::unset(
    "compression_level",
    Kind::Count { min: 1, max: 22 },
    "gzip: 1 to 9, default 1, in parquet 6. bzip2: 1 to 9, default 9. zstd: 1 to 22, default 3. The others have none.",
)
.example("3");
/// Option `time`.
pub(crate) const TIME: OptionSpec = OptionSpec::defaulted(
    "time",
    Kind::Choice(&[
        ("event", "the header timestamp; the arrival where an event has none"),
        ("arrival", "when the event reached this agent"),
    ]),
    "event",
    "Which time the path shows.",
);
/// Option `time_zone`.
pub(crate) const TIME_ZONE: OptionSpec = OptionSpec::defaulted(
    "time_zone",
    Kind::Text,
    "local",
    "The time zone of times in the path: local, UTC, or a name such as Europe/London.",
);
/// Option `round`.
pub(crate) const ROUND: OptionSpec = OptionSpec::unset(
    "round",
    Kind::Duration { min_ms: 1_000, max_ms: DAY_MS },
    "Rounds times in the path down: whole seconds or minutes up to 60, or hours up to 24. %t is never rounded.",
)
.example("10 m");
/// Option `missing_header`.
pub(crate) const MISSING_HEADER: OptionSpec = OptionSpec::defaulted(
    "missing_header",
    Kind::Text,
    "unknown",
    "Stands in the path for a header that an event lacks.",
);
/// Option `roll_events`.
pub(crate) const ROLL_EVENTS: OptionSpec = OptionSpec::defaulted(
    "roll_events",
    Kind::COUNT,
    "0",
    "A file is finished when it holds so many events. 0: never for their number.",
);
/// Option `roll_time`.
pub(crate) const ROLL_TIME: OptionSpec = OptionSpec::defaulted(
    "roll_time",
    Kind::Duration { min_ms: 0, max_ms: 7 * DAY_MS },
    "30 s",
    "A file is finished so long after its first event. With a durable channel events are acknowledged only then, so it bounds what the channel keeps and what a crash repeats. 0 s: never for its age.",
);
/// Option `roll_idle`.
pub(crate) const ROLL_IDLE: OptionSpec = OptionSpec::unset(
    "roll_idle",
    Kind::Duration { min_ms: 100, max_ms: 7 * DAY_MS },
    "A file is finished when nothing was written to it for so long.",
)
.example("10 s");

/// Asks the system for what `%[...]` stands for.
fn name_host(template: &mut PathTemplate, sink: &str) -> Result<(), StartError> {
    let failed = |error| StartError::new(format!("sink {sink}: the name of this machine is needed for path"), error);
    let name = machine::host_name().map_err(failed)?;
    let mut values = Vec::new();
    for part in template.host_parts().collect::<Vec<_>>() {
        let value = match part {
            HostPart::Name => Ok(name.clone()),
            HostPart::FullName => machine::full_host_name(&name),
            HostPart::Address => host_address(&name),
        };
        values.push((part, value.map_err(failed)?));
    }
    template.set_host(|part| {
        let value = values.iter().find(|(known, _)| *known == part);
        value.map(|(_, value)| value.clone()).unwrap_or_default()
    });
    Ok(())
}

fn host_address(name: &str) -> std::io::Result<String> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(&(name, 0))?;
    let first = addresses.next().ok_or_else(|| std::io::Error::other(format!("{name} has no address")))?;
    Ok(first.ip().to_string())
}

fn template(options: &Options, path: &str, names: Names, diagnostics: &mut Diagnostics) -> Option<PathTemplate> {
    let template = PathTemplate::parse(path, options.text("missing_header"));
    match template.and_then(|template| if names == Names::Hdfs { template.without_colons() } else { Ok(template) }) {
        Ok(template) => Some(template),
        Err(error) => {
            diagnostics.push(options.error("path", error.to_string()));
            None
        }
    }
}

/// A part of a file name: `None` after an error.
fn affix(options: &Options, option: &str, text: &str, names: Names, diagnostics: &mut Diagnostics) -> Option<String> {
    let message = if text.len() > AFFIX_BYTES_MAX {
        format!("longer than {AFFIX_BYTES_MAX} bytes: names of files have at most 255, and need some for positions")
    } else if text.contains('/') || text.chars().any(char::is_control) {
        "part of a file name, so it can have no / and no control character".to_owned()
    } else if names == Names::Hdfs && text.contains(':') {
        "HDFS takes no colon in a name".to_owned()
    } else if text.contains('%') {
        "escapes are possible in path only".to_owned()
    } else if option == "prefix" && (text.is_empty() || text.starts_with('.')) {
        "a prefix is needed, and files that begin with a dot are hidden".to_owned()
    } else {
        return Some(text.to_owned());
    };
    diagnostics.push(options.error(option, message));
    None
}

fn suffix_option(options: &Options, suffix: &str, names: Names, diagnostics: &mut Diagnostics) -> Option<String> {
    let suffix = affix(options, "suffix", suffix, names, diagnostics)?;
    if suffix.ends_with(IN_PROGRESS_SUFFIX) || !(suffix.is_empty() || suffix.starts_with('.')) {
        let message = "a suffix begins with a dot, and .tmp is for files in progress";
        diagnostics.push(options.error("suffix", message));
        return None;
    }
    Some(suffix)
}

fn format(options: &Options, layout: Layout, diagnostics: &mut Diagnostics) -> Option<Format> {
    let codec = codec(options, layout, diagnostics)?;
    let format = Format::new(layout, codec);
    format.map_err(|error| diagnostics.push(options.error("compression", error.to_string()))).ok()
}

fn codec(options: &Options, layout: Layout, diagnostics: &mut Diagnostics) -> Option<Codec> {
    let level = options.count_opt("compression_level").map(|level| level as u32);
    // Of syslog lines level 1 makes files a tenth larger than level 6, in well under half the time. Parquet's columns
    // go through another library, whose low levels are worse.
    let gzip = if layout == Layout::Parquet { 6 } else { 1 };
    let codec = match options.choice("compression") {
        "gzip" => Codec::Gzip(level.unwrap_or(gzip)),
        "zstd" => Codec::Zstd(level.unwrap_or(3).cast_signed()),
        "bzip2" => Codec::Bzip2(level.unwrap_or(9)),
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        _ => Codec::None,
    };
    match (codec, level) {
        (Codec::Gzip(level) | Codec::Bzip2(level), _) if level > 9 => {
            diagnostics.push(options.error("compression_level", "gzip and bzip2 have levels 1 to 9"));
            return None;
        }
        (Codec::None | Codec::Snappy | Codec::Lz4, Some(_)) => {
            let warning =
                options.warning("compression_level", "without a compression that has levels it means nothing");
            diagnostics.push(warning.with_hint("set compression, or leave compression_level out"));
        }
        _ => {}
    }
    Some(codec)
}

/// The outer `None` after an error, the inner one for the zone of this machine.
fn zone(options: &Options, diagnostics: &mut Diagnostics) -> Option<Option<TimeZone>> {
    let name = options.text("time_zone");
    if name == "local" {
        return Some(None);
    }
    match TimeZone::get(name) {
        Ok(zone) => Some(Some(zone)),
        Err(error) => {
            let message = format!("time zone {name:?} is unknown here: {error}");
            let hint = "write local, UTC, or a name of the time zone database such as Europe/London";
            diagnostics.push(options.error("time_zone", message).with_hint(hint));
            None
        }
    }
}

/// The outer `None` after an error.
fn rounding(options: &Options, diagnostics: &mut Diagnostics) -> Option<Option<Rounding>> {
    let Some(every) = options.duration_opt("round") else { return Some(None) };
    let rounding = Rounding::new(every);
    if rounding.is_none() {
        let message = "times round to whole seconds or minutes up to 60, or to hours up to 24";
        diagnostics.push(options.error("round", message));
    }
    rounding.map(Some)
}

fn limits(options: &Options) -> RollLimits {
    RollLimits {
        bytes: options.bytes_opt("roll_bytes").filter(|bytes| *bytes > 0),
        events: Some(options.count("roll_events")).filter(|events| *events > 0),
        time: Some(options.duration("roll_time")).filter(|time| *time > Duration::ZERO),
        idle: options.duration_opt("roll_idle"),
    }
}
