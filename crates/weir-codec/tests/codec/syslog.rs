//! Real device lines, against what rsyslog, syslog-ng and the origins' own parsers make of them.

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use weir_codec::syslog::{Header, Message, ParseContext, Status, parse_header, parse_message};

use crate::sample_data::{self, base64_member, json_lines};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        sample_data::trial("syslog::devices_agree_with_two_daemons", "security-devices", daemons),
        sample_data::trial("syslog::devices_agree_with_metron", "security-devices", metron),
        sample_data::trial(
            "syslog::valid_rfc5424_is_parsed_and_invalid_kept",
            "syslog-corner/rfc5424_table.ndjson",
            table,
        ),
        sample_data::trial(
            "syslog::valid_rfc3164_is_parsed_and_invalid_kept",
            "syslog-corner/rfc3164_table.ndjson",
            table,
        ),
    ]
}

/// 2026-11-22 10:50 UTC, when the daemons read the lines.
const NOW_MS: i64 = 1_795_344_600_000;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parse<'a>(line: &'a [u8], context: &ParseContext) -> (Header, Message<'a>) {
    let header = parse_header(line, context);
    (header, parse_message(line, &header))
}

/// Local wall-clock time as sent, without the year: what `Mmm dd hh:mm:ss` can say.
fn without_year(timestamp: &str) -> &str {
    timestamp.get(5..19).unwrap_or(timestamp)
}

/// `yyyy-mm-ddThh:mm:ss` in UTC.
fn iso(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (mut days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}", days + 1)
}

/// Our value of a field of `agreed`, in the daemons' notation. `agreed_timestamp` is in the zone of the line.
fn ours(field: &str, line: &[u8], header: &Header, message: &Message<'_>) -> String {
    let optional = |bytes: Option<&[u8]>| bytes.map(text).unwrap_or_default();
    match field {
        "pri" if header.status == Status::Ok => header.priority().to_string(),
        // Both daemons take user.notice where there is no PRI; Flume says so, and we do.
        "pri" => "13".to_owned(),
        "hostname" => optional(header.host.and_then(|host| host.of(line))),
        "app" => optional(message.app),
        "procid" => optional(message.procid),
        "msgid" => optional(message.msgid),
        "msg" => text(message.msg),
        "timestamp" => header.timestamp_ms.map(|ms| iso(ms + zone_ms(line, header))).unwrap_or_default(),
        other => panic!("agreed has an unknown field {other}"),
    }
}

/// Milliseconds east of UTC that an RFC 3339 timestamp names.
fn zone_ms(line: &[u8], header: &Header) -> i64 {
    let stamp = header.timestamp.and_then(|stamp| stamp.of(line)).map(text).unwrap_or_default();
    let Some(zone) = stamp.get(19..).and_then(|rest| rest.rfind(['+', '-']).map(|at| &rest[at..])) else {
        return 0;
    };
    let minutes =
        |range: std::ops::Range<usize>| zone.get(range).and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
    let ms = (minutes(1..3) * 60 + minutes(4..6)) * 60_000;
    if zone.starts_with('-') { -ms } else { ms }
}

/// Scenario: 444 lines of 60 device families, each with the fields on which rsyslog and syslog-ng agree.
/// Guarantees: at least 99 % of those fields come out equal; what differs is listed.
///
/// Eight fields differ on purpose: both daemons take the zone in `Nov 22 10:11:12 UTC: %CIMC-6-...` for a tag, do not
/// look for a timestamp behind a colon, and drop `[FW` from a message that starts with an open bracket.
fn daemons(folder: &Path) -> Result<(), Failed> {
    let context = ParseContext::new(NOW_MS, 0);
    let (mut equal, mut all) = (0, 0);
    for file in ["cisco_asa", "paloalto_threat", "vendors_mixed"] {
        let (mut file_equal, mut file_all) = (0, 0);
        let mut per_field = BTreeMap::<String, (u32, u32)>::new();
        for record in json_lines(&folder.join(format!("{file}.expected.ndjson")))? {
            let line = base64_member(&record, "input_b64")?;
            let (header, message) = parse(&line, &context);
            for (field, agreed) in record["agreed"].as_object().ok_or("no agreed fields")? {
                let agreed = agreed.as_str().ok_or("a field that is not text")?;
                let ours = ours(field, &line, &header, &message);
                let same = match field.as_str() {
                    "timestamp" => without_year(&ours) == without_year(agreed),
                    "msg" => ours.trim() == agreed.trim(),
                    _ => ours == agreed,
                };
                let counts = per_field.entry(field.clone()).or_default();
                *counts = (counts.0 + u32::from(same), counts.1 + 1);
                file_equal += u32::from(same);
                file_all += 1;
                if !same {
                    let start = text(&line[..line.len().min(70)]);
                    sample_data::report(&format!(
                        "{file}:{} {field}: {agreed:.40?}, ours {ours:.40?} in {start}",
                        record["line"]
                    ));
                }
            }
        }
        let percent = f64::from(file_equal) * 100.0 / f64::from(file_all);
        sample_data::report(&format!("{file}: {file_equal} of {file_all} fields, {percent:.2} %: {per_field:?}"));
        equal += file_equal;
        all += file_all;
    }
    let percent = f64::from(equal) * 100.0 / f64::from(all);
    sample_data::report(&format!("devices: {equal} of {all} agreed fields equal, {percent:.2} %"));
    assert!(all > 2_000, "only {all} fields");
    assert!(percent >= 99.0, "{percent:.2} % of the agreed fields are equal");
    Ok(())
}

