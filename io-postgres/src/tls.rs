//! TLS by rustls, with certificate and host name always verified.

use std::path::Path;
use std::sync::Arc;

use daysum_core::{Error, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls_improved::MakeRustlsConnect;

use crate::config::PostgresConfig;

/// A connector that trusts the configured file, or else the system's certificates.
pub(crate) fn connector(config: &PostgresConfig) -> Result<MakeRustlsConnect> {
    let roots = match &config.ca_file {
        Some(path) => from_file(path)?,
        None => from_system()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}

fn from_file(path: &Path) -> Result<RootCertStore> {
    let name = path.display().to_string();
    let name = name.escape_debug();
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| refuse(format!("sslrootcert {name} cannot be read: {error}")))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|error| refuse(format!("sslrootcert {name} is no PEM: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(format!("sslrootcert {name} holds a bad certificate: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refuse(format!("sslrootcert {name} holds no certificate")));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that rustls does not accept; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(refuse(
            "the system has no trusted certificates; give sslrootcert=FILE, or sslmode=disable for plain text"
                .to_owned(),
        ));
    }
    Ok(roots)
}

fn refuse(reason: String) -> Error {
    Error::Config { reason }
}
