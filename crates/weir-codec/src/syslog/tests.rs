use proptest::prelude::*;
use weir_event::Span;

use super::*;

/// 2026-11-22 10:50:00 UTC.
const NOW_MS: i64 = 1_795_344_600_000;
const HOUR_MS: i64 = 3_600_000;

const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn utc() -> ParseContext {
    ParseContext::new(NOW_MS, 0)
}

fn text(line: &str, span: Option<Span>) -> Option<&str> {
    span.and_then(|span| span.of(line.as_bytes())).map(|bytes| std::str::from_utf8(bytes).expect("cut at blanks"))
}

/// Milliseconds of a moment in UTC.
fn ms(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> i64 {
    context::days_from_civil(year, month, day) * context::DAY_MS + (hour * 60 + minute) * 60_000 + second * 1000
}

/// Time, host and message of a line with priority.
fn parts(line: &str) -> (Option<i64>, Option<&str>, &str) {
    let header = parse_header(line.as_bytes(), &utc());
    assert_eq!(header.status, Status::Ok, "{line}");
    (header.timestamp_ms, text(line, header.host), text(line, Some(header.message)).expect("always there"))
}

/// Scenario: the lines of Flume's TestSyslogUtils: fractions, zones, `-` for stamp and host, microseconds.
/// Guarantees: Flume's timestamp, host and body; no zone means the local one.
#[test]
fn lines_of_flumes_own_tests() {
    let utc_ms = ms(2012, 4, 13, 11, 11, 11);
    for (stamp, expected) in [
        ("2012-04-13T11:11:11Z", utc_ms),
        ("2012-04-13T11:11:11.003Z", utc_ms + 3),
        ("2012-04-13T11:11:11.000003Z", utc_ms),
        ("2012-04-13T11:11:11.123456789+00:00", utc_ms + 123),
        ("2012-04-13T11:11:11-08:00", utc_ms + 8 * HOUR_MS),
        ("2012-04-13T11:11:11.5+05:30", utc_ms + 500 - 11 * HOUR_MS / 2),
        ("2012-04-13T11:11:11", utc_ms),
    ] {
        for version in ["", "1 "] {
            let line = format!("<10>{version}{stamp} ubuntu-11.cloudera.com some body text");
            assert_eq!(parts(&line), (Some(expected), Some("ubuntu-11.cloudera.com"), "some body text"), "{line}");
        }
    }
    assert_eq!(parts("<10>1 - - some msg"), (None, None, "some msg"));
    assert_eq!(parts("<10>1 2012-04-13T11:11:11Z - some msg"), (Some(utc_ms), None, "some msg"));
    assert_eq!(parts("<10>Apr 13 11:11:11 - some msg").1, None);
    let local = ParseContext::new(NOW_MS, 2 * 3600);
    for line in [&b"<10>1 2012-04-13T11:11:11 h m"[..], b"<10>Apr 13 2012 11:11:11 h m"] {
        assert_eq!(parse_header(line, &local).timestamp_ms, Some(utc_ms - 2 * HOUR_MS));
    }
}

/// Scenario: a yearless stamp of every month is read in every month.
/// Guarantees: the result is at most a month in the future and at most 11 months in the past.
#[test]
fn years_are_the_nearest_within_flumes_window() {
    for (now_month, stamp_month) in (1..=12).flat_map(|now| (1..=12).map(move |stamp| (now, stamp))) {
        let context = ParseContext::new(ms(2013, now_month, 15, 12, 0, 0), 0);
        let line = format!("<10>{} 15 10:00:00 host m", NAMES[stamp_month as usize - 1]);
        let year = match stamp_month - now_month {
            2.. => 2012,
            -10..=1 => 2013,
            _ => 2014,
        };
        let expected = ms(year, stamp_month, 15, 10, 0, 0);
        assert_eq!(parse_header(line.as_bytes(), &context).timestamp_ms, Some(expected), "{line} in month {now_month}");
    }
    let new_year = ParseContext::new(ms(2024, 1, 1, 0, 0, 5), 0);
    let last_second = parse_header(b"<10>Dec 31 23:59:59 h m", &new_year).timestamp_ms;
    assert_eq!(last_second, Some(ms(2023, 12, 31, 23, 59, 59)));
    assert_eq!(parse_header(b"<10>Feb 29 00:00:00 h m", &new_year).timestamp_ms, Some(ms(2024, 2, 29, 0, 0, 0)));
}

/// Scenario: timestamps as network devices write them.
/// Guarantees: all are read, and the message starts where the device's text starts.
#[test]
fn stamps_of_real_devices() {
    let march = ms(2026, 3, 1, 18, 46, 11);
    let message = "%SYS-5-CONFIG_I: Configured";
    for (stamp, expected, sequence) in [
        ("Mar  1 18:46:11: ", march, None),
        ("Mar 1 18:46:11: ", march, None),
        ("March 1 18:46:11: ", march, None),
        (" Mar  1 18:46:11: ", march, None),
        ("*Mar  1 18:46:11.123: ", march + 123, None),
        ("123: *Mar  1 18:46:11.123 UTC: ", march + 123, Some(123)),
        ("46: 000045: .Mar  1 18:46:11.123 UTC: ", march + 123, Some(46)),
        ("123: Mar  1 18:46:11.123 CET: ", march + 123 - HOUR_MS, Some(123)),
        ("123: Mar  1 18:46:11 EST : ", march + 5 * HOUR_MS, Some(123)),
        ("Mar 01 2016 18:46:11: ", ms(2016, 3, 1, 18, 46, 11), None),
        ("Mar  1 18:46:11 2016: ", ms(2016, 3, 1, 18, 46, 11), None),
        (": 2020 Mar  1 18:46:11 CET: ", ms(2020, 3, 1, 17, 46, 11), None),
        ("17: Mar 01 2016 06:46:11 PM.484 UTC : ", ms(2016, 3, 1, 18, 46, 11) + 484, Some(17)),
        ("17: Mar 01 2016 12:46:11 AM.484 UTC : ", ms(2016, 3, 1, 0, 46, 11) + 484, Some(17)),
        ("Mar  1 18:46:11 +0100: ", march - HOUR_MS, None),
        ("2016-03-01T18:46:11Z: ", ms(2016, 3, 1, 18, 46, 11), None),
    ] {
        let line = format!("<189>{stamp}{message}");
        assert_eq!(parts(&line), (Some(expected), None, message), "{line}");
        assert_eq!(parse_header(line.as_bytes(), &utc()).sequence, sequence, "{line}");
    }
}

/// Scenario: hosts in places and forms that devices use, and words in their place that are none.
/// Guarantees: a host only where one is; everything else stays in the message.
#[test]
fn hosts_and_what_is_not_one() {
    for (rest, host, message) in [
        ("10.22.8.216 %ASA-7-609001: Built", Some("10.22.8.216"), "%ASA-7-609001: Built"),
        ("2016 su: x", None, "su: x"),
        ("asa : %ASA-3-710003: TCP", Some("asa"), ": %ASA-3-710003: TCP"),
        ("  fw1\tkernel: x", Some("fw1"), "kernel: x"),
        ("\tfw1 kernel: x", Some("fw1"), "kernel: x"),
        ("USG kernel: x", Some("USG"), "kernel: x"),
        ("EST kernel: x", Some("EST"), "kernel: x"),
        ("UTC fw1 kernel: x", Some("fw1"), "kernel: x"),
        ("2001:db8::1 kernel: x", Some("2001:db8::1"), "kernel: x"),
        ("fe80::1%eth0 kernel: x", Some("fe80::1%eth0"), "kernel: x"),
        ("[2001:db8::1] kernel: x", Some("[2001:db8::1]"), "kernel: x"),
        ("Message forwarded from aix7: sshd: x", Some("aix7"), "sshd: x"),
        ("US8P60,18e8294876c3,v4.0 switch: x", Some("US8P60,18e8294876c3,v4.0"), "switch: x"),
        ("%ASA-7-609001: Built", None, "%ASA-7-609001: Built"),
        ("sshd[12]: x", None, "sshd[12]: x"),
        ("sshd: x", None, "sshd: x"),
        ("/usr/sbin/cron x", None, "/usr/sbin/cron x"),
        ("1,2012/10/30 09:46:17,0160", None, "1,2012/10/30 09:46:17,0160"),
        ("last message repeated 3 times", None, "last message repeated 3 times"),
        ("-12345 x", Some("-12345"), "x"),
        ("word", None, "word"),
        ("", None, ""),
    ] {
        let line = format!("<189>Nov  1 18:46:11 {rest}");
        let (time, found, rest) = parts(&line);
        let year = if line.contains(" 2016 ") { 2016 } else { 2026 };
        assert_eq!((time, found, rest), (Some(ms(year, 11, 1, 18, 46, 11)), host, message), "{line}");
    }
}

/// Scenario: devices that put their name before the timestamp, or a tag where the host belongs.
/// Guarantees: name and tag are told apart; a processor name, which has no header, stays in the message.
#[test]
fn hosts_in_unusual_places() {
    let junos = "<165>1 2007-02-15T09:17:15.719Z mib2d[1484]: SNMP_TRAP_LINK_UP: ifIndex 584";
    assert_eq!(parts(junos).1, None);
    assert_eq!(message(junos), (Some("mib2d"), Some("1484"), None, None, "SNMP_TRAP_LINK_UP: ifIndex 584"));
    let manager = "<189>23813: cucm-pub: Jul 05 2016 04:03:01 PM.688 UTC : %UC_RTMT-2-RTMT_ALERT: x";
    assert_eq!(parts(manager), (Some(ms(2016, 7, 5, 16, 3, 1) + 688), Some("cucm-pub"), "%UC_RTMT-2-RTMT_ALERT: x"));
    let node = "<190>7: xr1 RP/0/RSP0/CPU0:Mar 26 14:47:02.754 : SSHD_[65935]: x";
    let kept = "RP/0/RSP0/CPU0:Mar 26 14:47:02.754 : SSHD_[65935]: x";
    assert_eq!(parts(node), (Some(ms(2026, 3, 26, 14, 47, 2) + 754), Some("xr1"), kept));
    let twice = "<189>7: r1: Jul  5 16:03:01 r2 sshd: x";
    assert_eq!(parts(twice).1, Some("r1"));
    assert_eq!(parts(twice).2, "r2 sshd: x");
    assert_eq!(parts("<189>7: -: Jul  5 16:03:01 : sshd: x").1, None);
}

/// Scenario: lines without a priority, or with something that only looks like one.
/// Guarantees: they are flagged and kept whole; a byte order mark before the priority is no obstacle.
#[test]
fn a_line_without_priority_is_invalid_and_kept() {
    for line in
        ["", "<", "<>", "<1", "<1a>x", "<999>x", "<192>x", "<1234>x", "< 1>x", "x<13>y", "\0<13>x", "LEEF:2.0|a b"]
    {
        let header = parse_header(line.as_bytes(), &utc());
        assert_eq!((header.status, header.priority()), (Status::Invalid, 0), "{line}");
        assert_eq!(text(line, Some(header.message)), Some(line));
        assert_eq!(parse_message(line.as_bytes(), &header).msg, line.as_bytes());
    }
    let marked = "\u{feff}<191>Nov  1 18:46:11 h tag: x";
    let header = parse_header(marked.as_bytes(), &utc());
    assert_eq!((header.facility, header.severity, text(marked, header.host)), (23, 7, Some("h")));
    assert_eq!(parts("<013>x"), (None, None, "x"));
}

/// Scenario: a priority and then a timestamp that is not one.
/// Guarantees: the whole rest is the message, blanks and all.
#[test]
fn without_a_timestamp_everything_is_message() {
    for rest in [
        "kernel: sd 2:0:0:0",
        " a",
        "",
        "1",
        "1 ",
        "1 2",
        "1 2003-09-31T22:14:15Z h a",
        "1 2018-02-29T22:14:16Z h a",
        "1 2003-09-29T22:99:16Z h",
        "1 2003-09-29T22:09:01.Z h",
        "1 2003-09-29T22:09:01A h",
        "0 - - -",
        "1000 - - -",
        "Foo 12 10:00:00 h m",
        "Jan 32 10:00:00 h m",
        "Jan 00 10:00:00 h m",
        "Feb 30 10:00:00 h m",
        "Jan 12 24:00:00 h m",
        "Jan 12 10:60:00 h m",
        "Jan 12 10:00;00 h m",
        "Feb 29 2015 10:00:00 h m",
        "12345: no stamp",
        "1: 2: 3: Jan 12 10:00:00 m",
        "{\"a\": 1}",
        "\u{0}Jan 12 10:00:00 h m",
    ] {
        let line = format!("<13>{rest}");
        assert_eq!(parts(&line), (None, None, rest), "{line}");
    }
}

type Fields<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Option<&'a str>, &'a str);

