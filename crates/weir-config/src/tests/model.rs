//! What a sound file means.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use super::fixtures::*;
use crate::{Address, AgentConfig, ComponentKind, HostPort, Kind, Options, Scheme, Secret};

const FULL: &str = r#"
[agent]
name = "${NAME:-edge}"

[sources.in]
type = "syslogudp"
listen = ["udp://[::]:${PORT}", "unixgram:/dev/log"]
channels = ["c1", "c2"]
interceptors = ["i2", "i1"]
rate = "1.5k/s"
sample = 1
selector = { type = "multiplexing", header = "h", mapping = { b = ["c1"], a = ["c1", "c2"] }, default = ["c2"] }

[interceptors]
i1 = { type = "timestamp" }
i2.type = "timestamp"

[channels]
c1.type = "memory"
c2.type = "memory"

[sinks.out]
type = "files"
channel = "c1"
path = "${HOME:-/srv/weir}/$${x}"
roll.size = "${SIZE}"
roll.events = "1.5 k"
password = "env:TOKEN"
labels = { z = "1", "a b" = "2" }
rules = [{ severity = 0 }, { severity = 7, suffix = "" }]
folders = ["/a", "/b"]

[sinks.rest]
type = "null"
channel = "c2"
batch_events = 1_000
"#;

fn full() -> AgentConfig {
    let (config, diagnostics) = check(&[("agent.toml", FULL)]);
    assert!(diagnostics.is_empty(), "{diagnostics}");
    config
}

/// Scenario: a file that uses every kind of option, dotted keys, inline tables, variables and an alias.
/// Guarantees: every getter gives what was written, or the default; order is that of the file.
#[test]
fn getters_give_what_was_written() {
    let config = full();
    assert_eq!(config.agent.text("name"), "edge");
    assert_eq!(config.agent.bytes("memory"), 256 << 20);
    let admin = Address::Tcp(HostPort { host: "127.0.0.1".to_owned(), port: 9600 });
    assert_eq!(config.agent.address("admin"), &admin);

    let source = &config.sources[0];
    assert_eq!((source.type_name, source.location.line()), ("syslog", 5));
    let options = &source.options;
    let listen: Vec<_> = options.addresses("listen").iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["udp://[::]:5140", "unixgram:/dev/log"]);
    assert_eq!(options.list_text("interceptors"), ["i2", "i1"]);
    assert_eq!((options.rate("rate"), options.float("sample")), (Some(1500.0), 1.0));
    assert_eq!((options.flag("keep_fields"), options.duration_opt("idle")), (false, None));
    assert_eq!(options.choice("selector.type"), "multiplexing");
    let mapping = options.table("selector").list_map("mapping");
    assert_eq!(mapping, [("b", vec!["c1"]), ("a", vec!["c1", "c2"])]);

    let options = &config.find(ComponentKind::Sink, "out").expect("a sink").options;
    assert_eq!(options.path("path"), Path::new("/srv/weir/${x}"));
    assert_eq!(options.bytes("roll.size"), 2 << 20);
    assert_eq!(options.count_opt("roll.events"), Some(1500));
    assert_eq!(options.duration("roll.interval"), Duration::from_secs(30));
    assert_eq!(options.choice("compression"), "zstd");
    assert_eq!(options.secret_opt("password"), Some(&Secret::Env("TOKEN".to_owned())));
    assert_eq!(options.text_map("labels"), [("z", "1"), ("a b", "2")]);
    let rules: Vec<_> =
        options.tables("rules").iter().map(|rule| (rule.count("severity"), rule.text("suffix"))).collect();
    assert_eq!(rules, [(0, "log"), (7, "")]);
    assert_eq!(options.paths("folders"), [Path::new("/a"), Path::new("/b")]);
    assert_eq!((options.count("batch_events"), options.text_opt("group")), (10_000, None));
}

