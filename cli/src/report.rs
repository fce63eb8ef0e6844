//! What a run did: for a person on stderr, and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use daysum_core::port::Receipt;
use daysum_core::{Day, Error, Result, RowCounts};
use serde::Serialize;

use crate::replace::replace;
use crate::writers::Told;

/// Everything that is counted. `rows_in` is the sum of aggregated, filtered and quarantined rows.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) daysum_version: &'static str,
    pub(crate) run: String,
    pub(crate) source: String,
    pub(crate) mode: &'static str,
    pub(crate) threads: usize,
    /// Line items read so far; the counts below are known at the end.
    #[serde(skip)]
    pub(crate) rows_folded: u64,
    pub(crate) rows_in: u64,
    pub(crate) rows_aggregated: u64,
    pub(crate) rows_filtered: BTreeMap<&'static str, u64>,
    pub(crate) rows_quarantined: u64,
    /// Copies that several label sets or cost categories made of line items (SPEC 2.3).
    pub(crate) rows_fanned_out: u64,
    pub(crate) rows_out: u64,
    /// Days that were written, or found unchanged when they were.
    pub(crate) days: BTreeSet<Day>,
    /// Days whose inputs were those of the published rows, so that nothing was read for them.
    pub(crate) days_unchanged: BTreeSet<Day>,
    /// Days that keep their old rows because something of theirs could not be read.
    pub(crate) days_held: BTreeSet<Day>,
    /// Published days with rows of which no listed object can hold any: their objects are gone. The rows stay.
    pub(crate) days_orphaned: BTreeSet<Day>,
    /// Such days that were emptied, as `--prune` asked.
    pub(crate) days_pruned: BTreeSet<Day>,
    /// How often everything not yet published was planned again, because an object had changed or vanished since it was
    /// listed. Rows that were read twice are counted twice.
    pub(crate) replans: u32,
    pub(crate) objects: u64,
    /// Objects of usage that seem to be copies of others, whose rows count twice.
    pub(crate) objects_alike: BTreeSet<String>,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) rows_deleted: u64,
    pub(crate) nodes_without_role: u64,
    /// Label texts that were malformed and stand for no labels (policy.malformed_labels: empty).
    pub(crate) malformed_labels: u64,
    /// Columns that koku always writes and some file does not have: they read as NULL.
    pub(crate) columns_missing: BTreeSet<&'static str>,
    pub(crate) seconds: Seconds,
    /// Of all threads, in user and kernel mode.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) quarantined: Vec<Quarantined>,
    /// Why the run ended before its end; what it had published stays.
    pub(crate) error: Option<String>,
    /// Whether this report could not be written where it was asked for.
    #[serde(skip)]
    pub(crate) unwritten: bool,
}

/// Wall time, except for `fold`, `finalise` and `write`, which are summed over threads.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Seconds {
    pub(crate) plan: f64,
    pub(crate) fold: f64,
    pub(crate) finalise: f64,
    pub(crate) write: f64,
    pub(crate) total: f64,
}

/// What was left out, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Quarantined {
    pub(crate) object: Option<String>,
    pub(crate) row_group: Option<u32>,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) first_day: Option<Day>,
    pub(crate) last_day: Option<Day>,
}

impl Quarantined {
    fn touches(&self, first: Day, last: Day) -> bool {
        self.first_day.is_none_or(|day| day <= last) && self.last_day.is_none_or(|day| day >= first)
    }
}

impl Report {
    /// The exit code of a run that came to its end.
    pub(crate) fn code(&self) -> u8 {
        if !self.days_held.is_empty() {
            3
        } else if self.unwritten {
            1
        } else if [&self.days, &self.days_unchanged, &self.days_pruned].into_iter().all(BTreeSet::is_empty) {
            4
        } else {
            0
        }
    }

    pub(crate) fn add_counts(&mut self, counts: &RowCounts) -> Result<()> {
        self.rows_in += counts.rows_in;
        self.rows_aggregated += counts.aggregated;
        self.malformed_labels += counts.malformed_labels;
        for (reason, rows) in [
            ("out_of_range", counts.out_of_range),
            ("other_month", counts.other_month),
            ("no_node", counts.no_node),
            ("anomalous", counts.anomalous),
        ] {
            *self.rows_filtered.entry(reason).or_default() += rows;
        }
        let told = self.rows_aggregated + self.rows_filtered.values().sum::<u64>() + self.rows_quarantined;
        if self.rows_in == told {
            return Ok(());
        }
        Err(Error::Internal { reason: format!("{} rows in, {told} accounted for", self.rows_in) })
    }

    /// Forgets of these days what the next listing will tell anew.
    pub(crate) fn start_again(&mut self, (first, last): (Day, Day)) {
        self.replans += 1;
        // A day that this run has published lacks what it lacks.
        let of_published = |bad: &Quarantined| self.days.iter().any(|day| bad.touches(*day, *day));
        self.quarantined.retain(|bad| !bad.touches(first, last) || of_published(bad));
        for days in [&mut self.days_held, &mut self.days_unchanged, &mut self.days_orphaned] {
            days.retain(|day| !(first..=last).contains(day));
        }
    }

