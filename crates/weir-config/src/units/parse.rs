//! Text to numbers, exactly: no floating point except in rates.

use std::fmt;
use std::time::Duration;

use super::factors::{BYTE_UNITS, COUNT_UNITS, DURATION_UNITS};

/// What a text was expected to be; gives errors their example.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Expected(&'static str);

const SIZE: Expected = Expected("a size such as \"64 MiB\"");
const DURATION: Expected = Expected("a duration such as \"5 s\"");
const COUNT: Expected = Expected("a count such as \"10k\"");
const RATE: Expected = Expected("a rate such as \"10k/s\" or \"unlimited\"");

/// Why a text is not a size, duration, count or rate. Displays as what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnitError {
    /// No number at the start of the text, or none that can be read.
    NotANumber {
        /// The text.
        text: String,
        /// What was expected, with an example.
        expected: &'static str,
    },
    /// A number followed by something that is no unit.
    UnknownUnit {
        /// What stood in the place of the unit.
        unit: String,
        /// The units there are.
        known: &'static str,
    },
    /// A number alone, where the unit decides the meaning.
    MissingUnit {
        /// The text.
        text: String,
        /// The units there are.
        known: &'static str,
    },
    /// `64M` of bytes: 1000 and 1024 are both customary, so neither is assumed.
    Ambiguous {
        /// The unit as written.
        unit: String,
        /// Both readings.
        choices: &'static str,
    },
    /// More than fits in 64 bits (durations: 584 years).
    TooLarge {
        /// The text.
        text: String,
    },
    /// A fraction of the smallest unit there is.
    Fraction {
        /// The text.
        text: String,
    },
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber { text, expected } => write!(f, "expected {expected}, found {text:?}"),
            Self::UnknownUnit { unit, known } => {
                write!(f, "unknown unit {unit:?}; there are {known}")
            }
            Self::MissingUnit { text, known } => {
                write!(f, "{text:?} has no unit; add one of {known}")
            }
            Self::Ambiguous { unit, choices } => {
                write!(f, "the unit {unit:?} has two readings; write {choices}")
            }
            Self::TooLarge { text } => write!(f, "{text:?} is too large for 64 bits"),
            Self::Fraction { text } => {
                write!(f, "{text:?} has a fraction finer than the smallest unit")
            }
        }
    }
}

impl std::error::Error for UnitError {}

const BYTE_NAMES: &str = "B, KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000)";
const DURATION_NAMES: &str = "ns, us, ms, s, m, h, d";
const COUNT_NAMES: &str = "k, M, G, T";
const RATE_NAMES: &str = "/s, /m, /h";

/// `digits / 10^decimals`.
#[derive(Clone, Copy)]
struct Decimal {
    digits: u128,
    decimals: u32,
}

/// Splits "1_000.5 MiB" into its number and the rest after it, spaces removed.
fn number<'a>(text: &'a str, whole: &str, expected: Expected) -> Result<(Decimal, &'a str), UnitError> {
    let not_a_number = || UnitError::NotANumber { text: whole.to_owned(), expected: expected.0 };
    let end = text
        .find(|character: char| !(character.is_ascii_digit() || character == '_' || character == '.'))
        .unwrap_or(text.len());
    let (written, rest) = text.split_at(end);
    let (integer, fraction) = written.split_once('.').unwrap_or((written, ""));
    let well_formed = written.starts_with(|first: char| first.is_ascii_digit())
        && written.ends_with(|last: char| last.is_ascii_digit())
        && !integer.ends_with('_')
        && !fraction.contains(['.', '_']);
    if !well_formed {
        return Err(not_a_number());
    }
    // Twelve decimals resolve a byte in a TiB and a nanosecond in a day's fraction; more is a slip of the keyboard.
    if fraction.len() > 12 {
        return Err(UnitError::Fraction { text: whole.to_owned() });
    }
    let digits: String = integer.chars().chain(fraction.chars()).filter(|c| *c != '_').collect();
    let digits = digits.parse().map_err(|_| UnitError::TooLarge { text: whole.to_owned() })?;
    Ok((Decimal { digits, decimals: fraction.len() as u32 }, rest.trim_start()))
}