/// Scenario: a component's own check finds a fault across options, given and defaulted.
/// Guarantees: the diagnostic stands at the value, or at the head of the section, with the full path.
#[test]
fn components_report_at_the_right_place() {
    let config = full();
    let options = &config.find(ComponentKind::Sink, "out").expect("a sink").options;
    let place = |name: &str| {
        let error = options.error(name, "no");
        (error.location.line(), error.location.column(), error.path)
    };
    assert_eq!(place("roll.size"), (26, 13, "sinks.out.roll.size".to_owned()));
    assert_eq!(place("roll.interval"), (26, 1, "sinks.out.roll.interval".to_owned()));
    assert_eq!(place("compression"), (22, 1, "sinks.out.compression".to_owned()));
    assert!(options.is_given("roll.size") && !options.is_given("roll.interval"));
}

/// Scenario: getters are asked for names, kinds and presence that the table does not have.
/// Guarantees: a panic that says what is wrong; for every name in the table, the getter of its kind answers.
#[test]
fn getters_panic_only_on_faults_of_the_program() {
    let config = full();
    let options = &config.find(ComponentKind::Sink, "out").expect("a sink").options;
    let panics = |ask: &dyn Fn(&Options)| {
        let panic = catch_unwind(AssertUnwindSafe(|| ask(options))).expect_err("a panic");
        panic.downcast_ref::<String>().cloned().expect("a text")
    };
    assert_eq!(
        panics(&|options| _ = options.text("pth")),
        "the option table of sinks.out has no \"pth\"; it has channel, group, path, roll, compression, password, labels, rules, folders, batch_events, dead_letter"
    );
    assert_eq!(
        panics(&|options| _ = options.text("path")),
        "the option \"path\" of sinks.out is Path, asked for as text"
    );
    assert_eq!(
        panics(&|options| _ = options.text("group")),
        "the option \"group\" of sinks.out may be unset; use the getter with _opt"
    );
    assert_eq!(
        panics(&|options| _ = options.text("path.x")),
        "\"path.x\" of sinks.out leads through \"path\", which is a single value and not a table that is always there"
    );
    for (_, component) in ComponentKind::ALL
        .into_iter()
        .flat_map(|kind| config.components(kind).iter().map(move |component| (kind, component)))
    {
        read_every_option(&component.options);
    }
    read_every_option(&config.agent);
}

/// Asks for every option by the getter of its kind.
fn read_every_option(options: &Options) {
    for entry in &options.entries {
        let name = entry.spec.name;
        match entry.spec.kind {
            Kind::Bytes { .. } => drop(options.bytes_opt(name)),
            Kind::Duration { .. } => drop(options.duration_opt(name)),
            Kind::Count { .. } => drop(options.count_opt(name)),
            Kind::Rate { .. } => drop(options.rate(name)),
            Kind::Float { .. } => drop(options.float_opt(name)),
            Kind::Flag => drop(options.flag_opt(name)),
            Kind::Text | Kind::Reference(_) => drop(options.text_opt(name)),
            Kind::Path => drop(options.path_opt(name)),
            Kind::Choice(_) => drop(options.choice_opt(name)),
            Kind::Address(_) => drop(options.address_opt(name)),
            Kind::Secret => drop(options.secret_opt(name)),
            Kind::List { of: Kind::Address(_), .. } => drop(options.addresses(name)),
            Kind::List { of: Kind::Path, .. } => drop(options.paths(name)),
            Kind::List { of: Kind::Table(_), .. } => {
                options.tables(name).into_iter().for_each(read_every_option);
            }
            Kind::List { .. } => drop(options.list_text(name)),
            Kind::Map(Kind::List { .. }) => drop(options.list_map(name)),
            Kind::Map(_) => drop(options.text_map(name)),
            Kind::Table(_) => options.table_opt(name).into_iter().for_each(read_every_option),
        }
    }
}

/// Scenario: two readings of one file, and of one that differs in a value only.
/// Guarantees: options compare by value, wherever they stand.
#[test]
fn options_compare_by_value() {
    let moved = check(&[("other.toml", &format!("\n\n{FULL}"))]).0;
    let changed = check(&[("other.toml", &FULL.replace("1_000", "1_001"))]).0;
    let config = full();
    assert_eq!(config.sinks[1].options, moved.sinks[1].options);
    assert_ne!(config.sinks[1].options, changed.sinks[1].options);
}