fn message(line: &str) -> Fields<'_> {
    let header = parse_header(line.as_bytes(), &utc());
    let message = parse_message(line.as_bytes(), &header);
    let utf8 = |bytes| std::str::from_utf8(bytes).expect("cut at blanks");
    let optional = |bytes: Option<_>| bytes.map(utf8);
    (
        optional(message.app),
        optional(message.procid),
        optional(message.msgid),
        optional(message.structured_data),
        utf8(message.msg),
    )
}

/// Scenario: messages of RFC 5424, complete, with fields missing, with odd structured data, with a byte order mark.
/// Guarantees: fields by position, escapes untouched, broken structured data is text.
#[test]
fn fields_of_rfc5424() {
    for (rest, expected) in [
        ("su 71 ID47 - 'su root'", (Some("su"), Some("71"), Some("ID47"), None, "'su root'")),
        ("su - - [a b=\"c\\\"]\"][d] x", (Some("su"), None, None, Some("[a b=\"c\\\"]\"][d]"), "x")),
        ("su - - [a b=\"c\"] [d] x", (Some("su"), None, None, Some("[a b=\"c\"]"), "[d] x")),
        ("su - - [a b=\"c] x", (Some("su"), None, None, None, "[a b=\"c] x")),
        ("- - - - \u{feff}x", (None, None, None, None, "x")),
        ("- - - -", (None, None, None, None, "")),
        ("su 71", (Some("su"), Some("71"), None, None, "")),
        ("su 71 ID47 x", (Some("su"), Some("71"), Some("ID47"), None, "x")),
        ("", (None, None, None, None, "")),
    ] {
        assert_eq!(message(&format!("<1>1 - h {rest}")), expected, "{rest}");
    }
}

