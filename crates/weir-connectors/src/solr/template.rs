//! Texts with places for what an event carries: `%{host}`, `%{body}`, `%{weir.channel}-%{weir.partition}-%{weir.offset}`.

use std::borrow::Cow;

use weir_event::{ChannelId, Column, EventBatch};

/// The body of the event.
pub(super) const BODY: &str = "body";
/// When the event reached Weir, milliseconds since 1970 UTC.
const ARRIVAL: &str = "weir.arrival";
/// Identity of the log or topic the event was read from, 16 hexadecimal digits.
const CHANNEL: &str = "weir.channel";
const PARTITION: &str = "weir.partition";
const OFFSET: &str = "weir.offset";

/// A checked template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Body,
    Arrival,
    Channel,
    Partition,
    Offset,
    Header(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("%{") {
            let (name, after) = behind.split_once('}').ok_or("%{ without }: write %{NAME}")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "" => return Err("%{} names no header".to_owned()),
                BODY => Part::Body,
                ARRIVAL => Part::Arrival,
                CHANNEL => Part::Channel,
                PARTITION => Part::Partition,
                OFFSET => Part::Offset,
                name if name.starts_with("weir.") => {
                    return Err(format!(
                        "%{{{name}}} is not known; there are {ARRIVAL}, {CHANNEL}, {PARTITION} and {OFFSET}"
                    ));
                }
                name => Part::Header(name.to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether it says which event it is, by partition and offset or by headers.
    pub(super) fn is_an_identity(&self) -> bool {
        let has = |part: &Part| self.parts.contains(part);
        has(&Part::Offset) && has(&Part::Partition) || self.parts.iter().any(|part| matches!(part, Part::Header(_)))
    }

    /// The name of the header that it is nothing but the value of.
    pub(super) fn only_header(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Header(name)] => Some(name),
            _ => None,
        }
    }

    /// Finds the columns of a batch, once for all of its events.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch) -> Bound<'a> {
        let bind = |part: &'a Part| match part {
            Part::Header(name) => BoundPart::Header(batch.column(name)),
            other => BoundPart::Plain(other),
        };
        Bound { batch, parts: self.parts.iter().map(bind).collect() }
    }
}

/// A template over a batch.
pub(super) struct Bound<'a> {
    batch: &'a EventBatch,
    parts: Vec<BoundPart<'a>>,
}

enum BoundPart<'a> {
    Plain(&'a Part),
    Header(Option<&'a Column>),
}

impl<'a> Bound<'a> {
    /// Whether no event of the batch has it.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.parts.as_slice(), [BoundPart::Header(None)])
    }

    /// The text for an event, without a copy if it is one header or the body; `None` if a header of it is absent.
    pub(super) fn text(&self, row: usize) -> Option<Cow<'a, [u8]>> {
        if let [part] = self.parts.as_slice() {
            return self.part(part, row);
        }
        let mut text = Vec::new();
        for part in &self.parts {
            text.extend_from_slice(&self.part(part, row)?);
        }
        Some(Cow::Owned(text))
    }

    fn part(&self, part: &BoundPart<'a>, row: usize) -> Option<Cow<'a, [u8]>> {
        let number = |number: u64| Some(Cow::Owned(number.to_string().into_bytes()));
        match part {
            BoundPart::Header(column) => self.batch.value((*column)?, row),
            BoundPart::Plain(Part::Text(text)) => Some(Cow::Borrowed(text.as_bytes())),
            BoundPart::Plain(Part::Body) => Some(Cow::Borrowed(self.batch.body(row))),
            BoundPart::Plain(Part::Arrival) => Some(Cow::Owned(self.batch.arrival_ms().to_string().into_bytes())),
            BoundPart::Plain(Part::Channel) => Some(Cow::Owned(format!("{:016x}", self.channel()?.log).into_bytes())),
            BoundPart::Plain(Part::Partition) => number(u64::from(self.channel()?.partition)),
            BoundPart::Plain(Part::Offset) => number(self.batch.origin()?.offset(row)?),
            BoundPart::Plain(Part::Header(_)) => None,
        }
    }

    fn channel(&self) -> Option<ChannelId> {
        self.batch.origin().map(|origin| origin.channel)
    }
}
