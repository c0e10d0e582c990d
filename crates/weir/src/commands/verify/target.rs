//! What is compared: what the command line names, and a configuration says the rest.

use std::path::Path;
use std::time::Duration;

use weir_config::{AgentConfig, ComponentConfig, ComponentKind, Diagnostics};
use weir_connectors::hdfs::hdfs_tree;
use weir_connectors::io_thread::IoThread;
use weir_connectors::kafka::connection::ConnectionSpec;
use weir_connectors::solr::solr_client;
use weir_engine::source::StartError;
use weir_kafka::ClusterOptions;
use weir_solr::{Client, ClientOptions};

use super::files::{self, Tree};
use super::solr::Collection;
use crate::cli::VerifyArgs;
use crate::configuration;
use crate::exit::{Exit, Failure};

/// The first page of a cold core has it sort all of its ids.
const PATIENCE: Duration = Duration::from_secs(60);
/// Behind what stands in an id for the topic.
const ID_END: &str = "-%{weir.partition}-%{weir.offset}";
const ID_LOG: &str = "%{weir.channel}";

/// A topic and both ends of it, not yet asked anything.
pub(super) struct Target {
    pub(super) cluster: ClusterOptions,
    pub(super) topic: String,
    /// With its address, for the report.
    pub(super) tree: Option<(String, Tree)>,
    pub(super) collection: Option<(String, Collection)>,
    /// Clients of HDFS run on it.
    _io: Option<IoThread>,
}

impl Target {
    /// Inside of a runtime. What is given by hand goes before the configuration.
    pub(super) fn of(args: &VerifyArgs) -> Result<Self, Failure> {
        let configured = match args.config.as_slice() {
            [] => Configured::default(),
            files => Configured::load(files, args)?,
        };
        let mut io = None;
        let tree = tree(args, configured.hdfs.as_ref(), &mut io)?;
        let collection = collection(args, configured.solr.as_ref())?;
        if tree.is_none() && collection.is_none() {
            return Err(wrong("nothing to compare the topic with: give --hdfs, --solr or both"));
        }
        if collection.is_none() && (args.selective || args.left_out.is_some() || args.solr_id_prefix.is_some()) {
            return Err(wrong("--selective, --left-out and --solr-id-prefix go with Solr, which is not compared"));
        }
        let (cluster, topic) = topic(args, configured.channel.as_ref())?;
        Ok(Self { cluster, topic, tree, collection, _io: io })
    }
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure { exit: Exit::Usage, message: message.into() }
}

fn failed(error: &StartError) -> Failure {
    Failure::new(weir_engine::chain(error))
}

/// What of a configuration is compared.
#[derive(Default)]
struct Configured {
    channel: Option<ComponentConfig>,
    hdfs: Option<ComponentConfig>,
    solr: Option<ComponentConfig>,
}

impl Configured {
    fn load(files: &[std::path::PathBuf], args: &VerifyArgs) -> Result<Self, Failure> {
        let checked = configuration::check(files);
        if checked.plan.is_none() {
            configuration::show(&checked.diagnostics);
            return Err(Failure { exit: Exit::Configuration, message: checked.diagnostics.summary() });
        }
        let config = checked.config;
        let channel = match &args.channel {
            Some(name) => named(&config, ComponentKind::Channel, name, &["kafka"])?,
            None => only(config.channels.iter().filter(|it| it.type_name == "kafka"), "channel", "kafka")?
                .ok_or_else(|| wrong("the configuration has no channel of type kafka"))?,
        };
        let (mut hdfs, mut solr) = (None, None);
        for name in &args.sink {
            let sink = named(&config, ComponentKind::Sink, name, &["hdfs", "solr"])?;
            let place = if sink.type_name == "hdfs" { &mut hdfs } else { &mut solr };
            if let Some(other) = place.replace(sink.clone()) {
                let (kind, other) = (other.type_name, &other.name);
                return Err(wrong(format!(
                    "--sink {name}: {other} is of type {kind}, too, and one of a type is compared"
                )));
            }
        }
        if args.sink.is_empty() {
            let of = |kind: &'static str| {
                let reads = |sink: &&ComponentConfig| sink.options.text("channel") == channel.name;
                only(config.sinks.iter().filter(|sink| sink.type_name == kind).filter(reads), "sink", kind)
            };
            (hdfs, solr) = (of("hdfs")?.cloned(), of("solr")?.cloned());
        }
        Ok(Self { channel: Some(channel.clone()), hdfs, solr })
    }
}

