//! Runs as processes of their own, and their medians.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};

use daysum_core::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use super::decode::decode;
use super::{cannot, lookups};

/// One scale in one mode. The names are those of the benchmark that daysum's Python predecessor had; `peak` is
/// the largest resident memory, not that at the end.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) mode: &'static str,
    pub(super) threads: usize,
    pub(super) runs: usize,
    pub(super) input_rows_daily: u64,
    /// Pod, storage and label rows.
    pub(super) input_rows_hourly: u64,
    pub(super) output_rows: u64,
    pub(super) compression_ratio: f64,
    pub(super) total_duration_seconds: f64,
    pub(super) total_cpu_seconds: f64,
    /// The largest of all counted runs.
    pub(super) peak_memory_bytes: u64,
    pub(super) memory_per_1k_input_rows_bytes: f64,
    pub(super) rows_per_second: f64,
    /// Reading and decoding the same columns with the same threads, and nothing else.
    pub(super) decode_only_seconds: f64,
    pub(super) ratio_to_decode_only: f64,
    /// Seconds of the median run; those of fold and finalise are summed over threads, those of write over writers.
    pub(super) phases: Value,
}

/// How a scale is measured.
pub(super) struct Runs<'a> {
    pub(super) input: &'a Path,
    pub(super) output: &'a Path,
    pub(super) threads: NonZeroUsize,
    pub(super) memory_limit: &'a str,
    pub(super) count: NonZeroUsize,
}

impl Runs<'_> {
    /// The modes in turn with decoding between them, so that a machine that slows down slows all of them.
    pub(super) fn measure(&self, modes: &[&'static str]) -> Result<Vec<Measured>> {
        let lookups = lookups(self.input)?;
        let (mut decoded, mut reports) = (Vec::new(), vec![Vec::new(); modes.len()]);
        for round in 0..=self.count.get() {
            let seconds = decode(self.input, &lookups, self.threads)?;
            let told = modes.iter().map(|mode| self.run(mode)).collect::<Result<Vec<_>>>()?;
            if round > 0 {
                decoded.push(seconds);
                reports.iter_mut().zip(told).for_each(|(reports, report)| reports.push(report));
            }
        }
        decoded.sort_by(f64::total_cmp);
        let decoded = decoded[decoded.len() / 2];
        Ok(modes.iter().zip(reports).map(|(mode, reports)| self.median(mode, reports, decoded)).collect())
    }

    fn run(&self, mode: &str) -> Result<Value> {
        let (report, days) = (self.output.join("report.json"), self.output.join("days"));
        if days.exists() {
            // Days that are there already are not written again, and writing is part of what is measured.
            std::fs::remove_dir_all(&days).map_err(cannot("remove the days of the run before"))?;
        }
        let program = std::env::current_exe().map_err(cannot("find this program"))?;
        let ended = Command::new(program)
            .arg("run")
            .arg(self.input)
            .arg("--lookups")
            .arg(self.input.join("lookups.json"))
            .arg("--output")
            .arg(&days)
            .arg("--report")
            .arg(&report)
            .args(["--force", "--mode", mode, "--memory-limit", self.memory_limit])
            .args(["--threads", &self.threads.to_string()])
            .env_clear() // settings of this machine's runs: their metrics file, their features
            .envs(std::env::var_os("TMPDIR").map(|directory| ("TMPDIR", directory)))
            .stdin(Stdio::null())
            .output()
            .map_err(cannot("start a run"))?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(Error::port("bench", "measure a run", false, said.trim_end()));
        }
        let json = std::fs::read(report).map_err(cannot("read a run's report"))?;
        Ok(serde_json::from_slice(&json).expect("a report is JSON"))
    }

    fn median(&self, mode: &'static str, mut reports: Vec<Value>, decoded: f64) -> Measured {
        let seconds = |report: &Value| report["seconds"]["total"].as_f64().unwrap_or(f64::NAN);
        reports.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
        let report = &reports[reports.len() / 2];
        let count = |name: &str| report[name].as_u64().unwrap_or_default();
        let (rows, seconds) = (count("rows_in"), seconds(report));
        let peak =
            reports.iter().filter_map(|report| report["peak_rss_bytes"].as_u64()).max().unwrap_or_default();
        Measured {
            mode,
            threads: self.threads.get(),
            runs: self.count.get(),
            input_rows_daily: 0, // synthetic months have hourly files only
            input_rows_hourly: rows,
            output_rows: count("rows_out"),
            compression_ratio: rows as f64 / count("rows_out").max(1) as f64,
            total_duration_seconds: seconds,
            total_cpu_seconds: report["cpu_seconds"].as_f64().unwrap_or(f64::NAN),
            peak_memory_bytes: peak,
            memory_per_1k_input_rows_bytes: peak as f64 / rows.max(1) as f64 * 1e3,
            rows_per_second: rows as f64 / seconds,
            decode_only_seconds: decoded,
            ratio_to_decode_only: seconds / decoded,
            phases: report["seconds"].clone(),
        }
    }
}
