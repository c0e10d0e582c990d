//! Sink type `hdfs`: options, and the start of the sink.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;
use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Options, TypeSpec};
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_format::{Layout, SequenceCompression, SequenceValue};
use weir_hdfs::{CreateOptions, Faults, FileSystem};

use super::alone::Alone;
use super::connect::{CLIENT_WINDOW_BYTES, Connection, Place};
use super::store::{Hdfs, HdfsOptions};
use crate::io_thread::IoThread;
use crate::tree::file::Counts;
use crate::tree::lane::{Clock, TreeSink};
use crate::tree::options::{self, DAY_MS, Names, TreeSpec};

/// Hadoop's default.
const BLOCK_BYTES: u64 = 128 << 20;

pub(super) static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "hdfs",
    aliases: &[],
    summary: "Writes events to files of an HDFS (by its own protocol, WebHDFS or HttpFS) or of a mounted folder; each event once, also over crashes and moving partitions if the channel is durable.",
    options: &[
        OptionSpec::required(
            "path",
            Kind::Text,
            "The directory of an event, as a URL: hdfs://HOST:PORT/..., hdfs://NAMESERVICE/..., webhdfs://, swebhdfs:// or file:///; a path alone is in the file system that fs.defaultFS of hadoop_conf names. Escapes as of sink files: %{HEADER}, %Y %m %d %H and the others, %[localhost], %% for a percent sign. Folders as Hive wants them are text: dt=%Y-%m-%d/hour=%H. Below the part before the first escape the sink keeps a folder .weir for files in progress.",
        )
        .example("hdfs://namenode:8020/events/%Y-%m-%d/%H"),
        OptionSpec::unset(
            "hadoop_conf",
            Kind::Path,
            "The folder with core-site.xml and hdfs-site.xml: addresses of name services, replication, Kerberos. Default: HADOOP_CONF_DIR, else none.",
        )
        .example("/etc/hadoop/conf"),
        OptionSpec::unset(
            "web_address",
            Kind::Text,
            "HOST:PORT of WebHDFS or HttpFS, for an hdfs:// path where no configuration says it.",
        )
        .example("namenode:9870"),
        OptionSpec::unset(
            "user",
            Kind::Text,
            "The user that writes, where the cluster asks for no proof. Default: HADOOP_USER_NAME, else that of the process.",
        )
        .example("weir"),
        OptionSpec::unset("kerberos_principal", Kind::Text, "Who this agent is, with kerberos_keytab; else the ticket cache counts.")
            .example("weir/edge1@EXAMPLE.ORG"),
        OptionSpec::unset("kerberos_keytab", Kind::Path, "The keytab with the key of kerberos_principal.")
            .example("/etc/weir/weir.keytab"),
        OptionSpec::unset("ca", Kind::Path, "Authorities (PEM) besides those of the system, for WebHDFS over TLS.")
            .example("/etc/weir/hdfs-ca.pem"),
        OptionSpec::unset("replication", Kind::Count { min: 1, max: 512 }, "Copies of each block. Default: what the cluster's configuration says.")
            .example("3"),
        OptionSpec::unset(
            "block_bytes",
            Kind::Bytes { min: 4 << 10, max: 1 << 40 },
            "Size of a block of a file. Default: what the cluster's configuration says.",
        )
        .example("128 MiB"),
        options::PREFIX,
        options::SUFFIX,
        OptionSpec::defaulted(
            "format",
            Kind::Choice(&[
                ("text", "the body and a line feed; line feeds in the body stay as they are"),
                ("json", "one object per line: timestamp, the other headers, body (body_base64 if it is not UTF-8)"),
                ("sequence_writable", "Hadoop SequenceFile as Flume's Writable: key LongWritable (time in ms), value BytesWritable (body)"),
                ("sequence_text", "the same with value Text"),
                ("avro_flume", "Avro container of Flume's event: headers and body"),
                ("avro_syslog", "Avro container of syslog records: timestamp, facility, severity, host, app, procid, msgid, headers, body"),
                ("parquet", "Parquet with the same columns; up to 8 MiB of memory for each open file"),
            ]),
            "text",
            "What files are.",
        ),
        OptionSpec::defaulted(
            "compression",
            Kind::Choice(&[
                ("none", "fastest"),
                ("gzip", "for readers that have nothing else; in avro it is deflate"),
                ("snappy", "fast and large; Hadoop's framing"),
                ("lz4", "fast and large; Hadoop's framing; not in avro"),
                ("zstd", "smaller than gzip, for about the same work; Hadoop's tools need their native library for it"),
                ("bzip2", "smallest, slow; not in parquet"),
            ]),
            "none",
            "Compression of files, in blocks that each stand for themselves.",
        ),
        OptionSpec::defaulted(
            "sequence_compression",
            Kind::Choice(&[("block", "thousands of records together"), ("record", "each value by itself")]),
            "block",
            "What a SequenceFile compresses at a time, if it is compressed.",
        ),
        options::COMPRESSION_LEVEL,
        options::TIME,
        options::TIME_ZONE,
        options::ROUND,
        options::MISSING_HEADER,
        OptionSpec::unset(
            "roll_bytes",
            Kind::BYTES,
            "A file is finished when so many bytes are stored, as they are stored; it may be longer by a block of 512 KiB. Unset: 15/16 of the block size, as far as that is known here (else 120 MiB), so that each file is one block. 0: never for its size.",
        )
        .example("120 MiB"),
        options::ROLL_EVENTS,
        OptionSpec::defaulted(
            "roll_time",
            Kind::Duration { min_ms: 0, max_ms: 7 * DAY_MS },
            "1 min",
            "A file is finished so long after its first event. With a durable channel events are acknowledged only then, so it bounds what the channel keeps and what a crash repeats. 0 s: never for its age.",
        ),
        options::ROLL_IDLE,
        OptionSpec::defaulted(
            "open_files_max",
            Kind::Count { min: 1, max: 1024 },
            "32",
            "Most files open at a time, one for each directory and partition that events go to; lanes have equal shares of it. For another file, that of the lane which was not written for longest is finished. Each takes up to 2.5 MiB of memory while its blocks are on their way.",
        ),
        OptionSpec::defaulted(
            "lanes",
            Kind::Count { min: 1, max: 64 },
            "4",
            "Threads that write, on a channel that agents share (Kafka), at most one for each partition that it has at the start. Each partition belongs to one of them, so a DataNode that stands still stops the partitions of the threads that have a file on it, until write_timeout, and not the others. open_files_max is shared out evenly among them. A channel of this agent alone has one partition, and gets one thread.",
        ),
        OptionSpec::unset(
            "sync_interval",
            Kind::Duration { min_ms: 100, max_ms: DAY_MS },
            "Makes events readable and durable (hsync) so long after they came, before their file is finished. Over WebHDFS that ends a block each time, and with no more DataNodes than copies wants dfs.client.block.write.replace-datanode-on-failure.best-effort in the DataNodes' configuration: else a file is begun anew whenever one of them is left out.",
        )
        .example("10 s"),
        OptionSpec::unset(
            "complete_after",
            Kind::Duration { min_ms: 0, max_ms: 7 * DAY_MS },
            "Puts an empty file _complete into each directory of past time once every partition that ever had events has some that are so much younger than the end of that time. A partition that falls silent holds all of them back. What is later still goes there, and is counted. Unset: no such file.",
        )
        .example("5 m"),
        OptionSpec::defaulted(
            "call_timeout",
            Kind::Duration { min_ms: 1_000, max_ms: 600_000 },
            "30 s",
            "A call to a NameNode that has had no answer after this time, over all NameNodes, has failed; so has a file that is not complete so long after its last byte.",
        ),
        OptionSpec::defaulted(
            "write_timeout",
            Kind::Duration { min_ms: 1_000, max_ms: 600_000 },
            "10 s",
            "A file that stands still for so long is given up: its events go to a new one, and the DataNode is not asked again for a minute.",
        ),
    ],
};