/// Scenario: tags of RFC 3164 in the forms devices use.
/// Guarantees: tag and process id apart; what is not a tag stays text.
#[test]
fn tags_of_rfc3164() {
    for (rest, expected) in [
        ("sshd[12]: x y", (Some("sshd"), Some("12"), "x y")),
        ("sshd: x", (Some("sshd"), None, "x")),
        ("sshd:x", (Some("sshd"), None, "x")),
        ("sshd x", (Some("sshd"), None, "x")),
        ("sshd[12] x", (Some("sshd"), Some("12"), "x")),
        ("sshd[]: x", (Some("sshd"), None, "x")),
        (": %ASA-3-710003: x", (None, None, "%ASA-3-710003: x")),
        ("%ASA-3-710003: x", (Some("%ASA-3-710003"), None, "x")),
        ("su: [ID 366847 auth.notice] 'su root'", (Some("su"), None, "[ID 366847 auth.notice] 'su root'")),
        ("[FW IP] x: y", (None, None, "[FW IP] x: y")),
        ("a[b x", (None, None, "a[b x")),
        ("word", (None, None, "word")),
    ] {
        let line = format!("<1>Nov  1 18:46:11 h {rest}");
        let (app, procid, msgid, data, msg) = message(&line);
        assert_eq!(((app, procid, msg), msgid, data), (expected, None, None), "{rest}");
    }
}