/// The component that an option names.
fn named<'a>(
    config: &'a AgentConfig,
    kind: ComponentKind,
    name: &str,
    types: &[&str],
) -> Result<&'a ComponentConfig, Failure> {
    let option = kind.section().trim_end_matches('s');
    let found =
        config.find(kind, name).ok_or_else(|| wrong(format!("--{option} {name}: the configuration has none")))?;
    if !types.contains(&found.type_name) {
        let types = types.join(" or ");
        return Err(wrong(format!("--{option} {name} is of type {}, not {types}", found.type_name)));
    }
    Ok(found)
}

/// The only component, if there is one.
fn only<'a>(
    mut found: impl Iterator<Item = &'a ComponentConfig>,
    option: &str,
    kind: &str,
) -> Result<Option<&'a ComponentConfig>, Failure> {
    let first = found.next();
    match (first, found.next()) {
        (Some(one), Some(other)) => {
            let (one, other) = (&one.name, &other.name);
            Err(wrong(format!("{one} and {other} are both of type {kind}: say which with --{option}")))
        }
        _ => Ok(first),
    }
}

fn topic(args: &VerifyArgs, channel: Option<&ComponentConfig>) -> Result<(ClusterOptions, String), Failure> {
    let brokers = args.brokers.as_ref().map(|text| text.split(',').map(|broker| broker.trim().to_owned()).collect());
    let mut diagnostics = Diagnostics::new();
    let spec = channel.and_then(|channel| ConnectionSpec::parse(&channel.options, &mut diagnostics));
    let configured = channel.zip(spec);
    let mut cluster = match configured {
        Some((channel, spec)) => {
            spec.cluster_options(&format!("channel {}", channel.name)).map_err(|error| failed(&error))?
        }
        None => ClusterOptions::new(Vec::<String>::new()),
    };
    if let Some(brokers) = brokers {
        cluster.bootstrap = brokers;
    }
    let topic = args.topic.clone().or_else(|| channel.map(|channel| channel.options.text("topic").to_owned()));
    Ok((cluster, topic.ok_or_else(|| wrong("give --topic"))?))
}

/// Where the sink writes, unless another place or way is given.
fn tree(
    args: &VerifyArgs,
    sink: Option<&ComponentConfig>,
    io: &mut Option<IoThread>,
) -> Result<Option<(String, Tree)>, Failure> {
    let conf = args.hadoop_conf.as_deref();
    let by_hand = |url: &str, conf: Option<&Path>, user: Option<&str>| {
        files::open(url, conf, user).map(|tree| Some((url.to_owned(), tree)))
    };
    match (args.hdfs.as_deref(), sink) {
        (Some(url), None) => by_hand(url, conf, args.user.as_deref()),
        (Some(url), Some(ComponentConfig { options, .. })) => {
            by_hand(url, conf.or(options.path_opt("hadoop_conf")), args.user.as_deref().or(options.text_opt("user")))
        }
        (None, Some(_)) if conf.is_some() || args.user.is_some() => Err(wrong(
            "--hadoop-conf and --user go with --hdfs; the sink of the configuration has options of its own for them",
        )),
        (None, Some(sink)) => {
            let started = IoThread::start("hdfs").map_err(|error| Failure::because("no thread for HDFS", &error))?;
            let (files, root) = hdfs_tree(sink, &started).map_err(|error| failed(&error))?;
            *io = Some(started);
            Ok(Some((sink.options.text("path").to_owned(), Tree::new(files, root))))
        }
        (None, None) => Ok(None),
    }
}

