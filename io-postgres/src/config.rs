//! Where the database is and how it is spoken to: a URL or parts, TLS, time limits, retries.
//!
//! | `sslmode` | Unix socket | loopback | any other host |
//! |---|---|---|---|
//! | absent, `prefer`, `allow` | plain | plain | TLS, certificate and host verified |
//! | `require`, `verify-ca`, `verify-full` | refused | TLS, verified | TLS, verified |
//! | `disable` | plain | plain | plain |
//!
//! The surprise worth knowing: there is no mode that encrypts without verifying, and none that falls back
//! to plain text.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use daysum_core::{Error, Result};
use tokio_postgres::config::{Host, SslMode as DriverSslMode};

/// Whether the connection is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text on Unix sockets and loopback, verified TLS everywhere else.
    #[default]
    Auto,
    /// Plain text, because the caller said so.
    Disable,
    /// TLS with certificate and host name verified.
    VerifyFull,
}

/// A connection in parts, for callers that have `PG*` variables or a configuration file.
#[derive(Clone, Default)]
pub struct ConnectionParts {
    /// Host name, address, or directory of the Unix socket; `localhost` when absent.
    pub host: Option<String>,
    /// Port; 5432 when absent.
    pub port: Option<u16>,
    /// Database; the user's name when absent.
    pub database: Option<String>,
    /// User; the name of the account that runs when absent.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
}

impl fmt::Debug for ConnectionParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionParts")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS and authentication included.
    pub connect: Duration,
    /// For one statement, a whole COPY included; zero for no limit. The server enforces it, and the client
    /// gives up half a minute later if the server is silent.
    pub statement: Duration,
    /// To wait for a lock, the writer's own included; zero for no limit.
    pub lock: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            statement: Duration::from_secs(15 * 60),
            lock: Duration::from_secs(60),
        }
    }
}

/// Retries of what [`Error::is_retryable`](daysum_core::Error::is_retryable) allows, with exponential delays and jitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first delay.
    pub min_delay: Duration,
    /// No delay is longer.
    pub max_delay: Duration,
    /// Retries after the first attempt.
    pub retries: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { min_delay: Duration::from_millis(250), max_delay: Duration::from_secs(10), retries: 8 }
    }
}

impl RetryPolicy {
    /// One attempt only.
    pub fn none() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    pub(crate) fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_max_times(self.retries)
            .with_jitter()
            .build()
    }
}

/// Everything needed to connect. Its `Debug` and its errors never show the password.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(crate) driver: tokio_postgres::Config,
    /// Encryption.
    pub ssl_mode: SslMode,
    /// Certificates to trust instead of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Retries.
    pub retry: RetryPolicy,
}

impl PostgresConfig {
    /// Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…` and the other parameters
    /// that tokio-postgres knows. A Unix socket is a percent-encoded host or `?host=/directory`.
    ///
    /// ```
    /// use daysum_io_postgres::PostgresConfig;
    /// let config = PostgresConfig::from_url("postgres://koku:s3cret@db.example.com/koku")?;
    /// assert_eq!(config.to_string(), "db.example.com:5432/koku as koku");
    /// assert!(!format!("{config:?}").contains("s3cret"));
    /// # Ok::<(), daysum_core::Error>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refuse("the address does not start with postgres:// or postgresql://"));
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ssl_mode = SslMode::Auto;
        let mut ca_file = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "sslmode" => ssl_mode = ssl_mode_of(value)?,
                "sslrootcert" if value == "system" => ca_file = None,
                "sslrootcert" => ca_file = Some(PathBuf::from(percent_decode(value)?)),
                "sslcert" | "sslkey" => {
                    return Err(refuse(
                        "client certificates (sslcert, sslkey) are not supported; use a password",
                    ));
                }
                _ => rest.push(pair),
            }
        }
        let address =
            if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        // The driver's own message may quote the address, and with it the password.
        let driver = address
            .parse::<tokio_postgres::Config>()
            .map_err(|_| refuse("it does not read as postgres://user:password@host:port/database?parameter=value; percent-encode special characters"))?;
        Self::new(driver, ssl_mode, ca_file)
    }

    /// Builds a configuration from parts.
    pub fn from_parts(parts: ConnectionParts) -> Result<Self> {
        let mut driver = tokio_postgres::Config::new();
        driver.host(parts.host.as_deref().unwrap_or("localhost"));
        if let Some(port) = parts.port {
            driver.port(port);
        }
        if let Some(database) = parts.database {
            driver.dbname(database);
        }
        if let Some(user) = parts.user {
            driver.user(user);
        }
        if let Some(password) = parts.password {
            driver.password(password);
        }
        Self::new(driver, SslMode::Auto, None)
    }

    fn new(mut driver: tokio_postgres::Config, ssl_mode: SslMode, ca_file: Option<PathBuf>) -> Result<Self> {
        if driver.get_hosts().is_empty() && driver.get_hostaddrs().is_empty() {
            return Err(refuse("it names no host; for a Unix socket add ?host=/directory"));
        }
        // A password with an @ of its own ends too early, and its rest would be shown as the host.
        let rest_of_password = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        if driver.get_hosts().iter().any(rest_of_password) {
            return Err(refuse("its host has an @ in it; in a password write %40 for @"));
        }
        if driver.get_application_name().is_none() {
            driver.application_name("daysum");
        }
        // A peer that vanished without a word is noticed after about a minute instead of hours.
        driver.keepalives_idle(Duration::from_secs(30));
        driver.keepalives_interval(Duration::from_secs(10));
        driver.keepalives_retries(3);
        driver.tcp_user_timeout(Duration::from_secs(60));
        let config =
            Self { driver, ssl_mode, ca_file, timeouts: Timeouts::default(), retry: RetryPolicy::default() };
        if config.ssl_mode == SslMode::VerifyFull && config.only_sockets() {
            return Err(refuse("sslmode asks for TLS, which a Unix socket does not have; leave sslmode out"));
        }
        Ok(config)
    }

    /// Whether the connection is encrypted and verified.
    pub fn uses_tls(&self) -> bool {
        match self.ssl_mode {
            SslMode::Disable => false,
            SslMode::VerifyFull => true,
            SslMode::Auto => !self.is_local(),
        }
    }

    /// The driver's configuration, with its TLS mode set to what this one means.
    pub(crate) fn driver(&self) -> tokio_postgres::Config {
        let mut driver = self.driver.clone();
        driver.ssl_mode(if self.uses_tls() { DriverSslMode::Require } else { DriverSslMode::Disable });
        driver.connect_timeout(self.timeouts.connect);
        driver
    }

    fn only_sockets(&self) -> bool {
        self.driver.get_hostaddrs().is_empty()
            && self.driver.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
    }

    /// The address decides where there is one, since that is where the bytes go.
    fn is_local(&self) -> bool {
        let addresses = self.driver.get_hostaddrs();
        if !addresses.is_empty() {
            return addresses.iter().all(IpAddr::is_loopback);
        }
        self.driver.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        })
    }
}

