//! What an operator asks an output: `daysum db`, `status` and `quarantine`.

use clap::{Args, Subcommand};
use daysum::config::Config;
use daysum_core::{Day, Error, Lookups, Result};
use daysum_io_postgres::{Database, PostgresConfig, Problem, Schema, Severity};
use daysum_io_s3::{Missing, Place};

use crate::args::{Common, DaysArgs, Settings};
use crate::output::Output;
use crate::setup::{as_the, complete, read_lookups, require_source, runtime, tenant};

/// The tables themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Makes the schema and every table that is missing, under koku's names; running it again changes nothing.
    Init,
    /// Says what is missing or wrong, before anything is deleted. Exit code 1 where a run would fail.
    Check,
}

/// What was left out.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Every object that was left out, with the days it holds back. The next run tries each again by itself.
    List(Asked),
    /// Everything known of one object, as JSON.
    Show(OneObject),
    /// Makes the next run read the days of an object, or of all of them, even where they were published without it
    /// (policy.bad_file: skip-and-report). The entries go when they have been read.
    Retry {
        /// Its key; otherwise every object of the source.
        object: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
    /// Forgets an object; if it is still unreadable the next run meets it again.
    Drop(OneObject),
}

/// One object of a source.
#[derive(Debug, Args)]
pub(crate) struct OneObject {
    /// Its key.
    object: String,
    #[command(flatten)]
    asked: Asked,
}

/// Which source, in which output.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Directory or s3:// address that the days were written to; otherwise the database.
    #[arg(long, value_name = "DIR")]
    output: Option<String>,
    /// The form of its files: parquet, csv, arrow or jsonl.
    #[arg(long)]
    format: Option<String>,
    /// The provider whose days they are.
    #[arg(long, value_name = "UUID")]
    source: Option<String>,
}

/// Which days of a source.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    days: DaysArgs,
}

/// A database and the schema of one tenant in it.
fn target(config: &Config) -> Result<(PostgresConfig, Schema)> {
    let database =
        config.postgresql.connection()?.ok_or_else(|| Error::config("no database: give --database URL"))?;
    Ok((database, tenant(config.postgresql.schema.as_deref())?))
}

pub(crate) fn db(common: &Common, command: &DbCommand) -> Result<(String, u8)> {
    let config = common.load(&[])?;
    let (database, schema) = target(&config)?;
    let name = schema.name().to_owned();
    let mut database = Database::new(database, schema);
    runtime()?.block_on(async {
        match command {
            DbCommand::Init => {
                database.init().await?;
                // Tables that were there before are left as they are, whatever they lack.
                let mut problems = database.check().await?;
                problems.retain(|problem| problem.severity == Severity::Error);
                Ok(told(&problems, format!("{name} has every table a run needs")))
            }
            DbCommand::Check => Ok(told(&database.check().await?, format!("{name} is fit for runs"))),
        }
    })
}

/// What is wrong, or that all is well; and the exit code.
fn told(problems: &[Problem], well: String) -> (String, u8) {
    let fatal = problems.iter().any(|problem| problem.severity == Severity::Error);
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (if lines.is_empty() { well } else { lines.join("\n") }, u8::from(fatal))
}

/// The ledger of the selected days, a line each.
pub(crate) fn status(common: &Common, args: &StatusArgs) -> Result<String> {
    let (mut output, mut lookups) = args.asked.open(common, args.days.settings())?;
    args.days.complete(&mut lookups);
    let (first, last) = lookups.range()?;
    let days = runtime()?.block_on(output.ledger.published(&lookups.source_uuid, first, last))?;
    let lines = days.iter().map(|day| {
        let scope = &day.scope;
        format!("{}  {:>9} rows  {:>4} objects  run {}", scope.day, day.rows, scope.inputs.len(), scope.run)
    });
    Ok(lines
        .chain([format!(
            "{} days published from {first} to {last}; `daysum plan` says which of them have no object any more",
            days.len()
        )])
        .collect::<Vec<_>>()
        .join("\n"))
}

pub(crate) fn quarantine(common: &Common, command: &QuarantineCommand) -> Result<String> {
    let asked = match command {
        QuarantineCommand::List(asked) | QuarantineCommand::Retry { asked, .. } => asked,
        QuarantineCommand::Show(one) | QuarantineCommand::Drop(one) => &one.asked,
    };
    let (mut output, Lookups { source_uuid: source, .. }) = asked.open(common, Vec::new())?;
    runtime()?.block_on(async {
        if let QuarantineCommand::Drop(one) = command {
            return match output.forget(&source, &one.object).await? {
                0 => Err(unknown(&one.object)),
                dropped => Ok(format!("{dropped} entries dropped")),
            };
        }
        let mut entries = output.left_out(&source).await?;
        if let QuarantineCommand::Show(one) = command {
            entries.retain(|entry| entry.object == one.object);
            if entries.is_empty() {
                return Err(unknown(&one.object));
            }
            return Ok(serde_json::to_string_pretty(&entries).expect("texts and dates are JSON"));
        }
        if let QuarantineCommand::Retry { object, .. } = command {
            entries.retain(|entry| object.as_ref().is_none_or(|object| entry.object == *object));
            if let Some(object) = object.as_ref().filter(|_| entries.is_empty()) {
                return Err(unknown(object));
            }
            let days: Vec<Day> = entries.iter().flat_map(|entry| entry.days.iter().copied()).collect();
            let again = output.ledger.reread(&source, &days).await?;
            return Ok(format!(
                "{} objects: the next run tries them, and reads {again} published days again",
                entries.len()
            ));
        }
        let lines = entries.iter().map(|entry| {
            let days: Vec<String> = entry.days.iter().map(ToString::to_string).collect();
            // A key can hold what a terminal obeys; reasons have been made harmless.
            format!("{}  touches {}\n  {}", entry.object.escape_debug(), days.join(" "), entry.reason)
        });
        Ok(lines.chain([format!("{} objects", entries.len())]).collect::<Vec<_>>().join("\n"))
    })
}

fn unknown(object: &str) -> Error {
    Error::config(format!("{object:?} is not in quarantine; `daysum quarantine list` shows what is"))
}

impl Asked {
    /// The output, and what the settings say of the source.
    fn open(&self, common: &Common, mut settings: Settings) -> Result<(Output, Lookups)> {
        settings.push(("ocp.provider_uuid", self.source.clone()));
        settings.push(("run.output", self.output.clone()));
        settings.push(("run.format", self.format.clone()));
        let config = common.load(&settings)?;
        let mut lookups = match &config.run.lookups {
            Some(path) => read_lookups(path)?,
            None => Lookups::default(),
        };
        complete(&config, &mut lookups);
        require_source(&lookups)?;
        lookups.source_uuid = lookups.source_uuid.to_lowercase();
        let output = match &config.run.output {
            Some(output) => {
                let place = Place::open(output.expose(), &config.s3.store(), Missing::Refuse)
                    .map_err(as_the("output"))?;
                Output::files(place, config.run.format.parse()?, None)
            }
            None => {
                let (database, schema) = target(&config)?;
                Output::database(database, schema, None, false)
            }
        };
        Ok((output, lookups))
    }
}
