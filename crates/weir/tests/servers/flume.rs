//! An agent of Apache Flume at the other end of a topic.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use weir_servers::flume::Flume;
use weir_servers::kafka::{self, Topic};
use weir_servers::ports;

use crate::support::{Running, eventually};

/// Events of each agent, in each form.
const EVENTS: usize = 300;

/// An event: its headers and, as `body`, its body.
type Event = BTreeMap<String, String>;

/// Scenario: an agent of ours and one of Flume's write events with headers, keys and text beyond ASCII to the same two
/// topics: to one in Flume's event format, to the other raw. One agent of each then reads both topics.
/// Guarantees: both readers see the same events, with the same headers, keys, timestamps and positions; in Flume's format
/// these are all headers that were written, raw the key and the body.
pub(crate) fn flume_and_weir_share_topics() -> Result<(), Failed> {
    kafka::Cluster::with(kafka::ClusterOptions::default(), |server| {
        server.create_topic(&Topic::new("avro"))?;
        server.create_topic(&Topic::new("raw"))?;
        let folder = tempfile::tempdir()?;
        let brokers = server.bootstrap();
        let mut written = ours_writes(&brokers, folder.path())?;
        written.extend(flume_writes(server)?);
        let ours = ours_reads(&brokers, folder.path())?;
        let theirs = flume_reads(&brokers, folder.path())?;
        for topic in ["avro", "raw"] {
            let (ours, theirs) = (sorted(&ours, topic), sorted(&theirs, topic));
            assert_eq!((ours.len(), theirs.len()), (written.len(), written.len()), "{topic}");
            for (offset, written) in written.iter().enumerate() {
                assert_eq!(ours[offset], theirs[offset], "{topic}: ours and theirs");
                let (mut found, expected) = (ours[offset].clone(), expected(written, topic, offset));
                if !expected.contains_key("timestamp") {
                    assert!(found.remove("timestamp").is_some(), "the time of the record");
                }
                assert_eq!(found, expected, "{topic}: found and expected");
            }
        }
        Ok(())
    })
}

/// What a reader has to show of an event; without a timestamp where only the record has one.
fn expected(written: &Event, topic: &str, offset: usize) -> Event {
    let mut event = written.clone();
    event.retain(|name, _| topic == "avro" || name == "key" || name == "body");
    for (name, value) in [("topic", topic), ("partition", "0"), ("offset", &offset.to_string())] {
        event.insert(name.to_owned(), value.to_owned());
    }
    event
}

/// The events of a topic in the order of their offsets.
fn sorted<'a>(events: &'a [Event], topic: &str) -> Vec<&'a Event> {
    let mut found: Vec<&Event> =
        events.iter().filter(|event| event.get("topic").is_some_and(|at| at == topic)).collect();
    found.sort_by_key(|event| event.get("offset").and_then(|offset| offset.parse::<u64>().ok()));
    found
}

/// Our agent writes synthetic events with a key to both topics, and to files what they are.
fn ours_writes(brokers: &str, folder: &Path) -> Result<Vec<Event>, Failed> {
    let out = folder.join("written");
    let config = folder.join("edge.toml");
    fs::write(
        &config,
        format!(
            "[agent]\nlog_level = 'warn'\n\
             [sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {EVENTS}\nchannels = ['c']\ninterceptors = ['site', 'key']\n\
             [interceptors.site]\ntype = 'static'\nkey = 'site'\nvalue = 'Zürich'\n\
             [interceptors.key]\ntype = 'static'\nkey = 'key'\nvalue = 'schlüssel'\n\
             [channels.c]\ntype = 'memory'\n\
             [sinks.avro]\ntype = 'kafka'\nchannel = 'c'\ngroup = 'avro'\nbrokers = ['{brokers}']\ntopic = 'avro'\nformat = 'flume'\n\
             [sinks.raw]\ntype = 'kafka'\nchannel = 'c'\ngroup = 'raw'\nbrokers = ['{brokers}']\ntopic = 'raw'\n\
             [sinks.files]\ntype = 'files'\nchannel = 'c'\ngroup = 'files'\npath = '{}'\nformat = 'json'\n",
            out.display()
        ),
    )?;
    let ended = Command::new(env!("CARGO_BIN_EXE_weir")).arg("run").arg(&config).output()?;
    if !ended.status.success() {
        return Err(Failed::from(String::from_utf8_lossy(&ended.stderr).into_owned()));
    }
    let events = json_events(&out)?;
    assert_eq!(events.len(), EVENTS);
    Ok(events)
}

