//! The table `tls`.

use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_engine::source::StartError;
use weir_kafka::{Secret, TlsOptions};

use super::secrets::File;

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

/// TLS as configured.
#[derive(Clone, Debug)]
pub(super) struct TlsSpec {
    /// `None` for the authorities of the system.
    ca: Option<File>,
    identity: Option<(File, File)>,
    server_name: Option<String>,
}

impl TlsSpec {
    /// `Some(None)` if it is turned off.
    pub(super) fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Option<Self>> {
        let identity = match (File::of(options, "certificate"), File::of(options, "key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let (has, lacks) = if given.is_some() { ("certificate", "key") } else { ("key", "certificate") };
                diagnostics.push(options.error(has, format!("{has} needs {lacks}, which is not given")));
                return None;
            }
        };
        let ca = File::of(options, "ca");
        let server_name = options.text_opt("server_name").map(str::to_owned);
        Some(options.flag("enabled").then_some(Self { ca, identity, server_name }))
    }

    pub(super) fn read(&self, component: &str) -> Result<TlsOptions, StartError> {
        let identity_pem = match &self.identity {
            None => None,
            Some((certificate, key)) => Some((certificate.read(component)?, Secret::new(key.read(component)?))),
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
