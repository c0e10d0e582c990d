//! `${VAR}` and `${VAR:-default}` inside texts.
//!
//! Done after the file was read, so that positions stay right and a value can never change the structure of the file.
//! `$${` is a literal `${`. What a variable holds is not looked at again.

use std::ops::Range;

use crate::Environment;

/// A reference that could not be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unresolved {
    /// The bytes of the text it takes, `${` and `}` included.
    pub(crate) span: Range<usize>,
    pub(crate) reason: Reason,
}

/// Why a reference could not be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The variable is not set and has no default.
    Unknown(String),
    /// No `}`.
    Unclosed,
    /// No name, or not a name of a variable.
    BadName(String),
}

/// The text with every reference replaced, or every reference that cannot be.
pub(crate) fn substitute(text: &str, environment: Environment<'_>) -> Result<String, Vec<Unresolved>> {
    let mut out = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        if text[at..start].ends_with('$') {
            out.push_str(&text[at..start - 1]);
            out.push_str("${");
            at = start + 2;
            continue;
        }
        out.push_str(&text[at..start]);
        let Some(length) = text[start..].find('}') else {
            faults.push(Unresolved { span: start..text.len(), reason: Reason::Unclosed });
            return Err(faults);
        };
        let end = start + length + 1;
        match replacement(&text[start + 2..end - 1], environment) {
            Ok(value) => out.push_str(&value),
            Err(reason) => faults.push(Unresolved { span: start..end, reason }),
        }
        at = end;
    }
    out.push_str(&text[at..]);
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

/// What stands for `NAME` or `NAME:-default`.
fn replacement(reference: &str, environment: Environment<'_>) -> Result<String, Reason> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(Reason::BadName(name.to_owned()));
    }
    match (environment(name), default) {
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Reason::Unknown(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, Vec<Unresolved>> {
        substitute(text, &|name| match name {
            "HOST" => Some("edge-1".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    /// Scenario: texts with none, one, several, escaped and defaulted references.
    /// Guarantees: each is replaced once, escapes stay literal, replaced text is not read again.
    #[test]
    fn references_are_replaced_once() {
        for (text, expected) in [
            ("plain $5 {x}", "plain $5 {x}"),
            ("${HOST}", "edge-1"),
            ("a-${HOST}-${HOST}-b", "a-edge-1-edge-1-b"),
            ("${MISSING:-x:y}", "x:y"),
            ("${EMPTY:-filled}${EMPTY}", "filled"),
            ("$${HOST} ${HOST}", "${HOST} edge-1"),
            ("${NESTED}", "${HOST}"),
            ("${MISSING:-}", ""),
        ] {
            assert_eq!(run(text).as_deref(), Ok(expected), "{text}");
        }
    }

    /// Scenario: several references that cannot be replaced.
    /// Guarantees: all of them are reported, each with its place.
    #[test]
    fn every_unresolved_reference_is_reported() {
        let faults = run("é${NO}${1}${open").expect_err("three faults");
        assert_eq!(
            faults,
            [
                Unresolved { span: 2..7, reason: Reason::Unknown("NO".to_owned()) },
                Unresolved { span: 7..11, reason: Reason::BadName("1".to_owned()) },
                Unresolved { span: 11..17, reason: Reason::Unclosed },
            ]
        );
    }
}