/// Scenario: the effective configuration of the full file, loaded again.
/// Guarantees: every value but the secret survives, and the secret is not in it.
#[test]
fn the_effective_configuration_loads_back() {
    let config = full();
    let text = crate::effective_toml(&config);
    assert!(text.contains("password = \"***\"") && !text.contains("TOKEN"), "{text}");
    let text = text.replace("\"***\"", "\"env:TOKEN\"");
    let (again, diagnostics) = check(&[("effective.toml", &text)]);
    assert!(diagnostics.is_empty(), "{diagnostics}\n{text}");
    for kind in ComponentKind::ALL {
        for (one, other) in config.components(kind).iter().zip(again.components(kind)) {
            assert_eq!(one.options, other.options, "{}", one.name);
        }
    }
    assert_eq!(config.agent, again.agent);
}

/// Scenario: secrets in the environment and in a file, present and absent.
/// Guarantees: one line end is not part of a secret; neither reference nor secret shows in debug output.
#[test]
fn secrets_are_fetched_and_never_shown() {
    let environment = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let read = |path: &Path| match path.to_str() {
        Some("/run/token") => Ok("s3cret\r\n".to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    for reference in ["env:TOKEN", "file:/run/token"] {
        let secret = Secret::parse(reference).expect("a reference");
        let text = secret.resolve(&environment, &read).expect("it is there");
        assert_eq!(text.expose(), "s3cret");
        assert_eq!(format!("{secret:?} {text:?}"), "*** ***");
    }
    for (reference, message) in [
        ("env:NO", "the environment variable NO, which holds a secret, is not set"),
        ("file:/no", "the file /no, which holds a secret, cannot be read"),
    ] {
        let secret = Secret::parse(reference).expect("a reference");
        let error = secret.resolve(&environment, &read).expect_err("it is not there");
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(Secret::parse("hunter2"), None);
}

/// Scenario: addresses of every form, right and wrong.
/// Guarantees: those that are read are written the same; the others say what to write.
#[test]
fn addresses_round_trip() {
    let all = [Scheme::Tcp, Scheme::Udp, Scheme::Unix, Scheme::UnixDatagram];
    for text in ["tcp://0.0.0.0:0", "udp://[::1]:514", "tcp://a-b.c:65535", "unix:/run/x", "unixgram:x"] {
        assert_eq!(Address::parse(text, &all).map(|it| it.to_string()).as_deref(), Ok(text));
    }
    assert_eq!(Address::parse("*:1", &[Scheme::Udp]).map(|it| it.to_string()).as_deref(), Ok("udp://0.0.0.0:1"));
    for (text, message) in [
        ("localhost:1", "an address here starts with tcp:// or udp:// or unix: or unixgram:"),
        ("tcp://localhost", "the address has no port; write HOST:PORT"),
        ("tcp://::1:5", "\"::1\" is not a host name or IP address (IPv6 needs brackets: [::1])"),
        ("tcp://:5", "\"\" is not a host name or IP address (IPv6 needs brackets: [::1])"),
        ("tcp://a:-5", "\"-5\" is not a port (0 to 65535)"),
        ("unix:", "the address has no path; write unix:/PATH"),
    ] {
        let error = Address::parse(text, &all).expect_err("not an address");
        assert_eq!(error.to_string(), message, "{text}");
    }
}

/// Scenario: a component's test reads a section of its own type alone.
/// Guarantees: only its own options are known; faults come back as diagnostics.
#[test]
fn a_type_parses_its_own_section() {
    let files = catalogue().find(ComponentKind::Sink, "files").copied().expect("a type");
    let options = files.parse("path = \"/x\"\nroll.size = \"1 MiB\"").expect("sound");
    assert_eq!(options.bytes("roll.size"), 1 << 20);
    let diagnostics = files.parse("channel = \"c\"").expect_err("neither path nor channel are right");
    let paths: Vec<_> = diagnostics.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["sinks.test.path", "sinks.test.channel"]);
}
