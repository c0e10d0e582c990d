//! `weir verify`: what an agent put into files, against the topic it took it from.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use weir_connectors::io_thread::IoThread;
use weir_kafka::fake::FakeCluster;

use crate::support::{Done, Running, done, eventually, folder, status, weir, write};

pub(super) const EVENTS: u64 = 20_000;

/// Brokers in this process with a topic, and the thread they live on.
pub(super) fn brokers() -> (IoThread, FakeCluster) {
    let thread = IoThread::start("brokers").expect("a thread");
    let brokers = thread.wait_for(FakeCluster::start(1)).expect("brokers");
    brokers.create_topic("events", 3);
    (thread, brokers)
}

/// Runs an agent that makes events and keeps them in a channel, and one that writes all of them into files below `out`.
pub(super) fn fill(folder: &Path, channel: &str, sink: &str) -> PathBuf {
    make(folder, channel);
    deliver(folder, channel, "files", "", sink)
}

/// Runs an agent that makes events and keeps them in a channel.
fn make(folder: &Path, channel: &str) {
    // Lines of its own would have the time in them: two agents would make different ones.
    let lines = (0..EVENTS).map(|n| {
        // Severities in no order, and some more often: files of their directories then reach over each other.
        let priority = 8 + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 11 % 8;
        format!("<{priority}>Nov 23 12:00:00 host{} app: event {n}\n", n % 5)
    });
    let lines = write(folder, "lines.txt", &lines.collect::<String>());
    let made = format!(
        "[agent]\nname = 'edge'\n[sources.in]\ntype = 'generate'\nrate = 'unlimited'\nevents = {EVENTS}\n\
         input = '{}'\nchannels = ['c']\n[channels.c]\n{channel}",
        lines.display()
    );
    let ended = Running::start(&[&write(folder, "edge.toml", &made)], &[]).end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

/// Runs an agent that writes all events of a channel into files below `out`, by a sink of type `kind`.
fn deliver(folder: &Path, channel: &str, kind: &str, scheme: &str, sink: &str) -> PathBuf {
    let out = folder.join("out");
    let kept = format!(
        "[agent]\nname = 'hub'\n[channels.c]\n{channel}\n[sinks.out]\ntype = '{kind}'\nchannel = 'c'\n\
         roll_time = '100 ms'\npath = '{scheme}{}/%{{Severity}}'\n{sink}",
        out.display()
    );
    let mut agent = Running::start(&[&write(folder, "hub.toml", &kept)], &[]);
    let address = agent.admin();
    eventually("everything is in files", || {
        (status(&address)["groups"][0]["delivered"].as_u64()? >= EVENTS).then_some(())
    });
    let ended = agent.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    out
}

pub(super) fn kafka_channel(broker: &str) -> String {
    format!("type = 'kafka'\nbrokers = ['{broker}']\ntopic = 'events'\nstart = 'earliest'")
}

pub(super) fn verify(broker: &str, out: &Path) -> Done {
    let url = format!("file://{}", out.display());
    done(&mut weir(&["verify", "--brokers", broker, "--topic", "events", "--json", "--hdfs", &url]))
}

/// All finished files, in order.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|suffix| suffix == "log") {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(super) fn difference(report: &Done) -> Value {
    assert_eq!(report.code, Some(4), "{}{}", report.out, report.err);
    let report = report.json();
    assert_eq!(report["is_proven"], false);
    report["hdfs"].clone()
}

