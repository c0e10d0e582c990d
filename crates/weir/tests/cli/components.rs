//! `weir components`, and the documents made from it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{assert_generated, done, repository, weir};

fn components(args: &[&str]) -> String {
    let done = done(weir(&["components"]).args(args));
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{args:?}");
    done.out
}

fn json(args: &[&str]) -> Vec<Value> {
    serde_json::from_str(&components(args)).expect("a JSON array")
}

/// The names of all types.
pub(crate) fn types() -> BTreeSet<String> {
    json(&["--json"]).iter().map(|spec| spec["type"].as_str().expect("a name").to_owned()).collect()
}

/// Scenario: every type that the list has is asked for by name, in all forms.
/// Guarantees: text, JSON and Markdown have the same options, and every option is in the reference file.
#[test]
fn every_option_is_everywhere() {
    let reference = components(&["--reference"]);
    for name in types().iter().map(String::as_str).chain(["agent"]) {
        let (text, page) = (components(&[name]), components(&[name, "--markdown"]));
        for spec in json(&[name, "--json"]) {
            assert!(text.contains(spec["summary"].as_str().expect("a summary")), "{name}");
            for option in spec["options"].as_array().expect("a list") {
                let option_name = option["name"].as_str().expect("a name");
                assert!(text.contains(&format!("  {option_name} ")), "{name}: {option_name}");
                assert!(page.contains(&format!("| `{option_name}` |")), "{name}: {option_name}");
                let is_table = option["type"].as_str().expect("a type").contains("table")
                    || option_name.contains("[]")
                    || option_name.contains("KEY");
                let key = option_name.rsplit('.').next().expect("there is always a last part");
                assert!(is_table || reference.contains(&format!("{key} = ")), "{name}: {option_name} in the reference");
            }
        }
    }
}

/// Scenario: an alias of a type.
/// Guarantees: it is described as what it stands for.
#[test]
fn aliases_are_found() {
    let text = components(&["stress"]);
    assert!(text.starts_with("source generate:"), "{text}");
}

/// Scenario: the reference file of the repository, as it is.
/// Guarantees: it is what the code says, and checks without errors; that parts of it are unused is warned of.
#[test]
fn the_reference_file_is_up_to_date() {
    let path = repository().join("configs/reference.toml");
    assert_generated(&path, &components(&["--reference"]));
    let done = done(weir(&["check"]).arg(&path));
    assert_eq!(done.code, Some(0), "{}", done.err);
}

/// Scenario: the pages of the components, as they are.
/// Guarantees: they are what the code says, and no page is left of a type that is gone.
#[test]
fn the_pages_are_up_to_date() {
    let pages = repository().join("docs/components");
    let mut wanted = BTreeSet::from(["README.md".to_owned()]);
    assert_generated(&pages.join("README.md"), &components(&["--markdown"]));
    for name in types().iter().map(String::as_str).chain(["agent"]) {
        assert_generated(&pages.join(format!("{name}.md")), &components(&[name, "--markdown"]));
        wanted.insert(format!("{name}.md"));
    }
    let found = std::fs::read_dir(&pages).expect("the folder of the pages");
    let found: BTreeSet<_> =
        found.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, wanted);
}

/// Scenario: the schema for editors.
/// Guarantees: it is JSON with a definition per type.
#[test]
fn the_schema_has_every_type() {
    let schema: Value = serde_json::from_str(&components(&["--schema"])).expect("JSON");
    for spec in json(&["--json"]) {
        let definition =
            format!("{}s.{}", spec["kind"].as_str().expect("a kind"), spec["type"].as_str().expect("a type"));
        assert!(schema["$defs"][&definition].is_object(), "{definition}");
    }
}
