//! From the configuration to what the engine and its adapters take: a database connection, completed lookups.

use std::time::Duration;

use daysum_core::{Lookups, Result, TextOrNumber};
use daysum_io_postgres::{ConnectionParts, PostgresConfig, SslMode};
use daysum_io_s3::StoreSettings;

use super::layers::Origin;
use super::secret::Secret;
use super::{Config, Postgresql, S3};

impl Postgresql {
    /// How to connect; `None` where neither an address nor a host nor a database is configured.
    pub fn connection(&self) -> Result<Option<PostgresConfig>> {
        let mut config = match &self.url {
            Some(url) => PostgresConfig::from_url(url.expose())?,
            None if self.host.is_none() && self.database.is_none() => return Ok(None),
            None => PostgresConfig::from_parts(ConnectionParts {
                host: self.host.clone(),
                port: self.port,
                database: self.database.clone(),
                user: self.user.clone(),
                password: self.password.as_ref().map(|password| Secret::expose(password).to_owned()),
            })?,
        };
        match self.sslmode {
            None => {}
            Some("disable") => config.ssl_mode = SslMode::Disable,
            Some("prefer" | "allow") => config.ssl_mode = SslMode::Auto,
            Some(_) => config.ssl_mode = SslMode::VerifyFull,
        }
        if let Some(file) = &self.sslrootcert {
            config.ca_file = Some(file.clone());
        }
        config.timeouts.connect = Duration::from_secs(self.connect_timeout);
        config.timeouts.statement = Duration::from_secs(self.statement_timeout);
        config.timeouts.lock = Duration::from_secs(self.lock_timeout);
        config.retry.retries = self.retries;
        Ok(Some(config))
    }
}

impl S3 {
    /// How to reach the object store.
    pub fn store(&self) -> StoreSettings {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        StoreSettings {
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.expose().to_owned()),
            region: self.region.clone(),
            access_key: secret(&self.access_key),
            secret_key: secret(&self.secret_key),
            session_token: secret(&self.session_token),
            allow_http: self.allow_http,
            accept_any_certificate: !self.verify_ssl,
            virtual_hosted: !self.path_style,
            timeout: Some(Duration::from_secs(self.timeout)),
            retry_timeout: Some(Duration::from_secs(self.retry_timeout)),
        }
    }
}

