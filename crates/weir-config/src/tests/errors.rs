//! What is said about faulty files, word for word.

use super::fixtures::*;
use crate::{ComponentKind, Document};

/// Scenario: one file with a fault of every class in values, keys, types and connections.
/// Guarantees: all of them are reported at once, in the order of the file, with place, line and hint; the secret in it
/// is not shown.
#[test]
fn every_fault_is_reported_at_once() {
    let text = include_str!("everything_wrong.toml");
    let said = said(text);
    assert_eq!(said, include_str!("everything_wrong.txt"), "\n{said}");
    assert!(!said.contains("hunter2"));
}

/// Scenario: files that are not TOML, or only nearly.
/// Guarantees: each slip is one error at its place, and nothing is said about its consequences.
#[test]
fn syntax_errors_are_said_once() {
    let cases = [
        (
            "[sources.in]\ntype =\nx = 1",
            "error: this is not TOML: a value is missing after the equals sign
 --> agent.toml:2:7
  |
2 | type =
  |       ^
",
        ),
        (
            "[sources.in]\ntype = seq",
            "error: this is not TOML: a text must stand in quotes
 --> agent.toml:2:8
  |
2 | type = seq
  |        ^^^
",
        ),
        (
            "[sinks.a\ntype = \"null\"\nx = 1\n[channels.c]\ntype = \"memory\"\nx = 1",
            "error: this is not TOML: unclosed table, expected `]`
 --> agent.toml:1:9
  |
1 | [sinks.a
  |         ^

error[channels.c.x]: unknown key \"x\"
 --> agent.toml:6:1
  |
6 | x = 1
  | ^
  = help: there is no other key here than type
",
        ),
        (
            "[agent]\nname = [1, 2\nmemory = 3\nadmin = 4\n",
            "error[agent.name]: expected a text in quotes, found a list
 --> agent.toml:2:8
  |
2 | name = [1, 2
  |        ^^^^^

error: this is not TOML: missing comma between array elements, expected `,`
 --> agent.toml:3:1
  |
3 | memory = 3
  | ^
  = help: a bracket or brace opened before this place is not closed
",
        ),
    ];
    for (text, expected) in cases {
        let said = said(text);
        assert_eq!(said, expected, "{text}\n{said}");
    }
}

/// Scenario: a key and a section are defined twice in one file, sections twice in two files.
/// Guarantees: the second one is the error and the first one is named.
#[test]
fn double_definitions_name_both_places() {
    let text = format!("{SOUND}batch_events = 1\nbatch_events = 2\n\n[channels.c1]\n");
    assert_eq!(
        said(&text),
        "error: \"batch_events\" is defined twice
  --> agent.toml:15:1
   |
15 | batch_events = 2
   | ^^^^^^^^^^^^
   = help: it was first defined in line 14

error: \"c1\" is defined twice
  --> agent.toml:17:11
   |
17 | [channels.c1]
   |           ^^
   = help: it was first defined in line 7
"
    );
    let more = "[agent]\nname = \"x\"\n\n[sinks.out]\ntype = \"null\"\n";
    let (config, diagnostics) = check(&[("a.toml", SOUND), ("b.toml", more), ("c.toml", "[agent]\n")]);
    assert_eq!(
        diagnostics.render(false),
        "error[sinks.out]: the section \"sinks.out\" is already defined at a.toml:10:8
 --> b.toml:4:8
  |
4 | [sinks.out]
  |        ^^^
  = help: a section stands in one file; rename or remove one of them

error[agent]: the section \"agent\" is already defined at b.toml:1:2
 --> c.toml:1:2
  |
1 | [agent]
  |  ^^^^^
  = help: a section stands in one file; rename or remove one of them
"
    );
    assert_eq!(config.agent.text("name"), "x");
    assert_eq!(config.find(ComponentKind::Sink, "out").map(|sink| sink.type_name), Some("files"));
}

/// Scenario: two channels, of which one is only written and one only read, and an interceptor that is not used.
/// Guarantees: warnings, no errors; with an error among the sources, nothing is said about who writes.
#[test]
fn loose_ends_are_warnings() {
    let loose = "
[sources.a]
type = \"seq\"
channels = [\"c1\"]

[interceptors.i1]
type = \"timestamp\"

[channels.c1]
type = \"memory\"

[channels.c2]
type = \"memory\"

[sinks.s]
type = \"null\"
channel = \"c2\"
";
    assert_eq!(
        said(loose),
        "warning[interceptors.i1]: no source uses this interceptor
 --> agent.toml:6:1
  |
6 | [interceptors.i1]
  | ^^^^^^^^^^^^^^^^^
  = help: name it in the interceptors of a source

warning[channels.c1]: no sink reads this channel
 --> agent.toml:9:1
  |
9 | [channels.c1]
  | ^^^^^^^^^^^^^
  = help: name it as the channel of a sink, unless another agent empties it: a channel that is full stops its sources

warning[channels.c2]: nothing writes to this channel
  --> agent.toml:12:1
   |
12 | [channels.c2]
   | ^^^^^^^^^^^^^
   = help: name it in the channels of a source, unless another agent fills it
"
    );
    let (_, diagnostics) = check(&[("agent.toml", &loose.replace("seq", "sec"))]);
    let messages: Vec<_> = diagnostics.iter().map(|item| item.message.as_str()).collect();
    assert_eq!(messages, ["there is no source of type \"sec\"", "no sink reads this channel"]);
}

/// Scenario: a dead letter channel, written by a sink and read by another.
/// Guarantees: it counts as written.
#[test]
fn a_sink_writes_to_its_dead_letter_channel() {
    let more = "[channels.dead]\ntype = \"memory\"\n[sinks.dead]\ntype = \"null\"\nchannel = \"dead\"\n";
    assert_eq!(said(&format!("{SOUND}dead_letter = \"dead\"\n{more}")), "");
}

/// Scenario: selectors whose options do not fit their type or their source.
/// Guarantees: each is an error at its key.
#[test]
fn selectors_are_checked_across_options() {
    let with = |selector: &str| said(&SOUND.replace("channels = [\"c1\"]", selector));
    let sound =
        "channels = [\"c1\"]\nselector = { type = \"multiplexing\", header = \"h\", mapping = { a = [\"c1\"] } }";
    assert_eq!(with(sound), "");
    assert_eq!(
        with("channels = [\"c1\"]\nselector = { header = \"h\" }"),
        "error[sources.in.selector.header]: \"header\" means nothing to a replicating selector
 --> agent.toml:6:23
  |
6 | selector = { header = \"h\" }
  |                       ^^^
  = help: add type = \"multiplexing\" to the selector, or remove the key
"
    );
    let other = "channels = [\"c1\"]\nselector = { type = \"multiplexing\", header = \"h\" , optional = [\"c2\"] }\n[channels.c2]\ntype = \"memory\"\n";
    assert_eq!(
        with(other),
        "error[sources.in.selector.mapping]: a multiplexing selector needs \"mapping\"
 --> agent.toml:6:12
  |
6 | selector = { type = \"multiplexing\", header = \"h\" , optional = [\"c2\"] }
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: write selector = { type = \"multiplexing\", header = \"NAME\", mapping = { VALUE = [\"CHANNEL\"] } }

error[sources.in.selector.optional]: the source does not have the channel \"c2\"
 --> agent.toml:6:64
  |
6 | selector = { type = \"multiplexing\", header = \"h\" , optional = [\"c2\"] }
  |                                                                ^^^^
  = help: add it to sources.in.channels, which are: c1

warning[channels.c2]: no sink reads this channel
 --> agent.toml:7:1
  |
7 | [channels.c2]
  | ^^^^^^^^^^^^^
  = help: name it as the channel of a sink, unless another agent empties it: a channel that is full stops its sources
"
    );
}

/// Scenario: sections that are no tables, and no sections at all.
/// Guarantees: one error each.
#[test]
fn shapes_that_are_no_agent() {
    let cases = [
        (
            "",
            "error: there is neither a source nor a sink
 --> agent.toml
  = help: add [sources.NAME], [channels.NAME] and [sinks.NAME]
",
        ),
        (
            "[sources]\na = 1",
            "error[sources.a]: expected the table [sources.a], found a single value
 --> agent.toml:2:5
  |
2 | a = 1
  |     ^
",
        ),
        (
            "agent = []",
            "error[agent]: expected the table [agent], found a single value
 --> agent.toml:1:9
  |
1 | agent = []
  |         ^^
",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text), expected, "{text}");
    }
}

/// Scenario: files that do not exist or are not text, beside a sound one.
/// Guarantees: errors that name the file and what is wrong; the sound file is read all the same.
#[test]
fn unreadable_files_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [sound, binary, missing] = ["sound.toml", "binary.toml", "missing.toml"].map(|name| folder.path().join(name));
    std::fs::write(&sound, SOUND).expect("written");
    std::fs::write(&binary, b"# first\nx = \"\xff\"\n").expect("written");
    let (document, diagnostics) = Document::load(&[sound, binary.clone(), missing.clone()]);
    let messages: Vec<_> = diagnostics.iter().map(|item| (item.location.to_string(), item.message.clone())).collect();
    let cause = std::fs::read(&missing).expect_err("it is missing").to_string();
    let said = |reason: &str| format!("the configuration file cannot be read: {reason}");
    assert_eq!(
        messages,
        [(binary.display().to_string(), said("line 2 is not UTF-8")), (missing.display().to_string(), said(&cause)),]
    );
    let (config, found) = document.check(&catalogue(), &environment);
    assert!(found.is_empty(), "{found}");
    assert_eq!(config.sources.len(), 1);
}

/// Scenario: an error and a warning, rendered in colour and as JSON.
/// Guarantees: the same facts in every form.
#[test]
fn diagnostics_have_three_forms() {
    let text = "[agent]\nnmae = 1\n[sources.a]\ntype = \"seq\"\nchannels = [\"c\"]\n[channels.c]\ntype = \"memory\"\n";
    let (_, diagnostics) = check(&[("a.toml", text)]);
    assert_eq!(diagnostics.summary(), "1 error, 1 warning");
    assert!(diagnostics.has_errors());
    let colored = diagnostics.render(true);
    assert!(colored.starts_with("\x1b[1;31merror[agent.nmae]\x1b[0m\x1b[1m: unknown key"), "{colored}");
    assert_eq!(
        diagnostics.to_json(),
        serde_json::json!([
            {
                "severity": "error", "file": "a.toml", "line": 2, "column": 1, "path": "agent.nmae",
                "message": "unknown key \"nmae\"",
                "hint": "did you mean \"name\"? the keys here are: name, memory, admin",
            },
            {
                "severity": "warning", "file": "a.toml", "line": 6, "column": 1, "path": "channels.c",
                "message": "no sink reads this channel",
                "hint": "name it as the channel of a sink, unless another agent empties it: a channel that is full stops its sources",
            },
        ])
    );
}

/// Scenario: what is probably a secret stands in a line with another fault.
/// Guarantees: neither diagnostic shows it.
#[test]
fn secrets_are_hidden_from_every_diagnostic() {
    let text = format!("sinks.x = {{ type = \"files\", pth = 1, password = \"hunter2\", channel = \"c1\" }}\n{SOUND}");
    let text = text.replace("[sinks.out]\n", "[sources.x]\n");
    let said = said(&text);
    assert!(said.contains("unknown key \"pth\"") && said.contains("keep the secret itself"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
