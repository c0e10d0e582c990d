//! The admin endpoint, and `weir status` that asks it.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::support::{Running, done, eventually, folder, get, status, weir, write};

const FLOWING: &str = "[sources.load]\ntype = \"generate\"\nrate = \"5k/s\"\nchannels = [\"buffer\"]\n\
    [channels.buffer]\ntype = \"memory\"\n[sinks.out]\ntype = \"null\"\nchannel = \"buffer\"\n";

/// A sink that cannot write: a file is where its folders should be.
const STUCK: &str = "[sources.load]\ntype = \"generate\"\nevents = 0\nchannels = [\"buffer\"]\n\
    [channels.buffer]\ntype = \"memory\"\n[sinks.out]\ntype = \"files\"\nchannel = \"buffer\"\npath = \"${OUT}/%H\"\n";

/// Scenario: a well agent is asked over HTTP and by `weir status`.
/// Guarantees: `/health` says 200 and ready, `/status` has rates, ledger and backlog, `weir status` shows it, exit code 0.
#[test]
fn a_well_agent_says_so() {
    let folder = folder();
    let file = write(folder.path(), "agent.toml", FLOWING);
    let mut agent = Running::start(&[&file], &[]);
    let address = agent.admin();
    eventually("deliveries", || (status(&address)["groups"][0]["delivered"].as_u64()? > 0).then_some(()));
    let (code, health) = get(&address, "/health");
    assert_eq!((code, health.contains("\"ready\":true")), (200, true), "{health}");
    assert_eq!(get(&address, "/nothing").0, 404);

    let text = done(&mut weir(&["status", &address]));
    assert_eq!(text.code, Some(0), "{}", text.err);
    for wanted in ["ready", "SOURCE", "load", "CHANNEL", "buffer", "GROUP", "ledger"] {
        assert!(text.out.contains(wanted), "{wanted:?} in {}", text.out);
    }
    let json = done(&mut weir(&["status", &address, "--json"]));
    assert_eq!((json.code, &json.json()["agent"]), (Some(0), &"weir".into()));
    assert_eq!(agent.stop().code, Some(0));
}

/// Scenario: a sink cannot write.
/// Guarantees: `/health` stays 200 (a restart would not help) and names the sink; `weir status` ends with exit code 6.
#[test]
fn a_degraded_agent_says_why() {
    let folder = folder();
    let file = write(folder.path(), "agent.toml", STUCK);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    (0..24).for_each(|hour| std::fs::write(out.join(format!("{hour:02}")), "").expect("writes"));
    let mut agent = Running::start(&[&file], &[("OUT", &out.display().to_string())]);
    let address = agent.admin();
    let reason = eventually("a reason", || status(&address)["health"]["degraded"][0].as_str().map(str::to_owned));
    assert!(reason.contains("sinks out") && reason.contains(&out.display().to_string()), "{reason}");
    assert_eq!(get(&address, "/health").0, 200);
    let asked = done(&mut weir(&["status", &address]));
    assert_eq!(asked.code, Some(6), "{}{}", asked.out, asked.err);
    assert!(asked.out.contains("degraded: sinks out"), "{}", asked.out);
}

/// Scenario: nobody listens at the address.
/// Guarantees: exit code 1; the message names the address and how to get an endpoint.
#[test]
fn an_agent_that_is_not_there_is_not_reachable() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let asked = done(&mut weir(&["status", &free]));
    assert_eq!(asked.code, Some(1));
    assert!(asked.err.contains(&free) && asked.err.contains("weir run --admin"), "{}", asked.err);
}

/// Scenario: `/metrics` of an agent at work.
/// Guarantees: it is OpenMetrics: a type before each sample, unique families, unique series, numbers, `# EOF` at the end.
#[test]
fn metrics_are_openmetrics() {
    let folder = folder();
    let file = write(folder.path(), "agent.toml", FLOWING);
    let mut agent = Running::start(&[&file], &[]);
    let address = agent.admin();
    eventually("deliveries", || (status(&address)["groups"][0]["delivered"].as_u64()? > 0).then_some(()));
    let (code, text) = get(&address, "/metrics");
    assert_eq!(code, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
    let mut family = ("", "");
    for line in text.lines().take_while(|line| *line != "# EOF") {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            family = declared.split_once(' ').expect("name and type");
            assert!(families.insert(family.0), "{line} is declared twice");
        } else if !line.starts_with("# ") {
            let (name_and_labels, value) = line.rsplit_once(' ').expect("series and value");
            let name = name_and_labels.split('{').next().expect("there is always a first part");
            let suffix = if family.1 == "counter" { "_total" } else { "" };
            assert_eq!(name, format!("{}{suffix}", family.0), "{line}");
            assert!(series.insert(name_and_labels), "{line} is there twice");
            value.parse::<f64>().expect("a number");
        }
    }
    for wanted in
        ["weir_source_received_events", "weir_channel_bytes", "weir_group_backlog_seconds", "weir_agent_ready"]
    {
        assert!(families.contains(wanted), "{wanted} in {text}");
    }
    assert_eq!(agent.stop().code, Some(0));
}

/// Scenario: a value of the configuration comes from the environment; the agent starts, runs and stops with all it can log.
/// Guarantees: neither the log nor any answer of the endpoint shows values of the configuration.
#[test]
fn values_of_the_environment_stay_inside() {
    let folder = folder();
    let more = "[interceptors.mark]\ntype = \"static\"\nkey = \"token\"\nvalue = \"${TOKEN}\"\n";
    let text = FLOWING.replace("channels = ", "interceptors = [\"mark\"]\nchannels = ");
    let file = write(folder.path(), "agent.toml", &format!("[agent]\nlog_level = \"trace\"\n{text}{more}"));
    let mut agent = Running::start(&[&file], &[("TOKEN", "correct-horse")]);
    let address = agent.admin();
    eventually("deliveries", || (status(&address)["groups"][0]["delivered"].as_u64()? > 0).then_some(()));
    let answers: String = ["/status", "/health", "/metrics"].map(|path| get(&address, path).1).concat();
    let done = agent.stop();
    assert_eq!(done.code, Some(0));
    assert!(!(answers + &done.out + &done.err).contains("correct-horse"));
}
