//! The table `sasl`.

use std::path::PathBuf;

use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_engine::source::StartError;
use weir_kafka::{KerberosCredentials, Sasl, ScramMechanism, TokenEndpoint, TokenSource};

use super::secrets::{File, SecretAt};

pub(super) const SASL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "mechanism",
        Kind::Choice(&[
            ("PLAIN", "name and password in clear text: only with TLS"),
            ("SCRAM-SHA-256", "the password stays here, and the broker proves that it knows it"),
            ("SCRAM-SHA-512", "the same with a longer hash"),
            ("OAUTHBEARER", "a token, from a file or from an OAuth 2 endpoint: only with TLS"),
            ("GSSAPI", "Kerberos, by the system's library"),
        ]),
        "How this agent proves who it is.",
    )
    .example("SCRAM-SHA-512"),
    OptionSpec::unset("user", Kind::Text, "Name of the user, for PLAIN and SCRAM.").example("weir"),
    OptionSpec::unset("password", Kind::Secret, "Where the password is, for PLAIN and SCRAM.")
        .example("env:KAFKA_PASSWORD"),
    OptionSpec::unset(
        "token_file",
        Kind::Path,
        "For OAUTHBEARER: a file with the token that somebody else keeps up to date; read for each authentication.",
    )
    .example("/run/weir/kafka-token"),
    OptionSpec::unset(
        "token_url",
        Kind::Text,
        "For OAUTHBEARER: the endpoint that gives tokens for client credentials (RFC 6749, 4.4).",
    )
    .example("https://id.example.org/token"),
    OptionSpec::unset("client_id", Kind::Text, "Name of this agent to the token endpoint.").example("weir"),
    OptionSpec::unset("client_secret", Kind::Secret, "Where its secret is.").example("file:/etc/weir/client-secret"),
    OptionSpec::unset("scope", Kind::Text, "What to ask the token endpoint for; unset: what it gives by default.")
        .example("kafka"),
    OptionSpec::defaulted(
        "token_parameters",
        Kind::Map(&Kind::Text),
        "{}",
        "Further parameters of the request for a token, such as audience.",
    ),
    OptionSpec::unset(
        "token_ca",
        Kind::Path,
        "Certificates of the authorities that may vouch for the token endpoint, PEM. Unset: those of the system.",
    )
    .example("/etc/weir/id-ca.pem"),
    OptionSpec::defaulted(
        "extensions",
        Kind::Map(&Kind::Text),
        "{}",
        "For OAUTHBEARER: names and values that the brokers want besides the token (KIP-342).",
    ),
    OptionSpec::defaulted(
        "service",
        Kind::Text,
        "kafka",
        "For GSSAPI: the first part of the brokers' principals; the second is the host of their addresses.",
    ),
    OptionSpec::unset("principal", Kind::Text, "For GSSAPI: who this agent is, with the keytab that has its key.")
        .example("weir@EXAMPLE.ORG"),
    OptionSpec::unset("keytab", Kind::Path, "For GSSAPI: the keytab. Needs principal.").example("/etc/weir/weir.keytab"),
    OptionSpec::unset(
        "credential_cache",
        Kind::Path,
        "For GSSAPI: a cache of tickets that somebody else keeps filled. Without it and keytab the library's own rules count.",
    )
    .example("/run/weir/krb5cc"),
];

/// The keys that a mechanism understands, besides `mechanism`.
fn keys_of(mechanism: &str) -> &'static [&'static str] {
    match mechanism {
        "OAUTHBEARER" => &[
            "token_file",
            "token_url",
            "client_id",
            "client_secret",
            "scope",
            "token_parameters",
            "token_ca",
            "extensions",
        ],
        "GSSAPI" => &["service", "principal", "keytab", "credential_cache"],
        _ => &["user", "password"],
    }
}

/// SASL as configured.
#[derive(Clone, Debug)]
pub(super) enum SaslSpec {
    /// PLAIN and SCRAM.
    Password {
        mechanism: &'static str,
        user: String,
        password: SecretAt,
    },
    Token {
        source: TokenFrom,
        extensions: Vec<(String, String)>,
    },
    Kerberos {
        service: String,
        credentials: KerberosCredentials,
    },
}

/// Where tokens come from, as configured.
#[derive(Clone, Debug)]
pub(super) enum TokenFrom {
    File(PathBuf),
    Endpoint {
        url: String,
        client_id: String,
        client_secret: SecretAt,
        scope: Option<String>,
        parameters: Vec<(String, String)>,
        ca: Option<File>,
    },
}

impl SaslSpec {
    pub(super) fn parse(options: &Options, has_tls: bool, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mechanism = options.choice("mechanism");
        let known = keys_of(mechanism);
        let foreign = SASL_OPTIONS.iter().map(|option| option.name).filter(|name| *name != "mechanism");
        let mut is_sound = true;
        for key in foreign.filter(|name| !known.contains(name) && options.is_given(name)) {
            let message = format!("{key} has no effect with mechanism {mechanism}");
            diagnostics.push(options.error(key, message).with_hint(format!("it knows {}", known.join(", "))));
            is_sound = false;
        }
        if matches!(mechanism, "PLAIN" | "OAUTHBEARER") && !has_tls {
            let what = if mechanism == "PLAIN" { "password" } else { "token" };
            let message = format!("{mechanism} without TLS sends the {what} over the network as it is");
            diagnostics.push(options.warning("mechanism", message).with_hint("use SCRAM-SHA-512, or add a tls table"));
        }
        let spec = match mechanism {
            "OAUTHBEARER" => token(options, diagnostics),
            "GSSAPI" => kerberos(options, diagnostics),
            _ => password(mechanism, options, diagnostics),
        };
        spec.filter(|_| is_sound)
    }

