//! Documents as they are sent: each one encoded once, joined into requests as often as needed.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::client::Content;
use crate::route::id_hash;

mod json;

/// How documents are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// JSON: what people can read in a dump of the network.
    #[default]
    Json,
}

/// Encoded documents of one collection, in order. Made with [`DocumentsBuilder`].
#[derive(Clone, Debug, Default)]
pub struct Documents {
    pub(crate) bytes: Bytes,
    pub(crate) spans: Vec<DocumentSpan>,
    pub(crate) encoding: Encoding,
}

/// Where one document is, and the hash of its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentSpan {
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) hash: u32,
    /// Where its id is, from its own start, as it is written.
    pub(crate) id_start: u32,
    pub(crate) id_len: u32,
}

impl Documents {
    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Their length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes documents: `begin` with the id, fields, `end`; allocates for the whole, not per document.
#[derive(Debug, Default)]
pub struct DocumentsBuilder {
    out: BytesMut,
    spans: Vec<DocumentSpan>,
    encoding: Encoding,
    start: usize,
    hash: u32,
    id: (u32, u32),
}

impl DocumentsBuilder {
    /// A builder without documents.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, ..Self::default() }
    }

    /// Begins a document with its unique key.
    pub fn begin(&mut self, key_field: &str, id: &str) {
        self.start = self.out.len();
        self.hash = id_hash(id.as_bytes());
        self.out.put_u8(b'{');
        self.text(key_field, id.as_bytes());
        // In quotes; equal to the id where nothing in it had to be escaped.
        let id_len = id.len().min(self.out.len() - self.start - 1);
        self.id = ((self.out.len() - self.start - 1 - id_len) as u32, id_len as u32);
    }

    /// A field with text; what is not UTF-8 in it is replaced.
    pub fn text(&mut self, field: &str, value: &[u8]) {
        self.name(field);
        json::text(&mut self.out, value);
    }

    /// A field with a number.
    pub fn number(&mut self, field: &str, value: i64) {
        self.name(field);
        json::number(&mut self.out, value);
    }

    /// A field with a time in milliseconds since 1970 UTC.
    pub fn time(&mut self, field: &str, milliseconds: i64) {
        self.name(field);
        json::time(&mut self.out, milliseconds);
    }

    /// Ends the document.
    pub fn end(&mut self) {
        self.out.put_u8(b'}');
        let (start, len) = (self.start as u32, (self.out.len() - self.start) as u32);
        self.spans.push(DocumentSpan { start, len, hash: self.hash, id_start: self.id.0, id_len: self.id.1 });
    }

    /// Forgets the document that was begun.
    pub fn abandon(&mut self) {
        self.out.truncate(self.start);
    }

    /// Number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What was written; the builder is empty then.
    #[must_use]
    pub fn finish(&mut self) -> Documents {
        let (bytes, spans) = (self.out.split().freeze(), std::mem::take(&mut self.spans));
        Documents { bytes, spans, encoding: self.encoding }
    }

    fn name(&mut self, field: &str) {
        if self.out.len() > self.start + 1 {
            self.out.put_u8(b',');
        }
        json::text(&mut self.out, field.as_bytes());
        self.out.put_u8(b':');
    }
}

/// One request with these documents.
pub(crate) fn join<'a>(encoding: Encoding, documents: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Content {
    match encoding {
        Encoding::Json => {
            let mut body = Vec::with_capacity(bytes + 2 + 1000);
            body.push(b'[');
            for (number, document) in documents.enumerate() {
                if number > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(document);
            }
            body.push(b']');
            Content { content_type: "application/json", encoding: None, body: body.into() }
        }
    }
}
