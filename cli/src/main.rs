//! The `daysum` command.
//!
//! Exit codes: 0 everything asked for is published; 1 the run failed before its end, what it published stays;
//! 2 wrong use; 3 some day was held back, the others are published; 4 nothing to do, no day of the range has rows.

mod args;
mod bench;
mod db;
mod generate;
mod inspect;
mod job;
mod logging;
mod metrics;
mod output;
mod processor;
mod publish;
mod registry;
mod replace;
mod report;
mod run;
mod setup;
mod show;
mod states;
mod writers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exact daily summaries of OpenShift usage from Parquet.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: args::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Summarises koku's Parquet into one file, or one replaced day of the database table, per day.
    Run(run::RunArgs),
    /// Writes a synthetic cluster as koku-shaped Parquet.
    Generate(generate::GenerateArgs),
    /// Measures runs of growing size, each beside what decoding alone takes.
    Bench(bench::BenchArgs),
    /// Says what Parquet files are: table, days, columns, distinct texts.
    Inspect(inspect::InspectArgs),
    /// The database's tables.
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Which days of a source are published.
    Status(db::StatusArgs),
    /// Objects that were left out, and the days they hold back.
    #[command(subcommand)]
    Quarantine(db::QuarantineCommand),
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Says what a run would read and replace, and writes nothing.
    Plan(run::PlanArgs),
    /// Says which rows of the database a run would change, as JSON, a line for each day. Exit code 1 where any would.
    Diff(run::ReadArgs),
    /// Computes every day again and compares it with the database. Exit code 1 where anything differs.
    Verify(run::ReadArgs),
    /// Folds an input, or part of one, into a state file.
    Fold(states::FoldArgs),
    /// Merges state files into one.
    Merge(states::MergeArgs),
    /// Finishes the days of a state file.
    Finalise(states::FinaliseArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints every effective value as YAML, secrets hidden.
    Show,
}

fn main() -> ExitCode {
    if let Some(lacking) = processor::lacks() {
        logging::remark(&lacking);
        return ExitCode::FAILURE;
    }
    daysum::memory::one_arena();
    let Cli { common, command } = Cli::parse();
    let coded = |(said, code): (String, u8)| show::line(&said).map(|()| code);
    let told = |said: String| coded((said, 0));
    let ended = match command {
        Command::Generate(args) => generate::run(&args).and_then(told),
        Command::Bench(args) => bench::run(&args).and_then(told),
        Command::Inspect(args) => coded(inspect::run(&args)),
        Command::Db(command) => db::db(&common, &command).and_then(coded),
        Command::Status(args) => db::status(&common, &args).and_then(told),
        Command::Quarantine(command) => db::quarantine(&common, &command).and_then(told),
        Command::Config(ConfigCommand::Show) => common.load(&[]).and_then(|config| told(config.to_yaml())),
        Command::Plan(args) => run::plan(&common, &args).and_then(told),
        Command::Diff(args) => run::compare(&common, &args, true).and_then(coded),
        Command::Verify(args) => run::compare(&common, &args, false).and_then(coded),
        Command::Fold(args) => states::fold(&common, &args).and_then(told),
        Command::Merge(args) => states::merge(&args).and_then(told),
        Command::Finalise(args) => states::finalise(&common, &args).and_then(coded),
        Command::Run(args) => run::run(&common, &args).map(|report| {
            logging::report(&report);
            if report.code() == 4 {
                logging::remark(
                    "nothing to do: no Parquet object below the input has rows of the days asked for",
                );
            }
            report.code()
        }),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            logging::failure(&error);
            ExitCode::from(report::failure_code(&error))
        }
    }
}
