//! The `daysum` command.
//!
//! Exit codes: 0 everything asked for is published; 1 nothing was written because the input or a file
//! could not be read; 2 wrong use; 3 nothing to do, no day of the range has rows.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exact daily summaries of OpenShift usage from Parquet.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Summarises a directory of koku's Parquet into one file per day.
    Run(run::Args),
}

fn main() -> ExitCode {
    let Cli { command: Command::Run(args) } = Cli::parse();
    match run::run(&args) {
        Ok(report) => {
            eprint!("{report}");
            ExitCode::from(if report.rows_out == 0 { 3 } else { 0 })
        }
        Err(error) => {
            eprintln!("daysum: {error}");
            ExitCode::from(if error.code() == "config" { 2 } else { 1 })
        }
    }
}
