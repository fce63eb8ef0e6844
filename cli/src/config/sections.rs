//! The configuration as types, section by section, and how settings become it.

use std::path::PathBuf;

use daysum_core::finalise::OnNodelessVolume;
use daysum_core::labels::OnMalformed;
use daysum_core::{Day, FoldOptions, PolicyOptions};

use super::form::Value;
use super::layers::Settings;
use super::secret::{Address, Secret};
use super::{Config, keys};

/// Keys of `run:`, and those of `performance:` that mean the same.
#[derive(Debug, Clone)]
pub struct Run {
    /// Directory or URL to read.
    pub input: Option<Address>,
    /// Directory or URL to write to.
    pub output: Option<Address>,
    /// Lookups file.
    pub lookups: Option<PathBuf>,
    /// `parquet`, `csv`, `arrow` or `jsonl`.
    pub format: &'static str,
    /// Whether days are only finished when everything is folded.
    pub in_memory: bool,
    /// Threads.
    pub threads: Option<usize>,
    /// Days written at once.
    pub writers: Option<usize>,
    /// Bytes of memory.
    pub memory_limit: u64,
    /// Where state that outgrows memory goes.
    pub spill_dir: Option<PathBuf>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Reads under way at once.
    pub reads: usize,
}

/// What happens to an object that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBad {
    /// Its day keeps its old summary.
    #[default]
    HoldDay,
    /// It is left out and reported.
    SkipAndReport,
}

/// Keys of `policy:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// An unreadable object.
    pub bad_file: OnBad,
    /// What folding leaves open: label text that is neither JSON nor a pipe string.
    pub fold: FoldOptions,
    /// What finishing leaves open: a volume on no node.
    pub finalise: PolicyOptions,
    /// Whether one manifest per day is kept by object metadata.
    pub dedupe: bool,
}

/// Keys of `metrics:`.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// File in Prometheus' text form.
    pub textfile: Option<PathBuf>,
    /// Address to listen on.
    pub listen: Option<String>,
}

/// Keys of `logging:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// Whether lines are JSON.
    pub json: bool,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
}

/// Keys of `features:` that are obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Whether rows carry a cost category.
    pub cost_category: bool,
    /// Whether storage is summarised.
    pub storage_aggregation: bool,
}

/// Keys of `ocp:`.
#[derive(Debug, Clone)]
pub struct Ocp {
    /// Human name of the cluster.
    pub cluster_alias: Option<String>,
    /// Cluster identifier.
    pub cluster_id: Option<String>,
    /// The source.
    pub provider_uuid: Option<String>,
    /// Report period.
    pub report_period_id: Option<i32>,
    /// Year.
    pub year: Option<u32>,
    /// Month.
    pub month: Option<u32>,
    /// First day.
    pub start_date: Option<Day>,
    /// Last day.
    pub end_date: Option<Day>,
    /// Path templates in the order of the table, without the absent ones.
    pub paths: Vec<String>,
}

/// Keys of `s3:`.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Address of the server.
    pub endpoint: Option<Address>,
    /// Access key.
    pub access_key: Option<Secret>,
    /// Its secret.
    pub secret_key: Option<Secret>,
    /// Its token, where it is a temporary one.
    pub session_token: Option<Secret>,
    /// Bucket of an input that names none.
    pub bucket: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Whether plain HTTP is allowed.
    pub allow_http: bool,
    /// Whether certificates are verified.
    pub verify_ssl: bool,
    /// Whether the bucket stands in the path.
    pub path_style: bool,
    /// Seconds to wait for the server.
    pub timeout: u64,
    /// Seconds for which a request is tried again.
    pub retry_timeout: u64,
}

/// Keys of `postgresql:`.
#[derive(Debug, Clone)]
pub struct Postgresql {
    /// Address as a whole; beats the parts.
    pub url: Option<Secret>,
    /// Host or directory of the socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Database.
    pub database: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Tenant schema.
    pub schema: Option<String>,
    /// As libpq spells it.
    pub sslmode: Option<&'static str>,
    /// Certificates to trust.
    pub sslrootcert: Option<PathBuf>,
    /// Seconds.
    pub connect_timeout: u64,
    /// Seconds; 0 for none.
    pub statement_timeout: u64,
    /// Seconds; 0 for none.
    pub lock_timeout: u64,
    /// Retries after the first attempt.
    pub retries: usize,
    /// Whether the registry tables are written too.
    pub registry: bool,
}