/// Host, port, database and user: what may be shown.
impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.driver.get_ports();
        let mut places: Vec<String> = Vec::new();
        for (index, host) in self.driver.get_hosts().iter().enumerate() {
            let port = ports.get(index).or(ports.first()).unwrap_or(&5432);
            places.push(match host {
                Host::Tcp(name) => format!("{}:{port}", name.escape_debug()),
                Host::Unix(path) => format!("{}:{port}", path.display().to_string().escape_debug()),
            });
        }
        if places.is_empty() {
            places.extend(self.driver.get_hostaddrs().iter().map(ToString::to_string));
        }
        write!(f, "{}", places.join(","))?;
        if let Some(database) = self.driver.get_dbname() {
            write!(f, "/{}", database.escape_debug())?;
        }
        match self.driver.get_user() {
            Some(user) => write!(f, " as {}", user.escape_debug()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("address", &self.to_string())
            .field("ssl_mode", &self.ssl_mode)
            .field("ca_file", &self.ca_file)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

fn refuse(why: &str) -> Error {
    Error::Config { reason: format!("database address: {why}") }
}

fn ssl_mode_of(text: &str) -> Result<SslMode> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "prefer" | "allow" => Ok(SslMode::Auto),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::VerifyFull),
        _ => Err(refuse("sslmode must be disable, prefer, require, verify-ca or verify-full")),
    }
}

fn percent_decode(text: &str) -> Result<String> {
    let broken = || refuse("a percent-encoded value is broken");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or_else(broken)?;
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(url: &str) -> bool {
        PostgresConfig::from_url(url).expect("a valid address").uses_tls()
    }

    #[test]
    fn plain_text_needs_loopback_a_socket_or_an_explicit_word() {
        for url in
            ["postgres://u@db.example.com/d", "postgres://u@10.1.2.3/d", "postgres://u@db/d?sslmode=prefer"]
        {
            assert!(tls(url), "{url}");
        }
        for url in [
            "postgres://u@127.0.0.1/d",
            "postgres://u@[::1]/d",
            "postgres://u@localhost/d",
            "postgres://u@%2Frun%2Fpg/d",
            "postgres:///d?host=/run/pg&user=u",
            "postgres://u@db.example.com/d?sslmode=disable",
        ] {
            assert!(!tls(url), "{url}");
        }
        assert!(tls("postgres://u@localhost/d?sslmode=verify-full"));
        assert!(tls("postgres://u@localhost/d?sslmode=require&hostaddr=10.0.0.1"));
        // The bytes go to the address, whatever the host is called.
        assert!(tls("postgres://u@localhost/d?hostaddr=10.0.0.1"));
    }

    #[test]
    fn no_error_and_no_debug_shows_the_password() {
        let error =
            PostgresConfig::from_url("postgres://u:s3cr@CANARY@h/d").expect_err("refused").to_string();
        assert!(error.contains("%40") && !error.contains("CANARY"), "{error}");
        let canary = "canary-9f3b";
        for url in [
            format!("postgres://u:{canary}@db.example.com/d"),
            format!("postgres://u:{canary}@db.example.com:port/d"),
            format!("postgres://u:{canary}@db.example.com/d?sslmode=wrong"),
            format!("postgres://u:{canary}@db.example.com/d?unknown=1&password={canary}"),
            format!("postgres://u:{canary}"),
            format!("host=db password={canary}"),
            format!("postgres://db.example.com/d?password={canary}&user=u&sslrootcert=%2"),
        ] {
            let shown = match PostgresConfig::from_url(&url) {
                Ok(config) => format!("{config} {config:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains(canary), "{shown}");
        }
        let parts = ConnectionParts { password: Some(canary.to_owned()), ..ConnectionParts::default() };
        assert!(!format!("{parts:?}").contains(canary));
        let config = PostgresConfig::from_parts(parts).expect("defaults are complete");
        assert!(!format!("{config} {config:?}").contains(canary));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "mysql://h/d",
            "postgres:///d",
            "postgres://u@%2Frun/d?sslmode=require",
            "postgres://h/d?sslcert=x",
        ] {
            assert!(PostgresConfig::from_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn delays_grow_and_end() {
        let delays: Vec<_> = RetryPolicy::default().delays().collect();
        assert_eq!(delays.len(), 8);
        assert!(delays[7] > delays[0]);
        assert_eq!(RetryPolicy::none().delays().count(), 0);
    }
}
