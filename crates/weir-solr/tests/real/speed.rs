//! What documents cost Solr and this client, in either form, beside a bare loop over sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use weir_servers::Control;
use weir_servers::solr::{Cluster, ClusterOptions, Collection, Role};
use weir_solr::{
    Client, ClientOptions, CollectionState, DocumentsBuilder, Encoding, Form, Indexer, IndexerOptions, id_hash,
};

use super::routing::failed;

/// Set to run it: the number of rounds.
pub(crate) const VARIABLE: &str = "WEIR_SOLR_SPEED";
const DOCUMENTS: usize = 40_000;
const BATCH: usize = 1000;
const FIELDS: [&str; 8] = ["id", "ts", "host", "app", "pid", "facility", "severity", "msg"];

/// Prints rates, and CPU time of Solr and of this process, for routed batches by a bare loop of four sockets, and for the
/// indexer in both forms, in turn, so that all are equally warm.
pub(crate) fn of_forms_and_a_bare_loop() -> Result<(), Failed> {
    let rounds: usize = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    Cluster::with(ClusterOptions::default(), |cluster| {
        cluster.create_collection(&Collection { shards: 2, ..Collection::new("speed") }).map_err(failed)?;
        let client = Client::new(ClientOptions::new([cluster.url(1)]))?;
        let state = super::wait_for(client.cluster_state(Some("speed")))?;
        let state = state.collection("speed").ok_or("the collection is not in the state")?;
        for round in 0..rounds {
            measure(cluster, round, "bare", |first| bare(state, first))?;
            measure(cluster, round, "json", |first| indexed(&client, Form::Json, first))?;
            measure(cluster, round, "javabin", |first| indexed(&client, Form::Javabin, first))?;
        }
        Ok(())
    })
}

/// Runs one and prints it. `run` returns the CPU time of this process and the time that it took, without what came before
/// the clock.
#[expect(clippy::print_stdout, reason = "for whoever asked for the figures")]
fn measure(
    cluster: &Cluster,
    round: usize,
    name: &str,
    run: impl Fn(usize) -> Result<(Duration, Duration), Failed>,
) -> Result<(), Failed> {
    let before = cluster_cpu(cluster);
    let first = (round * 10 + name.len()) * DOCUMENTS;
    let (own, wall) = run(first)?;
    let solr = cluster_cpu(cluster) - before;
    let rate = DOCUMENTS as f64 / wall.as_secs_f64();
    let per_second = DOCUMENTS as f64 / solr.as_secs_f64();
    let share = 100.0 * own.as_secs_f64() / solr.as_secs_f64();
    println!(
        "round {round} {name:8} {rate:8.0} docs/s {per_second:8.0} docs per server CPU-s, own CPU {share:5.2} % of Solr's"
    );
    Ok(())
}

fn cluster_cpu(cluster: &Cluster) -> Duration {
    [1, 2].iter().filter_map(|node| cluster.process_id(Role::Node(*node))).map(|id| cpu(&id.to_string())).sum()
}

/// CPU time of a process: fields 14 and 15 of its stat, in hundredths of a second.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let ticks: u64 = behind.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn write(builder: &mut DocumentsBuilder, encoding: &Encoding, numbers: std::ops::Range<usize>) {
    let [id, ts, host, app, pid, facility, severity, msg] = FIELDS.map(|name| encoding.name(name));
    for number in numbers {
        builder.begin(&id, &format!("5f3a9c01d2e4b688-0-{number}"));
        builder.time(&ts, 1_795_423_200_000 + number as i64 * 7);
        builder.text(&host, format!("edge-router-{}", number % 200).as_bytes());
        builder.text(&app, ["sshd", "kernel", "dhcpd", "bgpd"][number % 4].as_bytes());
        builder.number(&pid, (number * 31 % 30_000) as i64);
        builder.number(&facility, (number % 24) as i64);
        builder.number(&severity, (number % 8) as i64);
        let text = format!(
            "Failed password for invalid user u{} from 10.{}.{}.{} port {} ssh2 session {:x}",
            number % 5000,
            number % 256,
            number / 7 % 256,
            number / 3 % 256,
            1024 + number % 60_000,
            number * 2_654_435
        );
        builder.text(&msg, text.as_bytes());
        builder.end();
    }
}

