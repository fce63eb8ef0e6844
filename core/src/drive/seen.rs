//! What the last complete run saw, so that a run that sees the same need not read a single footer.
//!
//! ```text
//! end of a run, nothing held back or left out:   listing + fingerprint + inputs of each published day -> Seen -> sink
//! start of the next:   same listing, same fingerprint, those days still published from those inputs -> nothing to do
//! ```
//!
//! The ledger of the days alone cannot tell. An object can belong to no published day (rows out of range only, another
//! table, hourly files that daily ones replace), and would look new for ever; and an object can be in the ledger of one
//! day while another day, held back or not asked for, still waits for it, and would look known. A run is a function of
//! its listing, its configuration and the ledger. So what is compared is all three, as they were when a run ended with
//! nothing open. Whatever differs, or was not a complete run, means that footers are read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::day::Day;
use crate::port::{InputObject, ObjectMeta, Published};

/// A complete run, as far as the next one must know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which days were asked for, among other things.
    asked: String,
    fingerprint: String,
    daysum_version: String,
    /// Digest of every listed object's key, version and size.
    listing: String,
    /// The days that were published then, with a digest of their inputs.
    days: BTreeMap<Day, String>,
    /// Days that objects could have had rows of, and had none: where the ledger has some, another run had other objects.
    #[serde(default)]
    empty: BTreeSet<Day>,
}

impl Seen {
    /// What a run sees at its start: what it was asked for, as [`FoldConfig::fingerprint`](crate::FoldConfig::fingerprint)
    /// tells, what the fingerprints of its days have in common, and a listing sorted by key.
    pub fn new(asked: &str, fingerprint: &str, daysum_version: &str, objects: &[ObjectMeta]) -> Self {
        let listed = objects.iter().map(|object| InputObject {
            key: object.key.clone(),
            version: object.version.clone(),
            size: object.size,
            kind: None,
        });
        Self {
            asked: asked.to_owned(),
            fingerprint: fingerprint.to_owned(),
            daysum_version: daysum_version.to_owned(),
            listing: digest(&listed.collect::<Vec<_>>()),
            days: BTreeMap::new(),
            empty: BTreeSet::new(),
        }
    }

    /// Adds a day that is published from these inputs, sorted by key.
    pub fn add_day(&mut self, day: Day, inputs: &[InputObject]) {
        self.days.insert(day, digest(inputs));
    }

    /// Adds a day of which there are no rows, published ones neither.
    pub fn add_empty_day(&mut self, day: Day) {
        self.empty.insert(day);
    }

    /// The published days, where a run that sees `now` above this ledger would find all of them unchanged and have
    /// nothing else to do. `None` says that it must look. `holds` tells whether a day of this fingerprint would get the
    /// same rows again from the same inputs.
    ///
    /// Other days of the ledger do not matter: no listed object held rows of theirs.
    pub fn nothing_new(
        &self,
        now: &Self,
        ledger: &[Published],
        holds: impl Fn(&str) -> bool,
    ) -> Option<BTreeSet<Day>> {
        let Self { asked, fingerprint, daysum_version, listing, .. } = now;
        let same = [&self.asked, &self.fingerprint, &self.daysum_version, &self.listing]
            == [asked, fingerprint, daysum_version, listing];
        let stands = |(day, inputs): (&Day, &String)| {
            ledger.iter().any(|entry| {
                entry.scope.day == *day
                    && holds(&entry.scope.fingerprint)
                    && entry.daysum_version == self.daysum_version
                    && digest(&entry.scope.inputs) == *inputs
            })
        };
        let filled = |entry: &Published| entry.rows > 0 && self.empty.contains(&entry.scope.day);
        (same && self.days.iter().all(stands) && !ledger.iter().any(filled))
            .then(|| self.days.keys().copied().collect())
    }

    /// As a sink keeps it.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("texts and dates are JSON")
    }

    /// Reads what a sink has kept; `None` where another version of daysum wrote it in another form.
    pub fn decode(kept: &str) -> Option<Self> {
        serde_json::from_str(kept).ok()
    }
}

fn digest(objects: &[InputObject]) -> String {
    let json = serde_json::to_vec(objects).expect("texts and numbers are JSON");
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{RunId, WriteScope};

    fn object(key: &str, version: &str) -> ObjectMeta {
        ObjectMeta { key: key.into(), size: 7, version: Some(version.into()), ..ObjectMeta::default() }
    }

    fn input(key: &str, version: &str) -> InputObject {
        InputObject { key: key.into(), version: Some(version.into()), size: 7, kind: None }
    }

    fn entry(day: i32, inputs: &[InputObject]) -> Published {
        let scope = WriteScope {
            source_uuid: String::new(),
            report_period_id: None,
            day: Day(day),
            inputs: inputs.to_vec(),
            fingerprint: "f.1".into(),
            run: RunId("r".into()),
        };
        Published { scope, rows: 1, digest: String::new(), daysum_version: "1".into() }
    }

    #[test]
    fn only_the_same_listing_configuration_and_ledger_are_nothing_new() {
        // b belongs to no day: it holds other rows than those asked for.
        let listing = [object("a", "1"), object("b", "1")];
        let mut last = Seen::new("a", "f", "1", &listing);
        last.add_day(Day(1), &[input("a", "1")]);
        let last = Seen::decode(&last.encode()).expect("it was just encoded");
        let ledger = [entry(1, &[input("a", "1")])];
        let at = |listing: &[ObjectMeta], ledger: &[Published]| {
            last.nothing_new(&Seen::new("a", "f", "1", listing), ledger, |of_day| of_day == "f.1")
                .map(|days| days.len())
        };
        assert_eq!(at(&listing, &ledger), Some(1));
        let mut beside = last.clone();
        beside.add_empty_day(Day(3));
        let by_another_run = [ledger[0].clone(), entry(3, &[input("c", "1")])];
        assert_eq!(beside.nothing_new(&Seen::new("a", "f", "1", &listing), &by_another_run, |_| true), None);
        assert!(beside.nothing_new(&Seen::new("a", "f", "1", &listing), &ledger, |_| true).is_some());
        let older = entry(0, &[input("gone", "1")]);
        assert_eq!(at(&listing, &[older, ledger[0].clone()]), Some(1), "a day that no listed object holds");

        assert_eq!(at(&[&listing[..], &[object("c", "1")]].concat(), &ledger), None, "an object is new");
        assert_eq!(at(&listing[..1], &ledger), None, "an object is gone");
        assert_eq!(at(&[object("a", "2"), object("b", "1")], &ledger), None, "an object has changed");
        assert_eq!(at(&listing, &[]), None, "the day is not published any more");
        assert_eq!(at(&listing, &[entry(1, &[input("a", "0")])]), None, "it was published from others");
        let mut other = ledger.clone();
        other[0].scope.fingerprint = String::new();
        assert_eq!(at(&listing, &other), None, "somebody asked for another reading of the day");
        for [asked, fingerprint, version] in [["b", "f", "1"], ["a", "g", "1"], ["a", "f", "2"]] {
            let now = Seen::new(asked, fingerprint, version, &listing);
            assert_eq!(last.nothing_new(&now, &ledger, |_| true), None);
        }
    }
}
