//! The command line: what can be typed. What it does is in `commands`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::exit::EXIT_CODES;

/// Near-real-time ingest: syslog in, durable, out.
#[derive(Parser, Debug)]
#[command(
    version,
    about = "Near-real-time ingest: syslog in, durable, out",
    long_about = "Weir takes events in (sources), makes them durable (channels) and delivers them (sinks), as Apache Flume does, \
and proves that nothing acknowledged was lost.\n\nFirst steps:\n  weir demo --for 20s              see it work, nothing else needed\n  weir components                  what there is; weir components syslog: every option of one\n  weir check agent.toml            every error of a configuration at once\n  weir run agent.toml              run it\n  weir send tcp://127.0.0.1:5140   give it something to do",
    after_help = EXIT_CODES
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run an agent until it is told to stop (SIGTERM, SIGINT) or its sources have ended
    Run(RunArgs),
    /// See it work: device syslog through a durable log into files, with a live view and a ledger at the end
    Demo(DemoArgs),
    /// Check configuration files: every error at once, without touching network or disk
    Check(CheckArgs),
    /// What there is: sources, interceptors, channels and sinks, with every option
    Components(ComponentsArgs),
    /// Look into a durable log: check, dump, repair, groups
    #[command(subcommand, after_help = LOG_HELP)]
    Log(LogCommand),
    /// How a running agent is, from its admin endpoint
    Status(StatusArgs),
    /// Send load: lines of a file or synthetic ones, over tcp, udp or unix sockets
    Send(SendArgs),
    /// Read a topic and both ends of it: proof that every event is in each exactly once, or the difference
    Verify(VerifyArgs),
}

/// When to use which of `weir log`.
const LOG_HELP: &str = "DIR is the path of a file channel: the folder with segments/ and groups/ in it.

Which one:
  who has read how far?                 weir log groups DIR
  what is in it?                        weir log dump DIR
  is it intact?                         weir log check DIR               exit code 5 if not
  it is damaged, the disk is suspect:   weir log repair DIR --to NEW_DIR
  a group that nothing reads any more
  keeps it from being emptied:          weir log drop-group DIR NAME

groups, dump and check change nothing and work beside a running agent; for repair and drop-group
it must be stopped. An agent starts on a damaged log too: it delivers what is whole, and reports
and counts what is lost. Repair is for moving what is whole to a healthy disk.";

/// Options of `weir run`.
#[derive(Args, Debug)]
#[command(
    after_help = "The first SIGTERM or SIGINT stops the sources, delivers what is there until shutdown_deadline and
ends; a second one ends at once. What durable channels still hold is delivered after the next start.

