//! Sink type `files`: options, and the start of the sink.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Options, TypeSpec};
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;

use super::buckets::{BUCKET_BYTES, BUCKETS_MAX, Buckets, EventTime};
use super::disk;
use super::error::FileError;
use super::format::Format;
use super::name::IN_PROGRESS_SUFFIX;
use super::pack::Compression;
use super::path::{HostPart, PathTemplate};
use super::recover::Recovery;
use super::sink::{Clock, FilesSink, LaneOptions};
use super::time::Rounding;
use super::writer::{FileStyle, RollLimits};

/// Longest prefix and suffix in bytes: with a prefix, 60 bytes of positions and a suffix a name stays under the 255
/// that file systems allow.
const AFFIX_BYTES_MAX: usize = 64;

const DAY_MS: u64 = 86_400_000;

pub(super) static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "files",
    aliases: &[],
    summary: "Writes events to files in a tree of directories; each event once, also over crashes if the channel is durable.",
    options: &[
        OptionSpec::required(
            "path",
            Kind::Path,
            "The directory of an event. %{HEADER} stands for a header (made safe as one folder name), %Y %y %m %n %d %e %j %H %k %I %l %M %S %p %a %A %b %B %c %D %s %t %z for its time, %[localhost] %[ip] %[fqdn] for this machine, %% for a percent sign. The part before the first escape must be writable.",
        )
        .example("/var/log/weir/%{host}/%Y/%m/%d"),
        OptionSpec::defaulted(
            "prefix",
            Kind::Text,
            "events",
            "How names of files begin. Sinks that write below the same directory need different prefixes; after a change of what path means, another prefix keeps old and new files apart.",
        ),
        OptionSpec::unset(
            "suffix",
            Kind::Text,
            "How names of finished files end; the default follows format and compression: .log or .json, then .gz or .zst.",
        )
        .example(".log"),
        OptionSpec::defaulted(
            "format",
            Kind::Choice(&[
                ("text", "the body and a line feed; line feeds in the body stay as they are"),
                ("json", "one object per line: timestamp, the other headers, body (body_base64 if it is not UTF-8)"),
            ]),
            "text",
            "What is written of an event.",
        ),
        OptionSpec::defaulted(
            "compression",
            Kind::Choice(&[
                ("none", "fastest, and readable while it is written"),
                ("gzip", "for readers that have nothing else"),
                ("zstd", "smaller and many times faster than gzip"),
            ]),
            "none",
            "Compression of files, in blocks of 512 KiB of text that each stand for themselves.",
        ),
        OptionSpec::unset(
            "compression_level",
            Kind::Count { min: 1, max: 22 },
            "gzip: 1 to 9, default 6. zstd: 1 to 22, default 3.",
        )
        .example("3"),
        OptionSpec::defaulted(
            "time",
            Kind::Choice(&[
                ("event", "the header timestamp; the arrival where an event has none"),
                ("arrival", "when the event reached this agent"),
            ]),
            "event",
            "Which time the path shows.",
        ),
        OptionSpec::defaulted(
            "time_zone",
            Kind::Text,
            "local",
            "The time zone of times in the path: local, UTC, or a name such as Europe/London.",
        ),
        OptionSpec::unset(
            "round",
            Kind::Duration { min_ms: 1_000, max_ms: DAY_MS },
            "Rounds times in the path down: whole seconds or minutes up to 60, or hours up to 24. %t is never rounded.",
        )
        .example("10 m"),
        OptionSpec::defaulted(
            "missing_header",
            Kind::Text,
            "unknown",
            "Stands in the path for a header that an event lacks.",
        ),
        OptionSpec::defaulted(
            "roll_bytes",
            Kind::BYTES,
            "128 MiB",
            "A file is finished when it holds so many bytes of lines, counted before compression. 0: never for its size.",
        ),
        OptionSpec::defaulted(
            "roll_events",
            Kind::COUNT,
            "0",
            "A file is finished when it holds so many events. 0: never for their number.",
        ),
        OptionSpec::defaulted(
            "roll_time",
            Kind::Duration { min_ms: 0, max_ms: 7 * DAY_MS },
            "30 s",
            "A file is finished so long after its first event. With a durable channel events are acknowledged only then, so it bounds what the channel keeps and what a crash repeats. 0 s: never for its age.",
        ),
        OptionSpec::unset(
            "roll_idle",
            Kind::Duration { min_ms: 100, max_ms: 7 * DAY_MS },
            "A file is finished when nothing was written to it for so long.",
        )
        .example("10 s"),
        OptionSpec::defaulted(
            "open_files_max",
            Kind::Count { min: 1, max: 4096 },
            "64",
            "Most files open at a time; for another one, that which was not written for longest is finished. Each takes up to 256 KiB of memory, 512 KiB with compression; above 4096 that alone would be 2 GiB.",
        ),
        OptionSpec::defaulted(
            "sync",
            Kind::Choice(&[
                ("finish", "a file and its name are on disk before its events are acknowledged"),
                ("none", "left to the operating system: a power loss may take files that were acknowledged"),
            ]),
            "finish",
            "What a finished file means.",
        ),
        OptionSpec::defaulted("file_mode", Kind::Text, "0640", "Permissions of files, octal; the umask applies."),
        OptionSpec::defaulted(
            "directory_mode",
            Kind::Text,
            "0750",
            "Permissions of directories that are created, octal; the umask applies. The owner must keep all three.",
        ),
    ],
};

