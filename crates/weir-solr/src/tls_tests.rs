//! The client and a cluster behind TLS.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::fake::FakeSolr;
use crate::{Client, ClientOptions};

/// An authority, and what a server that it vouches for needs, all PEM.
struct Vouched {
    authority: String,
    certificate: String,
    key: String,
}

fn vouched() -> Result<Vouched, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    Ok(Vouched { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A port whose connections end at the fake.
async fn in_front_of(fake: &FakeSolr, vouched: &Vouched) -> u16 {
    let certificate = CertificateDer::from_pem_slice(vouched.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(vouched.key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("they fit")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let target = fake.url().trim_start_matches("http://").trim_end_matches("/solr").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us breaks off.
            if let Ok(mut outside) = acceptor.accept(stream).await
                && let Ok(mut inside) = TcpStream::connect(&target).await
            {
                tokio::spawn(async move { copy_bidirectional(&mut outside, &mut inside).await });
            }
        }
    });
    port
}

/// Scenario: a cluster behind TLS, and a client that is told of its authority, of another one, and of none that is readable.
/// Guarantees: the first speaks with it; the second does not, and says why; there is no third.
#[test]
fn authorities_are_checked() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let fake = FakeSolr::start().await.expect("a port");
        fake.create("logs", 1);
        let (ours, other) = (vouched().expect("made"), vouched().expect("made"));
        let url = format!("https://localhost:{}/solr", in_front_of(&fake, &ours).await);
        let client = |authorities: &str| {
            let authorities_pem = Some(authorities.to_owned());
            Client::new(ClientOptions { authorities_pem, ..ClientOptions::new([url.clone()]) })
        };
        let state = client(&ours.authority).expect("a client").cluster_state(Some("logs")).await.expect("an answer");
        assert!(state.collection("logs").is_some());
        let error = client(&other.authority).expect("a client").cluster_state(None).await.expect_err("a stranger");
        assert!(error.chain().contains("certificate"), "{}", error.chain());
        assert!(client("no PEM").is_err());
    });
}