/// The type `hdfs`, for the registry.
#[must_use]
pub fn hdfs_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    Some(Arc::new(HdfsSpec::from_options(&config.options, diagnostics)?))
}

/// The checked options of one sink.
#[derive(Debug)]
pub(super) struct HdfsSpec {
    tree: TreeSpec,
    connection: Connection,
    create: CreateOptions,
    sync_interval: Option<Duration>,
    complete_after: Option<Duration>,
    lanes: usize,
}

impl HdfsSpec {
    /// Checks what the table cannot. Reads Hadoop's configuration, so that what is wrong in it is found before the start.
    pub(super) fn from_options(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let place = Place::split(options.text("path"));
        let kinds = (Counts::Stored, Names::Hdfs);
        let mut tree = TreeSpec::from_options(options, place.template, layout(options), kinds, diagnostics);
        let connection = Connection::from_options(options, &place, diagnostics);
        let cluster = connection.as_ref().map(Connection::cluster);
        let replication = options.count_opt("replication").and_then(|copies| u16::try_from(copies).ok());
        let block_bytes = options.bytes_opt("block_bytes").or_else(|| cluster.and_then(|cluster| cluster.block_bytes));
        let create = CreateOptions {
            replication: replication.or_else(|| cluster.and_then(|cluster| cluster.replication)),
            block_bytes,
            parent_must_exist: true,
            // What is acknowledged survives all DataNodes losing power at once.
            sync_blocks: true,
            ..CreateOptions::default()
        };
        if let Some(tree) = &mut tree {
            let near_a_block = block_bytes.unwrap_or(BLOCK_BYTES) / 16 * 15;
            let bytes = options.bytes_opt("roll_bytes").unwrap_or(near_a_block);
            tree.lane.style.limits.bytes = Some(bytes).filter(|bytes| *bytes > 0);
        }
        let sync_interval = options.duration_opt("sync_interval");
        let complete_after = options.duration_opt("complete_after");
        if complete_after.is_some() && tree.as_ref().is_some_and(|tree| tree.template.unit_ms().is_none()) {
            let message = "directories without a time in path are never of the past";
            diagnostics.push(
                options.error("complete_after", message).with_hint("add %Y-%m-%d to path, or leave complete_after out"),
            );
            return None;
        }
        let tree = tree?;
        let lanes = tree.lane.open_files_max.min(options.count("lanes") as usize);
        Some(Self { tree, connection: connection?, create, sync_interval, complete_after, lanes })
    }

