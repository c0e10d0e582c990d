//! One request: sent, and taken apart if some of its documents are bad.

use std::sync::Arc;

use serde_json::Value;

use super::shard::Shard;
use super::submission::Queued;
use crate::document::join;
use crate::error::{ErrorClass, RequestError};

/// What is kept of Solr's words about a document.
const WORDS_CHARS_MAX: usize = 1000;

/// What stands before the words of a node that the one that was asked has passed a document on to.
const FROM_ANOTHER_NODE: &str = "Async exception during distributed update: ";

/// So many documents refused and none accepted: then it is not the documents.
const REFUSED_IN_A_ROW_MAX: usize = 50;

/// What became of a request, as far as its documents are not settled.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Documents that Solr has.
    pub(super) accepted: usize,
    /// Documents that it will not have.
    rejected: usize,
    pub(super) refusal: Option<Refusal>,
    /// Why it did not go through, and the documents that have to go again.
    pub(super) failure: Option<(RequestError, Vec<Queued>)>,
}

/// Smaller requests would have been better.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    Documents,
    TooLarge { bytes: usize },
}

impl Outcome {
    fn accept(&mut self, documents: impl IntoIterator<Item = Queued>) {
        for document in documents {
            document.accept();
            self.accepted += 1;
        }
    }

    fn reject(&mut self, document: Queued, words: &str) {
        document.reject(words);
        self.rejected += 1;
    }

    fn is_about_documents(&self, error: &RequestError) -> bool {
        !is_of_schema(error) && (self.accepted > 0 || self.rejected < REFUSED_IN_A_ROW_MAX)
    }
}

impl Shard {
    /// Sends documents until each of them is accepted or rejected, or a failure ends it.
    pub(super) async fn request(self: Arc<Self>, documents: Vec<Queued>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut open = vec![documents];
        while let Some(piece) = open.pop() {
            let error = match self.send(&piece).await {
                Ok(answer) => {
                    settle(piece, &answer, &mut open, &mut outcome);
                    continue;
                }
                Err(error) => error,
            };
            match error.class() {
                ErrorClass::Documents if outcome.is_about_documents(&error) => {
                    outcome.refusal = Some(Refusal::Documents);
                    let is_replicated = self.shared.options.replicas_min.is_none();
                    separate(piece, &error, is_replicated, &mut open, &mut outcome);
                }
                ErrorClass::TooLarge => {
                    let bytes = piece.iter().map(|document| document.bytes().len()).sum();
                    outcome.refusal = Some(Refusal::TooLarge { bytes });
                    halve(piece, &words(&error), &mut open, &mut outcome);
                }
                _ => {
                    let mut documents = piece;
                    documents.extend(open.into_iter().rev().flatten());
                    outcome.failure = Some((error, documents));
                    return outcome;
                }
            }
        }
        outcome
    }

    async fn send(&self, documents: &[Queued]) -> Result<Value, RequestError> {
        let core = self.core()?;
        let Some(encoding) = documents.first().and_then(Queued::encoding) else { return Ok(Value::Null) };
        let options = &self.shared.options;
        let mut query = "wt=json".to_owned();
        if let Some(commit_within) = options.commit_within {
            query.push_str(&format!("&commitWithin={}", commit_within.as_millis()));
        }
        if let Some(replicas) = options.replicas_min {
            query.push_str(&format!("&min_rf={replicas}"));
        }
        let bytes = documents.iter().map(|document| document.bytes().len()).sum::<usize>() + documents.len();
        let content = join(encoding, documents.iter().map(Queued::bytes), bytes);
        let answer = self.shared.client.update(&core, &query, content).await?;
        match (options.replicas_min, achieved(&answer)) {
            (Some(wanted), Some(achieved)) if achieved < wanted => {
                Err(RequestError::Replicas { address: core, achieved, wanted })
            }
            _ => Ok(answer),
        }
    }

    /// Where a request goes now.
    fn core(&self) -> Result<String, RequestError> {
        let no_leader =
            || RequestError::NoLeader { collection: self.collection.name().to_owned(), shard: self.name.clone() };
        let state = self.collection.state().ok_or_else(no_leader)?;
        if !state.is_routed_by_id {
            let replicas: Vec<_> = state.shards.iter().flat_map(|shard| &shard.replicas).collect();
            let chosen = fastrand::usize(..replicas.len().max(1));
            return replicas.get(chosen).map(|core| (*core).clone()).ok_or_else(no_leader);
        }
        let shard = state.shards.iter().find(|shard| shard.name == self.name);
        shard.and_then(|shard| shard.leader.clone()).ok_or_else(no_leader)
    }
}

