//! What a run did, as JSON: rows in = aggregated + filtered + quarantined.

use std::collections::{BTreeMap, BTreeSet};

use daysum_core::drive::Plan;
use daysum_core::schema::FactKind;
use daysum_core::{Day, DaySummary, Lookups, RowCounts};
use serde::Serialize;

use crate::error::Told;

/// The counts, the files, and what was left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    rows_in: u64,
    rows_aggregated: u64,
    rows_filtered: BTreeMap<&'static str, u64>,
    rows_quarantined: u64,
    /// Copies that several label sets or cost categories made of line items.
    rows_fanned_out: u64,
    rows_out: u64,
    /// Unallocated rows whose node has no known role.
    nodes_without_role: u64,
    /// Label texts that were malformed and stand for no labels.
    malformed_labels: u64,
    /// Rows of the row groups that hold wanted days.
    pub(crate) total_rows: u64,
    /// Whether the row limit ended the run before its end.
    pub(crate) first_look: bool,
    /// The days that were asked for, or that the files say they hold; `None` where no file can be read.
    range: Option<(Day, Day)>,
    /// Fields of the lookups that nobody knows: likely misspelled.
    unknown_lookups: Vec<String>,
    days_held: BTreeSet<Day>,
    files: Vec<FileFacts>,
    quarantined: Vec<Quarantined>,
}

/// What a file turned out to be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileFacts {
    name: String,
    /// `None` where the file is not read: another table, another month, an hourly form beside the daily one.
    kind: Option<FactKind>,
    rows: u64,
    row_groups: usize,
    /// Columns that koku always writes and that read as NULL here.
    missing_columns: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Quarantined {
    #[serde(flatten)]
    error: Told,
    first_day: Option<Day>,
    last_day: Option<Day>,
}

/// What is known of a finished day besides its rows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DayFacts {
    day: Day,
    rows: usize,
    fanned_out: u64,
    nodes_without_role: u64,
}

impl DayFacts {
    pub(crate) fn json(summary: &DaySummary) -> String {
        let facts = Self {
            day: summary.day,
            rows: summary.num_rows(),
            fanned_out: summary.fanned_out,
            nodes_without_role: summary.nodes_without_role,
        };
        serde_json::to_string(&facts).expect("numbers and dates are JSON")
    }
}

impl Report {
    pub(crate) fn plan<'a>(
        &mut self,
        plan: &Plan,
        names: impl Iterator<Item = &'a str>,
        range: Option<(Day, Day)>,
        lookups: &Lookups,
    ) {
        self.range = range;
        self.unknown_lookups = lookups.unknown.keys().cloned().collect();
        let read: BTreeMap<_, _> = plan.objects.iter().map(|object| (&*object.meta.key, object)).collect();
        self.files = names
            .map(|name| {
                let object = read.get(name);
                let groups = object.map(|object| object.footer.row_groups(object.kind)).unwrap_or_default();
                FileFacts {
                    name: name.to_owned(),
                    kind: object.map(|object| object.kind),
                    rows: groups.iter().map(|group| group.rows).sum(),
                    row_groups: groups.len(),
                    missing_columns: object.map(|object| object.missing_columns()).unwrap_or_default(),
                }
            })
            .collect();
    }

    /// Something of these days is left out, and `rows` of the input with it.
    pub(crate) fn reject(&mut self, error: Told, days: Option<(Day, Day)>, rows: u64) {
        self.rows_in += rows;
        self.rows_quarantined += rows;
        self.quarantined.push(Quarantined {
            error,
            first_day: days.map(|days| days.0),
            last_day: days.map(|days| days.1),
        });
    }

    pub(crate) fn hold<'a>(&mut self, days: impl IntoIterator<Item = &'a Day>) {
        self.days_held.extend(days);
    }

    pub(crate) fn day(&mut self, summary: &DaySummary) {
        self.rows_out += summary.num_rows() as u64;
        self.rows_fanned_out += summary.fanned_out;
        self.nodes_without_role += summary.nodes_without_role;
    }

    pub(crate) fn count(&mut self, counts: &RowCounts) -> Result<(), Told> {
        counts.check()?;
        self.rows_in += counts.rows_in;
        self.rows_aggregated += counts.aggregated;
        self.malformed_labels += counts.malformed_labels;
        self.rows_filtered.extend([
            ("outOfRange", counts.out_of_range),
            ("otherMonth", counts.other_month),
            ("noNode", counts.no_node),
            ("anomalous", counts.anomalous),
        ]);
        Ok(())
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers, dates and texts are JSON")
    }
}
