//! Contexts in a real realm. Ignored, with the reason, where Kerberos's server cannot be had.

use std::path::Path;

use libtest_mimic::{Arguments, Failed};
use tempfile::TempDir;
use weir_gssapi::{Acceptor, Context, Credentials, GssError, Mechanism, Step};
use weir_servers::kerberos::{self, Realm};
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // SAFETY: there is no other thread yet. The library reads this in its own time, and there is no other way to tell it.
    unsafe { std::env::set_var("KRB5_CONFIG", kerberos::configuration(folder.path())) };
    let trials = vec![trial("contexts_in_a_real_realm", &kerberos::find(), move || contexts(&folder))];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Scenario: a client with a keytab and a service in a realm of their own, by Kerberos and by SPNEGO; then a service that the
/// realm does not know, a keytab without the client's key, a cache that is not there, and messages that were changed.
/// Guarantees: both sides agree and understand each other's messages, signed and encrypted; whatever is wrong is refused
/// with a text that says what.
fn contexts(folder: &TempDir) -> Result<(), Failed> {
    let realm = Realm::start(folder.path())?;
    let client = realm.add("weir")?;
    let service = realm.add("kafka/127.0.0.1")?;
    let credentials = Credentials::Keytab { principal: "weir".to_owned(), path: client.clone() };
    for mechanism in [Mechanism::Kerberos, Mechanism::Spnego] {
        // Twice: the second time the tickets are there.
        for _ in 0..2 {
            agree(mechanism, &credentials, &service)?;
        }
    }
    refusals(&credentials, &client)
}

fn agree(mechanism: Mechanism, credentials: &Credentials, service: &Path) -> Result<(), Failed> {
    let mut client = Context::new("kafka@127.0.0.1", mechanism, credentials)?;
    let mut server = Acceptor::new(mechanism, service)?;
    assert!(matches!(client.wrap(b"early", false), Err(GssError::OutOfTurn { established: false, .. })));
    let mut token = Vec::new();
    loop {
        token = match client.step(&token)? {
            Step::Continue(token) | Step::Done(Some(token)) => token,
            Step::Done(None) => break,
        };
        match server.step(&token)? {
            Step::Continue(answer) | Step::Done(Some(answer)) => token = answer,
            Step::Done(None) => break,
        }
    }
    assert!(client.is_established(), "{client:?}");
    assert!(matches!(client.step(b""), Err(GssError::OutOfTurn { established: true, .. })));
    for confidential in [false, true] {
        let wrapped = client.wrap(b"from the client", confidential)?;
        assert_eq!(wrapped.windows(4).any(|window| window == b"from"), !confidential);
        assert_eq!(server.unwrap(&wrapped)?, b"from the client");
        let mut wrapped = server.wrap(b"", confidential)?;
        assert_eq!(client.unwrap(&wrapped)?, b"");
        let last = wrapped.len() - 1;
        wrapped[last] ^= 1;
        let error = client.unwrap(&wrapped).expect_err("changed");
        assert!(error.to_string().starts_with("cannot check a message of kafka@127.0.0.1: "), "{error}");
    }
    Ok(())
}

fn refusals(credentials: &Credentials, keytab: &Path) -> Result<(), Failed> {
    let error = Context::new("hdfs@127.0.0.1", Mechanism::Kerberos, credentials)?.step(b"").expect_err("unknown");
    let text = error.to_string();
    assert!(text.starts_with("cannot open a security context with hdfs@127.0.0.1: "), "{text}");
    assert!(text.contains("hdfs/127.0.0.1@WEIR.TEST not found in Kerberos database"), "{text}");
    let stranger = Credentials::Keytab { principal: "stranger".to_owned(), path: keytab.to_owned() };
    let opened = Context::new("kafka@127.0.0.1", Mechanism::Kerberos, &stranger);
    let text = opened.and_then(|mut context| context.step(b"")).expect_err("no key").to_string();
    assert!(text.contains("stranger"), "{text}");
    let cache = Credentials::Cache { path: keytab.with_file_name("no-cache") };
    let opened = Context::new("kafka@127.0.0.1", Mechanism::Kerberos, &cache);
    let text = opened.and_then(|mut context| context.step(b"")).expect_err("no tickets").to_string();
    assert!(text.contains("no-cache"), "{text}");
    let broken = Credentials::Cache { path: "a\0b".into() };
    let error = Context::new("kafka@127.0.0.1", Mechanism::Kerberos, &broken).err();
    assert!(matches!(error, Some(GssError::ZeroByte { what: "the ticket cache", .. })), "{error:?}");
    Ok(())
}
