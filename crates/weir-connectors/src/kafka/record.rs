//! What all Kafka components share about records: how an event becomes one, and a record an event.

use weir_codec::flume_event::{self, Limits, TooLarge};
use weir_codec::record_batch::HeaderSelection;
use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_event::{EventBatch, names};

/// The options of records: one of the parts of a component's table, see [`super::connection::joined`].
pub const RECORD_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted(
        "format",
        Kind::Choice(&[
            ("raw", "the value is the body"),
            (
                "flume",
                "the value is Flume's own event, headers inside: what Flume calls useFlumeEventFormat and parseAsFlumeEvent",
            ),
        ]),
        "raw",
        "What the value of a record is. The header key is always the key of the record, the header timestamp its time.",
    ),
    OptionSpec::defaulted(
        "headers",
        Kind::Choice(&[
            ("all", "every header is a record header"),
            ("list", "those named by header_names are"),
            ("none", "no header is"),
        ]),
        "all",
        "Which headers of events are headers of records. Headers that are not carried over are lost to whoever is on the other side.",
    ),
    OptionSpec::unset("header_names", Kind::TEXTS, "The headers that `headers = \"list\"` carries over.")
        .example("[\"host\", \"Severity\"]"),
];

/// What the value of a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The body.
    Raw,
    /// Flume's event in Avro's binary form, with headers and body; see [`weir_codec::flume_event`].
    Flume,
}

/// How records and events become each other: checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordSpec {
    /// What the value is.
    pub format: Format,
    /// Which headers are carried over.
    pub headers: HeaderSelection,
}

impl RecordSpec {
    /// Reads [`RECORD_OPTIONS`] from the options of a component. Pure; every fault becomes a diagnostic with its place,
    /// and `None` is returned if there was one.
    pub fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let format = if options.choice("format") == "flume" { Format::Flume } else { Format::Raw };
        let listed: Vec<String> = options.list_text("header_names").into_iter().map(str::to_owned).collect();
        let headers = match (options.choice("headers"), listed.is_empty()) {
            ("list", true) => {
                let message = "headers = \"list\" needs header_names, which is empty or not given";
                diagnostics.push(options.error("headers", message));
                return None;
            }
            ("list", false) => HeaderSelection::List(listed),
            (other, false) => {
                let message = format!("header_names has no effect with headers = {other:?}");
                diagnostics.push(options.error("header_names", message).with_hint("write headers = \"list\""));
                return None;
            }
            ("none", true) => HeaderSelection::None,
            _ => HeaderSelection::All,
        };
        Some(Self { format, headers })
    }

    /// What events are as records: body as value, and headers for the encoder to choose from. Raw costs nothing per
    /// event; Flume's format copies it.
    ///
    /// # Errors
    /// [`TooLarge`] if the values do not fit one batch: split it.
    pub fn sent(&self, batch: &EventBatch) -> Result<EventBatch, TooLarge> {
        match self.format {
            Format::Raw => Ok(batch.clone()),
            Format::Flume => flume_event::encode(batch),
        }
    }

    /// What a decoded batch is to the pipeline: without the record headers that are not carried over, and in Flume's
    /// format with the headers that were in the values. Values that are none of Flume's stay as bodies, marked by the
    /// header [`flume_event::STATUS`].
    #[must_use]
    pub fn received(&self, batch: EventBatch) -> EventBatch {
        let batch = self.carried(batch);
        match self.format {
            Format::Raw => batch,
            Format::Flume => flume_event::decode(&batch, Limits::default()).batch,
        }
    }

    fn carried(&self, mut batch: EventBatch) -> EventBatch {
        if self.headers == HeaderSelection::All {
            return batch;
        }
        let unwanted: Vec<_> =
            batch.columns().iter().map(|(name, _)| name.clone()).filter(|name| !self.carries(name.as_str())).collect();
        for name in unwanted {
            batch.remove(name.as_str());
        }
        batch
    }

    fn carries(&self, name: &str) -> bool {
        let is_field = name == names::KEY.as_str() || name == names::TIMESTAMP.as_str();
        is_field
            || match &self.headers {
                HeaderSelection::None => false,
                HeaderSelection::List(listed) => listed.iter().any(|listed| listed == name),
                HeaderSelection::All => true,
            }
    }
}
