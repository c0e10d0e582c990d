//! Byte streams of telegraf's syslog input, framed and parsed.

use std::collections::HashMap;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use weir_codec::framing::{Frame, FrameKind, Framer, FramingSpec};
use weir_codec::syslog::{Format, ParseContext, Status, parse_header, parse_message};

use crate::sample_data;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        sample_data::trial("framing::streams_give_the_messages_of_telegraf", "syslog-corner/framing", streams),
        sample_data::trial("framing::underflow_is_kept", "syslog-corner/framing", underflow),
    ]
}

/// 2026-11-22, the year in which telegraf's expectations were rendered.
const NOW_MS: i64 = 1_795_300_000_000;

/// Scenario: every TCP and UDP case of telegraf's test-suite, in one piece and byte by byte.
/// Guarantees: as many messages as telegraf finds, with the same fields and text; chopping changes nothing.
fn streams(folder: &Path) -> Result<(), Failed> {
    let mut compared = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let case = entry.file_name().to_string_lossy().into_owned();
        if differs_by_design(&case) {
            continue;
        }
        let input = std::fs::read(entry.path().join("input.txt"))?;
        let expected = std::fs::read_to_string(entry.path().join("expected.out"))?;
        let expected = influx_points(&expected);
        let frames = if case.contains("_udp") {
            // A datagram is a frame, whatever is in it.
            vec![(input.strip_suffix(b"\n").unwrap_or(&input).to_vec(), FrameKind::Whole)]
        } else {
            let whole = framed(&input, input.len());
            for chunk_bytes in [1, 2, 7, 64] {
                assert_eq!(framed(&input, chunk_bytes), whole, "{case} in chunks of {chunk_bytes}");
            }
            whole
        };
        assert_eq!(frames.len(), expected.len(), "messages of {case}");
        for ((line, kind), point) in frames.iter().zip(&expected) {
            assert_eq!(*kind, FrameKind::Whole, "{case}");
            compare(&case, line, point);
            compared += 1;
        }
    }
    sample_data::report(&format!("framing: {compared} messages of telegraf's cases agree"));
    assert!(compared >= 30, "only {compared} messages compared");
    Ok(())
}

/// Where telegraf refuses a message or keeps a part of it, and we keep all of it. `underflow` has its own test; an
/// over-long name and a truncated header are not errors here.
fn differs_by_design(case: &str) -> bool {
    ["underflow", "toolong_appname", "min_incomplete"].iter().any(|part| case.contains(part))
}

/// Scenario: streams whose last octet count is larger than what follows, or smaller than its message.
/// Guarantees: nothing is dropped where telegraf reports an error: the short frame comes out cut, the bytes behind a
/// count that is too small become a line of their own.
fn underflow(folder: &Path) -> Result<(), Failed> {
    for strictness in ["strict", "best_effort"] {
        let case = |end: &str| folder.join(format!("octet_counting_{strictness}_tcp_1st_underflow_{end}/input.txt"));
        let short = std::fs::read(case("nok"))?;
        assert_eq!(framed(&short, 3), [(b"<1>2".to_vec(), FrameKind::Cut)]);
        let surplus = std::fs::read(case("malfunction"))?;
        let expected = [(b"<1>217 <11>1 - -".to_vec(), FrameKind::Whole), (b" - - - -".to_vec(), FrameKind::Whole)];
        assert_eq!(framed(&surplus, 3), expected);
    }
    Ok(())
}

/// The frames of a stream that arrives in chunks.
fn framed(stream: &[u8], chunk_bytes: usize) -> Vec<(Vec<u8>, FrameKind)> {
    let mut framer = Framer::new(FramingSpec::default());
    let mut frames = Vec::new();
    let mut consumed = 0;
    let mut out = |frame: Frame| {
        let bytes = frame.span.of(stream).expect("a frame lies in the stream").to_vec();
        frames.push((bytes, frame.kind));
    };
    for end in (0..stream.len()).step_by(chunk_bytes.max(1)).map(|start| stream.len().min(start + chunk_bytes)) {
        consumed += framer.frames(&stream[consumed..end], consumed, &mut out).expect("no case has an absurd count");
    }
    framer.finish(&stream[consumed..], consumed, &mut out);
    frames
}

/// Tags and fields of a line of Influx's line protocol, strings unescaped.
type Point = HashMap<String, String>;

/// Reads `name,tag=value,... field="text",field=1i time` lines; text may hold line ends.
fn influx_points(text: &str) -> Vec<Point> {
    let mut points = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut point = Point::new();
        let mut pairs = rest.char_indices().peekable();
        let (mut key, mut value, mut in_value, mut quoted) = (String::new(), String::new(), false, false);
        let mut end = rest.len();
        while let Some((index, letter)) = pairs.next() {
            match letter {
                '\\' => value.extend(pairs.next().map(|(_, letter)| if letter == 'n' { '\n' } else { letter })),
                '"' => quoted = !quoted,
                '=' if !quoted && !in_value => in_value = true,
                ',' | ' ' if !quoted => {
                    point.insert(std::mem::take(&mut key), std::mem::take(&mut value));
                    in_value = false;
                }
                '\n' if !quoted => {
                    end = index + 1;
                    break;
                }
                _ if in_value => value.push(letter),
                _ => key.push(letter),
            }
        }
        points.push(point);
        rest = rest[end..].trim_start();
    }
    points
}

fn compare(case: &str, line: &[u8], point: &Point) {
    let header = parse_header(line, &ParseContext::new(NOW_MS, 0));
    let message = parse_message(line, &header);
    assert_eq!(header.status, Status::Ok, "{case}");
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let number = |name: &str| point.get(name).map(|value| value.trim_end_matches(['i', 'u']).to_owned());
    assert_eq!(Some(header.facility.to_string()), number("facility_code"), "facility of {case}");
    assert_eq!(Some(header.severity.to_string()), number("severity_code"), "severity of {case}");
    assert_eq!(header.version.map(|version| version.to_string()), number("version"), "version of {case}");
    let nanoseconds = header.timestamp_ms.map(|ms| ms.to_string());
    // Cut to milliseconds, as we do.
    assert_eq!(nanoseconds, number("timestamp").map(|ns| ns[..ns.len() - 6].to_owned()), "timestamp of {case}");
    assert_eq!(text(header.host.and_then(|host| host.of(line))), point.get("hostname").cloned(), "host of {case}");
    assert_eq!(text(message.app), point.get("appname").cloned(), "app of {case}");
    assert_eq!(text(message.procid), point.get("procid").cloned(), "procid of {case}");
    assert_eq!(text(message.msgid), point.get("msgid").cloned(), "msgid of {case}");
    // Telegraf trims what its own tests add at the end of a line.
    let expected = point.get("message").map_or("", String::as_str);
    let ours = String::from_utf8_lossy(message.msg);
    assert_eq!(ours.trim_end_matches('\n'), expected.trim_end_matches('\n'), "text of {case}");
    assert_eq!(header.format == Format::Rfc5424, point.contains_key("version"), "format of {case}");
}
