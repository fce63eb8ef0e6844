//! The `daysum` command as a shell would start it, for the tests of crate `daysum`: only they know where it was built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use daysum_core::Lookups;
use serde_json::Value;
use tempfile::TempDir;

use crate::golden::Golden;
use crate::postgres::{SCHEMA, database, shared};

/// The command at this path, with no variable of the test's own environment.
#[derive(Debug, Clone, Copy)]
pub struct Daysum(pub &'static str);

/// How the command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it told the operator.
    pub stderr: String,
}

impl Daysum {
    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> Ended {
        let output =
            self.command(arguments, variables).output().expect("the command was built for this test");
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// The command, ready to be started.
    pub fn command(&self, arguments: &[&str], variables: &[(&str, String)]) -> Command {
        let mut command = Command::new(self.0);
        command.args(arguments).env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it; it must end with this code. What it said on stderr.
    pub fn ends(&self, code: i32, arguments: &[&str]) -> String {
        self.ends_with(code, arguments, &[])
    }

    /// The same with variables.
    pub fn ends_with(&self, code: i32, arguments: &[&str], variables: &[(&str, String)]) -> String {
        let ended = self.run(arguments, variables);
        assert_eq!(ended.code, Some(code), "daysum {arguments:?}: {}", ended.stderr);
        ended.stderr
    }

    /// Makes a database with every table, and the report period of these lookups. Its name and address.
    pub fn tenant(&self, lookups: &Lookups) -> (String, String) {
        let database = database();
        let url = shared().url(&database);
        self.ends(0, &["db", "init", "--database", &url, "--schema", SCHEMA]);
        self.ends(0, &["db", "check", "--database", &url, "--schema", SCHEMA]);
        shared().add_period(&database, lookups);
        (database, url)
    }
}

/// Input and lookups of a golden data set, where they lie.
pub fn golden(name: &str) -> (PathBuf, PathBuf) {
    let root = Golden::root().join(name);
    (root.join("input"), root.join("params.json"))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// Every Parquet file below a directory, sorted.
pub fn parquet_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    found.sort();
    found
}

/// A copy of a directory's files below another one.
pub fn copy_into(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-r", text(from), text(to)]).status().expect("cp");
    assert!(copied.success());
}

/// Input, lookups and output of a data set that a test may change.
#[derive(Debug)]
pub struct Bench {
    daysum: Daysum,
    /// Everything lies in it.
    pub work: TempDir,
    /// The lookups.
    pub lookups: PathBuf,
}

impl Bench {
    /// A copy of the golden data set gen-small: two days.
    pub fn new(daysum: Daysum) -> Self {
        let (input, lookups) = golden("gen-small");
        let work = TempDir::new().expect("a directory");
        copy_into(&input, work.path());
        Self { daysum, work, lookups }
    }

    /// A synthetic cluster from 2025-11-01 on.
    pub fn generated(daysum: Daysum, days: u32) -> Self {
        let work = TempDir::new().expect("a directory");
        let input = work.path().join("input");
        let days = days.to_string();
        daysum.ends(0, &["generate", "--output", text(&input), "--rows", "4k", "--days", &days]);
        Self { daysum, lookups: input.join("lookups.json"), work }
    }

    /// A path in the directory; the input is at `input`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// The first file of the input whose path has all of these words.
    pub fn file(&self, words: &[&str]) -> PathBuf {
        let files = parquet_below(&self.path("input"));
        files
            .into_iter()
            .find(|path| words.iter().all(|word| text(path).contains(word)))
            .expect("it is there")
    }

    /// Runs with further arguments; the report.
    pub fn run(&self, code: i32, output: &[&str]) -> Value {
        let (input, report) = (self.path("input"), self.path("report.json"));
        let run = ["run", text(&input), "--lookups", text(&self.lookups), "--report", text(&report)];
        self.daysum.ends(code, &[&run[..], output].concat());
        serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON")
    }
}

/// The days in a field of a report.
pub fn days(report: &Value, field: &str) -> Vec<String> {
    let days = report[field].as_array().expect("a list of days");
    days.iter().map(|day| day.as_str().expect("a day").to_owned()).collect()
}

/// Waits for something that another process brings about; fails where it never comes.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what} never came");
        sleep(Duration::from_millis(10));
    }
}
