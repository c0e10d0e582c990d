//! SASL GSSAPI, in a realm of its own.

use std::path::Path;

use libtest_mimic::Failed;
use tempfile::TempDir;
use weir_kafka::{KerberosCredentials, Sasl, Security};
use weir_servers::kafka::{self, Listener, Version};
use weir_servers::kerberos::{self, Realm};

use crate::account::on_runtime;
use crate::security::{options_by, refused, tls_of};
use crate::sessions;

/// The folder of the realm to come, of which this process's Kerberos library is told. To be called before there is any other
/// thread.
pub(crate) fn announced() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // SAFETY: there is no other thread yet. The library reads this in its own time, and there is no other way to tell it.
    unsafe { std::env::set_var("KRB5_CONFIG", kerberos::configuration(folder.path())) };
    folder
}

/// Scenario: brokers of 3.9 and 4.3 in a realm; this client has a keytab, and produces and fetches for more than two sessions
/// of 6 s each; then it asks for a service that the realm does not know, has a keytab without its key, an empty cache, and no
/// keytab at all.
/// Guarantees: every event is there once, in order, and no request fails by a renewal; each wrong way is refused with its
/// reason.
pub(crate) fn keytabs(folder: &Path) -> Result<(), Failed> {
    let realm = Realm::start(folder)?;
    let client = realm.add("weir")?;
    let principal = "kafka/127.0.0.1".to_owned();
    let keytab = realm.add(&principal)?;
    let brokers = kafka::Kerberos { configuration: realm.configuration(), principal, keytab: keytab.clone() };
    let gssapi = |service: &str, credentials: KerberosCredentials| Security {
        tls: None,
        sasl: Some(Sasl::Gssapi { service: service.to_owned(), credentials }),
    };
    let keytab_of = |principal: &str, path: &Path| KerberosCredentials::Keytab {
        principal: principal.to_owned(),
        path: path.to_owned(),
    };
    for version in [Version::V3_9, Version::V4_3] {
        let options = kafka::ClusterOptions {
            version,
            listeners: vec![Listener::Sasl, Listener::SaslTls],
            kerberos: Some(brokers.clone()),
            properties: vec![sessions::limit()],
            ..kafka::ClusterOptions::default()
        };
        kafka::Cluster::with(options, |server| {
            on_runtime(async {
                let right = Security { tls: tls_of(server)?.0, ..gssapi("kafka", keytab_of("weir", &client)) };
                let address = server.bootstrap_by(Listener::SaslTls);
                sessions::outlive(options_by(address, right), "by-ticket").await?;
                let missing = client.with_file_name("missing");
                let cache = KerberosCredentials::Cache { path: missing.clone() };
                let wrong = [
                    (
                        gssapi("hdfs", keytab_of("weir", &client)),
                        "hdfs/127.0.0.1@WEIR.TEST not found in Kerberos database",
                    ),
                    (gssapi("kafka", keytab_of("weir", &keytab)), "no Kerberos ticket: cannot"),
                    (gssapi("kafka", keytab_of("nobody", &client)), "no Kerberos ticket: cannot"),
                    (gssapi("kafka", keytab_of("weir", &missing)), "missing"),
                    (gssapi("kafka", cache), "missing"),
                ];
                for (security, reason) in wrong {
                    refused(server, Listener::Sasl, security, reason).await?;
                }
                Ok::<(), Failed>(())
            })
        })?;
    }
    Ok(())
}
