//! Numbers to text.

use std::time::Duration;

use super::factors::{BYTE_UNITS, COUNT_UNITS, DURATION_UNITS};

/// The shortest exact form with at most two decimals; of two equally short ones the one of the earlier unit.
fn shortest(value: u64, units: &[(&str, u128)]) -> String {
    let value = u128::from(value);
    let mut best: Option<String> = None;
    for (name, factor) in units {
        if value < *factor || !(value * 100).is_multiple_of(*factor) {
            continue;
        }
        let hundredths = value * 100 / factor;
        let fraction = match hundredths % 100 {
            0 => String::new(),
            tens if tens.is_multiple_of(10) => format!(".{}", tens / 10),
            both => format!(".{both:02}"),
        };
        let separator = if name.is_empty() { "" } else { " " };
        let text = format!("{}{fraction}{separator}{name}", hundredths / 100);
        if best.as_ref().is_none_or(|best| text.len() < best.len()) {
            best = Some(text);
        }
    }
    best.unwrap_or_else(|| value.to_string())
}

/// Three digits and the largest unit below the value.
fn approximate(value: f64, units: &[(&str, u128)]) -> String {
    let (name, factor) = units
        .iter()
        // From here on three digits round up to a whole unit.
        .find(|(_, factor)| value >= *factor as f64 * 0.9995)
        .or(units.last())
        .copied()
        .unwrap_or(("", 1));
    let scaled = value / factor as f64;
    let decimals = match scaled {
        _ if scaled.fract() == 0.0 => 0,
        _ if scaled >= 100.0 => 0,
        _ if scaled >= 10.0 => 1,
        _ => 2,
    };
    let separator = if name.is_empty() { "" } else { " " };
    format!("{scaled:.decimals$}{separator}{name}")
}

/// Writes a size exactly: `"64 MiB"`, `"10 MB"`, `"1.5 GiB"`, `"12345 B"`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    if bytes == 0 { "0 B".to_owned() } else { shortest(bytes, &BYTE_UNITS) }
}

/// Writes a count exactly: `"10 k"`, `"1.2 M"`, `"1234567"`.
#[must_use]
pub fn format_count(count: u64) -> String {
    shortest(count, &COUNT_UNITS)
}

/// Writes a duration exactly, in the largest unit that divides it: `"5 s"`, `"1500 ms"`, `"2 m"`, `"0 s"`.
///
/// Durations over 584 years (64 bits of nanoseconds) are written as that.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos().min(u128::from(u64::MAX));
    if nanoseconds == 0 {
        return "0 s".to_owned();
    }
    let (name, factor) = DURATION_UNITS
        .iter()
        .find(|(_, factor)| nanoseconds.is_multiple_of(*factor))
        .copied()
        .expect("every number of nanoseconds is divisible by the last unit, 1");
    format!("{} {name}", nanoseconds / factor)
}

/// Writes a rate of events per second: `"10 k/s"`, `"0.5/s"`, `"unlimited"`.
#[must_use]
pub fn format_rate(rate: Option<f64>) -> String {
    match rate {
        None => "unlimited".to_owned(),
        Some(rate) if rate.fract() == 0.0 && (0.0..1e18).contains(&rate) => {
            format!("{}/s", format_count(rate as u64))
        }
        Some(rate) => format!("{rate}/s"),
    }
}

/// A count for people: `"1.23 M"`, `"950"`.
#[must_use]
pub fn approx_count(count: f64) -> String {
    approximate(count, &COUNT_UNITS)
}

/// A size for people, in binary units: `"1.23 GiB"`.
#[must_use]
pub fn approx_bytes(bytes: u64) -> String {
    let binary = [BYTE_UNITS[0], BYTE_UNITS[1], BYTE_UNITS[2], BYTE_UNITS[3], BYTE_UNITS[8]];
    approximate(bytes as f64, &binary)
}

/// A duration for people: `"1.23 s"`, `"456 us"`.
#[must_use]
pub fn approx_duration(duration: Duration) -> String {
    approximate(duration.as_nanos() as f64, &DURATION_UNITS)
}
