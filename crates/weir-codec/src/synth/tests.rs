use std::collections::HashSet;

use super::*;

const TIME_MS: i64 = 1_763_841_234_567; // 2025-11-22T19:53:54.567Z

fn lines(seed: u64, options: SynthOptions, count: usize) -> (Vec<u8>, Vec<(usize, SynthLine)>) {
    let mut synth = Synth::new(seed, options);
    let (mut bytes, mut parts) = (Vec::new(), Vec::new());
    for i in 0..count {
        let start = bytes.len();
        parts.push((start, synth.line(TIME_MS + i as i64 / 50, &mut bytes)));
        bytes.push(b'\n');
    }
    (bytes, parts)
}

/// Scenario: 20 000 lines of seed 7, in both forms.
/// Guarantees: the bytes never change between machines and releases, so that runs stay comparable.
#[test]
fn a_seed_gives_the_same_bytes_for_ever() {
    let (bytes, _) = lines(7, SynthOptions::default(), 20_000);
    assert_eq!((bytes.len(), crc32c::crc32c(&bytes)), (3_990_982, 1_133_945_979));
}

/// Scenario: 50 000 lines with the default options.
/// Guarantees: lengths, devices, both forms and compressibility are those of real network logs.
#[test]
fn lines_have_the_shape_of_real_ones() {
    let (bytes, parts) = lines(1, SynthOptions::default(), 50_000);
    let mean = bytes.len() / parts.len();
    assert!((185..=205).contains(&mean), "mean {mean}");
    let lengths: Vec<_> = parts.iter().map(|(_, line)| line.body.end).collect();
    let longest = lengths.iter().max().expect("lines");
    assert!((500..=640).contains(longest), "longest {longest}");
    let usual = lengths.iter().filter(|length| (120..=260).contains(*length)).count();
    assert!(usual * 100 > lengths.len() * 85, "{usual} of {} between 120 and 260", lengths.len());
    let hosts: HashSet<_> = parts.iter().map(|(at, line)| &bytes[at + line.host.start..at + line.host.end]).collect();
    assert!((400..=500).contains(&hosts.len()), "{} hosts", hosts.len());
    let modern = parts.iter().filter(|(_, line)| line.timestamp.len() > 15).count();
    assert!((30..=70).contains(&(modern * 100 / parts.len())), "{modern} of RFC 5424");
    let chunk = &bytes[..1 << 20];
    let ratio = chunk.len() as f64 / lz4_flex::block::compress(chunk).len() as f64;
    assert!((2.5..=4.0).contains(&ratio), "ratio {ratio}");
    assert!(bytes.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\n'));
}

/// Scenario: every device speaks RFC 5424, then none does.
/// Guarantees: each line starts with PRI and time as asked for, and the ranges lie on what they name.
#[test]
fn parts_lie_on_the_line() {
    for (share, version) in [(1.0, "1 "), (0.0, "")] {
        let (bytes, parts) = lines(3, SynthOptions { rfc5424_share: share, devices: 500 }, 2_000);
        for (index, (at, line)) in parts.iter().enumerate() {
            let text = std::str::from_utf8(&bytes[*at..at + line.body.end]).expect("ASCII");
            let priority = format!("<{}>{version}", line.facility * 8 + line.severity);
            assert_eq!(&text[..line.timestamp.start], priority);
            let stamp = &text[line.timestamp.clone()];
            let millis = TIME_MS % 1000 + index as i64 / 50;
            match stamp.len() {
                15 => assert_eq!(stamp, "Nov 22 19:53:54"),
                _ => assert!(
                    stamp.starts_with(&format!("2025-11-22T19:53:54.{millis}")) && stamp.ends_with('Z'),
                    "{stamp}"
                ),
            }
            assert_eq!(text.as_bytes()[line.timestamp.end], b' ');
            assert_eq!(line.host.end + 1, line.body.start);
            assert!(text[line.host.clone()].chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
            assert!(
                line.message.start >= line.body.start && line.message.end == text.len() && !line.message.is_empty()
            );
        }
    }
}

/// Scenario: dates at the ends of months, years, centuries and of the representable time.
/// Guarantees: both forms show the right date and never panic.
#[test]
fn dates_are_right() {
    let mut text = TimeText::new();
    for (time_ms, modern, old) in [
        (0, "1970-01-01T00:00:00.000Z", "Jan  1 00:00:00"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z", "Feb 28 23:59:59"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z", "Feb 29 00:00:00"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "Mar  1 00:00:00"),
        (1_735_689_599_001, "2024-12-31T23:59:59.001Z", "Dec 31 23:59:59"),
        (i64::MAX, "9999-12-31T23:59:59.999Z", "Dec 31 23:59:59"),
        (i64::MIN, "1970-01-01T00:00:00.000Z", "Jan  1 00:00:00"),
    ] {
        assert_eq!(text.rfc5424_millis(time_ms), modern.as_bytes());
        assert_eq!(text.rfc3164(time_ms), old.as_bytes());
    }
    assert_eq!(text.rfc5424_micros(951_782_399_999, 7), b"2000-02-28T23:59:59.999007Z");
}
