//! TLS of the HTTP client.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::WebHdfsError;

/// Trusts the system's authorities and those in `file`. Reads files.
pub(super) fn configuration(file: Option<&Path>) -> Result<ClientConfig, WebHdfsError> {
    let mut roots = RootCertStore::empty();
    // What the system has and rustls cannot read vouches for nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        let wrong = |what: String| WebHdfsError::Authorities { file: file.to_owned(), what };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            found = true;
        }
        if !found {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err(WebHdfsError::NoAuthority);
    }
    with(roots)
}

/// For a client that never speaks TLS: an HTTP client wants to know all the same.
pub(super) fn trusting_nobody() -> Result<ClientConfig, WebHdfsError> {
    with(RootCertStore::empty())
}

fn with(roots: RootCertStore) -> Result<ClientConfig, WebHdfsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