/// Replicas that have the documents of a request, if the answer says so.
fn achieved(answer: &Value) -> Option<u64> {
    answer.get("responseHeader")?.get("rf")?.as_u64()
}

/// Settles documents by an answer that is well. A tolerant update chain names those that are not in it. One that it names
/// otherwise than any of these is called (`(unknown)`) could be each of them: then they are sent again, in halves, until it
/// is found.
fn settle(documents: Vec<Queued>, answer: &Value, open: &mut Vec<Vec<Queued>>, outcome: &mut Outcome) {
    let errors = answer.get("responseHeader").and_then(|header| header.get("errors")?.as_array());
    let Some(errors) = errors.filter(|errors| !errors.is_empty()) else {
        outcome.accept(documents);
        return;
    };
    let words = |error: &Value| error.get("message").and_then(Value::as_str).unwrap_or("refused").to_owned();
    let mut unmatched: Vec<&Value> = errors.iter().collect();
    let (mut rest, count) = (Vec::new(), documents.len());
    for document in documents {
        let id = document.id().into_owned();
        let is_of_it = |error: &&Value| error.get("id").and_then(Value::as_str).is_some_and(|of| of.as_bytes() == id);
        unmatched.retain(|error| !is_of_it(error));
        match errors.iter().find(is_of_it) {
            Some(error) => outcome.reject(document, &words(error)),
            None => rest.push(document),
        }
    }
    match unmatched.first() {
        None => outcome.accept(rest),
        // Alone in a request of its own there is no doubt.
        Some(_) if rest.len() == 1 && count > 1 => open.push(rest),
        Some(error) => halve(rest, &words(error), open, outcome),
    }
}

/// Takes a request apart of which Solr refuses at least one document.
///
/// Solr takes the documents of a request one after the other, stops at the first bad one, and names it. What stood before
/// it is in, by the same path as without it (`processor.finish` runs in any case); unless the words come from another node,
/// which had its own share of them, or unless replicas were to be counted, which such an answer does not do.
fn separate(
    mut documents: Vec<Queued>,
    error: &RequestError,
    prefix_is_in: bool,
    open: &mut Vec<Vec<Queued>>,
    outcome: &mut Outcome,
) {
    let words = words(error);
    let bad = named(&words, &documents);
    match bad {
        Some(at) => {
            let rest = documents.split_off(at + 1);
            if let Some(bad) = documents.pop() {
                outcome.reject(bad, &words);
            }
            if prefix_is_in && !words.contains("sync exception") {
                outcome.accept(documents);
            } else if !documents.is_empty() {
                open.push(documents);
            }
            if !rest.is_empty() {
                open.push(rest);
            }
        }
        None => halve(documents, &words, open, outcome),
    }
}

/// Two halves; a document alone is rejected.
fn halve(mut documents: Vec<Queued>, words: &str, open: &mut Vec<Vec<Queued>>, outcome: &mut Outcome) {
    if documents.len() <= 1 {
        for document in documents {
            outcome.reject(document, words);
        }
        return;
    }
    let second = documents.split_off(documents.len() / 2);
    open.push(second);
    open.push(documents);
}

/// Which document Solr's words name: `ERROR: [doc=ID] ...`. They may go on with a value that looks like that too, and an id
/// may have brackets in it: what is not clear names none.
fn named(words: &str, documents: &[Queued]) -> Option<usize> {
    let words = match words.strip_prefix(FROM_ANOTHER_NODE) {
        Some(theirs) => &theirs[theirs.find("ERROR: [doc=")?..],
        None => words,
    };
    let behind = words.strip_prefix("ERROR: ").unwrap_or(words).strip_prefix("[doc=")?.as_bytes();
    let is_named = |document: &Queued| {
        let id = document.id();
        behind.strip_prefix(&*id).is_some_and(|behind| behind.starts_with(b"]"))
    };
    let mut candidates = documents.iter().enumerate().filter(|(_, document)| is_named(document));
    let (first, document) = candidates.next()?;
    candidates.all(|(_, other)| other.id() == document.id()).then_some(first)
}

/// Whether the schema lacks what every document has: a person has to see to that, and no document is at fault.
fn is_of_schema(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused { message, .. }
        if message.contains("unknown field") || message.contains("missing mandatory uniqueKey field"))
}

fn words(error: &RequestError) -> String {
    match error {
        RequestError::Refused { message, .. } => message.chars().take(WORDS_CHARS_MAX).collect(),
        other => other.to_string(),
    }
}