fn encoding(form: Form) -> Encoding {
    Encoding::new(form, FIELDS.map(str::to_owned))
}

fn indexed(client: &Client, form: Form, first: usize) -> Result<(Duration, Duration), Failed> {
    let (before, started) = (cpu("self"), Instant::now());
    super::wait_for(async {
        let indexer = Indexer::new(client.clone(), IndexerOptions::default());
        let encoding = encoding(form);
        let mut open = Vec::new();
        for part in (first..first + DOCUMENTS).step_by(5 * BATCH) {
            let mut builder = DocumentsBuilder::new(&encoding);
            write(&mut builder, &encoding, part..part + 5 * BATCH);
            open.push(indexer.submit("speed", builder.finish()).await?);
        }
        for submission in open {
            let report = submission.await;
            if let Some(handed_back) = report.handed_back {
                return Err(Failed::from(handed_back.message));
            }
        }
        Ok(())
    })?;
    Ok((cpu("self") - before, started.elapsed()))
}

/// Two sockets for each shard, batches made before the clock starts.
fn bare(state: &CollectionState, first: usize) -> Result<(Duration, Duration), Failed> {
    let mut bodies: Vec<(String, Vec<Vec<u8>>)> =
        state.shards.iter().map(|shard| (shard.leader.clone().unwrap_or_default(), Vec::new())).collect();
    let mut open = vec![Vec::new(); state.shards.len()];
    for number in first..first + DOCUMENTS {
        let hash = id_hash(format!("5f3a9c01d2e4b688-0-{number}").as_bytes());
        let at = state.shards.iter().position(|shard| Some(shard) == state.shard_of(hash)).ok_or("no shard")?;
        open[at].push(number);
        if open[at].len() == BATCH {
            bodies[at].1.push(body(&open[at]));
            open[at].clear();
        }
    }
    for (at, rest) in open.iter().enumerate().filter(|(_, rest)| !rest.is_empty()) {
        bodies[at].1.push(body(rest));
    }
    let (before, started) = (cpu("self"), Instant::now());
    thread::scope(|scope| {
        let mut senders = Vec::new();
        for (core, bodies) in &bodies {
            for half in bodies.chunks(bodies.len().div_ceil(2).max(1)) {
                senders.push(scope.spawn(move || post(core, half)));
            }
        }
        senders
            .into_iter()
            .map(|sender| sender.join().expect("it does not panic"))
            .collect::<std::io::Result<Vec<()>>>()
    })
    .map_err(failed)?;
    Ok((cpu("self") - before, started.elapsed()))
}

fn body(numbers: &[usize]) -> Vec<u8> {
    // Written by hand: what is measured shares nothing with what it is compared with.
    let document = |number: &usize| {
        let seconds = number * 7 / 1000;
        format!(
            r#"{{"id":"5f3a9c01d2e4b688-0-{number}","ts":"2026-11-23T{:02}:{:02}:{:02}.{:03}Z","host":"edge-router-{}","app":"{}","pid":{},"facility":{},"severity":{},"msg":"Failed password for invalid user u{} from 10.{}.{}.{} port {} ssh2 session {:x}"}}"#,
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            number * 7 % 1000,
            number % 200,
            ["sshd", "kernel", "dhcpd", "bgpd"][number % 4],
            number * 31 % 30_000,
            number % 24,
            number % 8,
            number % 5000,
            number % 256,
            number / 7 % 256,
            number / 3 % 256,
            1024 + number % 60_000,
            number * 2_654_435
        )
    };
    format!("[{}]", numbers.iter().map(document).collect::<Vec<_>>().join(",")).into_bytes()
}

fn post(core: &str, bodies: &[Vec<u8>]) -> std::io::Result<()> {
    let address = core.trim_start_matches("http://");
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    for body in bodies {
        let length = body.len();
        let head = format!(
            "POST /{path}/update?wt=json HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut line, mut status, mut length) = (String::new(), String::new(), 0_usize);
        while answers.read_line(&mut line)? > 2 {
            if status.is_empty() {
                status = line.clone();
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut rest = vec![0; length];
        answers.read_exact(&mut rest)?;
        if !status.contains(" 200 ") {
            return Err(std::io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&rest))));
        }
    }
    Ok(())
}