    /// How many lanes there are: one for each partition at most.
    fn lanes(&self, context: &SinkContext) -> usize {
        self.lanes.min(context.positions.len().max(1))
    }

    /// Opens lane `index` with a clock of the caller's, on `file_system`.
    pub(super) fn open(
        &self,
        context: &SinkContext,
        index: usize,
        file_system: Arc<dyn FileSystem>,
        io: Arc<IoThread>,
        clock: Clock,
    ) -> Result<TreeSink<Hdfs>, StartError> {
        let mut tree = self.tree.clone();
        let (files, lanes) = (tree.lane.open_files_max, self.lanes(context));
        tree.lane.open_files_max = files / lanes + usize::from(index < files % lanes);
        tree.lane.waits_for_names = true;
        (tree.lane.complete_after, tree.lane.sync_interval) = (self.complete_after, self.sync_interval);
        // Which agent wrote a file is part of its name, and of nothing that is compared.
        tree.lane.style.suffix = format!(".{}{}", name_part(&context.agent), tree.lane.style.suffix);
        let template = tree.named_template(&context.name)?;
        let options = HdfsOptions {
            sink: context.name.clone(),
            depth: template.depth(),
            root: template.root().to_string_lossy().trim_end_matches('/').to_owned(),
            create: self.create.clone(),
            agent: name_part(&context.agent),
            prefix: tree.lane.style.prefix.clone(),
        };
        tree.open(context, template, Hdfs::new(options, file_system, io), clock)
    }
}