Example:
  weir run /etc/weir/agent.toml"
)]
pub(crate) struct RunArgs {
    /// Configuration files; several are read as one
    #[arg(required = true)]
    pub(crate) config: Vec<PathBuf>,
    /// HOST:PORT of the admin endpoint, instead of the configuration's; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
    /// Print the final status and ledger as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Files are found by the offsets in their names and compared by content, in every format and compression
that sinks write. A difference is narrowed down to offsets and files. Documents are found by their ids,
LOG-PARTITION-OFFSET, as the sink makes them unless told otherwise. What is not yet delivered counts as
missing: wait until `weir status` shows no backlog. Nothing is changed anywhere.

Where the sink of Solr selects, samples or has dead letters, --left-out gives the sum of what it counts
as dropped and dead-lettered (`weir status --json`, its group, over all agents and starts): then the
selection is proven by its size. --selective without it compares what is there and proves nothing about
what is not; the last line says so.

Exit code 0: proven, or with --selective no difference. 4: a difference, something that could not be
compared, or nothing to compare. 1: something could not be read.

Examples:
  weir verify --config hub.toml
  weir verify --config hub.toml --channel edges --sink archive --sink search --left-out 1250
  weir verify --brokers localhost:9092 --topic events --hdfs hdfs://namenode:8020/events
  weir verify --brokers localhost:9092 --topic events --hdfs /events --hadoop-conf /etc/hadoop/conf \\
              --solr http://localhost:8983/solr/events --left-out 1250 --json"
)]
pub(crate) struct VerifyArgs {
    /// Where the events come from
    #[arg(long, value_parser = ["kafka"], default_value = "kafka")]
    pub(crate) from: String,
    /// Configuration of the agent with the sinks: brokers, topic, HDFS, Solr, and who it is to them are taken from it.
    /// What is given by other options goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Its channel of type kafka, if there are several
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) channel: Option<String>,
    /// Its sinks of type hdfs and solr, if not the only ones of the channel
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) sink: Vec<String>,
    /// HOST:PORT of brokers, with commas between
    #[arg(long, value_name = "BROKERS", required_unless_present = "config")]
    pub(crate) brokers: Option<String>,
    /// The topic
    #[arg(long, required_unless_present = "config")]
    pub(crate) topic: Option<String>,
    /// Folder of the files: hdfs://HOST:PORT/PATH, webhdfs://HOST:PORT/PATH, file:///PATH, or /PATH of the configured HDFS
    #[arg(long, value_name = "URL")]
    pub(crate) hdfs: Option<String>,
    /// Folder of core-site.xml and hdfs-site.xml, instead of HADOOP_CONF_DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) hadoop_conf: Option<PathBuf>,
    /// Who reads the files, where nobody asks for proof; HADOOP_USER_NAME or the login if absent
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Collection or alias: http://HOST:PORT/solr/COLLECTION
    #[arg(long, value_name = "URL")]
    pub(crate) solr: Option<String>,
    /// The field of ids; id if absent
    #[arg(long, value_name = "FIELD")]
    pub(crate) solr_key: Option<String>,
    /// What ids begin with instead of the log id of the topic, where the sink's `id` says so: netmeta of
    /// netmeta-%{weir.partition}-%{weir.offset}
    #[arg(long, value_name = "PREFIX")]
    pub(crate) solr_id_prefix: Option<String>,
    /// Solr is given a selection, nobody knows how much: events without a document are no difference, and only what is
    /// there is checked
    #[arg(long)]
    pub(crate) selective: bool,
    /// So many events have no document, since the sink dropped them or put them into dead letters: as many must be missing
    #[arg(long, value_name = "EVENTS")]
    pub(crate) left_out: Option<u64>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir send`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir send tcp://127.0.0.1:5140 --connections 4 --for 10s      flat out
  weir send udp://127.0.0.1:5140 --rate 50k/s --events 1M
  weir send tcp://127.0.0.1:5140 --input firewall.log --stamp   replay a file, each line numbered")]
pub(crate) struct SendArgs {
    /// tcp://HOST:PORT, udp://HOST:PORT, unix:PATH or unix-dgram:PATH
    pub(crate) target: String,
    /// Send the lines of this file, over and over, instead of synthetic ones
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Events per second over all connections, as 20k/s; unlimited: as fast as the peer takes them
    #[arg(long, default_value = "unlimited")]
    pub(crate) rate: String,
    /// Connections, one thread each
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Stop after so many events, as 1M
    #[arg(long)]
    pub(crate) events: Option<String>,
    /// Stop after this time, as 20s; without --events and --for: 10s
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Number each line: producer id and sequence number, so that a reader can tell what is missing
    #[arg(long)]
    pub(crate) stamp: bool,
    /// Producer id of the first connection
    #[arg(long, default_value_t = 1, requires = "stamp")]
    pub(crate) producer: u16,
    /// Octet-counted framing (RFC 6587) instead of newlines
    #[arg(long)]
    pub(crate) octet_counted: bool,
    /// Seed of the synthetic lines
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// When the peer goes away, try for so long to reach it again
    #[arg(long, value_name = "DURATION")]
    pub(crate) reconnect: Option<String>,
    /// Allow another machine than this one: a load tool pointed at production by accident is a fault
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir demo`.
#[derive(Args, Debug)]
#[command(after_help = "The pipeline is an ordinary one: syslog over TCP and UDP -> durable log -> files.
`weir demo --print-config` shows it; save it, change it, `weir run` it. The senders run in the
same process: four fifths of the events go over two TCP connections, one fifth over UDP.

