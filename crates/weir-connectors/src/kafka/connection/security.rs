//! The tables `tls` and `sasl`.

use std::io;
use std::path::{Path, PathBuf};

use weir_config::{Diagnostics, Kind, Location, OptionSpec, Options, Secret, SecretText};
use weir_engine::source::StartError;
use weir_kafka::{Sasl, ScramMechanism, TlsOptions};

/// Largest file of certificates or secrets: a bundle of all public authorities has 250 KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(super) const TLS_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted("enabled", Kind::Flag, "true", "Turns TLS off while the rest of the table stays."),
    OptionSpec::unset(
        "ca",
        Kind::Path,
        "Certificates of the authorities that may vouch for a broker, PEM. Unset: those that the operating system trusts.",
    )
    .example("/etc/weir/kafka-ca.pem"),
    OptionSpec::unset("certificate", Kind::Path, "Certificate chain of this agent, PEM, where brokers want one.")
        .example("/etc/weir/agent.pem"),
    OptionSpec::unset("key", Kind::Path, "Private key to the certificate, PEM.").example("/etc/weir/agent.key"),
    OptionSpec::unset(
        "server_name",
        Kind::Text,
        "Name that the brokers' certificates bear, if it is not the host of their addresses.",
    )
    .example("kafka.example.org"),
];

pub(super) const SASL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "mechanism",
        Kind::Choice(&[
            ("PLAIN", "name and password in clear text: only with TLS"),
            ("SCRAM-SHA-256", "the password stays here, and the broker proves that it knows it"),
            ("SCRAM-SHA-512", "the same with a longer hash"),
        ]),
        "How this agent proves who it is.",
    )
    .example("SCRAM-SHA-512"),
    OptionSpec::unset("user", Kind::Text, "Name of the user, for PLAIN and SCRAM.").example("weir"),
    OptionSpec::unset("password", Kind::Secret, "Where the password is, for PLAIN and SCRAM.")
        .example("env:KAFKA_PASSWORD"),
];

/// A file that is read at the start.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    /// Key and place, for messages.
    named: String,
}

/// TLS as configured.
#[derive(Clone, Debug)]
pub(super) struct TlsSpec {
    /// `None` for the authorities of the system.
    ca: Option<File>,
    identity: Option<(File, File)>,
    server_name: Option<String>,
}

/// SASL as configured.
#[derive(Clone, Debug)]
pub(super) struct SaslSpec {
    mechanism: &'static str,
    user: String,
    password: Secret,
    /// Key and place of the password, for messages.
    named: String,
}

/// Key and place of an option, for messages at the start, when there is no diagnostic any more.
fn named(options: &Options, key: &str) -> String {
    let location: &Location = options.location_of(key);
    format!("{}.{key} ({location})", options.section())
}

impl TlsSpec {
    /// `Some(None)` if it is turned off.
    pub(super) fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Option<Self>> {
        let file = |key: &str| options.path_opt(key).map(|path| File { path: path.into(), named: named(options, key) });
        let identity = match (file("certificate"), file("key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let (has, lacks) = if given.is_some() { ("certificate", "key") } else { ("key", "certificate") };
                diagnostics.push(options.error(has, format!("{has} needs {lacks}, which is not given")));
                return None;
            }
        };
        let ca = file("ca");
        let server_name = options.text_opt("server_name").map(str::to_owned);
        Some(options.flag("enabled").then_some(Self { ca, identity, server_name }))
    }

    pub(super) fn read(&self, component: &str) -> Result<TlsOptions, StartError> {
        let identity_pem = match &self.identity {
            None => None,
            Some((certificate, key)) => {
                Some((certificate.read(component)?, weir_kafka::Secret::new(key.read(component)?)))
            }
        };
        let authorities = self.ca.as_ref().map(|file| file.read(component)).transpose()?;
        Ok(TlsOptions {
            authorities_pem: authorities.unwrap_or_default(),
            system_authorities: self.ca.is_none(),
            identity_pem,
            server_name: self.server_name.clone(),
        })
    }
}

impl SaslSpec {
    pub(super) fn parse(options: &Options, has_tls: bool, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mechanism = options.choice("mechanism");
        let (user, password) = (options.text_opt("user"), options.secret_opt("password"));
        for (key, is_missing) in [("user", user.is_none()), ("password", password.is_none())] {
            if is_missing {
                let message = format!("mechanism {mechanism} needs {key}, which is not given");
                diagnostics.push(options.error("mechanism", message));
            }
        }
        if mechanism == "PLAIN" && !has_tls {
            let message = "PLAIN without TLS sends the password over the network as it is";
            diagnostics.push(options.warning("mechanism", message).with_hint("use SCRAM-SHA-512, or add a tls table"));
        }
        let (user, password) = (user?.to_owned(), password?.clone());
        Some(Self { mechanism, user, password, named: named(options, "password") })
    }

    pub(super) fn read(&self, component: &str) -> Result<Sasl, StartError> {
        let environment = |name: &str| std::env::var(name).ok();
        let text: SecretText = self
            .password
            .resolve(&environment, &read_text)
            .map_err(|error| StartError::new(format!("{component}: {} cannot be had", self.named), error))?;
        let (username, password) = (self.user.clone(), weir_kafka::Secret::new(text.expose()));
        Ok(match self.mechanism {
            "PLAIN" => Sasl::Plain { username, password },
            "SCRAM-SHA-256" => Sasl::Scram { mechanism: ScramMechanism::Sha256, username, password },
            _ => Sasl::Scram { mechanism: ScramMechanism::Sha512, username, password },
        })
    }
}

impl File {
    fn read(&self, component: &str) -> Result<String, StartError> {
        read_text(&self.path).map_err(|error| {
            let message = format!("{component}: {}: {} cannot be read", self.named, self.path.display());
            StartError::new(message, error)
        })
    }
}

/// The text of a small file.
fn read_text(path: &Path) -> io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        let message = format!("it has {bytes} bytes, more than certificates or secrets ever have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    std::fs::read_to_string(path)
}
