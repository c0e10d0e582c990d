//! Zones behind a timestamp: milliseconds east of UTC, and the first byte after the zone.

use super::context::{HOUR_MS, MINUTE_MS};

/// `+hh:mm`, `+hhmm` or `+hh`, with or without a blank before it: milliseconds east of UTC.
#[inline]
pub(super) fn numeric_zone(line: &[u8], at: usize) -> Option<(i64, usize)> {
    let at = at + usize::from(line.get(at) == Some(&b' '));
    let west = match line.get(at)? {
        b'+' => false,
        b'-' => true,
        _ => return None,
    };
    let two = |at: usize| match line.get(at..at + 2) {
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0')),
        _ => None,
    };
    let hours = two(at + 1)?;
    let colon = usize::from(line.get(at + 3) == Some(&b':'));
    let (minutes, end) = match two(at + 3 + colon) {
        Some(minutes) => (minutes, at + 5 + colon),
        None => (0, at + 3),
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset_ms = hours * HOUR_MS + minutes * MINUTE_MS;
    Some((if west { -offset_ms } else { offset_ms }, end))
}

/// The word of a zone after a blank, and milliseconds east of UTC.
///
/// UTC and GMT count if a blank or a colon follows; other words are host names too, so they count only before a colon
/// (`CET:` or `CET :`). Where a word has several meanings it is the one of North America or Europe; IST is India's.
#[inline]
pub(super) fn zone_word(line: &[u8], at: usize) -> Option<(i64, usize)> {
    let word = line.get(at..)?.strip_prefix(b" ")?;
    let letters = word.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    if !(2..=5).contains(&letters) || !matches!(word.get(letters), None | Some(b' ' | b':')) {
        return None;
    }
    zone_offset(&word[..letters], &word[letters..]).map(|minutes| (minutes * MINUTE_MS, at + 1 + letters))
}

#[cold]
fn zone_offset(word: &[u8], after: &[u8]) -> Option<i64> {
    let minutes = match word {
        b"UTC" | b"GMT" => return Some(0),
        b"WET" => 0,
        b"BST" | b"WEST" | b"CET" | b"MEZ" => 60,
        b"CEST" | b"MESZ" | b"EET" | b"SAST" => 120,
        b"EEST" | b"MSK" => 180,
        b"GST" => 240,
        b"PKT" => 300,
        b"IST" => 330,
        b"ICT" | b"WIB" => 420,
        b"SGT" | b"HKT" | b"AWST" => 480,
        b"JST" | b"KST" => 540,
        b"AEST" => 600,
        b"AEDT" => 660,
        b"NZST" => 720,
        b"NZDT" => 780,
        b"BRT" => -180,
        b"EDT" => -240,
        b"EST" | b"CDT" => -300,
        b"CST" | b"MDT" => -360,
        b"MST" | b"PDT" => -420,
        b"PST" | b"AKDT" => -480,
        b"AKST" => -540,
        b"HST" => -600,
        _ => return None,
    };
    matches!(after, [] | [b':', ..] | [b' ', b':', ..]).then_some(minutes)
}
