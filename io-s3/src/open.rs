//! From an address to an object store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daysum_core::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::{Host, Url};

use crate::discreet::discreet;

/// How to reach a store. What is `None` comes from the usual `AWS_*` variables and the AWS chain.
#[derive(Clone, Default)]
pub struct StoreSettings {
    /// Address of a server that is not AWS.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` where nothing says otherwise.
    pub region: Option<String>,
    /// Access key.
    pub access_key: Option<String>,
    /// Its secret.
    pub secret_key: Option<String>,
    /// Its token, where it is a temporary one.
    pub session_token: Option<String>,
    /// Plain HTTP to servers other than this machine.
    pub allow_http: bool,
    /// Accepts any certificate.
    pub accept_any_certificate: bool,
    /// Bucket in the host name instead of the path.
    pub virtual_hosted: bool,
    /// How long one request may take.
    pub timeout: Option<Duration>,
    /// How long a request is tried again (with growing pauses and jitter) before it fails.
    pub retry_timeout: Option<Duration>,
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An endpoint can carry a password, and keys are secrets: none of them is shown.
        f.debug_struct("StoreSettings")
            .field("region", &self.region)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A place in a store: everything below a prefix.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Where keys start.
    pub prefix: Path,
    /// The directory, if it is one.
    pub(crate) directory: Option<PathBuf>,
}

/// What becomes of a directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Make,
    /// It is refused.
    Refuse,
    /// It is taken for empty, and stays missing: for those that only look.
    Empty,
}

impl Place {
    /// Opens `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `https://…`, `file:///…` or a directory. An S3 prefix is taken as it
    /// is written, since keys may hold `#` and `%`.
    pub fn open(address: &str, settings: &StoreSettings, missing: Missing) -> Result<Self> {
        match Url::parse(address).ok().filter(|url| url.scheme().len() > 1) {
            None => Self::directory(address.as_ref(), missing),
            Some(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| refuse(&url, "is no path of this machine"))?;
                Self::directory(&path, missing)
            }
            Some(url) if is_s3(&url) => Self::s3(address, settings),
            Some(url) if url.scheme() == "memory" => Err(refuse(&url, "would be gone with this process")),
            Some(url) => {
                let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
                let (store, prefix) = object_store::parse_url_opts(&url, variables)
                    .map_err(|error| refuse(&url, &discreet(&error)))?;
                Ok(Self { store: store.into(), prefix, directory: None })
            }
        }
    }

    /// Whether it is a directory of this machine.
    pub fn is_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// A path's key relative to the prefix.
    pub(crate) fn key<'a>(&self, path: &'a Path) -> &'a str {
        path.as_ref()[self.prefix.as_ref().len()..].trim_start_matches('/')
    }

    /// A directory; writes reach the disk before they are called done.
    pub fn directory(path: &std::path::Path, missing: Missing) -> Result<Self> {
        let cannot =
            |error: &dyn fmt::Display| Error::Config { reason: format!("{}: {error}", path.display()) };
        match missing {
            Missing::Make => std::fs::create_dir_all(path).map_err(|error| cannot(&error))?,
            Missing::Empty if !path.exists() => {
                let store = Arc::new(InMemory::new());
                return Ok(Self { store, prefix: Path::default(), directory: None });
            }
            Missing::Empty | Missing::Refuse => {}
        }
        // What the store says of a missing directory is its name twice.
        let directory = path.canonicalize().map_err(|error| cannot(&error))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| cannot(&error))?.with_fsync(true);
        Ok(Self { store: Arc::new(store), prefix: Path::default(), directory: Some(directory) })
    }

    fn s3(address: &str, settings: &StoreSettings) -> Result<Self> {
        let (bucket, prefix) = bucket_and_prefix(address)?;
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let keys = match (given(&settings.access_key), given(&settings.secret_key)) {
            (Some(key), Some(secret)) => Some((key, secret)),
            (None, None) => None,
            _ => {
                let half = "half of the S3 credentials: give s3.access_key and s3.secret_key (S3_ACCESS_KEY, S3_SECRET_KEY)";
                return Err(Error::config(half));
            }
        };
        let mut builder = from_environment(keys.is_some()).with_bucket_name(&bucket);
        if settings.virtual_hosted {
            builder = builder.with_virtual_hosted_style_request(true);
        }
        if let Some(region) = given(&settings.region) {
            builder = builder.with_region(region);
        }
        if let Some((key, secret)) = keys {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        if let Some(token) = given(&settings.session_token) {
            builder = builder.with_token(token);
        }
        let mut client = ClientOptions::new();
        let from_variable = |name: &&str| given(&std::env::var(name).ok());
        let from_variables = || ENDPOINTS.iter().find_map(from_variable);
        if let Some(endpoint) = given(&settings.endpoint).or_else(from_variables) {
            let endpoint = checked_endpoint(&endpoint, settings)?;
            client = client.with_allow_http(endpoint.scheme() == "http");
            let mut endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
            if settings.virtual_hosted {
                endpoint = endpoint.replacen("://", &format!("://{bucket}."), 1);
            }
            builder = builder.with_endpoint(endpoint);
        }
        client = client
            .with_allow_invalid_certificates(settings.accept_any_certificate)
            .with_timeout(settings.timeout.unwrap_or(Duration::from_secs(60)))
            .with_connect_timeout(Duration::from_secs(10));
        let mut retry = RetryConfig::default();
        retry.retry_timeout = settings.retry_timeout.unwrap_or(retry.retry_timeout);
        retry.max_retries = 10_000; // the time is the limit
        let store = builder
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|error| Error::config(format!("{}: {}", discreet(&address), discreet(&error))))?;
        Ok(Self { store: Arc::new(store), prefix, directory: None })
    }
}

