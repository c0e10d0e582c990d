//! Listeners with TLS and SASL.

use std::fs::read_to_string;

use libtest_mimic::Failed;
use weir_codec::record_batch::Compression;
use weir_kafka::{
    Cluster, ClusterOptions, FetchOptions, NewTopic, Producer, ProducerOptions, Sasl, ScramMechanism, Secret, Security,
    TlsOptions,
};
use weir_servers::kafka::{self, Listener, PASSWORD, USER};

use crate::account::{batch, on_runtime, read_topic};

fn options(address: String, security: Security) -> ClusterOptions {
    let mut options = ClusterOptions::new(address.split(','));
    options.connection.security = security;
    options
}

fn scram(mechanism: ScramMechanism, password: &str) -> Option<Sasl> {
    Some(Sasl::Scram { mechanism, username: USER.to_owned(), password: Secret::new(password) })
}

/// Scenario: one broker with every kind of listener; this client comes by TLS, by TLS with and without a certificate where
/// one is required, by SASL PLAIN and SCRAM, with and without TLS, with a wrong password, and trusting nobody who vouches
/// for the broker.
/// Guarantees: each right way produces and fetches; each wrong one is refused with a reason and without hanging.
pub(crate) fn every_way_in() -> Result<(), Failed> {
    let listeners = vec![Listener::Tls, Listener::MutualTls, Listener::Sasl, Listener::SaslTls];
    kafka::Cluster::with(kafka::ClusterOptions { listeners, ..kafka::ClusterOptions::default() }, |server| {
        on_runtime(async {
            let files = server.certificates().ok_or("no certificates")?;
            let authorities_pem = read_to_string(&files.authority)?;
            let plain_tls = TlsOptions { authorities_pem, system_authorities: false, ..TlsOptions::default() };
            let key = Secret::new(read_to_string(&files.client_key)?);
            let identity_pem = Some((read_to_string(&files.client_certificate)?, key));
            let mutual_tls = Some(TlsOptions { identity_pem, ..plain_tls.clone() });
            let tls = Some(plain_tls);
            let plain = Some(Sasl::Plain { username: USER.to_owned(), password: Secret::new(PASSWORD) });
            let right = [
                (Listener::Tls, Security { tls: tls.clone(), sasl: None }),
                (Listener::MutualTls, Security { tls: mutual_tls.clone(), sasl: None }),
                (Listener::Sasl, Security { tls: None, sasl: plain.clone() }),
                (Listener::Sasl, Security { tls: None, sasl: scram(ScramMechanism::Sha256, PASSWORD) }),
                (Listener::SaslTls, Security { tls: tls.clone(), sasl: scram(ScramMechanism::Sha512, PASSWORD) }),
            ];
            for (number, (listener, security)) in right.into_iter().enumerate() {
                let cluster = Cluster::connect(options(server.bootstrap_by(listener), security)).await?;
                let name = format!("way-{number}");
                let topic =
                    NewTopic { name: name.clone(), partitions: Some(1), replicas: Some(1), settings: Vec::new() };
                cluster.create_topic(&topic).await?;
                let producer = Producer::new(&cluster, ProducerOptions::default());
                producer.send(&name, 0, batch(&["one", "two"], Compression::Zstd)?).await?.await?;
                let bodies = read_topic(&cluster, &name, FetchOptions::default()).await?;
                assert_eq!(bodies.get(&0), Some(&vec!["one".to_owned(), "two".to_owned()]));
            }
            let wrong = [
                (Listener::MutualTls, Security { tls: tls.clone(), sasl: None }),
                (Listener::Sasl, Security { tls: None, sasl: scram(ScramMechanism::Sha256, "wrong") }),
                (Listener::SaslTls, Security { tls: None, sasl: plain }),
            ];
            for (listener, security) in wrong {
                let outcome = Cluster::connect(options(server.bootstrap_by(listener), security)).await;
                assert!(outcome.is_err(), "{listener:?}");
            }
            Ok(())
        })
    })
}
