//! From an address to an object store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daysum_core::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use url::Url;

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
    /// Opens `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `https://…`, `file:///…` or a directory.
    pub fn open(address: &str, settings: &StoreSettings, missing: Missing) -> Result<Self> {
        match Url::parse(address).ok().filter(|url| url.scheme().len() > 1) {
            None => Self::directory(address.as_ref(), missing),
            Some(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| refuse(&url, "is no path of this machine"))?;
                Self::directory(&path, missing)
            }
            Some(url) if matches!(url.scheme(), "s3" | "s3a") => Self::s3(&url, settings),
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

    fn s3(url: &Url, settings: &StoreSettings) -> Result<Self> {
        let bucket =
            url.host_str().ok_or_else(|| refuse(url, "names no bucket; write s3://BUCKET/PREFIX"))?;
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let environment = |name: &str| std::env::var(name).ok();
        if settings.region.is_none()
            && environment("AWS_REGION").or(environment("AWS_DEFAULT_REGION")).is_none()
        {
            builder = builder.with_region("us-east-1");
        }
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        if let Some(region) = given(&settings.region) {
            builder = builder.with_region(region);
        }
        if let (Some(key), Some(secret)) = (given(&settings.access_key), given(&settings.secret_key)) {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        if let Some(token) = given(&settings.session_token) {
            builder = builder.with_token(token);
        }
        let mut client = ClientOptions::new();
        let endpoint = given(&settings.endpoint)
            .or(environment("AWS_ENDPOINT_URL_S3"))
            .or(environment("AWS_ENDPOINT_URL"));
        if let Some(endpoint) = endpoint {
            let address = Url::parse(&endpoint).map_err(|_| Error::Config {
                reason: "the S3 endpoint is no address; write https://HOST or http://HOST:PORT".into(),
            })?;
            let loopback = matches!(address.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            if address.scheme() == "http" && !(settings.allow_http || loopback) {
                let host = address.host_str().unwrap_or_default();
                return Err(Error::Config {
                    reason: format!(
                        "plain HTTP to {host}: anyone on the way can read; allow it with s3.use_ssl: false (S3_USE_SSL=false)"
                    ),
                });
            }
            client = client.with_allow_http(address.scheme() == "http");
            builder =
                builder.with_endpoint(endpoint).with_virtual_hosted_style_request(settings.virtual_hosted);
        }
        client = client
            .with_allow_invalid_certificates(settings.accept_any_certificate)
            .with_timeout(settings.timeout.unwrap_or(Duration::from_secs(60)))
            .with_connect_timeout(Duration::from_secs(10));
        let mut retry = RetryConfig::default();
        retry.retry_timeout = settings.retry_timeout.unwrap_or(retry.retry_timeout);
        let store = builder
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|error| refuse(url, &discreet(&error)))?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| refuse(url, &discreet(&error)))?;
        Ok(Self { store: Arc::new(store), prefix, directory: None })
    }
}

/// Without user, password and query: presigned keys travel there.
fn refuse(url: &Url, reason: &str) -> Error {
    let shown = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    Error::Config { reason: format!("{shown}: {reason}") }
}
