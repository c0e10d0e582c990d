//! Arbitrary input: never a panic, always an answer.

use proptest::prelude::*;

use super::fixtures::*;

/// Pieces of which nearly sound files are made.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[agent]",
            "[sources.a]",
            "[sources]",
            "[[sinks.b]]",
            "[sinks.b",
            "[channels.c]",
            "a.b.c = 1",
            "type = \"files\"",
            "type = \"syslog\"",
            "channels = [\"c\", \"d\"]",
            "channel = \"c\"",
            "selector = { mapping = { x = [\"c\"] } }",
            "selector.type = \"multiplexing\"",
            "roll = { size = 5 }",
            "roll.size = \"1 MiB\"",
            "path = \"${X:-y}\"",
            "labels.a = \"${\"",
            "rules = [{}, 1]",
            "listen = [",
            "password = \"x\"",
            "memory = 99999999999999999999999999999999999999999999",
            "sample = nan",
            "idle = 1979-05-27",
            "group = '''\n",
            "\u{feff}",
            "\r",
            "x = \"\\ud800\"",
            "= =",
            "\0",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: one or two files of arbitrary and of nearly sound lines.
    /// Guarantees: no panic; what is reported can be rendered; a configuration without errors can be written and read.
    #[test]
    fn arbitrary_files_never_panic(
        one in prop::collection::vec(piece(), 0..12),
        two in prop::collection::vec(piece(), 0..6),
    ) {
        let (one, two) = (one.join("\n"), two.join("\n"));
        let (config, diagnostics) = check(&[("one", &one), ("two", &two)]);
        let _ = (diagnostics.render(true), diagnostics.to_json(), diagnostics.summary());
        if !diagnostics.has_errors() {
            let text = crate::effective_toml(&config);
            let (_, diagnostics) = check(&[("effective", &text)]);
            prop_assert!(!diagnostics.has_errors(), "{diagnostics}");
        }
    }

    /// Scenario: any text, and the reference file with any text in place of a part of it.
    /// Guarantees: no panic.
    #[test]
    fn damaged_files_never_panic(text in any::<String>(), at in any::<prop::sample::Index>(), length in 0_usize..80) {
        let _ = said(&text);
        let reference = crate::reference_toml(&catalogue());
        let start = reference.floor_char_boundary(at.index(reference.len()));
        let end = reference.floor_char_boundary((start + length).min(reference.len()));
        let _ = said(&format!("{}{text}{}", &reference[..start], &reference[end..]));
    }
}