/// Parses, and checks every span against what it claims to be.
fn check(line: &[u8], context: &ParseContext) {
    let header = parse_header(line, context);
    let body = header.message.of(line).expect("the message lies in the line");
    assert!(line.ends_with(body));
    if header.status == Status::Invalid {
        assert_eq!(body, line);
    }
    assert!(header.facility <= 23 && header.severity <= 7);
    assert_eq!(header.timestamp.is_some(), header.timestamp_ms.is_some());
    if let Some(stamp) = header.timestamp {
        let stamp = stamp.of(line).expect("the timestamp lies in the line");
        assert!(stamp.iter().filter(|byte| byte.is_ascii_digit()).count() >= 7, "{}", stamp.escape_ascii());
    }
    if let Some(host) = header.host {
        let bytes = host.of(line).expect("the host lies in the line");
        assert!(!bytes.is_empty() && bytes != b"-" && !bytes.contains(&b' '));
        assert!(host.end() <= header.message.start as usize);
    }
    let message = parse_message(line, &header);
    assert!(body.ends_with(message.msg));
    for field in [message.app, message.procid, message.msgid, message.structured_data].into_iter().flatten() {
        assert!(!field.is_empty() && body.as_ptr_range().contains(&field.as_ptr()));
    }
}

const SEEDS: [&str; 14] = [
    "<167>Jan  5 08:52:35 10.22.8.216 %ASA-7-609001: Built local-host inside:10.22.8.205",
    "<165>1 2003-10-11T22:14:15.003Z host evnts - ID27 [ex@32473 iut=\"3\" s=\"a\\]b\"][p c=\"h\"] text",
    "<189>46: 000045: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: x",
    "<189>23813: cucm-pub: Jul 05 2016 04:03:01 PM.688 UTC : %UC_RTMT-2-RTMT_ALERT: x",
    "<190>7: xr1 RP/0/RSP0/CPU0:Mar 26 14:47:02.754 : SSHD_[65935]: x",
    "<190>: 2020 Oct 26 10:33:18 CET: %UCSM-6-AUDIT: x",
    "<11>July 22 22:45:28 apic1 %LOG_LOCAL0-2-SYSTEM_MSG [F0110]",
    "<134>1 1563249630.774247467 devicename security_event",
    "<134>1 1563249630774 devicename security_event",
    "<134>1 Dec 6 08:41:44 192.168.1.1 1 1386337316.207232138 MX84 events",
    "<13>Oct 11 22:14:15 -12345 x",
    "<13>Oct 11 22:14:15 Message forwarded from a: b: c",
    "<13>Oct 11 22:14:15 fe80::1%eth0 b[1]: c",
    "\u{feff}<13>Oct 11 22:14:15 2016: b[1]: c",
];

