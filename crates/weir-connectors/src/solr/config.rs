//! Options to specification.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use weir_config::{ComponentConfig, ComponentKind, Diagnostics, Options, Secret, TypeSpec};
use weir_engine::registry::SinkType;
use weir_engine::sink::{Sink, SinkContext, SinkSpec};
use weir_engine::source::StartError;
use weir_solr::{Client, ClientOptions, Form, IndexerOptions, Login};

use super::lane::SolrSink;
use super::mapping::{Field, MappingSpec};
use super::options::OPTIONS;
use super::place::Places;
use super::select::Condition;
use super::template::Template;
use super::upkeep::CreateSpec;

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
    let places = places(options, diagnostics);
    let login = login(options, diagnostics);
    let conditions = options.tables("select").into_iter().map(|table| Condition::parse(table, diagnostics));
    let conditions: Vec<_> = conditions.collect();
    let create = options.table_opt("create").map(|table| CreateSpec {
        config_set: table.text("config_set").to_owned(),
        shards: table.count("shards"),
        replicas: table.count("replicas"),
        alias: table.text_opt("alias").map(str::to_owned),
        collections_max: table.count("collections_max"),
    });
    let indexer = IndexerOptions {
        batch_documents_max: options.count("batch_documents") as usize,
        batch_bytes_max: options.bytes("batch_bytes_max") as usize,
        requests_max: options.count("requests_per_shard") as usize,
        linger: options.duration("linger"),
        commit_within: options.duration_opt("commit_within"),
        replicas_min: options.count_opt("replicas_min"),
        ..IndexerOptions::default()
    };
    let timeout = options.duration("request_timeout");
    Some(Arc::new(SolrSinkSpec {
        client: ClientOptions { request_timeout: timeout, ..ClientOptions::new(urls?) },
        login: login?,
        ca: options.path_opt("ca").map(PathBuf::from),
        indexer,
        places: places?,
        create,
        mapping: mapping?,
        conditions: conditions.into_iter().collect::<Option<_>>()?,
        sample: options.count("sample"),
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

fn places(options: &Options, diagnostics: &mut Diagnostics) -> Option<Places> {
    let places = Places {
        default: options.text("collection").to_owned(),
        header: options.text_opt("collection_header").map(str::to_owned),
        allowed: options.list_text("collections_allowed").into_iter().map(str::to_owned).collect(),
        retention_days: options.table_opt("create").and_then(|table| table.count_opt("retention_days")),
    };
    if let Some(fault) = places.fault() {
        diagnostics.push(options.error("collection", fault));
        return None;
    }
    if places.header.is_some() == places.allowed.is_empty() {
        let message = "collection_header and collections_allowed need each other";
        diagnostics.push(options.error("collection_header", message));
        return None;
    }
    if places.is_timed() && !options.is_given("create") {
        let message = "a collection by time without `create`: somebody has to make each in time";
        diagnostics.push(options.warning("collection", message));
    }
    Some(places)
}

fn mapping(options: &Options, diagnostics: &mut Diagnostics) -> Option<MappingSpec> {
    let mut fields = Some(Vec::new());
    for (name, text) in options.text_map("fields") {
        if name == options.text("key_field") {
            let hint = "what is in the unique key is the option id";
            let message = format!("field {name} is the unique key: it would be written twice");
            diagnostics.push(options.error("fields", message).with_hint(hint));
            fields = None;
        }
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
    let other_headers = match options.text_opt("header_fields").map(|text| text.split_once('*')) {
        None => None,
        Some(Some((before, behind))) => Some((before.to_owned(), behind.to_owned())),
        Some(None) => {
            diagnostics.push(options.error("header_fields", "it has no * for the name of the header"));
            return None;
        }
    };
    Some(MappingSpec {
        form: if options.choice("encoding") == "json" { Form::Json } else { Form::Javabin },
        key_field: options.text("key_field").to_owned(),
        id: id?,
        fields: fields?,
        other_headers,
        is_strict: options.choice("on_bad_value") == "reject",
    })
}

/// As whom: read at the start.
#[derive(Clone, Debug)]
enum LoginSpec {
    Nobody,
    Basic { user: String, password: Secret },
    Bearer { file: PathBuf },
}

fn login(options: &Options, diagnostics: &mut Diagnostics) -> Option<LoginSpec> {
    match (options.text_opt("user"), options.secret_opt("password"), options.path_opt("token_file")) {
        (None, None, None) => Some(LoginSpec::Nobody),
        (Some(user), Some(password), None) => {
            Some(LoginSpec::Basic { user: user.to_owned(), password: password.clone() })
        }
        (None, None, Some(file)) => Some(LoginSpec::Bearer { file: file.into() }),
        (_, _, Some(_)) => {
            diagnostics.push(options.error("token_file", "either a token or user and password, not both"));
            None
        }
        (user, _, None) => {
            let (has, lacks) = if user.is_some() { ("user", "password") } else { ("password", "user") };
            diagnostics.push(options.error(has, format!("{has} needs {lacks}, which is not given")));
            None
        }
    }
}

/// A client as a sink of this type has it, for tools that look at what the sink did: `urls` instead of the sink's own, if
/// there are some, and with more or less patience.
///
/// # Errors
/// [`StartError`] if certificates or secrets cannot be read, or an option is wrong.
pub fn solr_client(
    sink: &ComponentConfig,
    urls_instead: Option<Vec<String>>,
    request_timeout: Duration,
) -> Result<Client, StartError> {
    let mut diagnostics = Diagnostics::new();
    let urls = urls_instead.or_else(|| urls(&sink.options, &mut diagnostics));
    let login = login(&sink.options, &mut diagnostics);
    let (Some(urls), Some(login)) = (urls, login) else {
        return Err(StartError::plain(format!("sink {}: {}", sink.name, diagnostics.render(false))));
    };
    let options = ClientOptions { request_timeout, ..ClientOptions::new(urls) };
    client(&sink.name, options, &login, sink.options.path_opt("ca"))
}

/// Reads certificates and secrets, and makes a client with them.
fn client(
    name: &str,
    mut options: ClientOptions,
    login: &LoginSpec,
    authorities: Option<&Path>,
) -> Result<Client, StartError> {
    let read = |path: &Path| std::fs::read_to_string(path);
    if let Some(ca) = authorities {
        let text = read(ca).map_err(|error| {
            StartError::new(format!("sink {name}: the certificates in {} cannot be read", ca.display()), error)
        })?;
        options.authorities_pem = Some(text);
    }
    options.login = match login {
        LoginSpec::Nobody => Login::Nobody,
        LoginSpec::Bearer { file } => Login::Bearer { file: file.clone() },
        LoginSpec::Basic { user, password } => {
            let text = password.resolve(&|name| std::env::var(name).ok(), &read);
            let text = text.map_err(|error| StartError::new(format!("sink {name}: no password"), error))?;
            Login::Basic { user: user.clone(), password: text.expose().to_owned() }
        }
    };
    Client::new(options).map_err(|error| StartError::new(format!("sink {name}: no client for Solr"), error))
}

/// A checked sink.
#[derive(Clone, Debug)]
pub(super) struct SolrSinkSpec {
    client: ClientOptions,
    login: LoginSpec,
    ca: Option<PathBuf>,
    pub(super) indexer: IndexerOptions,
    pub(super) places: Places,
    pub(super) create: Option<CreateSpec>,
    pub(super) mapping: MappingSpec,
    pub(super) conditions: Vec<Condition>,
    pub(super) sample: u64,
    pub(super) in_flight_bytes: usize,
}

impl SinkSpec for SolrSinkSpec {
    /// Events in flight, their documents, a copy of these in requests, and one delivery beyond the limit.
    fn memory_bytes(&self) -> u64 {
        (3 * self.in_flight_bytes + 4 * self.indexer.batch_bytes_max) as u64
    }

    /// One lane: it writes documents many times faster than Solr indexes them. Solr need not answer yet: what cannot be
    /// sent waits in the channel.
    fn start(&self, context: &SinkContext) -> Result<Vec<Box<dyn Sink>>, StartError> {
        let client = client(&context.name, self.client.clone(), &self.login, self.ca.as_deref())?;
        Ok(vec![Box::new(SolrSink::new(context, self.clone(), client))])
    }
}
