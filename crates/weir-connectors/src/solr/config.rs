//! Options of the Solr sink.

use std::sync::Arc;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Kind, OptionSpec, Options, TypeSpec};
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_solr::{Client, ClientOptions, IndexerOptions};

use super::lane::SolrSink;
use super::mapping::{Field, Mapping};
use super::template::Template;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "urls",
        Kind::List { of: &Kind::Text, items_min: 1 },
        "Base addresses of nodes of the cluster; one that answers is enough, the others are learned from it. Name two or three.",
    )
    .example("[\"http://solr1:8983/solr\", \"http://solr2:8983/solr\"]"),
    OptionSpec::required("collection", Kind::Text, "The collection or alias that events go to; it must exist.")
        .example("syslog"),
    OptionSpec::defaulted(
        "id",
        Kind::Text,
        "%{weir.channel}-%{weir.partition}-%{weir.offset}",
        "The unique key of an event's document. An event that comes again must get the same one: then it overwrites itself. `%{NAME}` is a header; weir.channel, weir.partition and weir.offset say where in the sink's channel it is.",
    ),
    OptionSpec::defaulted("key_field", Kind::Text, "id", "The field of the unique key in the schema."),
    OptionSpec::defaulted(
        "fields",
        Kind::Map(&Kind::Text),
        r#"{ ts = "date %{timestamp}", host = "%{host}", app = "%{app}", pid = "int %{procid}", facility = "int %{Facility}", severity = "int %{Severity}", message = "text %{body}" }"#,
        "Field by field, what a document has: an optional type (string, text, int, long, date) and a text with headers as `%{NAME}` and the body as `%{body}`. A field whose header is absent is left out.",
    ),
    OptionSpec::defaulted(
        "batch_documents",
        Kind::Count { min: 1, max: 100_000 },
        "1000",
        "Most documents of a request. Batches are smaller while Solr is quick enough. Above 1000 nothing is gained.",
    ),
    OptionSpec::defaulted(
        "batch_bytes_max",
        Kind::Bytes { min: 1 << 10, max: 256 << 20 },
        "2 MiB",
        "Most bytes of a request; a larger document goes alone.",
    ),
    OptionSpec::defaulted(
        "in_flight_bytes",
        Kind::Bytes { min: 1 << 20, max: 4 << 30 },
        "64 MiB",
        "Most bytes of events that wait for Solr's answer; what is beyond stays in the channel.",
    ),
    OptionSpec::defaulted(
        "requests_per_shard",
        Kind::Count { min: 1, max: 64 },
        "3",
        "Most requests at once to one shard.",
    ),
];

static SPEC: TypeSpec = TypeSpec {
    kind: ComponentKind::Sink,
    name: "solr",
    aliases: &[],
    summary: "Indexes events in SolrCloud: routed to the leaders of shards, at the pace they take, once each by their ids.",
    options: OPTIONS,
};

/// The type `solr`, for the registry.
#[must_use]
pub fn solr_sink_type() -> SinkType {
    SinkType { spec: &SPEC, parse }
}

fn parse(config: &ComponentConfig, diagnostics: &mut Diagnostics) -> Option<Arc<dyn SinkSpec>> {
    let options = &config.options;
    let urls = urls(options, diagnostics);
    let mapping = mapping(options, diagnostics);
    let indexer = IndexerOptions {
        batch_documents_max: options.count("batch_documents") as usize,
        batch_bytes_max: options.bytes("batch_bytes_max") as usize,
        requests_max: options.count("requests_per_shard") as usize,
        ..IndexerOptions::default()
    };
    Some(Arc::new(SolrSinkSpec {
        client: ClientOptions::new(urls?),
        indexer,
        collection: options.text("collection").to_owned(),
        mapping: mapping?,
        in_flight_bytes: options.bytes("in_flight_bytes") as usize,
    }))
}

fn urls(options: &Options, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    let mut urls = Some(Vec::new());
    for url in options.list_text("urls") {
        if url.starts_with("http://") || url.starts_with("https://") {
            if let Some(urls) = &mut urls {
                urls.push(url.to_owned());
            }
        } else {
            let hint = "write each as http://HOST:8983/solr or https://HOST:8983/solr";
            diagnostics.push(options.error("urls", format!("{url:?} is not an address of HTTP")).with_hint(hint));
            urls = None;
        }
    }
    urls
}

fn mapping(options: &Options, diagnostics: &mut Diagnostics) -> Option<Mapping> {
    let mut fields = Some(Vec::new());
    for (name, text) in options.text_map("fields") {
        match (Field::parse(name, text), &mut fields) {
            (Ok(field), Some(fields)) => fields.push(field),
            (Ok(_), None) => {}
            (Err(fault), _) => {
                diagnostics.push(options.error("fields", format!("field {name}: {fault}")));
                fields = None;
            }
        }
    }
    let id = match Template::parse(options.text("id")) {
        Ok(id) if id.is_an_identity() => Some(id),
        Ok(_) => {
            let hint = "use %{weir.channel}-%{weir.partition}-%{weir.offset}, or headers that name an event";
            diagnostics.push(options.error("id", "every event would get the same id").with_hint(hint));
            None
        }
        Err(fault) => {
            diagnostics.push(options.error("id", fault));
            None
        }
    };
    let key_field = options.text("key_field").to_owned();
    Some(Mapping { key_field, id: id?, fields: fields?, other_headers: None })
}

/// A checked sink.
#[derive(Clone, Debug)]
pub(super) struct SolrSinkSpec {
    pub(super) client: ClientOptions,
    pub(super) indexer: IndexerOptions,
    pub(super) collection: String,
    pub(super) mapping: Mapping,
    pub(super) in_flight_bytes: usize,
}

impl SinkSpec for SolrSinkSpec {
    /// Documents in flight, a copy of them in requests, and those of one delivery being written.
    fn memory_bytes(&self) -> u64 {
        (2 * self.in_flight_bytes + 4 * self.indexer.batch_bytes_max) as u64
    }

    /// One lane: it writes documents many times faster than Solr indexes them. Solr need not answer yet: what cannot be
    /// sent waits in the channel.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        let client = Client::new(self.client.clone())
            .map_err(|error| StartError::new(format!("sink {}: no client for Solr", context.name), error))?;
        Ok(vec![Box::new(SolrSink::new(&context.name, self.clone(), client))])
    }
}
