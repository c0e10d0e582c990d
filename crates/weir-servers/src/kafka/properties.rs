//! The properties that brokers and Java clients are started with.

use std::fmt::Write as _;
use std::path::Path;

use super::certificates::Certificates;
use super::options::{ClusterOptions, Kerberos, Listener, Mechanism, PASSWORD, USER};

/// A killed node is missed, and let in again, after this: 9 s by default (18 s with a `ZooKeeper`), half of what a test is
/// willing to wait. Ten heartbeats of a quorum, so that a busy machine alone does not end a session.
const SESSION_MS: &str = "5000";

/// What one node is told that the others are not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// `node.id`, or `broker.id`.
    pub(super) id: u32,
    /// Port of the controller: of `ZooKeeper` where that is used, and then only the first node's.
    pub(super) controller: u16,
    /// Port of the plain listener.
    pub(super) plain: u16,
    /// Port of each listener of the options, in their order.
    pub(super) listeners: Vec<u16>,
}

/// The properties of the node at `place`, one of `places`, without where its data is: see [`of_data`].
pub(super) fn of_node(
    place: &Place,
    places: &[Place],
    options: &ClusterOptions,
    certificates: Option<&Certificates>,
) -> String {
    let mut text = String::new();
    let mut set = |key: &str, value: &str| writeln!(text, "{key}={value}").expect("a String takes everything");
    let mut protocols = "PLAINTEXT:PLAINTEXT".to_owned();
    let mut controller = String::new();
    if options.version.release().has_zookeeper {
        set("broker.id", &place.id.to_string());
        set("zookeeper.connect", &format!("127.0.0.1:{}", zookeeper_port(places)));
        set("zookeeper.session.timeout.ms", SESSION_MS);
        // It starts beside them; by default they give up after a session.
        set("zookeeper.connection.timeout.ms", "60000");
    } else {
        set("process.roles", "broker,controller");
        set("node.id", &place.id.to_string());
        let voter = |place: &Place| format!("{}@127.0.0.1:{}", place.id, place.controller);
        set("controller.quorum.voters", &places.iter().map(voter).collect::<Vec<_>>().join(","));
        set("controller.listener.names", "CONTROLLER");
        set("broker.session.timeout.ms", SESSION_MS);
        set("broker.heartbeat.interval.ms", "500");
        protocols += ",CONTROLLER:PLAINTEXT";
        controller = format!(",CONTROLLER://127.0.0.1:{}", place.controller);
    }
    set("broker.rack", &format!("rack{}", place.id));
    set("inter.broker.listener.name", "PLAINTEXT");
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{}", place.plain);
    for (listener, port) in options.listeners.iter().zip(&place.listeners) {
        write!(advertised, ",{}://127.0.0.1:{port}", listener.name()).expect("a String takes everything");
        write!(protocols, ",{}:{}", listener.name(), listener.protocol()).expect("a String takes everything");
        secure(*listener, options, certificates, &mut set);
    }
    set("listeners", &format!("{advertised}{controller}"));
    set("advertised.listeners", &advertised);
    set("listener.security.protocol.map", &protocols);
    // Inner topics: on every node, up to three, and writable while one of them is down.
    let replication = places.len().min(3).to_string();
    set("offsets.topic.replication.factor", &replication);
    set("offsets.topic.num.partitions", "8");
    set("transaction.state.log.replication.factor", &replication);
    set("transaction.state.log.min.isr", "1");
    set("transaction.state.log.num.partitions", "4");
    set("group.initial.rebalance.delay.ms", "0");
    // A misspelt topic is an error.
    set("auto.create.topics.enable", "false");
    // The default of 128 MiB is refused in a small heap.
    set("log.cleaner.dedupe.buffer.size", "16777216");
    set("num.network.threads", "2");
    set("num.io.threads", "4");
    for (key, value) in &options.properties {
        set(key, value);
    }
    text
}