/// Any byte, or one that means something in a header.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), prop::sample::select(b" :.-0123456789[]<>\"\\TZ".to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Scenario: any bytes.
    /// Guarantees: no panic; spans lie in the line and hold what they claim.
    #[test]
    fn any_bytes_are_a_line(line in prop::collection::vec(any::<u8>(), 0..80), offset in -86_400..86_400) {
        check(&line, &ParseContext::new(NOW_MS, offset));
    }

    /// Scenario: real lines with a few bytes replaced, removed or cut off.
    /// Guarantees: the same.
    #[test]
    fn damaged_lines_are_lines(
        seed in prop::sample::select(SEEDS.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), byte(), 0..3), 0..5),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut line = seed.as_bytes().to_vec();
        for (place, byte, kind) in damage {
            let place = place.index(line.len());
            match kind {
                0 => line[place] = byte,
                1 => line.insert(place, byte),
                _ => drop(line.remove(place)),
            }
        }
        if cut {
            line.truncate(end.index(line.len() + 1));
        }
        check(&line, &utc());
    }

    /// Scenario: any moment, written in both standard forms.
    /// Guarantees: it is read back to the millisecond.
    #[test]
    fn moments_are_read_back(
        now in 0_i64..4_000_000_000,
        back_hours in 0_i64..24 * 300,
        offset_minutes in -840_i64..840,
    ) {
        let at = (now - back_hours * 3600) * 1000;
        let local = at + offset_minutes * 60_000;
        let (year, month, day) = (1902..2200)
            .flat_map(|year| (1..=12).map(move |month| (year, month)))
            .rfind(|(year, month)| ms(*year, *month, 1, 0, 0, 0) <= local)
            .map(|(year, month)| (year, month, (local - ms(year, month, 1, 0, 0, 0)) / context::DAY_MS + 1))
            .expect("within three centuries");
        let of_day = local.rem_euclid(context::DAY_MS) / 1000;
        let clock = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
        let sign = if offset_minutes < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", offset_minutes.abs() / 60, offset_minutes.abs() % 60);
        let modern = format!("<1>1 {year:04}-{month:02}-{day:02}T{clock}.007{zone} h a - - - m");
        let context = ParseContext::new(now * 1000, offset_minutes as i32 * 60);
        prop_assert_eq!(parse_header(modern.as_bytes(), &context).timestamp_ms, Some(at + 7), "{}", modern);
        let name = NAMES[month as usize - 1];
        let legacy = format!("<1>{name} {day:2} {clock} host m");
        prop_assert_eq!(parse_header(legacy.as_bytes(), &context).timestamp_ms, Some(at), "{}", legacy);
    }
}