/// Flume takes events by HTTP, some without key or headers, and writes them to both topics.
fn flume_writes(server: &kafka::Cluster) -> Result<Vec<Event>, Failed> {
    let port = ports::free(1)?.into_iter().next().ok_or("no free port")?;
    let brokers = server.bootstrap();
    let mut agent = Flume::find()?.start(&format!(
        "a1.sources = in\na1.channels = c d\na1.sinks = avro raw\n\
         a1.sources.in.type = http\na1.sources.in.bind = 127.0.0.1\na1.sources.in.port = {port}\na1.sources.in.channels = c d\n\
         a1.channels.c.type = memory\na1.channels.c.capacity = 10000\na1.channels.c.transactionCapacity = 1000\n\
         a1.channels.d.type = memory\na1.channels.d.capacity = 10000\na1.channels.d.transactionCapacity = 1000\n\
         a1.sinks.avro.type = org.apache.flume.sink.kafka.KafkaSink\na1.sinks.avro.channel = c\n\
         a1.sinks.avro.kafka.topic = avro\na1.sinks.avro.kafka.bootstrap.servers = {brokers}\n\
         a1.sinks.avro.useFlumeEventFormat = true\na1.sinks.avro.kafka.producer.compression.type = snappy\n\
         a1.sinks.raw.type = org.apache.flume.sink.kafka.KafkaSink\na1.sinks.raw.channel = d\n\
         a1.sinks.raw.kafka.topic = raw\na1.sinks.raw.kafka.bootstrap.servers = {brokers}\n"
    ))?;
    let events: Vec<Event> = (0..EVENTS).map(posted).collect();
    let posts: Vec<Value> =
        events.iter().map(|event| json!({ "headers": headers(event), "body": event["body"] })).collect();
    let posts = serde_json::to_string(&posts)?;
    let url = format!("http://127.0.0.1:{port}/");
    agent.until("its HTTP source answers", || {
        ureq::post(&url).header("Content-Type", "application/json; charset=UTF-8").send(&posts).ok()
    })?;
    agent.until("both topics have its events", || {
        let end = format!(":0:{}\n", 2 * EVENTS);
        let arguments = ["--bootstrap-server", &brokers, "--topic", "avro|raw"].map(Into::into);
        let offsets = server.distribution().run("org.apache.kafka.tools.GetOffsetShell", &arguments, b"").ok()?.text();
        (offsets.matches(&end).count() == 2).then_some(())
    })?;
    agent.stop()?;
    Ok(events)
}

fn posted(number: usize) -> Event {
    let mut event = Event::from([("body".to_owned(), format!("posted {number} \u{2713}"))]);
    let headers = [
        (2, "key", format!("k{}", number % 7)),
        (3, "Größe", "größer".to_owned()),
        (5, "timestamp", format!("{}", 1_700_000_000_000 + number)),
        (1, "number", number.to_string()),
        (4, "empty", String::new()),
    ];
    for (every, name, value) in headers {
        if number.is_multiple_of(every) && number > 0 {
            event.insert(name.to_owned(), value);
        }
    }
    event
}

