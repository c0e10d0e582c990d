//! What the TOML reader complains about, made to say each fault once.
//!
//! The reader recovers and goes on, so that one slip gives several complaints, and keys that land in the wrong section.
//! Here the consequences are dropped, and the lines they come from are named for the later checks to be silent about.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::location::SourceText;
use crate::{Diagnostic, Diagnostics, Location};

const DUPLICATE: &str = "duplicate key";

/// The faults behind `errors`, and the lines that were not understood.
pub(crate) fn diagnose(source: &Arc<SourceText>, errors: &[toml::de::Error]) -> (Diagnostics, BTreeSet<usize>) {
    let mut errors: Vec<_> = errors.iter().map(|error| (place(source, error), error)).collect();
    errors.sort_by_key(|(place, _)| place.order());
    let mut misread = BTreeSet::new();
    for (place, _) in errors.iter().filter(|(_, error)| error.message() != DUPLICATE) {
        misread.extend(affected(source, place));
    }
    let mut kept: Vec<Diagnostic> = Vec::new();
    let mut last_line = 0;
    for (place, error) in errors {
        let line = place.line();
        if error.message() == DUPLICATE {
            if !misread.contains(&line) {
                kept.push(duplicate(source, &place));
            }
            continue;
        }
        // Of one line the first complaint says what is wrong.
        if line != last_line {
            let message = format!("this is not TOML: {}", wording(&place, error));
            kept.push(Diagnostic::error(&place, "", message));
            last_line = line;
        }
        let message = error.message();
        if message.starts_with("unclosed array") || message.starts_with("unclosed inline") {
            keep_first_of_run(&mut kept, line);
        }
    }
    let mut diagnostics = Diagnostics::new();
    kept.into_iter().for_each(|diagnostic| diagnostics.push(diagnostic));
    (diagnostics, misread)
}

fn place(source: &Arc<SourceText>, error: &toml::de::Error) -> Location {
    match error.span() {
        Some(span) => Location::new(source, span),
        None => Location::whole_file(source),
    }
}

/// The lines an error makes unreadable: its own, and of a section head all up to the next, since their keys are taken
/// for those of another section.
fn affected(source: &Arc<SourceText>, place: &Location) -> Vec<usize> {
    let line = place.line();
    let is_head = |line: usize| source.line_text(line - 1).trim_start().starts_with('[');
    if line == 0 || !is_head(line) {
        return vec![line];
    }
    let end = (line + 1..=source.line_count()).find(|line| is_head(*line));
    (line..end.unwrap_or(source.line_count() + 1)).collect()
}

/// An unclosed bracket takes in every line up to `end`: of that unbroken run of complaints only the first is kept.
fn keep_first_of_run(kept: &mut Vec<Diagnostic>, end: usize) {
    let mut start = end;
    let mut first = None;
    while let Some(last) = kept.pop_if(|last| last.location.line() + 1 >= start) {
        start = last.location.line();
        first = Some(last);
    }
    kept.extend(first.map(|first| first.with_hint("a bracket or brace opened before this place is not closed")));
}

fn wording<'a>(place: &Location, error: &'a toml::de::Error) -> &'a str {
    match error.message() {
        // Said of a value that is not there as well as of one without quotes.
        unquoted if unquoted.starts_with("string values must be quoted") => match place.text().trim() {
            "" => "a value is missing after the equals sign",
            _ => "a text must stand in quotes",
        },
        other => other,
    }
}

fn duplicate(source: &Arc<SourceText>, place: &Location) -> Diagnostic {
    let message = format!("\"{}\" is defined twice", place.text());
    let diagnostic = Diagnostic::error(place, "", message);
    match first_definition(source, place) {
        Some(line) => diagnostic.with_hint(format!("it was first defined in line {line}")),
        None => diagnostic.with_hint("remove one of the two"),
    }
}

/// The line of the first definition of a duplicate key or section: the reader does not tell it, so it is looked for
/// in the text, keys only within their section.
fn first_definition(source: &Arc<SourceText>, duplicate: &Location) -> Option<usize> {
    let index = duplicate.line().checked_sub(1)?;
    let start_of = |line: &str| -> String {
        let end = line.find(['=', '#']).unwrap_or(line.len());
        line[..end].chars().filter(|c| !c.is_whitespace()).collect()
    };
    let wanted = start_of(source.line_text(index));
    let is_section = wanted.starts_with('[');
    let mut found = None;
    for earlier in (0..index).rev() {
        let line = start_of(source.line_text(earlier));
        if line == wanted {
            found = Some(earlier + 1);
        }
        if line.starts_with('[') && !is_section {
            break;
        }
    }
    found
}
