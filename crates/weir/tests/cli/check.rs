//! `weir check`: what people get to see when they got it wrong.

use crate::support::{done, folder, weir, write};

/// Every kind of mistake once.
const MANY_ERRORS: &str = r#"[agent]
memory = "lots"

[sources.in]
type = "sylsog"
channels = ["spool"]

[sources.load]
type = "generate"
rte = "10k/s"
seed = "one"
lanes = 100
channels = ["spol"]

[channels.spool]
type = "memory"
capacity_bytes = true

[sinks.out]
type = "null"

[sinkz.other]
type = "null"
"#;

const MANY_ERRORS_SHOWN: &str = r#"error[agent.memory]: expected a size such as "64 MiB", found "lots"
 --> agent.toml:2:10
  |
2 | memory = "lots"
  |          ^^^^^^

error[sources.in.type]: there is no source of type "sylsog"
 --> agent.toml:5:8
  |
5 | type = "sylsog"
  |        ^^^^^^^^
  = help: did you mean "syslog"? the types of sources are: syslog, generate, kafka

error[sources.load.rte]: unknown key "rte"
  --> agent.toml:10:1
   |
10 | rte = "10k/s"
   | ^^^
   = help: did you mean "rate"? the keys here are: channels, interceptors, selector, rate, events, input, seed, lanes, batch_events

error[sources.load.seed]: expected a count such as "10k", found "one"
  --> agent.toml:11:8
   |
11 | seed = "one"
   |        ^^^^^

error[sources.load.lanes]: 100 is above the maximum, 64
  --> agent.toml:12:9
   |
12 | lanes = 100
   |         ^^^
   = help: Threads that make events.

error[sources.load.channels]: there is no channel "spol"
  --> agent.toml:13:13
   |
13 | channels = ["spol"]
   |             ^^^^^^
   = help: did you mean "spool"? the channels are: spool

error[channels.spool.capacity_bytes]: expected a size such as "64 MiB", found a boolean
  --> agent.toml:17:18
   |
17 | capacity_bytes = true
   |                  ^^^^

error[sinks.out.channel]: the key "channel" is missing
  --> agent.toml:19:1
   |
19 | [sinks.out]
   | ^^^^^^^^^^^
   = help: add channel, the name of a channel: The channel this sink reads.

error[sinkz]: unknown section "sinkz"
  --> agent.toml:22:2
   |
22 | [sinkz.other]
   |  ^^^^^
   = help: did you mean "sinks"? the sections are: agent, sources, interceptors, channels, sinks
weir: 9 errors, 0 warnings
"#;

/// Scenario: a file with a wrong unit, an unknown type, an unknown key, wrong types, a value out of bounds, a reference to
/// nothing, a missing key and an unknown section.
/// Guarantees: all of them are told at once, in the order of the file, each with line, column and what to do; exit code 3.
#[test]
fn every_error_at_once() {
    let folder = folder();
    write(folder.path(), "agent.toml", MANY_ERRORS);
    let done = done(weir(&["check", "agent.toml"]).current_dir(folder.path()));
    assert_eq!(done.code, Some(3));
    assert_eq!(done.out, "");
    assert!(done.err == MANY_ERRORS_SHOWN, "it says:\n{}", done.err);
}

/// Scenario: the same file, for a program.
/// Guarantees: the same errors as JSON, with place, path, message and hint; exit code 3.
#[test]
fn errors_as_json() {
    let folder = folder();
    write(folder.path(), "agent.toml", MANY_ERRORS);
    let done = done(weir(&["check", "--json", "agent.toml"]).current_dir(folder.path()));
    assert_eq!(done.code, Some(3));
    let found = done.json();
    assert_eq!((&found["ok"], &found["errors"]), (&false.into(), &9.into()));
    let unknown =
        found["diagnostics"].as_array().expect("a list").iter().find(|item| item["path"] == "sources.load.rte");
    let unknown = unknown.expect("the unknown key is told");
    assert_eq!((&unknown["line"], &unknown["column"]), (&10.into(), &1.into()));
    assert!(unknown["hint"].as_str().expect("a hint").starts_with("did you mean \"rate\"?"), "{unknown}");
}