    pub(super) fn read(&self, component: &str) -> Result<Sasl, StartError> {
        Ok(match self {
            Self::Password { mechanism, user, password } => {
                let (username, password) = (user.clone(), password.read(component)?);
                match *mechanism {
                    "PLAIN" => Sasl::Plain { username, password },
                    "SCRAM-SHA-256" => Sasl::Scram { mechanism: ScramMechanism::Sha256, username, password },
                    _ => Sasl::Scram { mechanism: ScramMechanism::Sha512, username, password },
                }
            }
            Self::Token { source, extensions } => {
                Sasl::OauthBearer { token: source.read(component)?, extensions: extensions.clone() }
            }
            Self::Kerberos { service, credentials } => {
                Sasl::Gssapi { service: service.clone(), credentials: credentials.clone() }
            }
        })
    }
}

/// Reports that `mechanism` lacks `key`.
fn missing(options: &Options, key: &str, diagnostics: &mut Diagnostics) {
    let message = format!("mechanism {} needs {key}, which is not given", options.choice("mechanism"));
    diagnostics.push(options.error("mechanism", message));
}

fn password(mechanism: &'static str, options: &Options, diagnostics: &mut Diagnostics) -> Option<SaslSpec> {
    let (user, password) = (options.text_opt("user"), SecretAt::of(options, "password"));
    if user.is_none() {
        missing(options, "user", diagnostics);
    }
    if password.is_none() {
        missing(options, "password", diagnostics);
    }
    Some(SaslSpec::Password { mechanism, user: user?.to_owned(), password: password? })
}

fn token(options: &Options, diagnostics: &mut Diagnostics) -> Option<SaslSpec> {
    let owned =
        |map: Vec<(&str, &str)>| map.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let extensions = owned(options.text_map("extensions"));
    let source = match (options.path_opt("token_file"), options.text_opt("token_url")) {
        (Some(path), None) => TokenFrom::File(path.to_path_buf()),
        (None, Some(url)) => {
            let (client_id, client_secret) = (options.text_opt("client_id"), SecretAt::of(options, "client_secret"));
            if client_id.is_none() {
                missing(options, "client_id", diagnostics);
            }
            if client_secret.is_none() {
                missing(options, "client_secret", diagnostics);
            }
            if url.starts_with("http://") {
                let message = "over http the client's secret goes over the network as it is";
                diagnostics.push(options.warning("token_url", message).with_hint("use https"));
            } else if !url.starts_with("https://") {
                diagnostics
                    .push(options.error("token_url", format!("{url:?} starts with neither https:// nor http://")));
                return None;
            }
            TokenFrom::Endpoint {
                url: url.to_owned(),
                client_id: client_id?.to_owned(),
                client_secret: client_secret?,
                scope: options.text_opt("scope").map(str::to_owned),
                parameters: owned(options.text_map("token_parameters")),
                ca: File::of(options, "token_ca"),
            }
        }
        (None, None) => {
            missing(options, "token_file or token_url", diagnostics);
            return None;
        }
        (Some(_), Some(_)) => {
            diagnostics.push(options.error("token_url", "token_file and token_url are both given"));
            return None;
        }
    };
    Some(SaslSpec::Token { source, extensions })
}

fn kerberos(options: &Options, diagnostics: &mut Diagnostics) -> Option<SaslSpec> {
    let principal = options.text_opt("principal").map(str::to_owned);
    let (keytab, cache) = (options.path_opt("keytab"), options.path_opt("credential_cache"));
    let credentials = match (principal, keytab, cache) {
        (Some(principal), Some(path), None) => KerberosCredentials::Keytab { principal, path: path.to_path_buf() },
        (None, None, Some(path)) => KerberosCredentials::Cache { path: path.to_path_buf() },
        (None, None, None) => KerberosCredentials::Default,
        _ => {
            let message = "credentials are a principal with its keytab, or a credential_cache, or neither";
            diagnostics.push(options.error("mechanism", message));
            return None;
        }
    };
    Some(SaslSpec::Kerberos { service: options.text("service").to_owned(), credentials })
}

impl TokenFrom {
    fn read(&self, component: &str) -> Result<TokenSource, StartError> {
        Ok(match self {
            Self::File(path) => TokenSource::File { path: path.clone() },
            Self::Endpoint { url, client_id, client_secret, scope, parameters, ca } => {
                let authorities = ca.as_ref().map(|file| file.read(component)).transpose()?;
                TokenSource::Endpoint(TokenEndpoint {
                    scope: scope.clone(),
                    parameters: parameters.clone(),
                    system_authorities: authorities.is_none(),
                    authorities_pem: authorities.unwrap_or_default(),
                    ..TokenEndpoint::new(url, client_id, client_secret.read(component)?)
                })
            }
        })
    }
}