    /// A published day of which no object is there any more: its rows stay, until somebody says `--prune`.
    pub(crate) fn orphan(&mut self, day: Day) {
        tracing::warn!(%day, "no object of this published day is there any more; its rows stay as they are");
        self.days_orphaned.insert(day);
    }

    /// Whether something of these days was held back or left out.
    pub(crate) fn is_incomplete(&self, first: Day, last: Day) -> bool {
        self.days_held.range(first..=last).next().is_some()
            || self.quarantined.iter().any(|bad| bad.touches(first, last))
    }

    pub(crate) fn add_day(&mut self, day: Told, receipt: &Receipt) {
        self.days.insert(day.day);
        self.rows_out += receipt.rows;
        self.rows_deleted += receipt.rows_deleted.unwrap_or(0);
        self.bytes_written += receipt.bytes;
        self.rows_fanned_out += day.fanned_out;
        self.nodes_without_role += day.nodes_without_role;
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).expect("a report of numbers, dates and texts is JSON");
        replace(path, &json)
            .map_err(|error| Error::port("report", format!("write {}", path.display()), false, error))
    }
}

/// The exit code of a command that failed.
pub(crate) fn failure_code(error: &Error) -> u8 {
    if matches!(error, Error::Config { .. }) { 2 } else { 1 }
}

/// Largest resident memory of this process so far, where the system tells.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

/// Processor time of this process so far, where the system tells.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the command's name in brackets: user and system time are the 12th and 13th, in hundredths.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks: u64 =
        behind.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Days as a person lists them: `2025-11-05, 2025-11-07 to 2025-11-09`.
fn in_words(days: &BTreeSet<Day>) -> String {
    let mut spans: Vec<(Day, Day)> = Vec::new();
    for &day in days {
        match spans.last_mut() {
            Some((_, last)) if last.next() == day => *last = day,
            _ => spans.push((day, day)),
        }
    }
    let span = |(first, last): &(Day, Day)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    };
    spans.iter().map(span).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filtered: u64 = self.rows_filtered.values().sum();
        let reasons: Vec<String> = self
            .rows_filtered
            .iter()
            .filter(|(_, rows)| **rows > 0)
            .map(|(reason, rows)| format!("{} {rows}", reason.replace('_', " ")))
            .collect();
        writeln!(
            f,
            "rows in      {:>12}   {} objects, {} bytes read",
            self.rows_in, self.objects, self.bytes_read
        )?;
        writeln!(f, "  aggregated {:>12}", self.rows_aggregated)?;
        writeln!(f, "  left out   {filtered:>12}   {}", reasons.join(", "))?;
        writeln!(f, "  quarantined{:>12}", self.rows_quarantined)?;
        writeln!(
            f,
            "fanned out   {:>12}   copies made by several label sets or categories",
            self.rows_fanned_out
        )?;
        writeln!(
            f,
            "rows out     {:>12}   {} days, {} bytes written",
            self.rows_out,
            self.days.len(),
            self.bytes_written
        )?;
        if !self.days_unchanged.is_empty() {
            writeln!(
                f,
                "unchanged    {:>12}   days whose inputs are those of the published rows",
                self.days_unchanged.len()
            )?;
        }
        if !self.days_pruned.is_empty() {
            writeln!(f, "pruned       {:>12}   days without any object left", self.days_pruned.len())?;
        }
        writeln!(
            f,
            "time         {:>10.2} s   {:.0} rows/s, {} threads, peak {:.0} MiB",
            self.seconds.total,
            self.rows_in as f64 / self.seconds.total.max(1e-9),
            self.threads,
            self.peak_rss_bytes as f64 / f64::from(1 << 20)
        )?;
        if self.nodes_without_role > 0 {
            writeln!(
                f,
                "warning: {} node-days have no known role, so their unallocated rows have no namespace",
                self.nodes_without_role
            )?;
        }
        if self.malformed_labels > 0 {
            writeln!(
                f,
                "warning: {} label texts are malformed and stand for no labels",
                self.malformed_labels
            )?;
        }
        if !self.objects_alike.is_empty() {
            writeln!(
                f,
                "warning: {} objects seem to be copies of others: their rows count twice",
                self.objects_alike.len()
            )?;
        }
        if !self.columns_missing.is_empty() {
            let columns: Vec<&str> = self.columns_missing.iter().copied().collect();
            writeln!(f, "warning: some files do not have {}; read as NULL", columns.join(", "))?;
        }
        if !self.days_orphaned.is_empty() {
            writeln!(
                f,
                "warning: {} published days, {}, have no object in the input any more; their rows stay",
                self.days_orphaned.len(),
                in_words(&self.days_orphaned)
            )?;
        }
        for bad in &self.quarantined {
            writeln!(f, "left out: {}", bad.reason)?;
        }
        if !self.days_held.is_empty() {
            writeln!(
                f,
                "held back: {} days, {}; nothing was written of them",
                self.days_held.len(),
                in_words(&self.days_held)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_with_gaps_are_told_with_their_gaps() {
        let days = [5, 7, 8, 9, 12].map(|day| Day::from_ymd(2025, 11, day).expect("a day"));
        assert_eq!(in_words(&days.into()), "2025-11-05, 2025-11-07 to 2025-11-09, 2025-11-12");
    }
}
