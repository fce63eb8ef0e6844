//! What decides how rows are folded. It must be the same for all parts of a state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::wire::WIRE_VERSION;
use crate::day::Day;
use crate::error::{Error, Result};
use crate::labels::{LabelFilter, OnMalformed};
use crate::lookups::{Lookups, TextOrNumber};

/// Choices that the lookups do not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FoldOptions {
    /// What to do with malformed label text (SPEC 2.2).
    pub on_malformed_labels: OnMalformed,
}

/// Which rows are folded, and which label keys they keep. Its fingerprint travels in every state.
#[derive(Debug, Clone)]
pub struct FoldConfig {
    told: Told,
    labels: LabelFilter,
    fingerprint: String,
    day_fingerprint: String,
}

/// What a configuration consists of, as it travels in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// Whose rows they are; empty where the lookups do not tell.
    source: String,
    label_keys: Vec<String>,
    first: Day,
    last: Day,
    days_of_month: Option<BTreeSet<u32>>,
    storage: bool,
    options: FoldOptions,
}

impl Told {
    /// What is not the same, as `label keys ["a"] and ["b"]`. Of long lists what only one has.
    fn differs_from(&self, other: &Self) -> String {
        let Self { source, label_keys, first, last, days_of_month, storage, options } = self;
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|key| !those.contains(key)).cloned().collect::<Vec<_>>()
        };
        let keys = [only(label_keys, &other.label_keys), only(&other.label_keys, label_keys)];
        let json = |value: serde_json::Value| value.to_string();
        let differences = [
            ("source", [source, &other.source].map(String::clone)),
            ("label keys", keys.map(|keys| json(serde_json::json!(keys)))),
            ("range", [format!("{first} to {last}"), format!("{} to {}", other.first, other.last)]),
            (
                "days of the month",
                [days_of_month, &other.days_of_month].map(|days| json(serde_json::json!(days))),
            ),
            ("storage", [storage, &other.storage].map(bool::to_string)),
            ("options", [options, &other.options].map(|options| json(serde_json::json!(options)))),
        ];
        let differ = differences.iter().filter(|(_, [this, that])| this != that);
        differ.map(|(what, [this, that])| format!("{what} {this} and {that}")).collect::<Vec<_>>().join(", ")
    }
}

impl FoldConfig {
    /// Reads what folding needs out of the lookups.
    pub fn new(lookups: &Lookups, options: FoldOptions) -> Result<Self> {
        let (first, last) = lookups.range()?;
        let days_of_month = lookups
            .days
            .as_ref()
            .map(|days| {
                let number = |day: &TextOrNumber| day.number().filter(|number| (1..=31).contains(number));
                days.iter().map(number).collect::<Option<BTreeSet<u32>>>()
            })
            .map(|days| days.ok_or_else(|| Error::config("lookups: days must be days of the month, 1 to 31")))
            .transpose()?;
        let label_keys = lookups.enabled_tag_keys.clone();
        Ok(Self::from_told(Told {
            source: lookups.source_uuid.to_lowercase(),
            label_keys,
            first,
            last,
            days_of_month,
            storage: lookups.storage_exists,
            options,
        }))
    }

    /// The same for another range of days, both inclusive.
    pub fn between(&self, first: Day, last: Day) -> Self {
        Self::from_told(Told { first, last, ..self.told.clone() })
    }

    pub(super) fn from_told(mut told: Told) -> Self {
        let labels = LabelFilter::new(told.label_keys.iter().cloned(), told.options.on_malformed_labels);
        told.label_keys = labels.keys().iter().map(|key| key.to_string()).collect();
        let Told { label_keys, storage, options, source: _, first: _, last: _, days_of_month: _ } = &told;
        let day = fingerprint(&serde_json::json!([WIRE_VERSION, label_keys, storage, options]));
        let of_no_source = Told { source: String::new(), ..told.clone() };
        let fingerprint = fingerprint(&serde_json::json!([WIRE_VERSION, of_no_source]));
        Self { told, labels, fingerprint, day_fingerprint: day }
    }

    /// Refuses another configuration, under which other rows would have been folded.
    pub(crate) fn check_same(&self, other: &Self) -> Result<()> {
        let (ours, theirs) = (&self.told, &other.told);
        let one_source = ours.source == theirs.source || ours.source.is_empty() || theirs.source.is_empty();
        if one_source && self.fingerprint == other.fingerprint {
            return Ok(());
        }
        Err(Error::ConfigMismatch { differs: ours.differs_from(theirs) })
    }

    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// The label filter.
    pub fn labels(&self) -> &LabelFilter {
        &self.labels
    }

    /// First and last day, both inclusive.
    pub fn range(&self) -> (Day, Day) {
        (self.told.first, self.told.last)
    }

    /// Whether rows of this day are summarised (SPEC 2.0, 2.11).
    pub fn wants(&self, day: Day) -> bool {
        (self.told.first..=self.told.last).contains(&day)
            && self.told.days_of_month.as_ref().is_none_or(|days| days.contains(&day.ymd().2))
    }

    /// Whether storage is summarised at all (SPEC 2.7).
    pub fn storage(&self) -> bool {
        self.told.storage
    }

    /// Equal where and only where the same rows fold to the same state. The source is not part of it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Equal where the rows of a day fold to the same state of that day, whichever other days are asked for: a range
    /// that grows from run to run makes no published day a new one.
    pub fn day_fingerprint(&self) -> &str {
        &self.day_fingerprint
    }
}

/// A short name for a configuration: 64 bits of SHA-256, in hexadecimal digits.
pub(crate) fn fingerprint(told: &serde_json::Value) -> String {
    Sha256::digest(told.to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_no_source_is_anybody_s() {
        let of = |source: &str| {
            let source_uuid = source.to_owned();
            let [start_date, end_date] = ["2025-11-01", "2025-11-30"].map(|day| Some(day.to_owned()));
            let lookups = Lookups { source_uuid, start_date, end_date, ..Lookups::default() };
            FoldConfig::new(&lookups, FoldOptions::default()).expect("a range")
        };
        for (ours, theirs, one) in [("", "a", true), ("a", "", true), ("a", "A", true), ("a", "b", false)] {
            assert_eq!(of(ours).check_same(&of(theirs)).is_ok(), one, "{ours:?} and {theirs:?}");
        }
    }
}
