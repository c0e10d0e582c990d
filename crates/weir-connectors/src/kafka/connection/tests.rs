use std::io::Write as _;

use weir_config::{Catalogue, ComponentKind, Diagnostics, Document, OptionSpec, TypeSpec};
use weir_kafka::{KerberosCredentials, Sasl, TokenSource};

use super::{CONNECTION_OPTIONS, ConnectionSpec, joined, total};
use crate::kafka::record::{RECORD_OPTIONS, RecordSpec};

const PARTS: &[&[OptionSpec]] = &[CONNECTION_OPTIONS, RECORD_OPTIONS];
static OPTIONS: [OptionSpec; total(PARTS)] = joined(PARTS);
static SPEC: TypeSpec =
    TypeSpec { kind: ComponentKind::Source, name: "kafka", aliases: &[], summary: "Test.", options: &OPTIONS };

/// Both specifications of a source with these options, and all that is said about them.
fn parse(options: &str) -> (Option<(ConnectionSpec, RecordSpec)>, String) {
    let text = format!("[channels.c]\ntype = 'x'\n[sources.in]\ntype = 'kafka'\nchannels = ['c']\n{options}");
    let catalogue = Catalogue::new(&[]).with_type(SPEC).with_type(TypeSpec {
        kind: ComponentKind::Channel,
        name: "x",
        options: &[],
        ..SPEC
    });
    assert_eq!(catalogue.faults(), Vec::<String>::new());
    let (document, mut diagnostics) = Document::parse(&[("test.toml", &text)]);
    let (config, found) = document.check(&catalogue, &|_| None);
    diagnostics.append(found);
    let mut faults = Diagnostics::new();
    let parsed = config.sources.first().and_then(|source| {
        let connection = ConnectionSpec::parse(&source.options, &mut faults);
        let records = RecordSpec::parse(&source.options, &mut faults);
        connection.zip(records)
    });
    diagnostics.append(faults);
    (parsed, diagnostics.render(false))
}

/// Scenario: options with one fault each.
/// Guarantees: each is refused with the line it is in and what to write instead; a risk is a warning.
#[test]
fn faults_are_told_with_their_place() {
    let cases = [
        ("brokers = ['kafka1']", "no port"),
        ("brokers = ['a:9092,b:9092']", "not a host name"),
        ("brokers = ['a:0']", "port 0"),
        ("brokers = []", "at least one item"),
        ("brokers = ['a:1']\ntls = { ca = 'x', key = 'y' }", "key needs certificate"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'SCRAM-SHA-256', user = 'u' }", "needs password"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'PLAIN', user = 'u', password = 'open' }", "expected"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'GSSAPI', user = 'u' }", "no effect with mechanism GSSAPI"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'GSSAPI', keytab = '/k' }", "a principal with its keytab"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'OAUTHBEARER' }", "needs token_file or token_url"),
        ("brokers = ['a:1']\nsasl = { mechanism = 'OAUTHBEARER', token_url = 'https://x' }", "needs client_secret"),
        ("brokers = ['a:1']\nheaders = 'list'", "needs header_names"),
        ("brokers = ['a:1']\nheader_names = ['host']", "no effect"),
    ];
    for (options, expected) in cases {
        let (parsed, text) = parse(options);
        assert!(parsed.is_none() || text.contains("error"), "{options} was taken");
        assert!(text.contains(expected) && text.contains("test.toml:"), "{options}: {text}");
        assert!(!text.contains("open"), "a secret in a message: {text}");
    }
    let sasl = "sasl = { mechanism = 'PLAIN', user = 'u', password = 'env:P' }";
    let (parsed, text) = parse(&format!("brokers = ['a:1']\n{sasl}"));
    assert!(parsed.is_some() && text.contains("warning") && text.contains("PLAIN without TLS"), "{text}");
}

