//! From an address and settings to a client of S3.
//!
//! ```text
//! s3://BUCKET/PREFIX   the prefix as it is written
//! settings             beat AWS_* variables, one by one; keys and token are one set and come from one place
//! no credentials       those of the machine, if it has some: asked once, not for as long as a server is waited for
//! ```

use std::net::TcpStream;
use std::time::Duration;

use daysum_core::{Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};
use url::{Host, Url};

use crate::discreet::discreet;
use crate::open::StoreSettings;

pub(crate) fn open(address: &str, settings: &StoreSettings) -> Result<(AmazonS3, Path)> {
    let (bucket, prefix) = bucket_and_prefix(address)?;
    let (key, secret) = (given(&settings.access_key), given(&settings.secret_key));
    let token = given(&settings.session_token);
    let mut builder = match (key, secret) {
        (Some(key), Some(secret)) => {
            let builder = from_environment(false).with_access_key_id(key).with_secret_access_key(secret);
            token.into_iter().fold(builder, AmazonS3Builder::with_token)
        }
        (None, None) if token.is_none() => from_environment(true),
        _ => {
            return Err(Error::config(
                "half of the S3 credentials: give s3.access_key and s3.secret_key (S3_ACCESS_KEY, S3_SECRET_KEY)",
            ));
        }
    };
    let machine = asks_the_machine(&builder);
    if machine.as_ref().is_some_and(|machine| !answers(machine)) {
        return Err(Error::config(
            "no S3 credentials: give S3_ACCESS_KEY and S3_SECRET_KEY (s3.access_key, s3.secret_key; AWS_* do as well). \
             This machine has no role that would give some: its metadata address does not answer",
        ));
    }
    if let Some(region) = given(&settings.region) {
        builder = builder.with_region(region);
    }
    if settings.virtual_hosted {
        builder = builder.with_virtual_hosted_style_request(true);
    }
    let mut client = ClientOptions::new();
    let from_variable = |name: &&str| given(&std::env::var(name).ok());
    let from_variables = || ENDPOINTS.iter().find_map(from_variable);
    if let Some(endpoint) = given(&settings.endpoint).or_else(from_variables) {
        let endpoint = endpoint_of(&endpoint, &bucket, settings)?;
        client = client.with_allow_http(endpoint.scheme() == "http");
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
    }
    client = client
        .with_allow_invalid_certificates(settings.accept_any_certificate)
        .with_timeout(settings.timeout.unwrap_or(Duration::from_secs(60)))
        .with_connect_timeout(Duration::from_secs(10));
    let mut retry = RetryConfig::default();
    retry.retry_timeout = settings.retry_timeout.unwrap_or(retry.retry_timeout);
    retry.max_retries = 10_000; // the time is the limit
    let store = builder.with_bucket_name(bucket).with_client_options(client).with_retry(retry).build();
    let store = store.map_err(|error| refuse(address, &discreet(&error)))?;
    Ok((store, prefix))
}

/// What is set to nothing, as compose files leave it, is not set.
fn given(value: &Option<String>) -> Option<String> {
    value.clone().filter(|value| !value.is_empty())
}

pub(crate) fn bucket_and_prefix(address: &str) -> Result<(String, Path)> {
    let (_, rest) = address.split_once("://").ok_or_else(|| refuse(address, "is no address"))?;
    if rest.contains('?') {
        let reason = "an S3 address has no query; credentials are settings (S3_ACCESS_KEY, S3_SECRET_KEY)";
        return Err(refuse(address, reason));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if bucket.is_empty() || !bucket.bytes().all(is_name) {
        return Err(refuse(address, "names no bucket; write s3://BUCKET/PREFIX"));
    }
    let prefix = Path::parse(prefix).map_err(|error| refuse(address, &discreet(&error)))?;
    Ok((bucket.to_owned(), prefix))
}

fn refuse(address: &str, reason: &str) -> Error {
    Error::config(format!("{}: {reason}", discreet(&address)))
}

/// What `AWS_*` variables say. One that is empty says nothing, and an endpoint is checked elsewhere.
fn from_environment(with_credentials: bool) -> AmazonS3Builder {
    use AmazonS3ConfigKey::{AccessKeyId, Endpoint, Region, S3Endpoint, SecretAccessKey, Token};
    let mut builder = AmazonS3Builder::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok()).flatten();
        match key {
            None | Some(Endpoint | S3Endpoint) => {}
            Some(AccessKeyId | SecretAccessKey | Token) if !with_credentials => {}
            Some(key) if !value.is_empty() => builder = builder.with_config(key, value),
            Some(_) => {}
        }
    }
    match builder.get_config_value(&Region) {
        Some(_) => builder,
        None => builder.with_region("us-east-1"),
    }
}