/// Where `ZooKeeper` listens, if it is used.
pub(super) fn zookeeper_port(places: &[Place]) -> u16 {
    places[0].controller
}

/// The property that puts a node's data into `folder`: whole, because its tools run elsewhere than itself.
pub(super) fn of_data(folder: &Path) -> String {
    format!("log.dirs={}\n", folder.display())
}

fn secure(
    listener: Listener,
    options: &ClusterOptions,
    certificates: Option<&Certificates>,
    set: &mut impl FnMut(&str, &str),
) {
    let prefix = format!("listener.name.{}", listener.name().to_ascii_lowercase());
    if listener.has_tls() {
        let certificates = certificates.expect("certificates are made for options with a TLS listener");
        store(&format!("{prefix}.ssl.keystore"), &certificates.broker, set);
        store(&format!("{prefix}.ssl.truststore"), &certificates.authority, set);
        let client = if listener.wants_certificates() { "required" } else { "none" };
        set(&format!("{prefix}.ssl.client.auth"), client);
    }
    if listener.has_sasl() {
        let all = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512, Mechanism::OauthBearer];
        let mut names = all.map(Mechanism::name).join(",");
        if let Some(Kerberos { principal, keytab, .. }) = &options.kerberos {
            names += ",GSSAPI";
            let service = principal.split('/').next().unwrap_or_default();
            set("sasl.kerberos.service.name", service);
            let module = format!(
                "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true \
                 keyTab=\"{}\" principal=\"{principal}\";",
                keytab.display()
            );
            set(&format!("{prefix}.gssapi.sasl.jaas.config"), &module);
        }
        set(&format!("{prefix}.sasl.enabled.mechanisms"), &names);
        for mechanism in all {
            let key = format!("{prefix}.{}.sasl.jaas.config", mechanism.name().to_ascii_lowercase());
            // What SCRAM checks against is in the cluster's metadata, put there when a node is formatted.
            let options = match mechanism {
                Mechanism::Plain => format!(" user_{USER}=\"{PASSWORD}\""),
                Mechanism::ScramSha256 | Mechanism::ScramSha512 => String::new(),
                Mechanism::OauthBearer => format!(" unsecuredLoginStringClaim_sub=\"{USER}\""),
            };
            set(&key, &format!("{} required{options};", login_module(mechanism)));
        }
    }
}

/// The properties of a Java client that comes in by `listener`.
pub(super) fn of_client(listener: Listener, mechanism: Mechanism, certificates: Option<&Certificates>) -> String {
    let mut text = String::new();
    let mut set = |key: &str, value: &str| writeln!(text, "{key}={value}").expect("a String takes everything");
    set("security.protocol", listener.protocol());
    if listener.has_tls() {
        let certificates = certificates.expect("certificates are made for options with a TLS listener");
        store("ssl.truststore", &certificates.authority, &mut set);
        if listener.wants_certificates() {
            store("ssl.keystore", &certificates.client, &mut set);
        }
    }
    if listener.has_sasl() {
        let options = match mechanism {
            Mechanism::OauthBearer => format!("unsecuredLoginStringClaim_sub=\"{USER}\""),
            _ => format!("username=\"{USER}\" password=\"{PASSWORD}\""),
        };
        set("sasl.mechanism", mechanism.name());
        set("sasl.jaas.config", &format!("{} required {options};", login_module(mechanism)));
    }
    text
}

fn store(key: &str, file: &Path, set: &mut impl FnMut(&str, &str)) {
    set(&format!("{key}.type"), "PEM");
    set(&format!("{key}.location"), &file.display().to_string());
}

const fn login_module(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "org.apache.kafka.common.security.plain.PlainLoginModule",
        Mechanism::ScramSha256 | Mechanism::ScramSha512 => "org.apache.kafka.common.security.scram.ScramLoginModule",
        Mechanism::OauthBearer => "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
    }
}
