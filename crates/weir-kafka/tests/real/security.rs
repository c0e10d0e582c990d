//! Listeners with TLS and SASL.

use std::error::Error as _;
use std::fs::read_to_string;

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{
    Cluster, ClusterOptions, FetchOptions, NewTopic, Producer, ProducerOptions, Sasl, ScramMechanism, Secret, Security,
    TlsOptions,
};
use weir_servers::kafka::{self, Listener, PASSWORD, USER, Version};

use crate::account::{batch, on_runtime, read_topic};

pub(crate) fn options_by(address: String, security: Security) -> ClusterOptions {
    let mut options = ClusterOptions::new(address.split(','));
    options.connection.security = security;
    options
}

pub(crate) fn scram(mechanism: ScramMechanism, password: &str) -> Option<Sasl> {
    Some(Sasl::Scram { mechanism, username: USER.to_owned(), password: Secret::new(password) })
}

/// Scenario: one broker with every kind of listener; this client comes by TLS, by TLS with and without a certificate where
/// one is required, by SASL PLAIN and SCRAM, with and without TLS and a certificate, with a wrong password, and trusting
/// nobody who vouches for the broker.
/// Guarantees: each right way produces and fetches; each wrong one is refused with a reason and without hanging.
pub(crate) fn every_way_in(version: Version) -> Result<(), Failed> {
    use Listener::{MutualTls, Sasl as Clear, SaslMutualTls, SaslTls, Tls};
    let listeners = vec![Tls, MutualTls, Clear, SaslTls, SaslMutualTls];
    let options = kafka::ClusterOptions { version, listeners, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        on_runtime(async {
            let (tls, mutual_tls) = tls_of(server)?;
            let plain = Some(Sasl::Plain { username: USER.to_owned(), password: Secret::new(PASSWORD) });
            let (sha256, sha512) = (scram(ScramMechanism::Sha256, PASSWORD), scram(ScramMechanism::Sha512, PASSWORD));
            let right = [
                (Tls, Security { tls: tls.clone(), sasl: None }),
                (MutualTls, Security { tls: mutual_tls.clone(), sasl: None }),
                (Clear, Security { tls: None, sasl: plain.clone() }),
                (Clear, Security { tls: None, sasl: sha256.clone() }),
                (SaslTls, Security { tls: tls.clone(), sasl: sha512.clone() }),
                (SaslMutualTls, Security { tls: mutual_tls.clone(), sasl: sha256.clone() }),
                (SaslMutualTls, Security { tls: mutual_tls.clone(), sasl: sha512.clone() }),
            ];
            for (number, (listener, security)) in right.into_iter().enumerate() {
                let cluster = Cluster::connect(options_by(server.bootstrap_by(listener), security)).await?;
                let name = format!("way-{number}");
                let topic =
                    NewTopic { name: name.clone(), partitions: Some(1), replicas: Some(1), settings: Vec::new() };
                cluster.create_topic(&topic).await?;
                let producer = Producer::new(&cluster, ProducerOptions::default());
                producer.send(&name, 0, batch(&["one", "two"], Compression::Zstd)?).await?.await?;
                let bodies = read_topic(&cluster, &name, FetchOptions::default()).await?;
                assert_eq!(bodies.get(&0), Some(&vec!["one".to_owned(), "two".to_owned()]));
            }
            let wrong_password = scram(ScramMechanism::Sha256, "wrong");
            let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?.cert.pem();
            let strangers = tls.clone().map(|tls| TlsOptions { authorities_pem: stranger, ..tls });
            let wrong = [
                (MutualTls, Security { tls: tls.clone(), sasl: None }, ""),
                (SaslMutualTls, Security { tls, sasl: sha512.clone() }, ""),
                (
                    Clear,
                    Security { tls: None, sasl: wrong_password },
                    "did not agree on SCRAM-SHA-256: Authentication failed",
                ),
                (SaslTls, Security { tls: None, sasl: plain }, ""),
                (SaslTls, Security { tls: strangers, sasl: sha512 }, "invalid peer certificate: UnknownIssuer"),
            ];
            for (listener, security, reason) in wrong {
                refused(server, listener, security, reason).await?;
            }
            Ok(())
        })
    })
}

/// What a client needs for the listeners with TLS: without a certificate of its own, and with one.
pub(crate) fn tls_of(server: &kafka::Cluster) -> Result<(Option<TlsOptions>, Option<TlsOptions>), Failed> {
    let files = server.certificates().ok_or("no certificates")?;
    let authorities_pem = read_to_string(&files.authority)?;
    let plain = TlsOptions { authorities_pem, system_authorities: false, ..TlsOptions::default() };
    let key = Secret::new(read_to_string(&files.client_key)?);
    let identity_pem = Some((read_to_string(&files.client_certificate)?, key));
    let mutual = TlsOptions { identity_pem, ..plain.clone() };
    Ok((Some(plain), Some(mutual)))
}

/// Comes by a way that must not work, and looks for `reason` in what is said about it.
pub(crate) async fn refused(
    server: &kafka::Cluster,
    listener: Listener,
    security: Security,
    reason: &str,
) -> Result<(), Failed> {
    let Err(error) = Cluster::connect(options_by(server.bootstrap_by(listener), security)).await else {
        return Err(format!("{listener:?}: let in, though {reason}").into());
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    assert!(text.contains(reason), "{listener:?}: {text}\n  does not say: {reason}");
    Ok(())
}
