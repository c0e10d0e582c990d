//! Events to documents: which field gets what, and as which type.

use std::ops::AddAssign;

use weir_event::{Column, EventBatch};
use weir_solr::{DocumentsBuilder, Encoding, Form, Name};

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
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) encoding: Encoding,
    key: Name,
    key_field: String,
    id: Template,
    fields: Vec<(Field, Name)>,
    /// Before and behind the name of a header that no field names; `None` if those are left out.
    other_headers: Option<(String, String)>,
    /// Whether an event with a value that does not fit its type has no document.
    is_strict: bool,
}

/// What a mapping is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MappingSpec {
    pub(super) form: Form,
    pub(super) key_field: String,
    pub(super) id: Template,
    pub(super) fields: Vec<Field>,
    pub(super) other_headers: Option<(String, String)>,
    pub(super) is_strict: bool,
}

/// A mapping over a batch.
pub(super) struct BoundMapping<'a> {
    mapping: &'a Mapping,
    batch: &'a EventBatch,
    id: Bound<'a>,
    /// Fields that at least one event may have.
    fields: Vec<(&'a Field, &'a Name, Bound<'a>)>,
    others: Vec<(Name, &'a Column)>,
    /// Headers that would get a field which is not theirs.
    without_field: Vec<&'a Column>,
}

/// What an event has that its document has not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct LeftOut {
    /// Values that do not fit the type of their field.
    pub(super) values: u64,
    /// Headers whose field is another one's.
    pub(super) headers: u64,
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        self.values += other.values;
        self.headers += other.headers;
    }
}

impl Mapping {
    pub(super) fn new(spec: MappingSpec) -> Self {
        let names = std::iter::once(&spec.key_field).chain(spec.fields.iter().map(|field| &field.name));
        let encoding = Encoding::new(spec.form, names.cloned());
        let fields = spec.fields.into_iter().map(|field| {
            let name = encoding.name(&field.name);
            (field, name)
        });
        Self {
            key: encoding.name(&spec.key_field),
            key_field: spec.key_field,
            id: spec.id,
            fields: fields.collect(),
            other_headers: spec.other_headers,
            is_strict: spec.is_strict,
            encoding,
        }
    }

    /// Finds the columns of a batch, once for all of its events.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch) -> BoundMapping<'a> {
        let fields = self.fields.iter().map(|(field, name)| (field, name, field.template.bind(batch)));
        let fields = fields.filter(|(_, _, bound)| !bound.is_absent()).collect();
        let mut others: Vec<(Name, &Column)> = Vec::new();
        let mut without_field = Vec::new();
        if let Some((before, behind)) = &self.other_headers {
            let is_mapped =
                |header: &str| self.fields.iter().any(|(field, _)| field.template.only_header() == Some(header));
            for (header, column) in batch.columns().iter().filter(|(header, _)| !is_mapped(header.as_str())) {
                let field = format!("{before}{}{behind}", field_name(header.as_str()));
                let name = self.encoding.name(&field);
                if self.is_taken(&field) || others.iter().any(|(other, _)| *other == name) {
                    without_field.push(column);
                } else {
                    others.push((name, column));
                }
            }
        }
        BoundMapping { mapping: self, batch, id: self.id.bind(batch), fields, others, without_field }
    }

    /// Whether a header must not write this field: whoever sends events chooses their headers, and a second value would
    /// replace the first, such as the key, or mean something to Solr (`_version_`, `_root_`).
    fn is_taken(&self, field: &str) -> bool {
        field == self.key_field
            || self.fields.iter().any(|(known, _)| known.name == field)
            || (field.starts_with('_') && field.ends_with('_'))
    }
}

/// A header's name as part of a field's: Solr wants letters, digits and underscores.
fn field_name(header: &str) -> String {
    header.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

impl BoundMapping<'_> {
    /// The id of an event; `None` if it lacks a header that ids are made of.
    pub(super) fn id(&self, row: usize) -> Option<String> {
        let id = self.id.text(row).filter(|id| !id.is_empty())?;
        Some(String::from_utf8_lossy(&id).into_owned())
    }

    /// Writes the document of an event; returns what was left out.
    ///
    /// # Errors
    /// The reason, if such an event is to have no document; nothing was written then.
    pub(super) fn write(&self, row: usize, id: &str, out: &mut DocumentsBuilder) -> Result<LeftOut, String> {
        out.begin(&self.mapping.key, id);
        let mut left_out = LeftOut::default();
        for (field, name, bound) in &self.fields {
            let Some(value) = bound.text(row) else { continue };
            if !put(out, field.kind, name, &value) {
                if self.mapping.is_strict {
                    out.abandon();
                    return Err(format!(
                        "field {}: {:.60?} is no {:?}",
                        field.name,
                        String::from_utf8_lossy(&value),
                        field.kind
                    ));
                }
                left_out.values += 1;
            }
        }
        for (name, column) in &self.others {
            if let Some(value) = self.batch.value(column, row) {
                left_out.values += u64::from(!put(out, FieldType::String, name, &value));
            }
        }
        let hidden = self.without_field.iter().filter(|column| self.batch.value(column, row).is_some());
        left_out.headers += hidden.count() as u64;
        out.end();
        Ok(left_out)
    }
}

/// Writes a value; `false` if it does not fit its type. An empty one says nothing and is left out.
fn put(out: &mut DocumentsBuilder, kind: FieldType, name: &Name, value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    match kind {
        FieldType::Text => out.text(name, value),
        FieldType::String if value.len() > TERM_BYTES_MAX => return false,
        FieldType::String => out.text(name, value),
        FieldType::Int | FieldType::Long => match number(value) {
            Some(value) if kind == FieldType::Long || i32::try_from(value).is_ok() => out.number(name, value),
            _ => return false,
        },
        FieldType::Date => match time(value) {
            Some(milliseconds) => out.time(name, milliseconds),
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
    let time: jiff::Timestamp = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(time.as_millisecond())
}
