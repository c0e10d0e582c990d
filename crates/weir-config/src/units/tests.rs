use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Scenario: sizes, durations, counts and rates as people write them.
/// Guarantees: the exact value.
#[test]
fn values_are_read_exactly() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("64 MiB", 64 << 20),
        (" 64mib ", 64 << 20),
        ("10MB", 10_000_000),
        ("1_000 kB", 1_000_000),
        ("1.5 GiB", 3 << 29),
        ("7 B", 7),
        ("2.25 KiB", 2304),
        ("16777215 TiB", 16_777_215 << 40),
    ] {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
    for (text, nanoseconds) in [
        ("0", 0),
        ("0 s", 0),
        ("5 s", 5_000_000_000),
        ("250ms", 250_000_000),
        ("10 m", 600_000_000_000),
        ("1 h 30 min", 5_400_000_000_000),
        ("1.5 s", 1_500_000_000),
        ("20 \u{b5}s", 20_000),
        ("7 d", 604_800_000_000_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
    }
    for (text, count) in [("10k", 10_000), ("1_000", 1_000), ("1.2 M", 1_200_000), ("3G", 3_000_000_000)] {
        assert_eq!(parse_count(text), Ok(count), "{text}");
    }
    for (text, rate) in [
        ("10k/s", Some(10_000.0)),
        ("1.5 M/s", Some(1_500_000.0)),
        ("600/m", Some(10.0)),
        ("0.5 / s", Some(0.5)),
        ("flat-out", None),
        ("Unlimited", None),
    ] {
        assert_eq!(parse_rate(text), Ok(rate), "{text}");
    }
}

/// Scenario: texts that are none of these.
/// Guarantees: the error says what to write instead.
#[test]
fn errors_say_what_to_write() {
    let said = |result: Result<String, UnitError>| result.expect_err("not a value").to_string();
    let bytes = |text: &str| said(parse_bytes(text).map(|value| value.to_string()));
    let duration = |text: &str| said(parse_duration(text).map(|value| format!("{value:?}")));
    let count = |text: &str| said(parse_count(text).map(|value| value.to_string()));
    let rate = |text: &str| said(parse_rate(text).map(|value| format!("{value:?}")));
    for (error, expected) in [
        (bytes(""), "expected a size such as \"64 MiB\", found \"\""),
        (bytes("-5"), "expected a size such as \"64 MiB\", found \"-5\""),
        (bytes("1."), "expected a size such as \"64 MiB\", found \"1.\""),
        (bytes("1.2.3 kB"), "expected a size such as \"64 MiB\", found \"1.2.3 kB\""),
        (bytes("5 G"), "the unit \"G\" has two readings; write GB (1000) or GiB (1024)"),
        (bytes("5 Mbit"), "unknown unit \"Mbit\"; there are B, KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000)"),
        (bytes("0.5 B"), "\"0.5 B\" has a fraction finer than the smallest unit"),
        (bytes("99999999999 TiB"), "\"99999999999 TiB\" is too large for 64 bits"),
        (duration("30"), "\"30\" has no unit; add one of ns, us, ms, s, m, h, d"),
        (duration("5 weeks"), "unknown unit \"weeks\"; there are ns, us, ms, s, m, h, d"),
        (duration("soon"), "expected a duration such as \"5 s\", found \"soon\""),
        (duration("9999999 d"), "\"9999999 d\" is too large for 64 bits"),
        (count("5 x"), "unknown unit \"x\"; there are k, M, G, T"),
        (rate("5"), "\"5\" has no unit; add one of /s, /m, /h"),
        (rate("5k/y"), "unknown unit \"/y\"; there are /s, /m, /h"),
    ] {
        assert_eq!(error, expected);
    }
}

/// Scenario: round and crooked numbers are written.
/// Guarantees: the shortest exact form, and three digits where people only look.
#[test]
fn values_are_written_shortly() {
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (64 << 20, "64 MiB"),
        (3 << 29, "1.5 GiB"),
        (10_000_000, "10 MB"),
        (12_345, "12345 B"),
    ] {
        assert_eq!(format_bytes(bytes), text);
    }
    for (milliseconds, text) in [(0, "0 s"), (1500, "1500 ms"), (90_000, "90 s"), (600_000, "10 m")] {
        assert_eq!(format_duration(Duration::from_millis(milliseconds)), text);
    }
    for (count, text) in [(0, "0"), (999, "999"), (10_000, "10 k"), (1_200_000, "1.2 M"), (1_234_567, "1234567")] {
        assert_eq!(format_count(count), text);
    }
    assert_eq!(format_rate(Some(10_000.0)), "10 k/s");
    assert_eq!(format_rate(Some(0.5)), "0.5/s");
    assert_eq!(format_rate(None), "unlimited");
    assert_eq!(approx_count(1_234_567.0), "1.23 M");
    assert_eq!(approx_count(950.0), "950");
    assert_eq!(approx_count(0.25), "0.25");
    assert_eq!(approx_count(999_999.0), "1.00 M");
    assert_eq!(approx_bytes(1_320_702_444), "1.23 GiB");
    assert_eq!(approx_duration(Duration::from_micros(456)), "456 us");
    assert_eq!(approx_duration(Duration::from_millis(1_234)), "1.23 s");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: any value is written and read.
    /// Guarantees: it is the same value.
    #[test]
    fn what_is_written_is_read(value in any::<u64>(), shift in 0_u32..64, rate in 0.001_f64..1e12) {
        // Small numbers and powers of ten are as likely as large ones.
        for value in [value >> shift, 1 << shift, 10_u64.pow(shift % 19), value / 1000 * 1000] {
            prop_assert_eq!(parse_bytes(&format_bytes(value)), Ok(value));
            prop_assert_eq!(parse_count(&format_count(value)), Ok(value));
            let duration = Duration::from_nanos(value);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        let rate = (rate * 1000.0).round() / 1000.0;
        prop_assert_eq!(parse_rate(&format_rate(Some(rate))), Ok(Some(rate)));
    }

    /// Scenario: any text, and texts that begin like values.
    /// Guarantees: no panic.
    #[test]
    fn any_text_has_an_answer(text in "[0-9_.]{0,40} ?[a-zA-Z/]{0,4}", any in any::<String>()) {
        for text in [text, any] {
            let _ = (parse_bytes(&text), parse_duration(&text), parse_count(&text), parse_rate(&text));
        }
    }
}