/// Scenario: certificates and passwords in files; one of them is missing at the start.
/// Guarantees: checking reads none of them; starting reads all, and names the option and the file that is missing.
#[test]
fn files_are_read_at_the_start() {
    let mut secret = tempfile::NamedTempFile::new().expect("a file");
    writeln!(secret, "s3cret").expect("written");
    let path = secret.path().display();
    let both = format!(
        "brokers = ['a:1', '[::1]:2']\ntls = {{ ca = '{path}' }}\n\
         sasl = {{ mechanism = 'SCRAM-SHA-512', user = 'u', password = 'file:{path}' }}"
    );
    let (parsed, text) = parse(&both);
    let (connection, _) = parsed.unwrap_or_else(|| panic!("{text}"));
    let options = connection.cluster_options("source in").expect("readable");
    assert_eq!(options.bootstrap, ["a:1", "[::1]:2"]);
    let security = &options.connection.security;
    assert_eq!(security.tls.as_ref().map(|tls| tls.authorities_pem.as_str()), Some("s3cret\n"));
    assert!(matches!(&security.sasl, Some(Sasl::Scram { username, .. }) if username == "u"));
    assert!(!format!("{options:?} {connection:?}").contains("s3cret"), "a secret is shown");

    let (parsed, _) = parse("brokers = ['a:1']\ntls = { ca = '/nowhere/ca.pem' }");
    let (connection, _) = parsed.expect("not read yet");
    let message = connection.cluster_options("source in").expect_err("missing").to_string();
    assert!(message.starts_with("source in: sources.in.tls.ca (test.toml:7"), "{message}");
    assert!(message.contains("/nowhere/ca.pem"), "{message}");
    let (parsed, _) = parse("brokers = ['a:1']\ntls = {}");
    let options = parsed.expect("sound").0.cluster_options("x").expect("nothing to read");
    assert!(options.connection.security.tls.is_some_and(|tls| tls.system_authorities));
    let (parsed, _) = parse("brokers = ['a:1']\ntls = { enabled = false, ca = '/nowhere/ca.pem' }");
    assert!(parsed.expect("off").0.cluster_options("x").expect("not read").connection.security.tls.is_none());
}

/// Scenario: tokens from a file, tokens from an endpoint, Kerberos with a keytab.
/// Guarantees: each becomes the client's own options, with secrets read and never shown.
#[test]
fn every_mechanism_is_passed_on() {
    let mut secret = tempfile::NamedTempFile::new().expect("a file");
    writeln!(secret, "s3cret").expect("written");
    let sasl = |table: &str| {
        let (parsed, text) = parse(&format!("brokers = ['a:1']\ntls = {{}}\nsasl = {{ {table} }}"));
        let (connection, _) = parsed.unwrap_or_else(|| panic!("{text}"));
        let options = connection.cluster_options("source in").expect("readable");
        assert!(!format!("{options:?} {connection:?}").contains("s3cret"), "a secret is shown");
        options.connection.security.sasl.expect("given")
    };
    let file = sasl("mechanism = 'OAUTHBEARER', token_file = '/run/token', extensions = { pool = 'p' }");
    assert!(
        matches!(&file, Sasl::OauthBearer { token: TokenSource::File { .. }, extensions } if extensions.len() == 1)
    );
    let endpoint = sasl(&format!(
        "mechanism = 'OAUTHBEARER', token_url = 'https://id/token', client_id = 'weir', client_secret = 'file:{}', \
         scope = 'kafka', token_parameters = {{ audience = 'a' }}",
        secret.path().display()
    ));
    let Sasl::OauthBearer { token: TokenSource::Endpoint(endpoint), .. } = endpoint else { panic!("{endpoint:?}") };
    assert_eq!((endpoint.url.as_str(), endpoint.scope.as_deref()), ("https://id/token", Some("kafka")));
    assert!(endpoint.system_authorities && endpoint.parameters == [("audience".to_owned(), "a".to_owned())]);
    let kerberos = sasl("mechanism = 'GSSAPI', principal = 'weir@X', keytab = '/k'");
    let Sasl::Gssapi { service, credentials } = kerberos else { panic!("{kerberos:?}") };
    assert!(service == "kafka" && matches!(credentials, KerberosCredentials::Keytab { .. }));
}
