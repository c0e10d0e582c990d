//! WebHDFS of a cluster that wants Kerberos.

use std::path::Path;

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;
use weir_gssapi::Credentials;
use weir_hdfs::webhdfs::{Authentication, WebHdfs, WebHdfsOptions};
use weir_hdfs::{CreateOptions, FileSystem, HdfsErrorKind};
use weir_servers::hdfs::{Cluster, ClusterOptions, Distribution};
use weir_servers::kerberos::{self, REALM, Realm};
use weir_servers::{Unavailable, trial};

/// The folder of a realm that is yet to be started, announced to Kerberos's library and to every Java machine.
pub(crate) fn announced() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = kerberos::configuration(folder.path());
    let java = format!("-Djava.security.krb5.conf={}", file.display());
    // SAFETY: there is no other thread yet. The library reads this in its own time, and there is no other way to tell it.
    unsafe { std::env::set_var("KRB5_CONFIG", file) };
    // SAFETY: as above.
    unsafe { std::env::set_var("JAVA_TOOL_OPTIONS", java) };
    folder
}

pub(crate) fn trials(hdfs: &Result<Distribution, Unavailable>, folder: TempDir) -> Vec<Trial> {
    let needed = hdfs.clone().and_then(|_| kerberos::find());
    vec![trial("webhdfs_with_kerberos", &needed, move || in_a_realm(folder.path()))]
}

fn properties(realm: &Realm) -> Result<Vec<(String, String)>, Failed> {
    let (service, web) = (realm.add("hdfs/127.0.0.1")?, realm.add("HTTP/127.0.0.1")?);
    let (service, web) = (service.display().to_string(), web.display().to_string());
    let (service_name, web_name) = (format!("hdfs/127.0.0.1@{REALM}"), format!("HTTP/127.0.0.1@{REALM}"));
    let all = [
        ("hadoop.security.authentication", "kerberos"),
        ("hadoop.security.authorization", "false"),
        ("dfs.namenode.kerberos.principal", &service_name),
        ("dfs.namenode.keytab.file", &service),
        ("dfs.datanode.kerberos.principal", &service_name),
        ("dfs.datanode.keytab.file", &service),
        ("dfs.web.authentication.kerberos.principal", &web_name),
        ("dfs.web.authentication.kerberos.keytab", &web),
        ("hadoop.http.authentication.type", "kerberos"),
        ("hadoop.http.authentication.kerberos.principal", &web_name),
        ("hadoop.http.authentication.kerberos.keytab", &web),
        ("dfs.block.access.token.enable", "true"),
        ("dfs.data.transfer.protection", "authentication"),
        // Ports below 1024, or TLS: not on loopback.
        ("ignore.secure.ports.for.testing", "true"),
    ];
    Ok(all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// Scenario: a cluster in a realm; a client with a keytab writes, lists, renames and reads; another has no proof, a third a
/// keytab of somebody unknown.
/// Guarantees: the first is let in, by a ticket once and a cookie after that; the others hear why not.
fn in_a_realm(folder: &Path) -> Result<(), Failed> {
    let realm = Realm::start(folder)?;
    let keytab = realm.add("weir")?;
    let properties = properties(&realm)?;
    let options = ClusterOptions { datanodes: 1, replication: 1, properties, ..ClusterOptions::default() };
    Cluster::with(options, |cluster| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut options = WebHdfsOptions::new(vec![cluster.web_address().to_string()], false);
        options.authentication =
            Authentication::Kerberos(Credentials::Keytab { principal: "weir".to_owned(), path: keytab.clone() });
        let files = WebHdfs::new(options.clone())?;
        runtime.block_on(async {
            let mut writer = files.create("/events/a.tmp", &CreateOptions::default()).await?;
            writer.write(Bytes::from_static(b"one\n")).await?;
            writer.flush().await?;
            writer.write(Bytes::from_static(b"two\n")).await?;
            assert_eq!(writer.close().await?, 8);
            files.rename("/events/a.tmp", "/events/a").await?;
            let listed = files.list("/events").await?;
            assert_eq!((listed[0].name.as_str(), listed[0].bytes, listed[0].owner.as_str()), ("a", 8, "weir"));
            let mut reader = files.open("/events/a", 4).await?;
            assert_eq!(reader.read().await?.as_deref(), Some(&b"two\n"[..]));
            Ok::<(), weir_hdfs::HdfsError>(())
        })?;
        for (authentication, why) in [
            (Authentication::Simple, "the server wants proof of who we are"),
            (
                Authentication::Kerberos(Credentials::Keytab { principal: "nobody".to_owned(), path: keytab.clone() }),
                "nobody",
            ),
            (Authentication::Token("AAAA".to_owned()), "SecurityException"),
        ] {
            let files = WebHdfs::new(WebHdfsOptions { authentication, ..options.clone() })?;
            let error = runtime.block_on(files.list("/events")).expect_err("not let in");
            assert_eq!(error.kind, HdfsErrorKind::PermissionDenied, "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        Ok(())
    })
}
