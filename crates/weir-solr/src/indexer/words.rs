//! What Solr's words say about documents. Parts of them come from whoever sent the events: nothing is believed but what
//! stands where only Solr can have put it.

use super::submission::Queued;

/// What is kept of Solr's words about a document.
const WORDS_CHARS_MAX: usize = 1000;
/// What stands before the words of a node that the one that was asked has passed a document on to.
const FROM_ANOTHER_NODE: &str = "Async exception during distributed update: ";
/// What stands before those about a document.
const ERROR: &str = "ERROR: ";
const DOCUMENT: &str = "[doc=";

/// As much as is kept.
pub(super) fn shortened(words: &str) -> String {
    words.chars().take(WORDS_CHARS_MAX).collect()
}

/// Whether they may come from another node than the one that was asked.
pub(super) fn may_be_passed_on(words: &str) -> bool {
    words.contains("sync exception")
}

/// What follows behind `ERROR: [doc=`, or behind `[doc=` at the very start.
fn behind_document(words: &str) -> Option<&str> {
    let words = match words.strip_prefix(FROM_ANOTHER_NODE) {
        Some(theirs) => &theirs[theirs.find(ERROR)?..],
        None => words,
    };
    words.strip_prefix(ERROR).unwrap_or(words).strip_prefix(DOCUMENT)
}

/// What is said of the document with this id: `ERROR: [doc=ID] ...`.
fn said_of<'a>(words: &'a str, id: &[u8]) -> Option<&'a str> {
    behind_document(words)?.strip_prefix(std::str::from_utf8(id).ok()?)?.strip_prefix(']').map(str::trim_start)
}

/// Which document they name. An id may have brackets in it: what is not clear names none.
pub(super) fn named(words: &str, documents: &[Queued]) -> Option<usize> {
    behind_document(words)?;
    let mut candidates = documents.iter().enumerate().filter(|(_, other)| said_of(words, &other.id()).is_some());
    let (first, document) = candidates.next()?;
    candidates.all(|(_, other)| other.id() == document.id()).then_some(first)
}

/// Whether the schema lacks what every document has: a person has to see to that, and this document is not at fault. It is
/// if its sender has chosen the field's name.
pub(super) fn is_of_schema(words: &str, document: &Queued) -> bool {
    let field =
        said_of(words, &document.id()).and_then(|said| said.strip_prefix("unknown field '")?.strip_suffix('\''));
    let is_ours = |field| document.encoding().is_some_and(|encoding| encoding.knows(field));
    field.is_some_and(is_ours) || words.starts_with("Document is missing mandatory uniqueKey field")
}
