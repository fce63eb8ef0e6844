//! From an address to an object store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daysum_core::{Error, Result};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use crate::discreet::discreet;
use crate::s3;

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
            Some(url) if is_s3(&url) => {
                let (store, prefix) = s3::open(address, settings)?;
                Ok(Self { store: Arc::new(store), prefix, directory: None })
            }
            Some(url) if url.scheme() == "memory" => Err(refuse(&url, "would be gone with this process")),
            Some(url) => {
                let variables = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
                let timeout =
                    settings.timeout.map(|of| ("timeout".to_owned(), format!("{}ms", of.as_millis())));
                let http = settings.allow_http.then(|| ("allow_http".to_owned(), "true".to_owned()));
                let options = variables.chain(timeout).chain(http);
                let (store, prefix) = object_store::parse_url_opts(&url, options)
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
            let (bucket, prefix) = s3::bucket_and_prefix(address)?;
            Ok(Some(format!("{bucket}/{prefix}")))
        }
        Some(url) => {
            let prefix = Path::from_url_path(url.path()).map_err(|error| refuse(&url, &discreet(&error)))?;
            Ok(Some(format!("{}/{prefix}", url.host_str().unwrap_or_default())))
        }
    }
}

/// Without user, password and query: presigned keys travel there.
fn refuse(url: &Url, reason: &str) -> Error {
    let shown = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    Error::Config { reason: format!("{shown}: {reason}") }
}
