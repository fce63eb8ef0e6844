//! One YAML file, the environment and the command line become one checked configuration.
//!
//! ```text
//! flags  >  DAYSUM_*, S3_*, POSTGRES_*, PG*, OCP_* …  >  file with ${NAME:-default}  >  defaults
//!    \______________________________\______________________\____________________/
//!                          layers: one value per key, and its origin
//!                                          |
//!                                  Config (typed)   +   one note per key without effect
//! ```
//!
//! Every key and variable of the earlier Python implementation is accepted. A key without meaning here says so
//! in one line; a key that nobody knows is refused with the one that was probably meant.
//!
//! The surprise worth knowing: `AWS_*` variables are not read here. They belong to the usual AWS chain, which
//! the S3 client asks when neither file nor `S3_*` variables give credentials.

mod connect;
mod error;
mod expand;
mod form;
mod keys;
mod layers;
mod secret;
mod sections;
mod show;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

pub use error::{ConfigError, Note};
pub use keys::{accepts, misspelt};
pub use layers::Origin;
pub use secret::{Address, Secret};
pub use sections::{Features, Logging, Metrics, Ocp, OnBad, Policy, Postgresql, Run, S3};
pub use show::Effective;

use form::Value;
use layers::Settings;

/// Everything that can be configured, checked. `None` means that nobody said anything.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is read, how, and where it goes.
    pub run: Run,
    /// What happens to input that cannot be counted.
    pub policy: Policy,
    /// Metrics of a run.
    pub metrics: Metrics,
    /// Log lines.
    pub logging: Logging,
    /// Parts of the summary that can be left out.
    pub features: Features,
    /// Which cluster and which days.
    pub ocp: Ocp,
    /// The object store.
    pub s3: S3,
    /// The database.
    pub postgresql: Postgresql,
    settings: Settings,
}

impl Config {
    /// Reads a file and an environment; what has no effect is noted.
    pub fn load(
        path: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Note>), ConfigError> {
        Self::load_with(path, env, &[])
    }

    /// The same below flags: each is a key of the table (`run.threads`) and its text.
    pub fn load_with(
        path: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
        flags: &[(&str, String)],
    ) -> Result<(Self, Vec<Note>), ConfigError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
        };
        let file = path.map(read).transpose()?;
        let mut notes = Vec::new();
        let mut settings = layers::collect(path.zip(file.as_deref()), env, flags, &mut notes)?;
        settings.derive("run.mode", "performance.use_streaming", |streaming| {
            (*streaming == Value::Choice("false")).then_some(Value::Choice("in-memory"))
        });
        settings.derive("run.threads", "performance.max_workers", |workers| Some(workers.clone()));
        settings.derive("postgresql.schema", "organization.org_id", |tenant| Some(tenant.clone()));
        // The file's range must not cut the month that the command line names, nor its output be written to instead of the
        // database that is named there.
        for date in ["ocp.start_date", "ocp.end_date"] {
            drop_outdated(&mut settings, date, &["ocp.month", "ocp.year"], &mut notes);
        }
        drop_outdated(&mut settings, "run.output", &["postgresql.url"], &mut notes);
        warn(&settings, &mut notes);
        Ok((Self::from_settings(settings), notes))
    }

    /// Every effective value with its origin, secrets hidden.
    pub fn effective(&self) -> Vec<Effective> {
        show::effective(&self.settings)
    }

    /// The same as YAML.
    pub fn to_yaml(&self) -> String {
        show::yaml(&self.settings)
    }

    /// What is read: the input, or else what the path templates say of the bucket.
    pub fn input(&self) -> Option<Address> {
        let in_bucket = || {
            let bucket = self.s3.bucket.as_ref()?;
            Some(Address::new(format!("s3://{bucket}/{}", self.input_prefix().unwrap_or_default())))
        };
        self.run.input.clone().or_else(in_bucket)
    }

    /// What the path templates of `ocp:` have in common, as a prefix of object keys: whole segments, up to the
    /// first wildcard. `None` without templates, or while a value that they name is missing.
    pub fn input_prefix(&self) -> Option<String> {
        let mut common: Option<Vec<String>> = None;
        for template in &self.ocp.paths {
            let path = self.ocp.fill(template)?;
            let literal = path.split('/').take_while(|segment| !segment.contains(['*', '?', '[']));
            let segments: Vec<String> = literal.map(str::to_owned).collect();
            common = Some(match common {
                None => segments,
                Some(before) => {
                    let same = before.into_iter().zip(segments).take_while(|(a, b)| a == b);
                    same.map(|(a, _)| a).collect()
                }
            });
        }
        common.map(|segments| segments.join("/")).filter(|prefix| !prefix.is_empty())
    }
}

/// What one of these keys asks for in a higher layer makes this one a leftover.
fn drop_outdated(settings: &mut Settings, path: &str, by: &[&'static str], notes: &mut Vec<Note>) {
    let Some(origin) = settings.get(path).map(|setting| setting.origin.clone()) else { return };
    let newer = by
        .iter()
        .filter_map(|key| Some((key, settings.get(key)?.origin.clone())))
        .find(|(_, newer)| newer.beats(&origin));
    if let Some((key, newer)) = newer {
        settings.remove(path);
        let text = format!("is left out: {key} is given by the {newer}");
        notes.push(Note { key: path.to_owned(), origin, text });
    }
}

/// Switches that make a run less safe are said aloud.
fn warn(settings: &Settings, notes: &mut Vec<Note>) {
    for (key, text) in [
        (
            "s3.verify_ssl",
            "certificates of the object store are not verified; anyone on the way can read and change",
        ),
        ("s3.use_ssl", "plain HTTP to the object store is allowed; anyone on the way can read and change"),
    ] {
        if let Some(setting) = settings.get(key).filter(|setting| setting.value == Value::Switch(false)) {
            notes.push(Note { key: key.to_owned(), origin: setting.origin.clone(), text: text.to_owned() });
        }
    }
}
