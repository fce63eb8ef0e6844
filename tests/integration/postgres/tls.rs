//! TLS is verified, and nothing falls back to plain text (T-74).

use std::path::{Path, PathBuf};

use daysum_core::Result;
use daysum_io_postgres::{Database, PostgresConfig, RetryPolicy};
use daysum_tests::postgres::Server;

use super::schema;

/// A certificate authority and a server certificate for one name, as PEM files in a directory.
fn certificates(directory: &Path, host: &str) -> PathBuf {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("signed");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let server = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let certificate = server.signed_by(&key, &issuer).expect("signed");
    std::fs::write(directory.join("server.crt"), certificate.pem()).expect("written");
    std::fs::write(directory.join("server.key"), key.serialize_pem()).expect("written");
    let authority = directory.join("ca.crt");
    std::fs::write(&authority, ca_certificate.pem()).expect("written");
    authority
}

async fn connect(url: String) -> Result<()> {
    let mut config = PostgresConfig::from_url(&url)?;
    config.retry = RetryPolicy::none();
    Database::new(config, schema()).init().await
}

#[tokio::test]
async fn certificate_and_host_are_verified() {
    let mut server = Server::start_with(&["ssl=off"]);
    let plain =
        connect(format!("postgres://koku@127.0.0.1:{}/postgres?sslmode=require", server.port())).await;
    let refused = plain.expect_err("the server speaks no TLS");
    assert!(!refused.is_retryable() && refused.to_string().contains("TLS"), "{refused}");
    server.stop_now();
    let authority = certificates(&server.data(), "localhost");
    for file in ["server.crt", "server.key", "ca.crt"] {
        server.own(&server.data().join(file));
    }
    server.set("ssl=on");
    server.resume();
    let url = |host: &str, ca: &Path| {
        format!(
            "postgres://koku@{host}:{}/postgres?sslmode=verify-full&sslrootcert={}&hostaddr=127.0.0.1",
            server.port(),
            ca.display()
        )
    };
    connect(url("localhost", &authority)).await.expect("the right authority and host");
    let tls = server.sql("postgres", "SHOW ssl");
    assert_eq!(tls, "on");
    let wrong_host = connect(url("db.example.com", &authority)).await.expect_err("another host");
    assert!(!wrong_host.is_retryable() && wrong_host.to_string().contains("certificate"), "{wrong_host}");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let stranger = certificates(elsewhere.path(), "localhost");
    let wrong_ca = connect(url("localhost", &stranger)).await.expect_err("another authority");
    assert!(!wrong_ca.is_retryable() && wrong_ca.to_string().contains("certificate"), "{wrong_ca}");
    let absent = connect(url("localhost", Path::new("/nonexistent/ca.crt"))).await.expect_err("no file");
    assert!(absent.to_string().contains("sslrootcert"), "{absent}");
}