impl Config {
    pub(super) fn from_settings(settings: Settings) -> Self {
        let get = |path| settings.value(path);
        let text = |path| match get(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        let address = |path| match get(path) {
            Some(Value::Address(address)) => Some(address),
            _ => None,
        };
        let path = |key| text(key).map(PathBuf::from);
        let secret = |path| match get(path) {
            Some(Value::Secret(secret)) => Some(secret),
            _ => None,
        };
        let switch = |path| get(path) == Some(Value::Switch(true));
        let count = |path| match get(path) {
            Some(Value::Count(count)) => Some(count),
            _ => None,
        };
        let size = |path| count(path).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let day = |path| match get(path) {
            Some(Value::Date(day)) => Some(day),
            _ => None,
        };
        let choice = |path| match get(path) {
            Some(Value::Choice(word)) => Some(word),
            _ => None,
        };
        // Of keys that have a default.
        let number = |path| count(path).expect("a number by default");
        let word = |path| choice(path).expect("a word by default");
        Self {
            run: Run {
                input: address("run.input"),
                output: address("run.output"),
                lookups: path("run.lookups"),
                format: word("run.format"),
                in_memory: word("run.mode") == "in-memory",
                threads: size("run.threads"),
                writers: size("run.writers"),
                memory_limit: number("run.memory_limit"),
                spill_dir: path("run.spill_dir"),
                report: path("run.report"),
                reads: number("performance.parallel_readers") as usize,
            },
            policy: Policy {
                bad_file: match word("policy.bad_file") {
                    "skip-and-report" => OnBad::SkipAndReport,
                    _ => OnBad::HoldDay,
                },
                fold: FoldOptions {
                    on_malformed_labels: match word("policy.malformed_labels") {
                        "empty" => OnMalformed::Empty,
                        _ => OnMalformed::Refuse,
                    },
                },
                finalise: PolicyOptions {
                    on_nodeless_volume: match word("policy.nodeless_volumes") {
                        "divide-by-one" => OnNodelessVolume::DivideByOne,
                        _ => OnNodelessVolume::Refuse,
                    },
                },
                dedupe: switch("policy.dedupe"),
            },
            metrics: Metrics { textfile: path("metrics.textfile"), listen: text("metrics.listen") },
            logging: Logging {
                json: word("logging.format") == "json",
                level: match word("logging.level") {
                    "warning" => "warn",
                    "critical" => "error",
                    level => level,
                },
            },
            features: Features {
                cost_category: switch("features.cost_category"),
                storage_aggregation: switch("features.storage_aggregation"),
            },
            ocp: Ocp {
                cluster_alias: text("ocp.cluster_alias"),
                cluster_id: text("ocp.cluster_id"),
                provider_uuid: text("ocp.provider_uuid"),
                report_period_id: count("ocp.report_period_id").and_then(|id| i32::try_from(id).ok()),
                year: count("ocp.year").and_then(|year| u32::try_from(year).ok()),
                month: count("ocp.month").and_then(|month| u32::try_from(month).ok()),
                start_date: day("ocp.start_date"),
                end_date: day("ocp.end_date"),
                paths: keys::KEYS
                    .iter()
                    .filter(|key| key.path.starts_with("ocp.parquet_path_"))
                    .filter_map(|key| text(key.path))
                    .collect(),
            },
            s3: S3 {
                endpoint: address("s3.endpoint"),
                access_key: secret("s3.access_key"),
                secret_key: secret("s3.secret_key"),
                session_token: secret("s3.session_token"),
                bucket: text("s3.bucket"),
                region: text("s3.region"),
                allow_http: !switch("s3.use_ssl"),
                verify_ssl: switch("s3.verify_ssl"),
                path_style: switch("s3.path_style"),
                timeout: number("s3.timeout"),
                retry_timeout: number("s3.retry_timeout"),
            },
            postgresql: Postgresql {
                url: secret("postgresql.url"),
                // Given, it says that there is a database.
                host: settings.get("postgresql.host").and_then(|_| text("postgresql.host")),
                port: count("postgresql.port").and_then(|port| u16::try_from(port).ok()),
                database: text("postgresql.database"),
                user: text("postgresql.user"),
                password: secret("postgresql.password"),
                schema: text("postgresql.schema"),
                sslmode: choice("postgresql.sslmode"),
                sslrootcert: path("postgresql.sslrootcert"),
                connect_timeout: number("postgresql.connect_timeout"),
                statement_timeout: number("postgresql.statement_timeout"),
                lock_timeout: number("postgresql.lock_timeout"),
                retries: number("postgresql.retries") as usize,
                registry: switch("postgresql.registry"),
            },
            settings,
        }
    }
}

impl Ocp {
    /// Puts source, year and month into a template.
    pub(super) fn fill(&self, template: &str) -> Option<String> {
        let mut path = template.to_owned();
        for (name, value) in [
            ("{provider_uuid}", self.provider_uuid.clone()),
            ("{year}", self.year.map(|year| year.to_string())),
            ("{month}", self.month.map(|month| format!("{month:02}"))),
        ] {
            if path.contains(name) {
                path = path.replace(name, &value?);
            }
        }
        Some(path)
    }
}
