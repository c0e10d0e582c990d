//! [`Rows`]: the events of a batch in the form that a file gathers.

use weir_event::{Column, EventBatch, HeaderName, names};

use crate::format::{Format, Layout};
use crate::line::LineWriter;
use crate::{avro, sequence};

/// The names of syslog fields besides time, host, facility and severity, in the order of the columns.
pub(crate) const TEXT_FIELDS: [&str; 4] = ["host", "app", "procid", "msgid"];

/// Writes the events of one batch. What is the same for all of them is prepared once.
pub struct Rows<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    Lines(LineWriter<'a>),
    Sequence(&'a EventBatch),
    Flume(&'a EventBatch, Vec<(&'a HeaderName, &'a Column)>),
    Syslog(Box<Syslog<'a>>),
}

/// The columns of a syslog record.
pub(crate) struct Syslog<'a> {
    pub(crate) batch: &'a EventBatch,
    pub(crate) fields: [Option<&'a Column>; TEXT_FIELDS.len()],
    /// What has no column of its own.
    pub(crate) headers: Vec<(&'a HeaderName, &'a Column)>,
}

impl<'a> Rows<'a> {
    /// For the events of `batch` in files of `format`; allocates once.
    #[must_use]
    pub fn new(format: Format, batch: &'a EventBatch) -> Self {
        let columns = || batch.columns().iter().map(|(name, column)| (name, column));
        let kind = match format.layout {
            Layout::Text => Kind::Lines(LineWriter::new(false, batch)),
            Layout::Json => Kind::Lines(LineWriter::new(true, batch)),
            Layout::Sequence(..) => Kind::Sequence(batch),
            Layout::AvroFlume => Kind::Flume(batch, columns().collect()),
            Layout::AvroSyslog | Layout::Parquet => {
                let own = [names::TIMESTAMP, names::FACILITY, names::SEVERITY];
                let is_own = |name: &HeaderName| own.contains(name) || TEXT_FIELDS.contains(&name.as_str());
                let headers = columns().filter(|(name, _)| !is_own(name)).collect();
                Kind::Syslog(Box::new(Syslog { batch, fields: TEXT_FIELDS.map(|name| batch.column(name)), headers }))
            }
        };
        Self { kind }
    }

    /// Appends event `row` to what a file gathers.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Lines(lines) => lines.write(row, out),
            Kind::Sequence(batch) => sequence::gather(batch, row, out),
            Kind::Flume(batch, headers) => avro::gather_flume(batch, headers, row, out),
            Kind::Syslog(syslog) => avro::gather_syslog(syslog, row, out),
        }
    }
}