At the end the ledger is printed: what was sent, received, made durable, delivered, and found
again in the finished files. The exit code is 0 only if every line of it closes, else 4.

With --kafka there are two agents: edge (syslog over TCP -> durable log -> Kafka) and hub (Kafka ->
files). Three brokers of Apache Kafka are started on 127.0.0.1 and end with the demo, their data
with them. That takes Java 17 or later and, the first time, Maven to fetch 55 MB; or name brokers
that run. Every line is numbered, so that the ledger also says what is missing or there twice.

With --full the hub delivers to HDFS (everything) and Solr (warnings and worse) instead of files.
Both are real and started like the brokers: 9 Java processes, 2 GB of memory. That takes a JDK 17
or later and, the first time, Maven to fetch 205 MB. At the end the topic is compared with both, as
by `weir verify`, and a folder of HDFS and a query of Solr are shown.

Examples:
  weir demo --for 20s
  weir demo --rate 100k/s --dir demo        the log in demo/log, the files in demo/files
  weir demo --input firewall.log --for 1m   your own lines; syslog stamps become the time of sending
  weir demo --for 10s --json                the report for a script
  weir demo --dir demo                      kill -9 it, start it again: nothing durable is lost
  weir demo --kafka --for 20s               two agents with Kafka between them
  weir demo --kafka --kill --for 20s        the same, and kill -9 of a broker half way
  weir demo --full --for 20s                Kafka, HDFS and Solr")]