/// The file system that a sink of this type writes to, and the folder that all of its files are below, for tools that look at
/// what the sink did. Its client is made on `io`; it has connected to nobody yet.
///
/// # Errors
/// [`StartError`] if there is no way to the file system, or an option is wrong.
pub fn hdfs_tree(sink: &ComponentConfig, io: &IoThread) -> Result<(Arc<dyn FileSystem>, String), StartError> {
    let mut diagnostics = Diagnostics::new();
    let Some(spec) = HdfsSpec::from_options(&sink.options, &mut diagnostics) else {
        return Err(StartError::plain(format!("sink {}: {}", sink.name, diagnostics.render(false))));
    };
    let template = spec.tree.named_template(&sink.name)?;
    let file_system = spec.connection.file_system(&sink.name, io, Faults::default())?;
    Ok((file_system, template.root().to_string_lossy().into_owned()))
}

fn layout(options: &Options) -> Layout {
    let compression = match options.choice("sequence_compression") {
        "record" => SequenceCompression::Record,
        _ => SequenceCompression::Block,
    };
    match options.choice("format") {
        "json" => Layout::Json,
        "sequence_writable" => Layout::Sequence(SequenceValue::Writable, compression),
        "sequence_text" => Layout::Sequence(SequenceValue::Text, compression),
        "avro_flume" => Layout::AvroFlume,
        "avro_syslog" => Layout::AvroSyslog,
        "parquet" => Layout::Parquet,
        _ => Layout::Text,
    }
}

/// What of an agent's name may stand in that of a file.
fn name_part(agent: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    agent.chars().take(32).map(safe).collect()
}

impl HdfsSpec {
    /// What only shows when the channel is known: agents that take partitions over from each other must look for finished
    /// files in the same directories.
    fn check_sharing(&self, context: &SinkContext) -> Result<(), StartError> {
        let name = &context.name;
        if !context.channel_is_shared {
            return Ok(());
        }
        if self.tree.template.host_parts().next().is_some() {
            let why = "an agent that takes partitions over would look for their files in other directories and write events again: use %{host}, or no name at all";
            let message = format!("sink {name}: path has %[...], and other agents share the channel");
            return Err(StartError::new(message, std::io::Error::other(why)));
        }
        if self.tree.zone.is_none() {
            warn!(sink = %name, "directories follow this machine's time zone: give time_zone, or see that all agents of the group have the same");
        }
        Ok(())
    }
}

impl SinkSpec for HdfsSpec {
    fn memory_bytes(&self) -> u64 {
        // The files are shared out, the rest is not.
        let others = (self.lanes as u64 - 1) * self.tree.lane_bytes();
        self.tree.memory_bytes() + others + self.tree.lane.open_files_max as u64 * u64::from(CLIENT_WINDOW_BYTES)
    }

    /// A directory has one file per partition at a time, or the names would claim what they do not hold.
    fn keeps_partitions(&self) -> bool {
        true
    }

    fn lanes_max(&self) -> u64 {
        self.lanes as u64
    }

    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        self.check_sharing(context)?;
        let failed = |error| StartError::new(format!("sink {}: no thread for its client", context.name), error);
        let io = Arc::new(IoThread::start(&context.name).map_err(failed)?);
        let counted = context.faults.clone();
        let faults = Faults::new(move |kind| counted.add(kind, 1));
        let file_system = self.connection.file_system(&context.name, &io, faults)?;
        let root = self.tree.template.root().to_string_lossy();
        let alone = Arc::new(Alone::claim(context, &root, &self.tree.lane.style.prefix)?);
        let lane = |index| {
            let mut lane = self.open(context, index, file_system.clone(), io.clone(), Box::new(Instant::now))?;
            lane.store.keep_alone(alone.clone());
            Ok(Box::new(lane) as Box<dyn Sink>)
        };
        (0..self.lanes(context)).map(lane).collect()
    }
}