/// The metadata service that the client gets credentials from, where nothing else names any.
fn asks_the_machine(builder: &AmazonS3Builder) -> Option<Url> {
    use AmazonS3ConfigKey::*;
    let set = |key: &AmazonS3ConfigKey| builder.get_config_value(key);
    let by_keys = [AccessKeyId, SecretAccessKey, WebIdentityTokenFile];
    let by_container = [ContainerCredentialsRelativeUri, ContainerCredentialsFullUri];
    let is_unsigned = set(&SkipSignature).as_deref() == Some("true");
    if is_unsigned || by_keys.iter().chain(&by_container).any(|key| set(key).is_some()) {
        return None;
    }
    Url::parse(set(&MetadataEndpoint).as_deref().unwrap_or("http://169.254.169.254")).ok()
}

fn answers(service: &Url) -> bool {
    let addresses = service.socket_addrs(|| None).unwrap_or_default();
    addresses.iter().any(|address| TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok())
}

/// Where an endpoint comes from that no setting names, the first one first.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// The endpoint as the client wants it: with the bucket, where that belongs into the host's name.
fn endpoint_of(endpoint: &str, bucket: &str, settings: &StoreSettings) -> Result<Url> {
    let address = Url::parse(endpoint.trim()).ok();
    let address = address.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut address) = address else {
        return Err(Error::config("the S3 endpoint is no address; write https://HOST or http://HOST:PORT"));
    };
    let is_loopback = match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let host = address.host_str().unwrap_or_default().to_owned();
    if address.scheme() == "http" && !(settings.allow_http || is_loopback) {
        return Err(Error::config(format!(
            "plain HTTP to {host}: anyone on the way can read; allow it with s3.use_ssl: false (S3_USE_SSL=false)"
        )));
    }
    if settings.virtual_hosted && address.set_host(Some(&format!("{bucket}.{host}"))).is_err() {
        return Err(Error::config(format!(
            "{host} is no name that a bucket could be part of; use s3.path_style: true"
        )));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_asked_where_nothing_names_credentials() {
        let asked = |settings: &[(AmazonS3ConfigKey, &str)]| {
            let builder = AmazonS3Builder::new();
            asks_the_machine(
                &settings.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, *value)),
            )
        };
        let here = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", here.local_addr().expect("bound"));
        let machine = asked(&[(AmazonS3ConfigKey::MetadataEndpoint, &address)]).expect("nothing names any");
        assert!(answers(&machine));
        drop(here);
        assert!(!answers(&machine));
        assert_eq!(asked(&[]).expect("nothing names any").as_str(), "http://169.254.169.254/");
        for (key, value) in [
            (AmazonS3ConfigKey::AccessKeyId, "k"),
            (AmazonS3ConfigKey::WebIdentityTokenFile, "/t"),
            (AmazonS3ConfigKey::ContainerCredentialsRelativeUri, "/c"),
            (AmazonS3ConfigKey::ContainerCredentialsFullUri, "http://c"),
            (AmazonS3ConfigKey::SkipSignature, "true"),
        ] {
            assert_eq!(asked(&[(key, value)]), None, "{key:?}");
        }
    }

    #[test]
    fn a_bucket_is_part_of_the_host_s_name_where_paths_have_none() {
        let settings = |virtual_hosted| StoreSettings { virtual_hosted, ..StoreSettings::default() };
        let endpoint = |text, hosted| endpoint_of(text, "b", &settings(hosted)).map(String::from);
        assert_eq!(endpoint("https://h:1", false).expect("an address"), "https://h:1/");
        assert_eq!(endpoint("https://h:1", true).expect("an address"), "https://b.h:1/");
        assert_eq!(endpoint("http://localhost", true).expect("an address"), "http://b.localhost/");
        for (text, hosted) in
            [("http://127.0.0.1:1", true), ("http://h", false), ("h:1", false), ("ftp://h", false)]
        {
            assert!(endpoint(text, hosted).is_err(), "{text}");
        }
    }
}
