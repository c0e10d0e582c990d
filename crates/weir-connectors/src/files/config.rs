//! Sink type `files`: options, and the start of the sink.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Options, TypeSpec};
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_format::Layout;

use super::disk;
use super::error::FileError;
use super::recover::Recovery;
use super::store::{Disk, DiskOptions};
use crate::tree::file::Counts;
use crate::tree::lane::{Clock, TreeSink};
use crate::tree::name::IN_PROGRESS_SUFFIX;
use crate::tree::options::{self, Names, TreeSpec};

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
        options::PREFIX,
        options::SUFFIX,
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
        ("zstd", "smaller than gzip, for about the same work"),
    ]),
    "none",
    "Compression of files, in blocks of 512 KiB of text that each stand for themselves.",
),
        options::COMPRESSION_LEVEL,
        options::TIME,
        options::TIME_ZONE,
        options::ROUND,
        options::MISSING_HEADER,
        OptionSpec::defaulted(
            "roll_bytes",
            Kind::BYTES,
            "128 MiB",
            "A file is finished when it holds so many bytes of lines, counted before compression. 0: never for its size.",
        ),
        options::ROLL_EVENTS,
        options::ROLL_TIME,
        options::ROLL_IDLE,
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
    tree: TreeSpec,
    disk: DiskOptions,
}

impl FilesSpec {
    /// Checks what the table cannot.
    pub(super) fn from_options(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = options.path("path").to_string_lossy();
        let layout = if options.choice("format") == "json" { Layout::Json } else { Layout::Text };
        let tree = TreeSpec::from_options(options, &path, layout, (Counts::Lines, Names::Unix), diagnostics);
        let file_mode = mode(options, "file_mode", 0o200, diagnostics);
        let directory_mode = mode(options, "directory_mode", 0o700, diagnostics);
        let (file_mode, directory_mode, sync) = (file_mode?, directory_mode?, options.choice("sync") == "finish");
        Some(Self { tree: tree?, disk: DiskOptions { file_mode, directory_mode, sync } })
    }

    /// Opens the sink with a clock of the caller's.
    pub(super) fn open(&self, context: &SinkContext, clock: Clock) -> Result<TreeSink<Disk>, StartError> {
        let (tree, style) = (&self.tree, &self.tree.lane.style);
        let template = tree.named_template(&context.name)?;
        prepare_root(template.root(), &style.prefix, &self.disk)
            .map_err(|error| error.into_start_error(&context.name))?;
        let recovery = Recovery {
            sink: &context.name,
            root: template.root(),
            depth: template.depth(),
            style,
            sync: self.disk.sync,
            format: tree.lane.format,
            positions: &context.positions,
        };
        recovery.run();
        let (sink, options, channel_is_durable) = (context.name.clone(), self.disk, context.channel_is_durable);
        tree.open(context, template, Disk { sink, options, channel_is_durable }, clock)
    }
}

impl SinkSpec for FilesSpec {
    fn memory_bytes(&self) -> u64 {
        self.tree.memory_bytes()
    }

    /// One lane: a directory has one file per partition at a time, or the names would claim what they do not hold.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        let sink = self.open(context, Box::new(Instant::now))?;
        Ok(vec![Box::new(sink)])
    }
}

/// Creates the fixed part of the path and tries to write there.
fn prepare_root(root: &Path, prefix: &str, options: &DiskOptions) -> Result<(), FileError> {
    disk::create_directories(root, options.directory_mode, options.sync)
        .map_err(FileError::on("create the folder", root))?;
    // By process, so that agents which start together do not meet here.
    let probe = root.join(format!(".{prefix}.probe-{}{IN_PROGRESS_SUFFIX}", std::process::id()));
    disk::create_in_progress(&probe, options.file_mode).map_err(FileError::on("create files in", root))?;
    std::fs::remove_file(&probe).map_err(FileError::on("remove files in", root))
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