/// `decimal` times `factor`, if that is a whole number of 64 bits.
fn scale(decimal: Decimal, factor: u128, whole: &str) -> Result<u64, UnitError> {
    let too_large = || UnitError::TooLarge { text: whole.to_owned() };
    let product = decimal.digits.checked_mul(factor).ok_or_else(too_large)?;
    let divisor = 10_u128.pow(decimal.decimals);
    if !product.is_multiple_of(divisor) {
        return Err(UnitError::Fraction { text: whole.to_owned() });
    }
    u64::try_from(product / divisor).map_err(|_| too_large())
}

fn factor_of(units: &[(&str, u128)], name: &str) -> Option<u128> {
    units.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name)).map(|(_, factor)| *factor)
}

/// Reads a size in bytes: `"64 MiB"`, `"10MB"`, `"1.5 GiB"`, `"4096"`. Case does not matter.
///
/// # Errors
/// [`UnitError`]; a bare `K`, `M`, `G` or `T` is refused, since it may mean 1000 or 1024.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let trimmed = text.trim();
    let (decimal, unit) = number(trimmed, text, SIZE)?;
    if unit.is_empty() {
        return scale(decimal, 1, text);
    }
    let choices = match unit.to_ascii_lowercase().as_str() {
        "k" => "kB (1000) or KiB (1024)",
        "m" => "MB (1000) or MiB (1024)",
        "g" => "GB (1000) or GiB (1024)",
        "t" => "TB (1000) or TiB (1024)",
        _ => {
            let unknown = || UnitError::UnknownUnit { unit: unit.to_owned(), known: BYTE_NAMES };
            return scale(decimal, factor_of(&BYTE_UNITS, unit).ok_or_else(unknown)?, text);
        }
    };
    Err(UnitError::Ambiguous { unit: unit.to_owned(), choices })
}

/// Reads a duration: `"5 s"`, `"250ms"`, `"10 m"`, `"1 h 30 m"`, `"0"`. Only zero needs no unit.
///
/// # Errors
/// [`UnitError`].
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    let mut nanoseconds = 0_u64;
    loop {
        let (decimal, after) = number(rest, text, DURATION)?;
        let end = after
            .find(|character: char| character.is_ascii_digit() || character.is_whitespace())
            .unwrap_or(after.len());
        let (unit, remaining) = after.split_at(end);
        if unit.is_empty() {
            // Zero is zero in every unit.
            if decimal.digits == 0 && nanoseconds == 0 && remaining.is_empty() {
                return Ok(Duration::ZERO);
            }
            return Err(UnitError::MissingUnit { text: text.to_owned(), known: DURATION_NAMES });
        }
        let factor = match unit {
            "min" => 60_000_000_000,
            "\u{b5}s" | "\u{3bc}s" => 1_000,
            _ => factor_of(&DURATION_UNITS, unit)
                .ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), known: DURATION_NAMES })?,
        };
        nanoseconds = nanoseconds
            .checked_add(scale(decimal, factor, text)?)
            .ok_or_else(|| UnitError::TooLarge { text: text.to_owned() })?;
        rest = remaining.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_nanos(nanoseconds));
        }
    }
}

/// Reads a count: `"10k"`, `"1_000"`, `"1.2 M"`. Factors are 1000.
///
/// # Errors
/// [`UnitError`].
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let (decimal, unit) = number(text.trim(), text, COUNT)?;
    scale(decimal, count_factor(unit)?, text)
}

fn count_factor(unit: &str) -> Result<u128, UnitError> {
    factor_of(&COUNT_UNITS, unit).ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned(), known: COUNT_NAMES })
}

/// Reads a rate, in events per second: `"10k/s"`, `"1.5M/s"`, `"600/m"`. `None` is no limit: `"unlimited"`, `"flat-out"`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_rate(text: &str) -> Result<Option<f64>, UnitError> {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("unlimited") || trimmed.eq_ignore_ascii_case("flat-out") {
        return Ok(None);
    }
    let (decimal, unit) = number(trimmed, text, RATE)?;
    let Some((unit, per)) = unit.split_once('/') else {
        return Err(UnitError::MissingUnit { text: text.to_owned(), known: RATE_NAMES });
    };
    let seconds = match per.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(UnitError::UnknownUnit { unit: format!("/{per}"), known: RATE_NAMES });
        }
    };
    let factor = count_factor(unit.trim_end())?;
    let product = decimal.digits.checked_mul(factor).ok_or_else(|| UnitError::TooLarge { text: text.to_owned() })?;
    Ok(Some(product as f64 / 10_f64.powi(decimal.decimals as i32) / seconds))
}
