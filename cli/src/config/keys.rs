//! Every key there is: its form, the variables that set it, its default, and what it means here.
//!
//! This table is the only place that knows the keys. The file reader, the environment, suggestions for misspelt
//! keys and `daysum config show` all read it.
//!
//! Each key is also read from `DAYSUM_` and its path in capitals (`DAYSUM_S3_ENDPOINT`; the section `run` is left
//! out: `DAYSUM_THREADS`), before the variables named here. Names without `DAYSUM_` are those of the earlier
//! Python implementation, of libpq and of koku.

use super::form::Form::{self, *};
use super::form::Value;
use crate::memory::LEAST;

/// A key of the file.
pub(super) struct Key {
    /// `section.key`.
    pub(super) path: &'static str,
    pub(super) form: Form,
    /// Variables that set it, first wins.
    pub(super) variables: &'static [&'static str],
    /// Where nothing was given; empty for none.
    pub(super) default: &'static str,
    /// What it does, or why it does nothing.
    pub(super) about: &'static str,
    pub(super) role: Role,
}

/// What a key does here.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// It is obeyed.
    Obeyed,
    /// It is accepted and has no effect.
    Idle,
    /// It is accepted; this switch position is how things always are, the other one has no effect.
    Always(bool),
}

impl Key {
    pub(super) fn default_value(&self) -> Option<Value> {
        let given = Some(self.default).filter(|text| !text.is_empty());
        given.map(|text| self.form.read(text).expect("every default of the table has the form of its key"))
    }

    /// The variable that every key has.
    pub(super) fn own_variable(&self) -> String {
        let path = self.path.strip_prefix("run.").unwrap_or(self.path);
        format!("DAYSUM_{}", path.replace('.', "_").to_ascii_uppercase())
    }

    /// Every variable that gives it, the first one first.
    pub(super) fn every_variable(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.own_variable()).chain(self.variables.iter().map(|name| (*name).to_owned()))
    }
}

/// What somebody who set this variable was probably after: the nearest of those that are read; `None` where it is one, or
/// has nothing to do with daysum.
pub fn misspelt(variable: &str) -> Option<String> {
    let others = ["DAYSUM_CONFIG", "DAYSUM_LOG"].map(str::to_owned);
    let known = || KEYS.iter().flat_map(Key::every_variable).chain(others.clone());
    if !variable.starts_with("DAYSUM_") || known().any(|name| name == variable) {
        return None;
    }
    known().min_by_key(|name| strsim::damerau_levenshtein(name, variable))
}

/// Whether the key of that path takes this value; the error says what it takes.
pub fn accepts(path: &str, value: &str) -> Result<(), String> {
    let key = find(path).ok_or_else(|| format!("there is no key {path}"))?;
    key.form.read(value).map(drop).map_err(|expected| format!("must be {expected}"))
}

/// The key of that path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether keys lie below this path.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key that was probably meant: the nearest spelling, else the same word in the nearest section.
pub(super) fn suggest(unknown: &str) -> Option<&'static str> {
    let lower = unknown.to_ascii_lowercase();
    let word = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let sections = KEYS.iter().filter_map(|key| key.path.split('.').next());
    let all = KEYS.iter().map(|key| key.path).chain(sections);
    let distance = |path: &&str| strsim::damerau_levenshtein(path, &lower);
    // About one slip in five letters; more would suggest keys that have nothing to do with it.
    let near = all.min_by_key(distance).filter(|path| distance(path) <= 1 + lower.len() / 5);
    let same_word = || {
        let same = KEYS.iter().map(|key| key.path).filter(|path| word(path) == word(&lower));
        same.min_by_key(distance)
    };
    near.or_else(same_word)
}

const fn obeyed(
    path: &'static str,
    form: Form,
    variables: &'static [&'static str],
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { path, form, variables, default, about, role: Role::Obeyed }
}

const fn idle(
    path: &'static str,
    form: Form,
    variables: &'static [&'static str],
    about: &'static str,
) -> Key {
    Key { path, form, variables, default: "", about, role: Role::Idle }
}

const fn always(path: &'static str, position: bool, about: &'static str) -> Key {
    Key {
        path,
        form: Switch,
        variables: &[],
        default: if position { "true" } else { "false" },
        about,
        role: Role::Always(position),
    }
}

