//! Which file is read for what (SPEC 1.2, 1.7).

use std::collections::BTreeSet;

use crate::day::{Day, Month};
use crate::decode::Footer;
use crate::error::Result;
use crate::lookups::Lookups;
use crate::port::ObjectMeta;
use crate::schema::{FactKind, Grain, Table};

/// What an object's key says, in koku's or the earlier Python's layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The `source=` part, lower case.
    pub source: Option<String>,
    /// The `year=` and `month=` parts.
    pub partition: Option<Month>,
}

impl KeyFacts {
    /// Reads the key's `name=value` parts; a part that is absent or no number stays unknown.
    ///
    /// ```
    /// use daysum_core::drive::KeyFacts;
    /// let facts = KeyFacts::of("openshift_node_labels_line_items/source=AB-1/year=2025/month=08/x.parquet");
    /// assert_eq!(facts.source.as_deref(), Some("ab-1"));
    /// assert_eq!(facts.partition.map(|month| month.to_string()).as_deref(), Some("2025-08"));
    /// ```
    pub fn of(key: &str) -> Self {
        let part = |name: &str| key.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let partition = part("year")
            .zip(part("month"))
            .and_then(|(year, month)| Day::from_ymd(year.parse().ok()?, month.parse().ok()?, 1))
            .map(Day::month);
        Self { source: part("source").map(str::to_lowercase), partition }
    }
}

/// An object that is read, and for what.
#[derive(Debug, Clone)]
pub struct PlannedObject {
    /// The object as it was listed.
    pub meta: ObjectMeta,
    /// Its footer.
    pub footer: Footer,
    /// What it is read for.
    pub kind: FactKind,
    /// The month whose directory it lies in.
    pub partition: Option<Month>,
}

/// What a run reads.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order they are read: labels and volumes before pods.
    pub objects: Vec<PlannedObject>,
}

/// Chooses what to read. Files of other sources are left out; where daily and hourly files of a table
/// and month are both there, each is used as SPEC 1.7 says.
pub fn plan(files: Vec<(ObjectMeta, Footer)>, lookups: &Lookups) -> Result<Plan> {
    let source = lookups.source_uuid.to_lowercase();
    let mut found = Vec::new();
    for (meta, footer) in files {
        let facts = KeyFacts::of(&meta.key);
        if !source.is_empty() && facts.source.is_some_and(|of_key| of_key != source) {
            continue;
        }
        let table = footer.table()?;
        found.push((table, footer.grain(), facts.partition, meta, footer));
    }
    let daily: BTreeSet<(Table, Option<Month>)> = found
        .iter()
        .filter(|(_, grain, ..)| *grain == Grain::Daily)
        .map(|(table, _, partition, ..)| (*table, *partition))
        .collect();
    let mut objects: Vec<(Table, PlannedObject)> = found
        .into_iter()
        .filter_map(|(table, grain, partition, meta, footer)| {
            let kind = FactKind::of(table, grain, daily.contains(&(table, partition)))?;
            Some((table, PlannedObject { meta, footer, kind, partition }))
        })
        .collect();
    objects.sort_by_key(|(table, _)| *table);
    Ok(Plan { objects: objects.into_iter().map(|(_, object)| object).collect() })
}
