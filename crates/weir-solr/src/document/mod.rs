//! Documents as they are sent: each one encoded once, joined into requests as often as needed.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::client::Content;
use crate::route::id_hash;

mod javabin;
mod json;

/// Bytes of a request besides documents: names of fields, brackets.
const FRAME_BYTES: usize = 1 << 10;

/// In which form documents are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// JSON: what people can read in a dump of the network.
    Json,
    /// Solr's binary form.
    Javabin,
}

/// In which form documents are written, and the names of their fields. Cloning counts references; documents of one request
/// share one.
#[derive(Clone, Debug)]
pub struct Encoding {
    form: Form,
    names: Arc<[String]>,
}

/// The name of a field, as an [`Encoding`] knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    text: String,
    /// Its number among those of the encoding.
    number: Option<usize>,
}

impl Encoding {
    /// An encoding for documents with these fields; others cost a few bytes more.
    #[must_use]
    pub fn new(form: Form, names: impl IntoIterator<Item = String>) -> Self {
        Self { form, names: names.into_iter().collect() }
    }

    /// The name of a field.
    #[must_use]
    pub fn name(&self, text: &str) -> Name {
        Name { text: text.to_owned(), number: self.names.iter().position(|name| name == text) }
    }

    /// Whether it was made for documents with this field.
    pub(crate) fn knows(&self, field: &str) -> bool {
        self.names.iter().any(|name| name == field)
    }

    /// An id as it was given, from how it is written in a document.
    pub(crate) fn id<'a>(&self, written: &'a [u8]) -> Cow<'a, [u8]> {
        if self.form == Form::Javabin || !written.contains(&b'\\') {
            return Cow::Borrowed(written);
        }
        let quoted = [b"\"", written, b"\""].concat();
        serde_json::from_slice(&quoted).map_or(Cow::Borrowed(written), |id: String| Cow::Owned(id.into_bytes()))
    }

    /// Whether documents of both may be in one request.
    pub(crate) fn joins(&self, other: &Self) -> bool {
        self.form == other.form && Arc::ptr_eq(&self.names, &other.names)
    }
}

/// Encoded documents of one collection, in order. Made with [`DocumentsBuilder`].
#[derive(Clone, Debug)]
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

    /// One of them; counts a reference.
    pub(crate) fn document(&self, span: &DocumentSpan) -> Bytes {
        self.bytes.slice(span.start as usize..(span.start + span.len) as usize)
    }
}

/// Writes documents: `begin` with the id, fields, `end`; allocates for the whole, not per document. At most 4 GiB, and at
/// most 126 fields beside the id in each.
#[derive(Debug)]
pub struct DocumentsBuilder {
    out: BytesMut,
    spans: Vec<DocumentSpan>,
    encoding: Encoding,
    /// Of the document that was begun.
    start: usize,
    fields: usize,
    hash: u32,
    id: (u32, u32),
}

impl DocumentsBuilder {
    /// A builder without documents.
    #[must_use]
    pub fn new(encoding: &Encoding) -> Self {
        Self {
            out: BytesMut::new(),
            spans: Vec::new(),
            encoding: encoding.clone(),
            start: 0,
            fields: 0,
            hash: 0,
            id: (0, 0),
        }
    }

    /// Begins a document with its unique key.
    pub fn begin(&mut self, key: &Name, id: &str) {
        (self.start, self.fields, self.hash) = (self.out.len(), 0, id_hash(id.as_bytes()));
        match self.encoding.form {
            Form::Json => self.out.put_u8(b'{'),
            Form::Javabin => javabin::begin_document(&mut self.out),
        }
        self.name(key);
        let before = self.out.len();
        let (from, to) = match self.encoding.form {
            // Between the quotes, as it is written: escaped.
            Form::Json => {
                json::text(&mut self.out, id.as_bytes());
                (before + 1, self.out.len() - 1)
            }
            Form::Javabin => {
                javabin::text(&mut self.out, id.as_bytes());
                (self.out.len() - id.len(), self.out.len())
            }
        };
        self.id = ((from - self.start) as u32, (to - from) as u32);
    }

    /// A field with text; what is not UTF-8 in it is replaced. The same field again is another value of it in JSON only.
    pub fn text(&mut self, field: &Name, value: &[u8]) {
        if self.name(field) {
            match self.encoding.form {
                Form::Json => json::text(&mut self.out, value),
                Form::Javabin => javabin::text(&mut self.out, value),
            }
        }
    }

    /// A field with a number.
    pub fn number(&mut self, field: &Name, value: i64) {
        if self.name(field) {
            match self.encoding.form {
                Form::Json => json::number(&mut self.out, value),
                Form::Javabin => javabin::number(&mut self.out, value),
            }
        }
    }

    /// A field with a time in milliseconds since 1970 UTC.
    pub fn time(&mut self, field: &Name, milliseconds: i64) {
        if self.name(field) {
            match self.encoding.form {
                Form::Json => json::time(&mut self.out, milliseconds),
                Form::Javabin => javabin::time(&mut self.out, milliseconds),
            }
        }
    }

    /// Ends the document.
    pub fn end(&mut self) {
        match self.encoding.form {
            Form::Json => self.out.put_u8(b'}'),
            Form::Javabin => javabin::end_document(&mut self.out[self.start..], self.fields),
        }
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
        Documents { bytes, spans, encoding: self.encoding.clone() }
    }

    /// The name of the next field; `false` if there is no room for one more.
    fn name(&mut self, name: &Name) -> bool {
        if self.fields == javabin::FIELDS_MAX {
            return false;
        }
        match self.encoding.form {
            Form::Json => {
                if self.fields > 0 {
                    self.out.put_u8(b',');
                }
                json::text(&mut self.out, name.text.as_bytes());
                self.out.put_u8(b':');
            }
            Form::Javabin => javabin::name(&mut self.out, name),
        }
        self.fields += 1;
        true
    }
}

/// One request with these documents, which have so many bytes. Copies them once.
pub(crate) fn join<'a>(encoding: &Encoding, documents: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Content {
    let mut body = BytesMut::with_capacity(bytes + FRAME_BYTES);
    let content_type = match encoding.form {
        Form::Json => {
            for (number, document) in documents.enumerate() {
                body.put_u8(if number == 0 { b'[' } else { b',' });
                body.put_slice(document);
            }
            body.put_u8(b']');
            "application/json"
        }
        Form::Javabin => {
            javabin::begin_request(&mut body, &encoding.names);
            documents.for_each(|document| body.put_slice(document));
            javabin::end_request(&mut body);
            "application/javabin"
        }
    };
    Content { content_type, body: body.freeze() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: ids with quotes, backslashes, controls and letters of two bytes, in both forms.
    /// Guarantees: an id that is read back from a document is the one that was given.
    #[test]
    fn ids_are_read_back() {
        for form in [Form::Json, Form::Javabin] {
            let encoding = Encoding::new(form, []);
            for given in ["plain", "", "a\"b", "\\", "c:\\n\n\u{1}", "ü\"", "\\\\\""] {
                let mut builder = DocumentsBuilder::new(&encoding);
                builder.begin(&encoding.name("id"), given);
                builder.text(&encoding.name("other"), b"x");
                builder.end();
                let documents = builder.finish();
                let (span, bytes) = (documents.spans[0], documents.document(&documents.spans[0]));
                let written = &bytes[span.id_start as usize..(span.id_start + span.id_len) as usize];
                assert_eq!(encoding.id(written), given.as_bytes(), "{form:?} {given:?}");
            }
        }
    }
}