fn collection(args: &VerifyArgs, sink: Option<&ComponentConfig>) -> Result<Option<(String, Collection)>, Failure> {
    let by_hand = match args.solr.as_deref() {
        Some(url) => Some((url, address(url)?)),
        None => None,
    };
    let key = |otherwise: &str| args.solr_key.clone().unwrap_or_else(|| otherwise.to_owned());
    match (by_hand, sink) {
        (None, None) => Ok(None),
        (Some((url, (base, name))), None) => {
            let options = ClientOptions { request_timeout: PATIENCE, ..ClientOptions::new([base.to_owned()]) };
            let client = Client::new(options).map_err(|error| wrong(format!("--solr {url}: {error}")))?;
            let collection = Collection::new(client, name, &key("id"), args.solr_id_prefix.clone());
            Ok(Some((url.to_owned(), collection)))
        }
        (by_hand, Some(sink)) => {
            let base = by_hand.map(|(_, (base, _))| vec![base.to_owned()]);
            let client = solr_client(sink, base, PATIENCE).map_err(|error| failed(&error))?;
            let name = match by_hand {
                Some((_, (_, name))) => name,
                None => place(sink)?,
            };
            let prefix = match &args.solr_id_prefix {
                Some(prefix) => Some(prefix.clone()),
                None => id_prefix(sink)?,
            };
            let url = by_hand.map_or_else(|| format!("{}/{name}", client.addresses()), |(url, _)| url.to_owned());
            let key = key(sink.options.text("key_field"));
            Ok(Some((url, Collection::new(client, name, &key, prefix))))
        }
    }
}

/// Base address and collection of `http://host:8983/solr/events`.
fn address(url: &str) -> Result<(&str, &str), Failure> {
    let wrong = |what: &str| wrong(format!("--solr {url}: {what}"));
    let (base, name) = url.trim_end_matches('/').rsplit_once('/').ok_or_else(|| wrong("is no URL"))?;
    if !base.contains("://") || base.ends_with('/') || name.is_empty() || name == "solr" {
        return Err(wrong("expected http://HOST:PORT/solr/COLLECTION"));
    }
    Ok((base, name))
}

/// The collection or alias that has all documents of a sink.
fn place(sink: &ComponentConfig) -> Result<&str, Failure> {
    let options = &sink.options;
    let alias = options.table_opt("create").and_then(|table| table.text_opt("alias"));
    match options.text("collection") {
        name if !name.contains('%') => Ok(name),
        pattern => alias.ok_or_else(|| {
            let name = &sink.name;
            wrong(format!("sink {name} writes to collections {pattern}, and no alias names all of them: give --solr"))
        }),
    }
}

/// What the ids of a sink begin with, if that is not the log.
fn id_prefix(sink: &ComponentConfig) -> Result<Option<String>, Failure> {
    let id = sink.options.text("id");
    match id.strip_suffix(ID_END) {
        Some(ID_LOG) => Ok(None),
        Some(prefix) if !prefix.contains("%{") => Ok(Some(prefix.to_owned())),
        _ => Err(wrong(format!(
            "sink {}: ids {id} do not say which event of the topic they are of; documents are found by {ID_LOG}{ID_END}, or a fixed name in front",
            sink.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: addresses of collections, right and wrong.
    /// Guarantees: the wrong ones are refused before anybody is asked.
    #[test]
    fn addresses_are_checked() {
        let found = address("http://localhost:8983/solr/events/").ok();
        assert_eq!(found, Some(("http://localhost:8983/solr", "events")));
        for url in ["events", "http://localhost:8983", "http://localhost:8983/solr", "localhost/solr/x"] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