/// The type `files`, for the registry.
#[must_use]
pub fn files_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    let spec = FilesSpec::from_options(&config.options, diagnostics)?;
    Some(Arc::new(spec))
}

/// The checked configuration.
#[derive(Debug)]
pub(super) struct FilesSpec {
    template: PathTemplate,
    time: EventTime,
    /// `None`: that of this machine, asked for at the start.
    zone: Option<TimeZone>,
    rounding: Option<Rounding>,
    lane: LaneOptions,
}

impl FilesSpec {
    /// Checks what the table cannot. Reads the time zone database, so that a wrong name is found before the start.
    pub(super) fn from_options(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let template = template(options, diagnostics);
        let prefix = affix(options, "prefix", options.text("prefix"), diagnostics);
        let compression = compression(options, diagnostics);
        let format = if options.choice("format") == "json" { Format::Json } else { Format::Text };
        let suffix = match options.text_opt("suffix") {
            Some(suffix) => suffix_option(options, suffix, diagnostics),
            None => compression.map(|compression| format!("{}{}", format.suffix(), compression.suffix())),
        };
        let zone = zone(options, diagnostics);
        let rounding = rounding(options, diagnostics);
        let file_mode = mode(options, "file_mode", 0o200, diagnostics);
        let directory_mode = mode(options, "directory_mode", 0o700, diagnostics);
        let limits = limits(options);
        if limits.time.is_none() && limits.idle.is_none() {
            let message = "without roll_time and roll_idle a quiet file is never finished";
            let hint = "set roll_idle, so that its events get acknowledged";
            diagnostics.push(options.warning("roll_time", message).with_hint(hint));
        }
        let (template, compression) = (template?, compression?);
        let style = FileStyle {
            prefix: prefix?,
            suffix: suffix?,
            block_bytes: compression.block_bytes(),
            file_mode: file_mode?,
            directory_mode: directory_mode?,
            sync: options.choice("sync") == "finish",
            limits,
        };
        let open_files_max = usize::try_from(options.count("open_files_max")).unwrap_or(usize::MAX);
        Some(Self {
            template,
            time: if options.choice("time") == "arrival" { EventTime::Arrival } else { EventTime::Event },
            zone: zone?,
            rounding: rounding?,
            lane: LaneOptions { style, format, compression, open_files_max },
        })
    }

    /// Opens the sink with a clock of the caller's.
    pub(super) fn open(&self, context: &SinkContext, clock: Clock) -> Result<FilesSink, StartError> {
        let style = &self.lane.style;
        let mut template = self.template.clone();
        if template.host_parts().next().is_some() {
            name_host(&mut template, &context.name)?;
        }
        prepare_root(template.root(), style).map_err(|error| error.into_start_error(&context.name))?;
        let recovery = Recovery {
            sink: &context.name,
            root: template.root(),
            depth: template.depth(),
            style,
            format: self.lane.format,
            compression: self.lane.compression,
            positions: &context.positions,
        };
        recovery.run();
        let zone = self.zone.clone().unwrap_or_else(TimeZone::system);
        let buckets = Buckets::new(template, self.time, zone, self.rounding);
        FilesSink::new(context.clone(), self.lane.clone(), buckets, clock)
            .map_err(|error| StartError::new(format!("sink {}: no memory for compression", context.name), error))
    }
}

