//! The shared option table, and [`ConnectionSpec`].

use std::time::Duration;

use weir_config::{Diagnostics, HostPort, Kind, OptionSpec, Options};
use weir_engine::source::StartError;
use weir_kafka::{ClusterOptions, ConnectionOptions};

use super::sasl::{SASL_OPTIONS, SaslSpec};
use super::tls::{TLS_OPTIONS, TlsSpec};

/// The options of a connection: one of the parts of each Kafka component's table, see [`joined`].
pub const CONNECTION_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "brokers",
        Kind::List { of: &Kind::Text, items_min: 1 },
        "Brokers to start from, HOST:PORT each. One that answers is enough to learn the others; name two or three.",
    )
    .example("[\"kafka1:9092\", \"kafka2:9092\"]"),
    OptionSpec::unset("tls", Kind::Table(TLS_OPTIONS), "TLS to the brokers; the presence of this table turns it on.")
        .example("{ ca = \"/etc/weir/kafka-ca.pem\" }"),
    OptionSpec::unset("sasl", Kind::Table(SASL_OPTIONS), "Who this agent is to the brokers, where they ask.")
        .example("{ mechanism = \"SCRAM-SHA-512\", user = \"weir\", password = \"env:KAFKA_PASSWORD\" }"),
    OptionSpec::unset(
        "rack",
        Kind::Text,
        "Rack or zone of this agent. Brokers that know racks then let it read from a replica nearby.",
    )
    .example("zone-a"),
    OptionSpec::defaulted(
        "client_id",
        Kind::Text,
        "weir",
        "Name of this agent in the brokers' logs and quotas. Components with one name share its quota.",
    ),
    OptionSpec::defaulted(
        "request_timeout",
        Kind::Duration { min_ms: 1_000, max_ms: 600_000 },
        "30 s",
        "A broker that has not answered after this time counts as gone, and its connection is made anew. Below 1 s a pause of the broker's own garbage collection would be taken for an outage; above 10 min nobody would notice one.",
    ),
    OptionSpec::defaulted(
        "metadata_age",
        Kind::Duration { min_ms: 1_000, max_ms: 86_400_000 },
        "5 min",
        "Topics, partitions and leaders are asked for again at this age although nothing went wrong. Below 1 s brokers would do little else.",
    ),
];

/// Number of options in `parts`.
#[must_use]
pub const fn total(parts: &[&[OptionSpec]]) -> usize {
    let (mut sum, mut part) = (0, 0);
    while part < parts.len() {
        sum += parts[part].len();
        part += 1;
    }
    sum
}

/// One table of several parts, in their order: `static OPTIONS: [OptionSpec; total(PARTS)] = joined(PARTS);`.
///
/// # Panics
/// At compile time, if `OPTIONS_COUNT` is not [`total`] of the parts, or if there is no option at all.
#[must_use]
pub const fn joined<const OPTIONS_COUNT: usize>(parts: &[&[OptionSpec]]) -> [OptionSpec; OPTIONS_COUNT] {
    assert!(total(parts) == OPTIONS_COUNT, "the length of the table is the total of its parts");
    let mut all = [parts[0][0]; OPTIONS_COUNT];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let mut item = 0;
        while item < parts[part].len() {
            all[at] = parts[part][item];
            at += 1;
            item += 1;
        }
        part += 1;
    }
    all
}

/// How to reach a cluster: checked, inert.
#[derive(Clone, Debug)]
pub struct ConnectionSpec {
    /// HOST:PORT each.
    brokers: Vec<String>,
    tls: Option<TlsSpec>,
    sasl: Option<SaslSpec>,
    rack: Option<String>,
    client_id: String,
    request_timeout: Duration,
    metadata_age: Duration,
}

impl ConnectionSpec {
    /// Reads [`CONNECTION_OPTIONS`] from the options of a component. Pure; every fault becomes a diagnostic with its
    /// place, and `None` is returned if there was one.
    pub fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut brokers = Some(Vec::new());
        for text in options.list_text("brokers") {
            match HostPort::parse(text) {
                Ok(address) if address.port > 0 => {
                    if let Some(brokers) = &mut brokers {
                        brokers.push(address.to_string());
                    }
                }
                other => {
                    let fault =
                        other.err().map_or_else(|| "port 0 is no port to connect to".to_owned(), |e| e.to_string());
                    let hint = "write each broker as HOST:PORT in quotes of its own, such as \"kafka1:9092\"";
                    diagnostics.push(options.error("brokers", format!("broker {text:?}: {fault}")).with_hint(hint));
                    brokers = None;
                }
            }
        }
        let tls = match options.table_opt("tls") {
            Some(table) => TlsSpec::parse(table, diagnostics)?,
            None => None,
        };
        let sasl = match options.table_opt("sasl") {
            Some(table) => Some(SaslSpec::parse(table, tls.is_some(), diagnostics)?),
            None => None,
        };
        Some(Self {
            brokers: brokers?,
            tls,
            sasl,
            rack: options.text_opt("rack").map(str::to_owned),
            client_id: options.text("client_id").to_owned(),
            request_timeout: options.duration("request_timeout"),
            metadata_age: options.duration("metadata_age"),
        })
    }

    /// The client's options; reads certificates and secrets now, so that what a restart changed counts. `component` is
    /// the name that messages start with, such as `source in`. Blocks for small files.
    ///
    /// # Errors
    /// [`StartError`] naming the option, its place in the configuration, and the file or variable.
    pub fn cluster_options(&self, component: &str) -> Result<ClusterOptions, StartError> {
        let mut connection = ConnectionOptions {
            client_id: self.client_id.clone(),
            request_timeout: self.request_timeout,
            ..ConnectionOptions::default()
        };
        connection.security.tls = self.tls.as_ref().map(|tls| tls.read(component)).transpose()?;
        connection.security.sasl = self.sasl.as_ref().map(|sasl| sasl.read(component)).transpose()?;
        Ok(ClusterOptions {
            connection,
            metadata_age_max: self.metadata_age,
            ..ClusterOptions::new(self.brokers.iter().cloned())
        })
    }

    /// The rack of this agent.
    #[must_use]
    pub fn rack(&self) -> Option<&str> {
        self.rack.as_deref()
    }

    /// The brokers to start from, for messages: HOST:PORT, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.brokers.join(", ")
    }

    /// Age at which metadata is asked for again.
    #[must_use]
    pub fn metadata_age(&self) -> Duration {
        self.metadata_age
    }
}