fn headers(event: &Event) -> Event {
    event.iter().filter(|(name, _)| *name != "body").map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Our agent reads both topics.
fn ours_reads(brokers: &str, folder: &Path) -> Result<Vec<Event>, Failed> {
    let out = folder.join("ours");
    let source = |topic: &str, more: &str| {
        format!(
            "[sources.{topic}]\ntype = 'kafka'\nbrokers = ['{brokers}']\ntopics = ['{topic}']\n\
             consumer_group = 'weir-{topic}'\nchannels = ['c']\n{more}\n"
        )
    };
    let sections = format!(
        "{}{}[channels.c]\ntype = 'memory'\n\
         [sinks.files]\ntype = 'files'\nchannel = 'c'\npath = '{}'\nformat = 'json'\nroll_time = '1 s'\n",
        source("avro", "format = 'flume'"),
        source("raw", "headers = 'none'"),
        out.display()
    );
    let agent = Running::start(folder, "hub", &sections)?;
    let events = eventually("our agent has read both topics", || {
        json_events(&out).ok().filter(|events| events.len() >= 4 * EVENTS)
    })?;
    agent.stop()?;
    Ok(events)
}

/// Flume reads both topics.
fn flume_reads(brokers: &str, folder: &Path) -> Result<Vec<Event>, Failed> {
    let out = folder.join("theirs");
    fs::create_dir(&out)?;
    let source = |topic: &str, is_avro: bool| {
        format!(
            "a1.sources.{topic}.type = org.apache.flume.source.kafka.KafkaSource\na1.sources.{topic}.channels = c\n\
             a1.sources.{topic}.kafka.bootstrap.servers = {brokers}\na1.sources.{topic}.kafka.topics = {topic}\n\
             a1.sources.{topic}.kafka.consumer.group.id = flume-{topic}\n\
             a1.sources.{topic}.kafka.consumer.auto.offset.reset = earliest\n\
             a1.sources.{topic}.useFlumeEventFormat = {is_avro}\na1.sources.{topic}.batchDurationMillis = 200\n"
        )
    };
    let mut agent = Flume::find()?.start(&format!(
        "a1.sources = avro raw\na1.channels = c\na1.sinks = files\n{}{}\
         a1.channels.c.type = memory\na1.channels.c.capacity = 10000\na1.channels.c.transactionCapacity = 1000\n\
         a1.sinks.files.type = file_roll\na1.sinks.files.channel = c\na1.sinks.files.sink.directory = {}\n\
         a1.sinks.files.sink.rollInterval = 0\na1.sinks.files.sink.serializer = HEADER_AND_TEXT\n",
        source("avro", true),
        source("raw", false),
        out.display()
    ))?;
    let events = agent.until("it has read both topics", || {
        let events: Vec<Event> = lines(&out).ok()?.iter().filter_map(|line| shown_by_flume(line)).collect();
        (events.len() >= 4 * EVENTS).then_some(events)
    })?;
    agent.stop()?;
    Ok(events)
}

/// A line of Flume's serializer: `{name=value, name=value} body`.
fn shown_by_flume(line: &str) -> Option<Event> {
    let (headers, body) = line.strip_prefix('{')?.split_once("} ")?;
    let headers = headers.split(", ").filter_map(|header| header.split_once('='));
    let mut event: Event = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    event.insert("body".to_owned(), body.to_owned());
    Some(event)
}

/// The events in the finished files of a folder, in the order of the names.
fn json_events(folder: &Path) -> Result<Vec<Event>, Failed> {
    let texts = |line: &String| -> Result<Event, Failed> {
        let object: BTreeMap<String, Value> = serde_json::from_str(line)?;
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(object.into_iter().map(|(name, value)| (name, text(value))).collect())
    };
    lines(folder)?.iter().map(texts).collect()
}

/// The lines of all visible files of a folder, none if there is no folder yet.
fn lines(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| {
        file.is_file() && !file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(fs::read_to_string(file)?.lines().map(str::to_owned));
    }
    Ok(all)
}