impl Config {
    /// Whether the command line gives a value to this key.
    pub fn is_flag(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|setting| setting.origin == Origin::CommandLine)
    }

    /// Completes what a lookups file or a database answered: the command line replaces, everything below it only fills in
    /// what is missing. Returns the keys of settings that say otherwise than the lookups, and do not count.
    #[must_use]
    pub fn complete(&self, lookups: &mut Lookups) -> Vec<&'static str> {
        let mut beaten = Vec::new();
        let mut text = |key: &'static str, value: &Option<String>, into: &mut String| {
            let Some(value) = value else { return };
            if into.is_empty() || self.is_flag(key) {
                into.clone_from(value);
            } else if !into.eq_ignore_ascii_case(value) {
                beaten.push(key);
            }
        };
        let ocp = &self.ocp;
        text("ocp.provider_uuid", &ocp.provider_uuid, &mut lookups.source_uuid);
        text("ocp.cluster_id", &ocp.cluster_id, &mut lookups.cluster_id);
        text("ocp.cluster_alias", &ocp.cluster_alias, &mut lookups.cluster_alias);
        if lookups.schema.is_none() || self.is_flag("postgresql.schema") {
            lookups.schema = self.postgresql.schema.clone().or(lookups.schema.take());
        }
        match (lookups.report_period_id, ocp.report_period_id) {
            (Some(theirs), Some(ours)) if !self.is_flag("ocp.report_period_id") => {
                beaten.extend((theirs != ours).then_some("ocp.report_period_id"));
            }
            (theirs, ours) => lookups.report_period_id = ours.or(theirs),
        }
        beaten.extend(self.complete_days(lookups));
        if !self.features.cost_category {
            lookups.cost_categories.clear();
        }
        lookups.storage_exists &= self.features.storage_aggregation;
        beaten
    }

    /// Days are one decision: a month of the command line replaces every day of the lookups, and a date the one end of
    /// them. Returns a key where other settings say otherwise than those.
    fn complete_days(&self, lookups: &mut Lookups) -> Option<&'static str> {
        let ocp = &self.ocp;
        let keys = ["ocp.year", "ocp.month", "ocp.start_date", "ocp.end_date"];
        let by_flag = keys.into_iter().any(|key| self.is_flag(key));
        let none = lookups.start_date.is_none() && lookups.end_date.is_none() && lookups.month.is_none();
        let ours = Lookups {
            year: ocp.year.map(TextOrNumber::Number),
            month: ocp.month.map(TextOrNumber::Number),
            start_date: ocp.start_date.map(|day| day.to_string()),
            end_date: ocp.end_date.map(|day| day.to_string()),
            ..Lookups::default()
        };
        if !by_flag && !none {
            let differs = ours.range().is_ok_and(|ours| lookups.range().is_ok_and(|theirs| ours != theirs));
            return keys.into_iter().find(|key| differs && self.settings.get(key).is_some());
        }
        let by_month = self.is_flag("ocp.month");
        let no_month = lookups.month.is_none();
        if by_month || no_month {
            (lookups.year, lookups.month) = (ours.year.or(lookups.year.take()), ours.month);
        }
        let end_of_range = |key, ours: Option<String>, theirs: &mut Option<String>| {
            if by_month || self.is_flag(key) || (no_month && theirs.is_none()) {
                *theirs = ours;
            }
        };
        end_of_range("ocp.start_date", ours.start_date, &mut lookups.start_date);
        end_of_range("ocp.end_date", ours.end_date, &mut lookups.end_date);
        if by_flag {
            lookups.days = None;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str, flags: &[(&str, &str)]) -> Config {
        let directory = tempfile::tempdir().expect("a directory for the file");
        let path = directory.path().join("daysum.yaml");
        std::fs::write(&path, file).expect("the file is written");
        let flags: Vec<_> = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        Config::load_with(Some(&path), &|_| None, &flags).expect("a good configuration").0
    }

    #[test]
    fn a_database_by_parts_by_address_and_not_at_all() {
        let shown = |file: &str| {
            let connection = config(file, &[]).postgresql.connection().expect("a good connection");
            connection.map(|connection| (connection.to_string(), connection.uses_tls()))
        };
        assert_eq!(shown("postgresql: {user: u}"), None);
        let parts = "postgresql: {host: db.example.com, database: koku, user: u, password: p}";
        assert_eq!(shown(parts), Some(("db.example.com:5432/koku as u".to_owned(), true)));
        let plain = "postgresql: {host: db.example.com, port: 6543, sslmode: disable}";
        assert_eq!(shown(plain), Some(("db.example.com:6543".to_owned(), false)));
        let address = "postgresql: {url: 'postgres://a:b@h/d', host: ignored, retries: 0, lock_timeout: 7}";
        assert_eq!(shown(address), Some(("h:5432/d as a".to_owned(), true)));
        let connection = config(address, &[]).postgresql.connection().expect("good").expect("given");
        assert_eq!((connection.retry.retries, connection.timeouts.lock), (0, Duration::from_secs(7)));
    }

    #[test]
    fn the_command_line_replaces_and_the_rest_fills_in() {
        let file = "ocp: {provider_uuid: file, cluster_id: file, year: 2025, month: 10}\n\
            organization: {org_id: org9}\nfeatures: {cost_category: false, storage_aggregation: false}\n";
        let mut lookups = Lookups::from_json(
            br#"{"source_uuid": "given", "start_date": "2025-11-01", "end_date": "2025-11-30", "days": [1, 2],
                "cost_categories": [{"namespace": "a%", "cost_category_id": 1}]}"#,
        )
        .expect("good lookups");
        let beaten = config(file, &[]).complete(&mut lookups);
        assert_eq!(beaten, ["ocp.provider_uuid", "ocp.year"], "they say otherwise, and do not count");
        assert_eq!((lookups.source_uuid.as_str(), lookups.cluster_id.as_str()), ("given", "file"));
        assert_eq!(lookups.start_date.as_deref(), Some("2025-11-01"));
        assert_eq!(lookups.schema.as_deref(), Some("org9"));
        assert!(lookups.cost_categories.is_empty() && !lookups.storage_exists && lookups.days.is_some());

        let flags = [("ocp.provider_uuid", "flag"), ("ocp.year", "2025"), ("ocp.month", "12")];
        assert!(config(file, &flags).complete(&mut lookups).is_empty());
        assert_eq!(lookups.source_uuid, "flag");
        let (first, last) = lookups.range().expect("a range");
        assert_eq!((first.to_string(), last.to_string()), ("2025-12-01".to_owned(), "2025-12-31".to_owned()));
        assert!(lookups.days.is_none());

        let mut lookups = Lookups::from_json(br#"{"start_date": "2025-11-05", "end_date": "2025-11-30"}"#);
        let lookups = lookups.as_mut().expect("good lookups");
        assert!(config(file, &[("ocp.end_date", "2025-11-10")]).complete(lookups).is_empty());
        let (first, last) = lookups.range().expect("a range");
        assert_eq!((first.to_string(), last.to_string()), ("2025-11-05".to_owned(), "2025-11-10".to_owned()));

        let mut lookups = Lookups::from_json(br#"{"year": 2025, "month": 11}"#).expect("good lookups");
        assert!(config(file, &[("ocp.end_date", "2025-11-10")]).complete(&mut lookups).is_empty());
        let (first, last) = lookups.range().expect("a range");
        assert_eq!((first.to_string(), last.to_string()), ("2025-11-01".to_owned(), "2025-11-10".to_owned()));

        let mut empty = Lookups::default();
        assert!(config(file, &[]).complete(&mut empty).is_empty());
        let (first, last) = empty.range().expect("a range");
        assert_eq!((first.to_string(), last.to_string()), ("2025-10-01".to_owned(), "2025-10-31".to_owned()));
    }
}
