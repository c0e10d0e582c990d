//! Events to documents: which field gets what, and as which type.

use weir_event::EventBatch;
use weir_solr::DocumentsBuilder;

use super::template::{Bound, Template};

/// Longest term that Lucene indexes as one, in bytes.
const TERM_BYTES_MAX: usize = 32_766;

/// What a field's value is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FieldType {
    /// One term: at most 32 766 bytes.
    String,
    /// Words.
    Text,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A time: milliseconds since 1970 UTC, or RFC 3339.
    Date,
}

impl FieldType {
    const NAMES: [(&'static str, Self); 5] = [
        ("string", Self::String),
        ("text", Self::Text),
        ("int", Self::Int),
        ("long", Self::Long),
        ("date", Self::Date),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// A field of the documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) template: Template,
    pub(super) kind: FieldType,
}

impl Field {
    /// Reads `int %{Severity}`; without a type it is a string.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let typed = text.split_once(' ').and_then(|(first, rest)| Some((FieldType::parse(first)?, rest.trim_start())));
        let (kind, template) = typed.unwrap_or((FieldType::String, text));
        Ok(Self { name: name.to_owned(), template: Template::parse(template)?, kind })
    }
}

/// How documents are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mapping {
    pub(super) key_field: String,
    pub(super) id: Template,
    pub(super) fields: Vec<Field>,
    /// Before and behind the name of a header that no field names; `None` if those are left out.
    pub(super) other_headers: Option<(String, String)>,
}

/// Why an event has no document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unfit {
    pub(super) reason: String,
}

/// A mapping over a batch.
pub(super) struct BoundMapping<'a> {
    mapping: &'a Mapping,
    id: Bound<'a>,
    /// Fields that at least one event may have.
    fields: Vec<(&'a Field, Bound<'a>)>,
}

impl Mapping {
    /// Finds the columns of a batch, once for all of its events.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch) -> BoundMapping<'a> {
        let fields = self.fields.iter().map(|field| (field, field.template.bind(batch)));
        let fields = fields.filter(|(_, bound)| !bound.is_absent()).collect();
        BoundMapping { mapping: self, id: self.id.bind(batch), fields }
    }
}

impl BoundMapping<'_> {
    /// The id of an event.
    pub(super) fn id(&self, row: usize) -> Result<String, Unfit> {
        let id = self.id.text(row).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Unfit { reason: "it lacks a header that its id is made of".to_owned() })?;
        Ok(String::from_utf8_lossy(&id).into_owned())
    }

    /// Writes the document of an event; returns how many values were left out because they do not fit their type.
    pub(super) fn write(&self, row: usize, id: &str, out: &mut DocumentsBuilder) -> u64 {
        out.begin(&self.mapping.key_field, id);
        let mut left_out = 0;
        for (field, bound) in &self.fields {
            if let Some(value) = bound.text(row)
                && !put(out, field, &value)
            {
                left_out += 1;
            }
        }
        out.end();
        left_out
    }
}

/// Writes a value; `false` if it does not fit its type. An empty one says nothing and is left out.
fn put(out: &mut DocumentsBuilder, field: &Field, value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    match field.kind {
        FieldType::Text => out.text(&field.name, value),
        FieldType::String if value.len() > TERM_BYTES_MAX => return false,
        FieldType::String => out.text(&field.name, value),
        FieldType::Int | FieldType::Long => match number(value) {
            Some(value) if field.kind == FieldType::Long || i32::try_from(value).is_ok() => {
                out.number(&field.name, value)
            }
            _ => return false,
        },
        FieldType::Date => match time(value) {
            Some(milliseconds) => out.time(&field.name, milliseconds),
            None => return false,
        },
    }
    true
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn time(value: &[u8]) -> Option<i64> {
    if let Some(milliseconds) = number(value) {
        return Some(milliseconds);
    }
    let text = std::str::from_utf8(value).ok()?;
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(time.as_millisecond())
}