const MOST: u64 = u32::MAX as u64;
const DAY_OF_SECONDS: u64 = 86_400;
const AWS: &str = "OpenShift on AWS is not summarised here";
const COST: &str = "daysum computes usage, not cost; koku applies markup and distribution to its rows";
const PANDAS: &str = "a matter of pandas; memory is governed by run.memory_limit";
const TRINO: &str = "nothing is compared with Trino; `daysum verify` recomputes and compares";
const PATHS: &str = "path template; what all have in common is listed in s3.bucket, where no input is given";

/// Every key, by section.
pub(super) const KEYS: &[Key] = &[
    obeyed("run.input", Address, &[], "", "directory or s3://BUCKET/PREFIX to read; the INPUT argument"),
    obeyed("run.output", Address, &[], "", "directory or s3://BUCKET/PREFIX to write to; --output"),
    obeyed("run.lookups", Path, &[], "", "lookups file (JSON), instead of asking the database; --lookups"),
    obeyed("run.format", Choice(&["parquet", "csv", "arrow", "jsonl"]), &[], "parquet", "form of the output"),
    obeyed("run.mode", Choice(&["streaming", "in-memory"]), &[], "streaming", "how the input is read"),
    obeyed("run.threads", Count(1, 1024), &[], "", "threads; otherwise the cores that the cgroup grants"),
    obeyed(
        "run.writers",
        Count(1, 64),
        &[],
        "",
        "days that are written at once; otherwise 4 to an object store, 2 to a database, 1 to a directory",
    ),
    obeyed("run.memory_limit", Bytes(LEAST), &[], "256MiB", "bytes of memory, lowered to fit the cgroup"),
    obeyed(
        "run.spill_dir",
        Path,
        &[],
        "",
        "directory for state that outgrows memory; otherwise the system's",
    ),
    obeyed("run.report", Path, &[], "", "file for the run report (JSON)"),
    obeyed(
        "policy.bad_file",
        Choice(&["hold-day", "skip-and-report"]),
        &[],
        "hold-day",
        "an unreadable object",
    ),
    idle(
        "policy.bad_row",
        Choice(&["hold-day", "skip-and-report"]),
        &[],
        "a row that cannot be counted always holds back its day: without it the sums would be too small",
    ),
    obeyed("policy.malformed_labels", Choice(&["refuse", "empty"]), &[], "refuse", "labels that are none"),
    obeyed(
        "policy.nodeless_volumes",
        Choice(&["refuse", "divide-by-one"]),
        &[],
        "refuse",
        "a volume whose pods are all on no node: koku's SQL divides by zero there",
    ),
    obeyed(
        "policy.dedupe",
        Switch,
        &[],
        "false",
        "keep one manifest per day by object metadata, as koku does",
    ),
    obeyed("metrics.textfile", Path, &[], "", "file for Prometheus metrics, replaced at the end of a run"),
    obeyed("metrics.listen", Text, &[], "", "address that serves Prometheus metrics during a run"),
    obeyed(
        "logging.format",
        Choice(&["console", "human", "json"]),
        &["LOG_FORMAT"],
        "console",
        "form of log lines",
    ),
    obeyed(
        "logging.level",
        Choice(&["trace", "debug", "info", "warning", "warn", "error", "critical"]),
        &["LOG_LEVEL"],
        "info",
        "least severe level that is logged",
    ),
    always("logging.show_sql", false, "statements appear at level trace, whatever this says"),
    obeyed(
        "organization.org_id",
        Text,
        &["ORG_ID"],
        "",
        "tenant; the schema where postgresql.schema is absent",
    ),
    obeyed("features.cost_category", Switch, &[], "true", "false: no cost category on any row"),
    obeyed("features.storage_aggregation", Switch, &[], "true", "false: storage files are not read"),
    always("features.pod_aggregation", true, "pods are always summarised: a day is replaced whole"),
    always("features.unallocated_capacity", true, "unallocated capacity is always summarised, as koku does"),
    obeyed("ocp.cluster_alias", Text, &["OCP_CLUSTER_ALIAS"], "", "human name of the cluster"),
    obeyed("ocp.cluster_id", Text, &["OCP_CLUSTER_ID"], "", "cluster identifier"),
    obeyed(
        "ocp.provider_uuid",
        Text,
        &["OCP_PROVIDER_UUID"],
        "",
        "the source whose files are read; --source",
    ),
    obeyed("ocp.report_period_id", Count(1, 2_147_483_647), &[], "", "report period of the rows written"),
    obeyed("ocp.year", Count(1970, 9999), &["POC_YEAR", "OCP_YEAR"], "", "year of the month to summarise"),
    obeyed("ocp.month", Count(1, 12), &["POC_MONTH", "OCP_MONTH"], "", "month to summarise; --month"),
    obeyed("ocp.start_date", Date, &["OCP_START_DATE"], "", "first day, inclusive"),
    obeyed("ocp.end_date", Date, &["OCP_END_DATE"], "", "last day, inclusive"),
    obeyed("ocp.parquet_path_pod", Text, &[], "", PATHS),
    obeyed("ocp.parquet_path_pod_hourly", Text, &[], "", PATHS),
    obeyed("ocp.parquet_path_storage", Text, &[], "", PATHS),
    obeyed("ocp.parquet_path_storage_usage_daily", Text, &[], "", PATHS),
    obeyed("ocp.parquet_path_node_labels", Text, &[], "", PATHS),
    obeyed("ocp.parquet_path_namespace_labels", Text, &[], "", PATHS),
    obeyed("s3.endpoint", Address, &["S3_ENDPOINT"], "", "address of the server; otherwise AWS"),
    obeyed(
        "s3.access_key",
        Secret,
        &["S3_ACCESS_KEY"],
        "",
        "otherwise the usual AWS chain (AWS_ACCESS_KEY_ID, …)",
    ),
    obeyed("s3.secret_key", Secret, &["S3_SECRET_KEY"], "", "secret of the access key"),
    obeyed("s3.session_token", Secret, &["S3_SESSION_TOKEN"], "", "token of a temporary access key"),
    obeyed(
        "s3.bucket",
        Text,
        &["S3_BUCKET", "S3_BUCKET_NAME"],
        "",
        "bucket that is read where no input is given",
    ),
    obeyed("s3.region", Text, &["S3_REGION"], "", "otherwise AWS_REGION, then us-east-1"),
    obeyed("s3.use_ssl", Switch, &["S3_USE_SSL"], "true", "false: plain HTTP is allowed"),
    obeyed("s3.verify_ssl", Switch, &["S3_VERIFY_SSL"], "true", "false: any certificate is accepted"),
    obeyed(
        "s3.path_style",
        Switch,
        &["S3_PATH_STYLE"],
        "true",
        "bucket in the path; false: in the host name",
    ),
    obeyed("s3.timeout", Count(1, DAY_OF_SECONDS), &["S3_TIMEOUT"], "60", "seconds to wait for the server"),
    obeyed(
        "s3.retry_timeout",
        Count(0, DAY_OF_SECONDS),
        &[],
        "180",
        "seconds for which a request that may succeed is tried again",
    ),
    obeyed(
        "postgresql.url",
        Secret,
        &["DATABASE_URL"],
        "",
        "postgres://…, instead of the parts below; --database",
    ),
    obeyed(
        "postgresql.host",
        Text,
        &["DATABASE_HOST", "POSTGRES_HOST", "PGHOST"],
        "localhost",
        "host or socket",
    ),
    obeyed(
        "postgresql.port",
        Count(1, 65_535),
        &["DATABASE_PORT", "POSTGRES_PORT", "PGPORT"],
        "5432",
        "port",
    ),
    obeyed(
        "postgresql.database",
        Text,
        &["DATABASE_NAME", "POSTGRES_DB", "PGDATABASE"],
        "",
        "database; the parts are used where this or the host is given",
    ),
    obeyed("postgresql.user", Text, &["DATABASE_USER", "POSTGRES_USER", "PGUSER"], "", "user"),
    obeyed(
        "postgresql.password",
        Secret,
        &["DATABASE_PASSWORD", "POSTGRES_PASSWORD", "PGPASSWORD"],
        "",
        "password",
    ),
    obeyed(
        "postgresql.schema",
        Text,
        &["POSTGRES_SCHEMA"],
        "",
        "tenant schema; otherwise organization.org_id",
    ),
    obeyed(
        "postgresql.sslmode",
        Choice(&["disable", "prefer", "allow", "require", "verify-ca", "verify-full"]),
        &["PGSSLMODE"],
        "",
        "disable: plain text; otherwise verified TLS for every host but this one",
    ),
    obeyed("postgresql.sslrootcert", Path, &["PGSSLROOTCERT"], "", "certificates to trust (PEM)"),
    obeyed("postgresql.connect_timeout", Count(1, DAY_OF_SECONDS), &["PGCONNECT_TIMEOUT"], "15", "seconds"),
    obeyed("postgresql.statement_timeout", Count(0, DAY_OF_SECONDS), &[], "900", "seconds; 0: none"),
    obeyed("postgresql.lock_timeout", Count(0, DAY_OF_SECONDS), &[], "60", "seconds; 0: none"),
    obeyed("postgresql.retries", Count(0, 100), &[], "8", "retries of what may succeed when tried again"),
    obeyed(
        "postgresql.registry",
        Switch,
        &[],
        "false",
        "also write the cluster, node, volume and project registry",
    ),
    obeyed(
        "performance.use_streaming",
        Choice(&["true", "false", "auto"]),
        &["USE_STREAMING"],
        "",
        "false: run.mode is in-memory where it is not given",
    ),
    idle(
        "performance.chunk_size",
        Count(1, MOST),
        &["CHUNK_SIZE"],
        "batches have the size that was measured to be fastest; the result is the same for any",
    ),
    obeyed("performance.max_workers", Count(1, 1024), &[], "", "threads where run.threads is not given"),
    obeyed("performance.parallel_readers", Count(1, 1024), &[], "16", "reads under way at once"),
    always("performance.column_filtering", true, "only the needed columns are ever fetched"),
    always(
        "performance.parallel_chunks",
        true,
        "chunks are always folded in parallel when there are threads",
    ),
    always("performance.use_arrow_compute", true, "everything is computed on Arrow columns"),
    always("performance.use_bulk_copy", true, "rows are always written with COPY"),
    always(
        "performance.use_categorical",
        true,
        "text is always read as dictionaries, or as views where it outgrew them",
    ),
    always("performance.cache_enabled_tags", true, "enabled keys are read once per run"),
    idle(
        "performance.db_batch_size",
        Anything,
        &[],
        "rows travel as one COPY per day, not as batches of INSERT",
    ),
    idle("performance.gc_after_aggregation", Anything, &[], PANDAS),
    idle("performance.delete_intermediate_dfs", Anything, &[], PANDAS),
    idle("performance.streaming_threshold_rows", Anything, &[], "streaming is the default at every size"),
    idle("performance.streaming_memory_threshold_gb", Anything, &[], PANDAS),
    idle(
        "performance.incremental_db_writes",
        Anything,
        &["INCREMENTAL_DB_WRITES"],
        "a day is always written as soon as no unread file can hold it",
    ),
    idle("aws.provider_uuid", Anything, &["AWS_PROVIDER_UUID"], AWS),
    idle("aws.parquet_path_line_items", Anything, &[], AWS),
    idle("cost.markup", Anything, &[], COST),
    idle("cost.distribution.method", Anything, &["COST_DISTRIBUTION_METHOD"], COST),
    idle("cost.distribution.weights", Anything, &[], COST),
    idle("cost.resource_types", Anything, &[], COST),
    idle("validation.enabled", Anything, &[], "`daysum verify` recomputes and compares"),
    idle("validation.sample_size", Anything, &[], "`daysum verify` compares every row"),
    idle("validation.tolerance", Anything, &[], "sums are exact; `daysum verify` compares by equality"),
    idle("validation.trino.enabled", Anything, &[], TRINO),
    idle("validation.trino.host", Anything, &["TRINO_HOST"], TRINO),
    idle("validation.trino.port", Anything, &[], TRINO),
    idle("validation.trino.catalog", Anything, &[], TRINO),
    idle("validation.trino.user", Anything, &[], TRINO),
];
