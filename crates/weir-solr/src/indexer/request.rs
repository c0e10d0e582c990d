//! One request: sent, and taken apart if some of its documents are bad.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::Value;

use super::shard::Shard;
use super::submission::Queued;
use super::words::{is_of_schema, may_be_passed_on, named, shortened};
use crate::document::join;
use crate::error::{ErrorClass, RequestError};

/// A shard that has refused so many documents and accepted none is asked with others before it refuses one more.
const REFUSED_IN_A_ROW_MAX: isize = 50;
/// With so many others of the request, and as many of the queue.
const PROBES: usize = 8;

/// What became of a request, as far as its documents are not settled.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Documents that Solr has.
    pub(super) accepted: usize,
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

/// A request, and what it has come apart into.
struct Request {
    shard: Arc<Shard>,
    /// To be sent; the last one next.
    open: Vec<Vec<Queued>>,
    /// Refused, with Solr's words.
    refused: Vec<(Queued, String)>,
    outcome: Outcome,
}

impl Shard {
    /// Sends documents until each of them is accepted or rejected, or a failure ends it.
    pub(super) async fn request(self: Arc<Self>, documents: Vec<Queued>) -> Outcome {
        let (refused, outcome) = Default::default();
        Request { shard: self, open: vec![documents], refused, outcome }.run().await
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
            // An answer that does not say it promises nothing.
            (Some(wanted), achieved) if achieved.is_none_or(|achieved| achieved < wanted) => {
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

impl Request {
    async fn run(mut self) -> Outcome {
        while let Some(piece) = self.open.pop() {
            let answer = self.shard.send(&piece).await;
            if let Err(error) = self.learn(piece, answer) {
                return self.failed(error);
            }
            if let Err(error) = self.reject().await {
                return self.failed(error);
            }
        }
        self.outcome
    }

    /// Draws conclusions from an answer.
    fn learn(&mut self, piece: Vec<Queued>, answer: Result<Value, RequestError>) -> Result<(), RequestError> {
        let error = match answer {
            Ok(answer) => {
                self.settle(piece, &answer);
                return Ok(());
            }
            Err(error) => error,
        };
        match error.class() {
            ErrorClass::Documents => {
                self.outcome.refusal = Some(Refusal::Documents);
                self.separate(piece, &words(&error));
            }
            ErrorClass::TooLarge => {
                let bytes = piece.iter().map(|document| document.bytes().len()).sum();
                self.outcome.refusal = Some(Refusal::TooLarge { bytes });
                self.halve(piece, &words(&error));
            }
            _ => {
                self.open.push(piece);
                return Err(error);
            }
        }
        Ok(())
    }

    fn failed(mut self, error: RequestError) -> Outcome {
        let refused = self.refused.into_iter().map(|(document, _)| document);
        let documents = refused.chain(self.open.into_iter().rev().flatten()).collect();
        self.outcome.failure = Some((error, documents));
        self.outcome
    }

    fn accept(&mut self, documents: Vec<Queued>) {
        if !documents.is_empty() {
            self.shard.refused_in_a_row.fetch_min(0, Relaxed);
        }
        self.outcome.accepted += documents.len();
        documents.into_iter().for_each(Queued::accept);
    }

    /// Rejects what was refused; unless it is not the documents: where the schema lacks a field, or every document is
    /// refused, a person has to see to it, and what is not rejected is not lost.
    async fn reject(&mut self) -> Result<(), RequestError> {
        while let Some((document, words)) = self.refused.pop() {
            let in_a_row = self.shard.refused_in_a_row.load(Relaxed);
            let is_doubtful = self.outcome.accepted == 0 && in_a_row >= REFUSED_IN_A_ROW_MAX;
            let error = if is_of_schema(&words, &document) {
                Some(RequestError::Schema { words: shortened(&words) })
            } else if is_doubtful {
                match self.takes_others().await {
                    Ok(true) => None,
                    Ok(false) => {
                        Some(RequestError::RefusesAll { refused: in_a_row.unsigned_abs(), words: shortened(&words) })
                    }
                    Err(error) => Some(error),
                }
            } else {
                None
            };
            match error {
                None => {
                    self.shard.refused_in_a_row.fetch_add(1, Relaxed);
                    document.reject(&shortened(&words));
                }
                Some(error) => {
                    self.refused.push((document, words));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether the shard takes any document: tries some from all over the rest of the request and the queue, one by one. If
    /// it takes one, that speaks for all that wait with it.
    async fn takes_others(&mut self) -> Result<bool, RequestError> {
        let shard = self.shard.clone();
        // One after the other: another request may just be trying the only good ones.
        let _turn = shard.probing.lock().await;
        if shard.refused_in_a_row.load(Relaxed) < REFUSED_IN_A_ROW_MAX {
            return Ok(true);
        }
        let mut rest: Vec<Queued> = self.open.drain(..).rev().flatten().collect();
        let mut probes = spread(&mut rest, PROBES);
        if !rest.is_empty() {
            self.open.push(rest);
        }
        probes.extend(self.shard.take_spread(PROBES));
        let mut refused = Vec::new();
        let mut outcome = Ok(false);
        for probe in probes {
            let probe = vec![probe];
            if !matches!(outcome, Ok(false)) {
                self.open.push(probe);
                continue;
            }
            match self.shard.send(&probe).await {
                Ok(answer) => match errors(&answer).first() {
                    None => {
                        self.accept(probe);
                        self.shard.refused_in_a_row.fetch_min(-(shard.waiting() + 2 * PROBES).cast_signed(), Relaxed);
                        outcome = Ok(true);
                    }
                    Some(error) => refused.extend(probe.into_iter().map(|document| (document, words_of(error)))),
                },
                Err(error) if matches!(error.class(), ErrorClass::Documents | ErrorClass::TooLarge) => {
                    refused.extend(probe.into_iter().map(|document| (document, words(&error))));
                }
                Err(error) => {
                    self.open.push(probe);
                    outcome = Err(error);
                }
            }
        }
        self.refused.extend(refused);
        outcome
    }

    /// Settles documents by an answer that is well. A tolerant update chain names those that are not in it. One that it names
    /// otherwise than any of these is called (`(unknown)`) could be each of them: then they are sent again, in halves, until
    /// it is found.
    fn settle(&mut self, documents: Vec<Queued>, answer: &Value) {
        let errors = errors(answer);
        if errors.is_empty() {
            self.accept(documents);
            return;
        }
        let mut unmatched: Vec<&Value> = errors.iter().collect();
        let (mut rest, count) = (Vec::new(), documents.len());
        for document in documents {
            let id = document.id().into_owned();
            let is_of_it =
                |error: &&Value| error.get("id").and_then(Value::as_str).is_some_and(|of| of.as_bytes() == id);
            unmatched.retain(|error| !is_of_it(error));
            match errors.iter().find(is_of_it) {
                Some(error) => self.refused.push((document, words_of(error))),
                None => rest.push(document),
            }
        }
        match unmatched.first() {
            None => self.accept(rest),
            // Alone in a request of its own there is no doubt.
            Some(_) if rest.len() == 1 && count > 1 => self.open.push(rest),
            Some(error) => self.halve(rest, &words_of(error)),
        }
    }

    /// Takes a request apart of which Solr refuses at least one document.
    ///
    /// Solr takes the documents of a request one after the other, stops at the first bad one, and names it. What stood
    /// before it is in, by the same path as without it (`processor.finish` runs in any case); unless the words come from
    /// another node, which had its own share of them, or unless replicas were to be counted, which such an answer does not
    /// do.
    fn separate(&mut self, mut documents: Vec<Queued>, words: &str) {
        let Some(at) = named(words, &documents) else { return self.halve(documents, words) };
        let rest = documents.split_off(at + 1);
        if let Some(bad) = documents.pop() {
            self.refused.push((bad, words.to_owned()));
        }
        if self.shard.shared.options.replicas_min.is_none() && !may_be_passed_on(words) {
            self.accept(documents);
        } else if !documents.is_empty() {
            self.open.push(documents);
        }
        if !rest.is_empty() {
            self.open.push(rest);
        }
    }

    /// Two halves; a document alone is refused.
    fn halve(&mut self, mut documents: Vec<Queued>, words: &str) {
        if documents.len() <= 1 {
            self.refused.extend(documents.into_iter().map(|document| (document, words.to_owned())));
            return;
        }
        let second = documents.split_off(documents.len() / 2);
        self.open.push(second);
        self.open.push(documents);
    }
}

/// Takes up to `count` documents out, from the last on, at equal distances.
pub(super) fn spread(documents: &mut Vec<Queued>, count: usize) -> Vec<Queued> {
    let step = (documents.len() / count).max(1);
    let mut chosen = Vec::new();
    let mut rest = Vec::with_capacity(documents.len());
    for (number, document) in documents.drain(..).rev().enumerate() {
        match number % step == 0 && chosen.len() < count {
            true => chosen.push(document),
            false => rest.push(document),
        }
    }
    rest.reverse();
    *documents = rest;
    chosen
}

/// Replicas that have the documents of a request, if the answer says so.
fn achieved(answer: &Value) -> Option<u64> {
    answer.get("responseHeader")?.get("rf")?.as_u64()
}

/// What a tolerant update chain has refused.
fn errors(answer: &Value) -> &[Value] {
    let errors = answer.get("responseHeader").and_then(|header| header.get("errors")?.as_array());
    errors.map(Vec::as_slice).unwrap_or_default()
}

fn words_of(error: &Value) -> String {
    error.get("message").and_then(Value::as_str).unwrap_or("refused").to_owned()
}

fn words(error: &RequestError) -> String {
    match error {
        RequestError::Refused { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
