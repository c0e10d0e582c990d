//! What goes wrong between this client and Solr, and what helps.

use std::time::Duration;

use thiserror::Error;

/// Why a request did not do what it should.
#[derive(Debug, Error)]
pub enum RequestError {
    /// No answer: refused, reset, timed out. Whatever was sent may have been done.
    #[error("no answer from {address}")]
    Unanswered {
        /// Who was asked.
        address: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that says no.
    #[error("{address} answers {status}: {message}")]
    Refused {
        /// Who was asked.
        address: String,
        /// The status of the answer, or the code that a 200 names inside.
        status: u16,
        /// Solr's own words, or the first of what else came.
        message: String,
        /// When it asked to be tried again.
        retry_after: Option<Duration>,
    },
    /// Documents are on fewer replicas than asked for.
    #[error("{address} has them on {} replicas, not the {wanted} asked for", shown(*achieved))]
    Replicas {
        /// Who was asked.
        address: String,
        /// How many replicas have them; `None` if the answer does not say.
        achieved: Option<u64>,
        /// How many should.
        wanted: u64,
    },
    /// The schema lacks a field that every document has.
    #[error("the schema lacks what documents are made of, mind the fields: {words}")]
    Schema {
        /// Solr's words.
        words: String,
    },
    /// It is not single documents that are bad.
    #[error(
        "it has refused the last {refused} documents and takes no other either: mind its schema, its update chain and its limits. Of the last it says: {words}"
    )]
    RefusesAll {
        /// How many one after the other.
        refused: usize,
        /// Solr's words about one of them.
        words: String,
    },
    /// The token or password could not be read.
    #[error("the file {path} with the token cannot be read")]
    Token {
        /// The file.
        path: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// No such collection or alias in the cluster.
    #[error("there is no collection or alias {name}: create it, or mind its name")]
    NoCollection {
        /// Its name.
        name: String,
    },
    /// A shard has no leader at the moment.
    #[error("{}", no_leader(collection, shard))]
    NoLeader {
        /// The collection.
        collection: String,
        /// The shard; empty if there is none for these documents, or any would do.
        shard: String,
    },
}

fn no_leader(collection: &str, shard: &str) -> String {
    match shard {
        "" => format!("collection {collection} has no shard that takes these documents"),
        shard => format!("shard {shard} of {collection} has no leader"),
    }
}

fn shown(count: Option<u64>) -> String {
    count.map_or_else(|| "it does not say how many".to_owned(), |count| count.to_string())
}

/// What helps against a [`RequestError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorClass {
    /// Time: the server is busy, or asks for less.
    Busy,
    /// Time, and another look at who leads: nobody answers, or the wrong one was asked.
    Moved,
    /// Smaller requests.
    TooLarge,
    /// Other documents: at least one of these is refused for good.
    Documents,
    /// A person: who we are is not known, or may not do this.
    Denied,
}

impl RequestError {
    /// What helps.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unanswered { .. } | Self::NoCollection { .. } | Self::NoLeader { .. } => ErrorClass::Moved,
            Self::Replicas { .. } => ErrorClass::Busy,
            Self::Token { .. } => ErrorClass::Denied,
            Self::Schema { .. } | Self::RefusesAll { .. } => ErrorClass::Documents,
            Self::Refused { status, .. } => match status {
                401 | 403 => ErrorClass::Denied,
                // 409: a document that names a version of itself which is not there.
                400 | 409 | 422 => ErrorClass::Documents,
                413 => ErrorClass::TooLarge,
                408 | 429 | 503 => ErrorClass::Busy,
                _ => ErrorClass::Moved,
            },
        }
    }

    /// When the server asked to be tried again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The message and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