fn is_s3(url: &Url) -> bool {
    matches!(url.scheme(), "s3" | "s3a")
}

/// Which folder of which store an address names, in a form in which that of a folder is the start of what lies in it.
/// `None` where it names a path of this machine.
pub fn folder(address: &str) -> Result<Option<String>> {
    match Url::parse(address).ok().filter(|url| url.scheme().len() > 1 && url.scheme() != "file") {
        None => Ok(None),
        Some(url) if is_s3(&url) => {
            let (bucket, prefix) = bucket_and_prefix(address)?;
            Ok(Some(format!("{bucket}/{prefix}")))
        }
        Some(url) => {
            let prefix = Path::from_url_path(url.path()).map_err(|error| refuse(&url, &discreet(&error)))?;
            Ok(Some(format!("{}/{prefix}", url.host_str().unwrap_or_default())))
        }
    }
}

fn bucket_and_prefix(address: &str) -> Result<(String, Path)> {
    let cannot = |reason: &str| Error::config(format!("{}: {reason}", discreet(&address)));
    let (_, rest) = address.split_once("://").ok_or_else(|| cannot("is no address"))?;
    if rest.contains('?') {
        return Err(cannot(
            "an S3 address has no query; credentials are settings (S3_ACCESS_KEY, S3_SECRET_KEY)",
        ));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if bucket.is_empty() || !bucket.bytes().all(is_name) {
        return Err(cannot("names no bucket; write s3://BUCKET/PREFIX"));
    }
    let prefix = Path::parse(prefix).map_err(|error| cannot(&discreet(&error)))?;
    Ok((bucket.to_owned(), prefix))
}

/// Where an endpoint comes from that no setting names, the first one first.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// What `AWS_*` variables say. One that is empty says nothing, an endpoint is checked elsewhere, and credentials are one
/// set: where there are others, none of these is used.
fn from_environment(other_credentials: bool) -> AmazonS3Builder {
    use AmazonS3ConfigKey::{AccessKeyId, Endpoint, Region, S3Endpoint, SecretAccessKey, Token};
    let mut builder = AmazonS3Builder::new();
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse().ok()).flatten();
        match key {
            None | Some(Endpoint | S3Endpoint) => {}
            Some(AccessKeyId | SecretAccessKey | Token) if other_credentials => {}
            Some(key) if !value.is_empty() => builder = builder.with_config(key, value),
            Some(_) => {}
        }
    }
    match builder.get_config_value(&Region) {
        Some(_) => builder,
        None => builder.with_region("us-east-1"),
    }
}

fn checked_endpoint(endpoint: &str, settings: &StoreSettings) -> Result<Url> {
    let address = Url::parse(endpoint.trim()).ok();
    let Some(address) = address.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        return Err(Error::config("the S3 endpoint is no address; write https://HOST or http://HOST:PORT"));
    };
    let is_loopback = match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if address.scheme() == "http" && !(settings.allow_http || is_loopback) {
        let host = address.host_str().unwrap_or_default();
        return Err(Error::config(format!(
            "plain HTTP to {host}: anyone on the way can read; allow it with s3.use_ssl: false (S3_USE_SSL=false)"
        )));
    }
    Ok(address)
}

/// Without user, password and query: presigned keys travel there.
fn refuse(url: &Url, reason: &str) -> Error {
    let shown = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    Error::Config { reason: format!("{shown}: {reason}") }
}