/// Scenario: lines with the output of Metron's own parsers for RFC 3164, RFC 5424 and LEEF.
/// Guarantees: equal fields; a LEEF line without syslog header is kept whole.
fn metron(folder: &Path) -> Result<(), Failed> {
    let context = ParseContext::new(NOW_MS, 0);
    for (file, fields) in [("cisco_asa_3164", 100 * 6), ("cf_loggregator_5424", 3 * 10), ("trendmicro_leef2", 4)] {
        let mut equal = 0;
        for record in json_lines(&folder.join(format!("{file}.expected.ndjson")))? {
            let line = record["original_string"].as_str().ok_or("no original_string")?.as_bytes();
            let (header, message) = parse(line, &context);
            equal += metron_fields(&record, line, &header, &message);
        }
        sample_data::report(&format!("{file}: {equal} fields equal"));
        assert!(equal >= fields, "{file}: {equal} equal fields, {fields} expected");
    }
    Ok(())
}

/// Asserts that the comparable fields of a record are ours; how many those were.
fn metron_fields(record: &Value, line: &[u8], header: &Header, message: &Message<'_>) -> usize {
    let legacy = record["source.type"] == "syslog3164";
    // Metron leaves the tag in the message, as Flume does.
    let body = if legacy { header.message.of(line) } else { Some(message.msg) };
    let optional = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), text);
    let mut compared = 0;
    for (name, ours) in [
        ("syslog.header.pri", header.priority().to_string()),
        ("syslog.header.facility", header.facility.to_string()),
        ("syslog.header.severity", header.severity.to_string()),
        ("syslog.header.hostName", optional(header.host.and_then(|host| host.of(line)))),
        ("syslog.header.version", header.version.unwrap_or_default().to_string()),
        ("syslog.header.appName", optional(message.app)),
        ("syslog.header.procId", optional(message.procid)),
        ("syslog.header.msgId", optional(message.msgid)),
        ("syslog.header.timestamp", optional(header.timestamp.and_then(|stamp| stamp.of(line)))),
        ("syslog.message", optional(body)),
    ] {
        if let Some(expected) = record[name].as_str() {
            assert_eq!(ours.trim_end(), expected.trim_end(), "{name} of {record}");
            compared += 1;
        }
    }
    if record["source.type"] == "leef" {
        assert_eq!((header.status, text(message.msg)), (Status::Invalid, text(line)));
        compared += 1;
    }
    compared
}

/// Scenario: the verdict tables of go-syslog, which knows only what is strictly valid.
/// Guarantees: what is valid parses with its fields; what is not comes out with every byte of it.
fn table(path: &Path) -> Result<(), Failed> {
    let context = ParseContext::new(NOW_MS, 0);
    let (mut valid, mut invalid) = (0, 0);
    for record in json_lines(path)? {
        let line = base64_member(&record, "input_b64")?;
        let (header, message) = parse(&line, &context);
        let whole = header.message.of(&line).ok_or("the message lies outside of the line")?;
        if record["valid_strict"] == true {
            valid += 1;
            assert_eq!(header.status, Status::Ok, "{record}");
            strict_fields(&line, &header, &message);
        } else {
            invalid += 1;
            // The rest of the line is the message: nothing behind the header is missing.
            assert_eq!(header.message.end(), line.len(), "{record}");
            assert!(header.status == Status::Ok || whole == line, "{record}");
            assert!(line.ends_with(message.msg), "{record}");
        }
    }
    sample_data::report(&format!("{}: {valid} valid, {invalid} kept", path.display()));
    assert!(valid > 0);
    Ok(())
}

/// Fields of a strictly valid line, found by splitting at blanks, against ours.
fn strict_fields(line: &[u8], header: &Header, message: &Message<'_>) {
    let line_text = text(line);
    let mut words = line_text.splitn(6, ' ');
    let first = words.next().unwrap_or_default();
    let Some((priority, version)) = first.strip_prefix('<').and_then(|first| first.split_once('>')) else {
        panic!("a valid line has a priority: {line_text}")
    };
    assert_eq!(header.priority().to_string(), priority);
    let Ok(version) = version.parse::<u16>() else {
        return;
    };
    let ours = |field: Option<&[u8]>| field.map_or("-".to_owned(), text);
    assert_eq!(header.version, Some(version));
    assert_eq!(Some(ours(header.timestamp.and_then(|stamp| stamp.of(line)))).as_deref(), words.next(), "{line_text}");
    assert_eq!(Some(ours(header.host.and_then(|host| host.of(line)))).as_deref(), words.next(), "{line_text}");
    assert_eq!(Some(ours(message.app)).as_deref(), words.next(), "{line_text}");
    assert_eq!(Some(ours(message.procid)).as_deref(), words.next(), "{line_text}");
    let rest = words.next().unwrap_or_default();
    let (msgid, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    assert_eq!(ours(message.msgid), msgid, "{line_text}");
    let data = ours(message.structured_data);
    assert!(rest.starts_with(&data), "{line_text}: {data}");
    assert_eq!(rest[data.len()..].strip_prefix(' ').unwrap_or_default(), text(message.msg), "{line_text}");
}