/// Scenario: events of a topic in files of several directories; then a line is taken out, one is put in twice, a file is cut
/// off, one goes missing, and one is copied under a name that claims the same.
/// Guarantees: the untouched tree is proven, with exit code 0; each change is a difference with exit code 4 that names
/// offsets and files.
#[test]
fn every_change_of_the_files_is_found() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    let out = fill(folder.path(), &kafka_channel(broker), "");
    let report = verify(broker, &out);
    assert_eq!(report.code, Some(0), "{}{}", report.out, report.err);
    let report = report.json();
    assert_eq!((&report["is_proven"], &report["topic"]["events"]), (&true.into(), &EVENTS.into()));
    assert_eq!(report["hdfs"]["lines"], EVENTS);
    let text = weir(&["verify", "--brokers", broker, "--topic", "events", "--hdfs"])
        .arg(format!("file://{}", out.display()))
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.starts_with("topic  events: 20,000 events in 3 partitions\n") && text.ends_with("\nproven\n"),
        "{text}"
    );

    let file = files(&out).into_iter().max_by_key(|path| fs::metadata(path).expect("there").len()).expect("some");
    let whole = fs::read(&file).expect("readable");
    let first = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    fs::write(&file, &whole[first..]).expect("written");
    let found = difference(&verify(broker, &out));
    let piece = &found["different"][0];
    assert_eq!((&piece["missing_lines"], &piece["extra_lines"]), (&1.into(), &0.into()), "{found}");
    assert_eq!(piece["missing"][0]["first"], piece["missing"][0]["last"]);

    fs::write(&file, [&whole[..first], &whole[..]].concat()).expect("written");
    let found = difference(&verify(broker, &out));
    let piece = &found["different"][0];
    assert_eq!((&piece["missing_lines"], &piece["extra_lines"]), (&0.into(), &1.into()), "{found}");
    assert_eq!(piece["extra_files"][0]["file"], file.display().to_string());

    fs::write(&file, &whole[..whole.len() - 1]).expect("written");
    let found = difference(&verify(broker, &out));
    let message = found["unreadable"][0].as_str().expect("a text");
    assert!(message.contains(&file.display().to_string()) && message.contains("does not end"), "{message}");
    fs::write(&file, &whole).expect("written");

    let aside = folder.path().join("aside");
    fs::rename(&file, &aside).expect("moved");
    let found = difference(&verify(broker, &out));
    let missing = found["missing_events"].as_u64().expect("a number")
        + found["different"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it["missing_lines"].as_u64().unwrap_or(0))
            .sum::<u64>();
    assert_eq!(missing, whole.split(|byte| *byte == b'\n').count() as u64 - 1, "{found}");
    fs::rename(&aside, &file).expect("moved");

    let name = file.file_name().expect("a name").to_str().expect("text");
    fs::copy(&file, file.with_file_name(name.replace(".log", ".log.txt"))).expect("copied");
    let found = difference(&verify(broker, &out));
    assert_eq!(found["overlaps"], 1, "{found}");
    assert!(found["different"][0]["extra_lines"].as_u64() > Some(0), "{found}");
}

/// Scenario: the same with compressed JSON lines.
/// Guarantees: proven.
#[test]
fn compressed_json_is_read() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    let out = fill(folder.path(), &kafka_channel(broker), "format = 'json'\ncompression = 'zstd'\n");
    let report = verify(broker, &out);
    assert_eq!(report.code, Some(0), "{}{}", report.out, report.err);
    assert_eq!(report.json()["hdfs"]["lines"], EVENTS);
}

/// Scenario: the same with containers, which the sink for HDFS writes: Parquet, Avro, and SequenceFiles under a suffix of
/// the user's own; then a byte in the middle of one of these is changed.
/// Guarantees: proven; the change makes the file unreadable, and the message says from which event on.
#[test]
fn containers_are_read() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    make(folder.path(), &kafka_channel(broker));
    let proven = |group: &str, style: &str| {
        let own = folder.path().join(group);
        fs::create_dir(&own).expect("a folder");
        // A consumer group of its own begins with the first event.
        let channel = format!("{}\nconsumer_group = '{group}'", kafka_channel(broker));
        let out = deliver(&own, &channel, "hdfs", "file://", style);
        let report = verify(broker, &out);
        assert_eq!(report.code, Some(0), "{style}{}{}", report.out, report.err);
        assert_eq!(report.json()["hdfs"]["lines"], EVENTS, "{style}");
        out
    };
    proven("parquet", "format = 'parquet'\ncompression = 'snappy'\n");
    proven("avro", "format = 'avro_flume'\ncompression = 'zstd'\n");
    let out = proven("sequence", "format = 'sequence_text'\ncompression = 'gzip'\nsuffix = '.log'\n");
    let file = files(&out).pop().expect("some");
    let mut bytes = fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("written");
    let found = difference(&verify(broker, &out));
    let message = found["unreadable"][0].as_str().expect("a text");
    assert!(message.contains(&file.display().to_string()) && message.contains(": event "), "{message}");
}