#[command(group = ArgGroup::new("tiers").args(["kafka", "full"]))]
pub(crate) struct DemoArgs {
    /// Two tiers with Kafka between them: an edge agent (syslog -> durable log -> Kafka) and a hub agent (Kafka -> files)
    #[arg(long, conflicts_with = "admin")]
    pub(crate) kafka: bool,
    /// The same with a hub agent that delivers to HDFS and Solr; all servers are started for it
    #[arg(long, conflicts_with = "admin")]
    pub(crate) full: bool,
    /// Brokers to use instead of starting three; the demo makes a topic there and leaves it
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', requires = "tiers")]
    pub(crate) brokers: Vec<String>,
    /// Kill one of the three brokers (kill -9) half way, or after 5 s
    #[arg(long, requires = "tiers", conflicts_with = "brokers")]
    pub(crate) kill: bool,
    /// Events per second over all connections, as 20k/s; unlimited: as fast as the agent takes them, UDP at 10k/s
    /// [default: 20k/s, with --full 5k/s]
    #[arg(long)]
    pub(crate) rate: Option<String>,
    /// Stop after this time, as 20s; otherwise on Ctrl-C
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Replay the lines of this file instead of synthetic ones
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Folder for log and files, kept afterwards; otherwise a new temporary one, kept too
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// HOST:PORT for an admin endpoint, as 127.0.0.1:9600, so that `weir status` works; otherwise none
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<String>,
    /// Print the configuration of the demo and end
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Print the final report as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir check`.
#[derive(Args, Debug)]
#[command(after_help = "Every error is printed with file, line, column and what to do; warnings do not fail the check.
Then the memory plan: what all buffers together may take, against the budget `memory` of [agent].

Examples:
  weir check agent.toml
  weir check base.toml site.toml --json    several files are read as one
  weir check --effective agent.toml        what is configured, with defaults and without secrets")]
pub(crate) struct CheckArgs {
    /// Configuration files; several are read as one
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print the whole configuration as it is understood, defaults filled in
    #[arg(long, conflicts_with = "json")]
    pub(crate) effective: bool,
    /// Print everything found as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir components`.
#[derive(Args, Debug)]
#[command(after_help = "Made from the tables that the agent reads configurations with, so never out of date.

Examples:
  weir components                                the types, by kind
  weir components syslog                         every option of one, with default and bounds
  weir components agent                          the options of [agent]
  weir components --reference > reference.toml   every option of every type in one commented file
  weir components --schema > weir.schema.json    for editors that complete and check TOML")]
pub(crate) struct ComponentsArgs {
    /// A type, as in type = "syslog"; or agent
    #[arg(value_name = "TYPE")]
    pub(crate) type_name: Option<String>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// As a Markdown page
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
    /// Print a commented configuration file with every option of every type
    #[arg(long, conflicts_with_all = ["type_name", "json", "markdown", "schema"])]
    pub(crate) reference: bool,
    /// Print a JSON schema of configuration files
    #[arg(long, conflicts_with_all = ["type_name", "markdown"])]
    pub(crate) schema: bool,
}

/// Options of `weir status`.
#[derive(Args, Debug)]
#[command(after_help = "The agent answers if admin = \"127.0.0.1:9600\" stands in [agent], or with `weir run --admin`.
Exit code: 0 well, 6 degraded or not ready, 1 not reachable.

Examples:
  weir status
  weir status 127.0.0.1:9601 --watch
  weir status --json | jq '.groups[] | {group, backlog_events, backlog_seconds}'")]
pub(crate) struct StatusArgs {
    /// HOST:PORT of the admin endpoint
    #[arg(default_value = "127.0.0.1:9600")]
    pub(crate) address: String,
    /// Print what the endpoint says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Go on, once a second, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `weir log ...`.
#[derive(Subcommand, Debug)]
pub(crate) enum LogCommand {
    /// Read everything and say what is damaged; exit code 5 if anything is
    Check(LogCheckArgs),
    /// Print events: offset, time, headers, body
    Dump(LogDumpArgs),
    /// Copy what is whole to a new folder
    Repair(LogRepairArgs),
    /// The reader groups and how far they are
    Groups(LogGroupsArgs),
    /// Forget a group that nothing reads any more; the agent must not run
    DropGroup(LogDropGroupArgs),
}

/// Options of `weir log check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Reads every segment whole and changes nothing; works beside a running agent. Damage is told to the
byte, with the offsets of the events that were there. The unfinished end of a log that was not
closed is no damage: nothing in it was acknowledged."
)]
pub(crate) struct LogCheckArgs {
    /// Folder of the log
    pub(crate) dir: PathBuf,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir log dump`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir log dump spool --count 10            the oldest ten
  weir log dump spool --from 1000 --to 1010
  weir log dump spool --json | jq -r .body")]
pub(crate) struct LogDumpArgs {
    /// Folder of the log
    pub(crate) dir: PathBuf,
    /// First offset; the oldest there is if not given
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Stop before this offset
    #[arg(long, value_name = "OFFSET", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) to: u64,
    /// Most events
    #[arg(long, value_name = "EVENTS", default_value_t = u64::MAX, hide_default_value = true)]
    pub(crate) count: u64,
    /// One JSON object a line; what is not UTF-8 shows as U+FFFD
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir log repair`.
#[derive(Args, Debug)]
#[command(after_help = "DIR stays as it is. NEW_DIR gets every whole event at its old offset, and the positions of the
groups; set the channel's path to it afterwards. Stop the agent first: what it appends meanwhile
is not in the copy.")]
pub(crate) struct LogRepairArgs {
    /// Folder of the log
    pub(crate) dir: PathBuf,
    /// Folder for the copy; must not exist, or be empty
    #[arg(long, value_name = "NEW_DIR")]
    pub(crate) to: PathBuf,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir log groups`.
#[derive(Args, Debug)]
#[command(
    after_help = "POSITION is the next offset the group has to read. Reads the whole log, as `weir log check` does."
)]
pub(crate) struct LogGroupsArgs {
    /// Folder of the log
    pub(crate) dir: PathBuf,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `weir log drop-group`.
#[derive(Args, Debug)]
#[command(after_help = "What only this group had still to read is then deleted, and cannot be had back.")]
pub(crate) struct LogDropGroupArgs {
    /// Folder of the log
    pub(crate) dir: PathBuf,
    /// Name of the group
    pub(crate) name: String,
}