impl SinkSpec for FilesSpec {
    /// A block for each open file, two and some tables for packing, and what is remembered of directories.
    fn memory_bytes(&self) -> u64 {
        let blocks = self.lane.open_files_max as u64 + 2;
        let directories = BUCKETS_MAX as u64 * BUCKET_BYTES;
        blocks * self.lane.style.block_bytes as u64 + self.lane.compression.table_bytes() + directories
    }

    /// One lane: a directory has one file per partition at a time, or the names would claim what they do not hold.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        let sink = self.open(context, Box::new(Instant::now))?;
        Ok(vec![Box::new(sink)])
    }
}

/// Creates the fixed part of the path and tries to write there.
fn prepare_root(root: &Path, style: &FileStyle) -> Result<(), FileError> {
    disk::create_directories(root, style.directory_mode, style.sync)
        .map_err(FileError::on("create the folder", root))?;
    // By process, so that agents which start together do not meet here.
    let probe = root.join(format!(".{}.probe-{}{IN_PROGRESS_SUFFIX}", style.prefix, std::process::id()));
    disk::create_in_progress(&probe, style.file_mode).map_err(FileError::on("create files in", root))?;
    std::fs::remove_file(&probe).map_err(FileError::on("remove files in", root))
}

/// Asks the system for what `%[...]` stands for.
fn name_host(template: &mut PathTemplate, sink: &str) -> Result<(), StartError> {
    let failed = |error| StartError::new(format!("sink {sink}: the name of this machine is needed for path"), error);
    let name = disk::host_name().map_err(failed)?;
    let mut values = Vec::new();
    for part in template.host_parts().collect::<Vec<_>>() {
        let value = match part {
            HostPart::Name => Ok(name.clone()),
            HostPart::FullName => disk::full_host_name(&name),
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

fn template(options: &Options, diagnostics: &mut Diagnostics) -> Option<PathTemplate> {
    let path = options.path("path").to_string_lossy();
    match PathTemplate::parse(&path, options.text("missing_header")) {
        Ok(template) => Some(template),
        Err(error) => {
            diagnostics.push(options.error("path", error.to_string()));
            None
        }
    }
}

/// A part of a file name: `None` after an error.
fn affix(options: &Options, option: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let message = if text.len() > AFFIX_BYTES_MAX {
        format!("longer than {AFFIX_BYTES_MAX} bytes: names of files have at most 255, and need some for positions")
    } else if text.contains('/') || text.chars().any(char::is_control) {
        "part of a file name, so it can have no / and no control character".to_owned()
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

fn suffix_option(options: &Options, suffix: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let suffix = affix(options, "suffix", suffix, diagnostics)?;
    if suffix.ends_with(IN_PROGRESS_SUFFIX) || !(suffix.is_empty() || suffix.starts_with('.')) {
        let message = "a suffix begins with a dot, and .tmp is for files in progress";
        diagnostics.push(options.error("suffix", message));
        return None;
    }
    Some(suffix)
}

fn compression(options: &Options, diagnostics: &mut Diagnostics) -> Option<Compression> {
    let level = options.count_opt("compression_level").map(|level| level as u32);
    match (options.choice("compression"), level) {
        ("gzip", Some(level)) if level > 9 => {
            diagnostics.push(options.error("compression_level", "gzip has levels 1 to 9"));
            None
        }
        ("gzip", level) => Some(Compression::Gzip(level.unwrap_or(6))),
        ("zstd", level) => Some(Compression::Zstd(level.unwrap_or(3).cast_signed())),
        (_, level) => {
            if level.is_some() {
                let warning = options.warning("compression_level", "without compression the level means nothing");
                diagnostics.push(warning.with_hint("set compression, or leave compression_level out"));
            }
            Some(Compression::None)
        }
    }
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

/// Octal permissions that have at least `needed`: `None` after an error.
fn mode(options: &Options, option: &str, needed: u32, diagnostics: &mut Diagnostics) -> Option<u32> {
    let text = options.text(option);
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    let message = match mode {
        Some(mode) if mode & needed == needed => return Some(mode),
        Some(_) => format!("with {text} the owner could not write there"),
        None => format!("expected octal permissions such as \"0640\", found {text:?}"),
    };
    diagnostics.push(options.error(option, message));
    None
}

fn limits(options: &Options) -> RollLimits {
    RollLimits {
        bytes: Some(options.bytes("roll_bytes")).filter(|bytes| *bytes > 0),
        events: Some(options.count("roll_events")).filter(|events| *events > 0),
        time: Some(options.duration("roll_time")).filter(|time| *time > Duration::ZERO),
        idle: options.duration_opt("roll_idle"),
    }
}