/// Scenario: a good configuration in two files, with a value from the environment.
/// Guarantees: one line says what there is, the memory plan adds up, and the effective configuration checks again.
#[test]
fn a_good_configuration_is_summed_up() {
    let folder = folder();
    write(
        folder.path(),
        "in.toml",
        "[sources.load]\ntype = \"generate\"\nrate = \"${RATE}\"\nchannels = [\"buffer\"]\n",
    );
    write(
        folder.path(),
        "out.toml",
        "[channels.buffer]\ntype = \"memory\"\ncapacity_bytes = \"8 MiB\"\n[sinks.a]\ntype = \"null\"\nchannel = \"buffer\"\n",
    );
    let check = |args: &[&str]| done(weir(args).current_dir(folder.path()).env("RATE", "5/s"));
    let text = check(&["check", "in.toml", "out.toml"]);
    assert_eq!((text.code, text.err.as_str()), (Some(0), ""));
    assert!(text.out.starts_with("ok: 1 source, 1 channel, 1 sink\n"), "{}", text.out);
    let memory = &check(&["check", "in.toml", "out.toml", "--json"]).json()["memory"];
    let parts = memory["components"].as_array().expect("a list").iter();
    let sum: u64 = parts.map(|part| part["bytes"].as_u64().expect("a number")).sum();
    assert_eq!(memory["planned_bytes"], sum);
    let effective = check(&["check", "--effective", "in.toml", "out.toml"]).out;
    assert!(effective.contains("rate = \"5/s\""), "{effective}");
    write(folder.path(), "effective.toml", &effective);
    assert_eq!(check(&["check", "effective.toml"]).code, Some(0));
}

/// Scenario: buffers that outgrow the memory budget.
/// Guarantees: it is an error that names every part and the budget that would do.
#[test]
fn the_memory_budget_is_checked() {
    let folder = folder();
    let text = "[agent]\nmemory = \"32 MiB\"\n[sources.load]\ntype = \"generate\"\nchannels = [\"buffer\"]\n\
        [channels.buffer]\ntype = \"memory\"\n[sinks.a]\ntype = \"null\"\nchannel = \"buffer\"\n";
    write(folder.path(), "agent.toml", text);
    let done = done(weir(&["check", "agent.toml"]).current_dir(folder.path()));
    assert_eq!(done.code, Some(3));
    for wanted in ["agent.toml:2:", "channel buffer 64 MiB", "help: set memory = "] {
        assert!(done.err.contains(wanted), "{wanted:?} in {}", done.err);
    }
}

/// Scenario: a file that is not there, and one that is not TOML.
/// Guarantees: the message names the file, and the place in it.
#[test]
fn unreadable_files_are_named() {
    let folder = folder();
    write(folder.path(), "bad.toml", "[agent\n");
    let done = done(weir(&["check", "missing.toml", "bad.toml"]).current_dir(folder.path()));
    assert_eq!(done.code, Some(3));
    for wanted in ["missing.toml", "cannot be read", "bad.toml:1:"] {
        assert!(done.err.contains(wanted), "{wanted:?} in {}", done.err);
    }
}

/// Scenario: a wrong command line.
/// Guarantees: exit code 2, and a hint.
#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for (args, wanted) in [
        (&["chekc", "x.toml"][..], "check"),
        (&["check"], "<FILE>"),
        (&["components", "sylsog"], "did you mean \"syslog\"?"),
        (&["demo", "--rate", "fast"], "--rate \"fast\""),
        (&["send", "kafka://here"], "tcp://host:port"),
    ] {
        let done = done(&mut weir(args));
        assert_eq!(done.code, Some(2), "{args:?}: {}", done.err);
        assert!(done.err.contains(wanted), "{args:?}: {}", done.err);
    }
}
