//! Documents that were taken in, and who waits for them.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::document::{DocumentSpan, Documents, Encoding};

/// What became of the documents of one submission.
#[derive(Debug, Default)]
pub struct Report {
    /// Documents that Solr refuses for good, by number, with its words.
    pub rejected: Vec<(usize, String)>,
    /// Why at least one of the others is not in Solr for sure: they may be submitted again. `None` if all of them are.
    pub handed_back: Option<HandedBack>,
}

/// Why documents were handed back.
#[derive(Clone, Debug)]
pub struct HandedBack {
    /// What happened, where, and what to do.
    pub message: String,
    /// Whether it stays so until somebody sees to it.
    pub is_permanent: bool,
}

/// Waits for the documents of one submission. Dropping it changes nothing for them.
#[derive(Debug)]
pub struct Submission {
    answer: oneshot::Receiver<Report>,
}

impl Future for Submission {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            answer.unwrap_or_else(|_| {
                let message = "the indexer has ended".to_owned();
                Report { handed_back: Some(HandedBack { message, is_permanent: false }), ..Report::default() }
            })
        })
    }
}

/// Bytes that were taken in and are not settled.
#[derive(Debug, Default)]
pub(super) struct Flight {
    bytes: AtomicUsize,
}

impl Flight {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Ticket {
    open: AtomicUsize,
    /// Held for a push.
    report: Mutex<Report>,
    answer: Mutex<Option<oneshot::Sender<Report>>>,
    encoding: Encoding,
    flight: Arc<Flight>,
}

impl Ticket {
    fn settle(&self, bytes: usize) {
        self.flight.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let report = std::mem::take(&mut *self.report.lock());
            if let Some(answer) = self.answer.lock().take() {
                // Nobody waits any more: as he likes.
                let _ = answer.send(report);
            }
        }
    }
}

/// A document on its way. Dropping it hands it back.
#[derive(Debug)]
pub(super) struct Queued {
    bytes: Bytes,
    /// As it is written.
    id: Bytes,
    pub(super) hash: u32,
    index: usize,
    ticket: Option<Arc<Ticket>>,
}

impl Queued {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How it is written; `None` only once it is settled.
    pub(super) fn encoding(&self) -> Option<&Encoding> {
        self.ticket.as_ref().map(|ticket| &ticket.encoding)
    }

    /// Its id.
    pub(super) fn id(&self) -> Cow<'_, [u8]> {
        self.encoding().map_or(Cow::Borrowed(&*self.id), |encoding| encoding.id(&self.id))
    }

    /// Solr has it.
    pub(super) fn accept(mut self) {
        self.settle(|_| {});
    }

    /// Solr will not have it.
    pub(super) fn reject(mut self, reason: &str) {
        let index = self.index;
        self.settle(|report| report.rejected.push((index, reason.to_owned())));
    }

    /// It goes back.
    pub(super) fn hand_back(mut self, why: &HandedBack) {
        self.settle(|report| report.handed_back = Some(why.clone()));
    }

    fn settle(&mut self, note: impl FnOnce(&mut Report)) {
        if let Some(ticket) = self.ticket.take() {
            note(&mut ticket.report.lock());
            ticket.settle(self.bytes.len());
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.settle(|report| {
            let message = "the request was abandoned".to_owned();
            report.handed_back.get_or_insert(HandedBack { message, is_permanent: false });
        });
    }
}

/// Takes documents in.
pub(super) fn take_in(documents: Documents, flight: &Arc<Flight>) -> (Vec<Queued>, Submission) {
    let (sender, answer) = oneshot::channel();
    let ticket = Arc::new(Ticket {
        open: AtomicUsize::new(documents.len()),
        report: Mutex::default(),
        answer: Mutex::new(Some(sender)),
        encoding: documents.encoding.clone(),
        flight: flight.clone(),
    });
    let total: usize = documents.spans.iter().map(|span| span.len as usize).sum();
    flight.bytes.fetch_add(total, Ordering::Relaxed);
    if documents.is_empty()
        && let Some(answer) = ticket.answer.lock().take()
    {
        let _ = answer.send(Report::default());
    }
    let queued = |(index, span): (usize, &DocumentSpan)| {
        let bytes = documents.document(span);
        let id = bytes.slice(span.id_start as usize..span.id_start as usize + span.id_len as usize);
        Queued { bytes, id, hash: span.hash, index, ticket: Some(ticket.clone()) }
    };
    (documents.spans.iter().enumerate().map(queued).collect(), Submission { answer })
}
