//! Descriptions, the reference file and the schema.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    Catalogue, ComponentKind, Kind, OptionSpec, TypeSpec, describe, describe_json, describe_markdown, json_schema,
    reference_toml,
};

/// Scenario: the catalogue of these tests, and one with a fault of every kind.
/// Guarantees: the sound one has no faults, each fault of the other is found.
#[test]
fn faults_of_tables_are_found() {
    assert_eq!(catalogue().faults(), Vec::<String>::new());
    const BAD: &[OptionSpec] = &[
        OptionSpec::required("path", Kind::Path, "no sentence"),
        OptionSpec::defaulted("Size", Kind::Bytes { min: 2, max: 3 }, "1", "A size."),
        OptionSpec::defaulted("list", Kind::TEXTS, "a", "A list."),
        OptionSpec::unset("list", Kind::Text, "Again."),
    ];
    const TYPE: &[OptionSpec] = &[OptionSpec::unset("type", Kind::Text, "A type.")];
    let twice = TypeSpec { kind: ComponentKind::Sink, name: "x", aliases: &["x"], summary: "", options: TYPE };
    assert_eq!(
        Catalogue::new(BAD).with_type(twice).faults(),
        [
            "agent.path: the documentation is not a sentence",
            "agent.Size: the name is not snake_case",
            "agent.Size: \"1\" is not a value of it: 1 B is below the minimum, 2 B",
            "agent.list: \"a\" is not a value of it: string values must be quoted, expected literal string",
            "agent.list: declared twice",
            "agent.path: an agent starts without [agent], so it cannot be required",
            "sink x: the type name \"x\" is taken",
            "sink x: no summary",
            "sink x: \"type\" names the type of a component",
        ]
    );
}

/// Scenario: the reference file is loaded, and compared with an agent of nothing but required keys.
/// Guarantees: no errors, every key of every table is in it, and the values are the defaults.
#[test]
fn the_reference_file_loads_and_is_the_defaults() {
    let catalogue = catalogue();
    let text = reference_toml(&catalogue);
    let (config, diagnostics) = check(&[("reference.toml", &text)]);
    assert!(!diagnostics.has_errors(), "{diagnostics}");
    assert_eq!(config.agent, check(&[("empty.toml", "")]).0.agent);
    for kind in ComponentKind::ALL {
        for spec in catalogue.types(kind) {
            assert!(config.find(kind, spec.name).is_some(), "{} is missing", spec.name);
            for option in catalogue.options_of(spec) {
                let (key, off) = (format!("\n{}", option.name), format!("\n# {}", option.name));
                assert!(text.contains(&key) || text.contains(&off), "{} is missing", option.name);
            }
        }
    }
    let files = &config.find(ComponentKind::Sink, "files").expect("a sink").options;
    let bare = catalogue.find(ComponentKind::Sink, "files").expect("a type").parse("path = \"/var/log/weir\"");
    for entry in &bare.expect("sound").entries {
        let in_file = files.entries.iter().find(|other| other.spec.name == entry.spec.name);
        assert_eq!(in_file.map(|other| &other.value), Some(&entry.value), "{}", entry.spec.name);
    }
}

/// Scenario: every line of the reference file that is commented out for want of a default is switched on.
/// Guarantees: examples are valid values too.
#[test]
fn examples_in_the_reference_file_are_valid() {
    let text = reference_toml(&catalogue());
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ') && !key.contains(':'));
    let on: Vec<_> =
        text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line)).collect();
    let (_, diagnostics) = check(&[("reference.toml", &on.join("\n"))]);
    let unexpected: Vec<_> = diagnostics
        .iter()
        .filter(|item| !item.path.contains("selector") && item.message != "the list needs at least one item, found 0")
        .filter(|item| item.severity == crate::Severity::Error)
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

/// Scenario: a type is described for a terminal and for a document.
/// Guarantees: columns, sub-options, docs and choices are as they should read.
#[test]
fn descriptions_read_well() {
    let catalogue = catalogue();
    let spec = catalogue.find(ComponentKind::Source, "seq").expect("an alias");
    assert_eq!(
        describe(&catalogue, spec),
        "source sequence: Makes numbered events.
also named seq

  OPTION             TYPE                           DEFAULT      BOUNDS
  channels           list of channel name           required     at least 1
      The channels this source writes to. A source without one has nowhere to put its events.
  interceptors       list of interceptor name       []
      The interceptors events pass, in this order.
  selector           table                          {}
      Which of the channels an event goes to.
  selector.type      choice                         replicating
      How channels are chosen. replicating: every channel gets every event. multiplexing: the value
      of a header names the channels.
  selector.header    text                           -
      Multiplexing: the header whose value is looked up in mapping.
  selector.mapping   table of list of channel name  -            at least 1
      Multiplexing: the channels for each value of the header.
  selector.default   list of channel name           []
      Multiplexing: the channels for events whose value is not mapped. Without any, such events are
      dropped and counted.
  selector.optional  list of channel name           []
      Channels that get an event if they have room; the source waits only for the others.
"
    );
    let files = catalogue.find(ComponentKind::Sink, "files").expect("a type");
    let markdown = describe_markdown(&catalogue, files);
    let line = "| `compression` | choice | `zstd` | none \\| zstd \\| gzip | Compression of the files. none: as it is. zstd: small and fast. gzip: readable anywhere. |\n";
    assert!(markdown.contains(line), "{markdown}");
    let options = describe_json(&catalogue, files);
    assert_eq!(
        options["options"][4],
        json!({
            "name": "roll.size", "type": "size", "required": false, "default": "128 MiB",
            "bounds": "1 MiB to 1 TiB", "applied_on_reload": false,
            "doc": "Size at which a file is closed. Smaller files burden the name node.",
        })
    );
}

/// Scenario: the JSON schema of the catalogue.
/// Guarantees: every reference in it resolves, every type and option is in it, unknown keys are refused.
#[test]
fn the_schema_is_complete() {
    let catalogue = catalogue();
    let schema = json_schema(&catalogue);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for kind in ComponentKind::ALL {
        let component = &schema["properties"][kind.section()]["additionalProperties"];
        let rules = component["allOf"].as_array().expect("one rule per type");
        assert_eq!(rules.len(), catalogue.types(kind).count());
        for (rule, spec) in rules.iter().zip(catalogue.types(kind)) {
            let path = rule["then"]["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
            let definition = &schema["$defs"][path.expect("a reference")];
            assert_eq!(definition["additionalProperties"], Value::Bool(false));
            for option in catalogue.options_of(spec) {
                assert_eq!(definition["properties"][option.name]["description"], option.doc);
            }
        }
    }
    let listen = &schema["$defs"]["sources.syslog"];
    assert_eq!(listen["required"], json!(["type", "channels", "listen"]));
    assert_eq!(listen["properties"]["listen"]["minItems"], 1);
}