/// Scenario: `hdfs://` without a configuration that names WebHDFS.
/// Guarantees: the NameNode is asked by Hadoop's own protocol, whose first bytes are `hrpc`.
#[test]
fn hdfs_is_asked_by_its_own_protocol() {
    let namenode = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("hdfs://{}/events", namenode.local_addr().expect("an address"));
    let mut command =
        weir(&["verify", "--brokers", "127.0.0.1:1", "--topic", "events", "--user", "weir", "--hdfs", &url]);
    let mut verify = command.env_remove("HADOOP_CONF_DIR").stderr(Stdio::null()).spawn().expect("the binary starts");
    let (mut asked, _) = namenode.accept().expect("a connection");
    let mut first = [0; 4];
    asked.read_exact(&mut first).expect("a greeting");
    verify.kill().expect("ended");
    verify.wait().expect("ended");
    assert_eq!(&first, b"hrpc");
}

/// Scenario: the events of the topic came into the files through a log on disk, whose offsets are others.
/// Guarantees: topic and files are compared as a whole, and a line too many is seen.
#[test]
fn files_of_another_log_are_compared_as_a_whole() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let folder = folder();
    // Two agents that make the same events: one fills the topic, the other a log on disk.
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    fill(&elsewhere, &kafka_channel(broker), "");
    let out = fill(folder.path(), &format!("type = 'file'\npath = '{}'", folder.path().join("log").display()), "");
    let report = verify(broker, &out);
    assert_eq!(report.code, Some(0), "{}{}", report.out, report.err);
    assert_eq!(report.json()["hdfs"]["is_equal_as_a_whole"], true);
    let file = files(&out).pop().expect("some");
    fs::write(&file, [&fs::read(&file).expect("readable")[..], b"one more\n"].concat()).expect("written");
    let found = difference(&verify(broker, &out));
    assert_eq!((&found["is_equal_as_a_whole"], &found["lines"]), (&false.into(), &(EVENTS + 1).into()));
}

/// Scenario: command lines that ask for nothing or for something that is not there.
/// Guarantees: exit code 2 or 1, and a message that says what to do.
#[test]
fn what_cannot_be_compared_is_said() {
    let (_thread, brokers) = brokers();
    let broker = &brokers.bootstrap()[0];
    let told = |rest: &[&str], code: i32, words: &str| {
        let done = done(weir(&["verify", "--brokers", broker]).args(rest));
        assert_eq!(done.code, Some(code), "{}", done.err);
        assert!(done.err.contains(words), "{}", done.err);
    };
    told(&["--topic", "events"], 2, "give --hdfs, --solr or both");
    told(&["--topic", "events", "--hdfs", "nowhere"], 2, "--hdfs nowhere: ");
    let conf = folder();
    let guarded = "<configuration><property><name>hadoop.security.authentication</name><value>kerberos</value></property>\
                   </configuration>";
    write(conf.path(), "core-site.xml", guarded);
    let conf = conf.path().to_str().expect("text");
    let guarded = ["--topic", "events", "--hdfs", "hdfs://127.0.0.1:1/x", "--hadoop-conf", conf];
    told(&guarded, 2, "give webhdfs://HOST:PORT/PATH");
    told(&["--topic", "events", "--solr", "http://127.0.0.1:1"], 2, "http://HOST:PORT/solr/COLLECTION");
    told(&["--topic", "events", "--hdfs", "file:///does/not/exist"], 1, "cannot list /does/not/exist");
    told(&["--topic", "none", "--hdfs", "file:///tmp"], 1, "topic none cannot be used");
}
