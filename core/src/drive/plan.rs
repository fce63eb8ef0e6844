//! Which file is read for what (SPEC 1.2, 1.7).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::day::{Day, Month};
use crate::decode::Footer;
use crate::error::{Error, Location, Result};
use crate::fold::{ChunkFolder, Folder};
use crate::lookups::Lookups;
use crate::port::{ObjectMeta, Wanted};
use crate::schema::{FactKind, Grain, Table};
use crate::state::ChunkId;

/// What an object's key says, in koku's or the earlier Python's layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The `source=` part, lower case.
    pub source: Option<String>,
    /// The `year=` and `month=` parts.
    pub partition: Option<Month>,
    /// The `day=` part, or the date in the file's name, where it lies in the partition's month.
    pub day: Option<Day>,
    /// The table that a folder is named after.
    pub table: Option<Table>,
    /// Whether that is koku's daily table or the raw one. The earlier Python's folders, which come after the day, say
    /// nothing: one that is called daily holds hourly rows (SPEC 1.2).
    pub grain: Option<Grain>,
}

impl KeyFacts {
    /// Reads the key's `name=value` parts; a part that is absent or no number stays unknown.
    ///
    /// ```
    /// use daysum_core::drive::KeyFacts;
    /// let facts = KeyFacts::of("openshift_node_labels_line_items/source=AB-1/year=2025/month=08/x.2025-08-02.1.parquet");
    /// assert_eq!(facts.source.as_deref(), Some("ab-1"));
    /// assert_eq!(facts.partition.map(|month| month.to_string()).as_deref(), Some("2025-08"));
    /// assert_eq!(facts.day.map(|day| day.to_string()).as_deref(), Some("2025-08-02"));
    /// assert_eq!(facts.table, Some(daysum_core::schema::Table::NodeLabels));
    /// assert_eq!(facts.grain, Some(daysum_core::schema::Grain::Hourly));
    /// ```
    pub fn of(key: &str) -> Self {
        let part = |name: &str| key.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| part(name)?.parse::<u32>().ok();
        let partition = number("year")
            .zip(number("month"))
            .and_then(|(year, month)| Day::from_ymd(year.try_into().ok()?, month, 1))
            .map(Day::month);
        let day = partition.and_then(|month| {
            let (year, month_number, _) = month.first().ymd();
            let of_part = number("day").and_then(|day| Day::from_ymd(year, month_number, day));
            of_part.or_else(|| date_in(key.rsplit('/').next()?)).filter(|day| day.month() == month)
        });
        let (table, grain) = table_of(key);
        Self { source: part("source").map(str::to_lowercase), partition, day, table, grain }
    }

    /// Whether a file with this key can hold rows that are wanted.
    pub fn may_hold(&self, wanted: &Wanted) -> bool {
        let Wanted { source_uuid, months: (first, last) } = wanted;
        (source_uuid.is_empty() || self.source.as_ref().is_none_or(|of_key| of_key == source_uuid))
            && self.partition.is_none_or(|month| (*first..=*last).contains(&month))
    }
}

/// The table that a folder of the key is named after, and its grain: `openshift_pod_usage_line_items_daily/source=…` as in
/// koku's tables, `parquet/daily/…/pod_usage/source=…` as its object keys are.
fn table_of(key: &str) -> (Option<Table>, Option<Grain>) {
    let folders: Vec<&str> = key.split('/').collect();
    let folders = &folders[..folders.len() - 1];
    let named = |folder: &&str| {
        let name = folder.strip_prefix("openshift_").unwrap_or(folder);
        let name = name.strip_suffix("_daily").unwrap_or(name);
        let name = name.strip_suffix("_line_items").unwrap_or(name);
        Table::ALL.into_iter().find(|table| table.report_type() == name)
    };
    let Some((at, table)) = folders.iter().enumerate().find_map(|(at, folder)| Some((at, named(folder)?)))
    else {
        return (None, None);
    };
    let of_koku = folders.get(at + 1).is_some_and(|next| next.starts_with("source="));
    let below = |parents: &[&str]| folders[..at].windows(parents.len()).any(|these| these == parents);
    let grain = match folders[at] {
        _ if !of_koku => None,
        name if name.ends_with("_line_items_daily") => Some(Grain::Daily),
        name if name.ends_with("_line_items") => Some(Grain::Hourly),
        _ if below(&["parquet", "daily"]) || folders[0] == "daily" => Some(Grain::Daily),
        _ if below(&["parquet"]) => Some(Grain::Hourly),
        _ => None,
    };
    (Some(table), grain)
}

/// Which objects can hold what the lookups ask for.
pub fn wanted(lookups: &Lookups) -> Result<Wanted> {
    let (first, last) = lookups.range()?;
    Ok(Wanted { source_uuid: lookups.source_uuid.to_lowercase(), months: (first.month(), last.month()) })
}

/// The first `YYYY-MM-DD` in a file's name, as koku's are.
fn date_in(name: &str) -> Option<Day> {
    (0..name.len().saturating_sub(9)).find_map(|start| name.get(start..start + 10)?.parse().ok())
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

impl PlannedObject {
    /// Starts one of its row groups; one that the folder has inside already is refused.
    pub fn start(&self, folder: Folder, row_group: u32) -> Result<ChunkFolder> {
        folder.start(&self.chunk(row_group), self.kind, self.partition)
    }

    pub(super) fn chunk(&self, row_group: u32) -> ChunkId {
        let version = self.meta.version.clone().unwrap_or_default();
        ChunkId { object: self.meta.key.clone(), version, row_group }
    }

    /// Columns that koku always writes and that read as NULL.
    pub fn missing_columns(&self) -> Vec<&'static str> {
        self.kind.missing(self.footer.schema())
    }
}

/// An object that cannot be read as one of the tables.
#[derive(Debug)]
pub struct UnreadableObject {
    /// The object as it was listed.
    pub meta: ObjectMeta,
    /// What is wrong with it.
    pub error: Error,
    /// Days that its key says it holds; `None` is any day.
    pub days: Option<(Day, Day)>,
}

impl UnreadableObject {
    fn new(meta: ObjectMeta, error: Error) -> Self {
        let facts = KeyFacts::of(&meta.key);
        let of_month = facts.partition.map(|month| (month.first(), month.last()));
        Self { days: facts.day.map(|day| (day, day)).or(of_month), meta, error }
    }
}

/// What a run reads.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order they are read: labels and volumes before pods.
    pub objects: Vec<PlannedObject>,
    /// They hold back their days.
    pub unreadable: Vec<UnreadableObject>,
}

impl Plan {
    /// Pairs of objects of usage that seem to be copies of each other, by key: their rows count twice, as they would in
    /// koku's SQL. Capacity and label sets are the same however often they are read.
    pub fn alike(&self) -> Vec<[&str; 2]> {
        let mut first: BTreeMap<(FactKind, u64, u64), &str> = BTreeMap::new();
        let mut alike = Vec::new();
        for PlannedObject { meta, footer, kind, .. } in &self.objects {
            use FactKind::{PodDaily, PodHourly, StorageDaily, StorageHourly};
            let adds_up = matches!(kind, PodDaily | PodHourly | StorageDaily | StorageHourly);
            let Some(likeness) = footer.likeness().filter(|_| adds_up) else { continue };
            match first.entry((*kind, meta.size, likeness)) {
                Entry::Vacant(entry) => drop(entry.insert(&meta.key)),
                Entry::Occupied(entry) => alike.push([*entry.get(), &meta.key]),
            }
        }
        alike
    }

    /// Columns that koku always writes and that read as NULL, with the files that lack just these. Not by file: where an
    /// operator does not send a column, none of its files has it.
    pub fn missing_columns(&self) -> BTreeMap<Vec<&'static str>, Vec<&str>> {
        let mut missing: BTreeMap<Vec<&'static str>, Vec<&str>> = BTreeMap::new();
        for object in &self.objects {
            let columns = object.missing_columns();
            if !columns.is_empty() {
                missing.entry(columns).or_default().push(&object.meta.key);
            }
        }
        missing
    }
}

/// Tables of koku that are not part of the daily summary.
const OTHER_TABLES: &[&str] = &["vm_usage", "gpu_usage"];

/// By a folder whose name begins so, with or without `openshift_`, or by the file's: words within a prefix say nothing.
fn is_of_other_table(key: &str) -> bool {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    let of_folder = |folder: &str| {
        let table = folder.strip_prefix("openshift_").unwrap_or(folder);
        OTHER_TABLES.iter().any(|other| table.starts_with(other))
    };
    folders.split('/').any(of_folder) || OTHER_TABLES.iter().any(|other| name.contains(other))
}

/// A file of one of the tables.
struct Found {
    table: Table,
    grain: Grain,
    partition: Option<Month>,
    /// First and last month that its rows can be of.
    months: (Month, Month),
    meta: ObjectMeta,
    footer: Footer,
}

impl Found {
    fn months(&self) -> impl Iterator<Item = (Table, Month)> + use<> {
        let table = self.table;
        self.months.0.through(self.months.1).map(move |month| (table, month))
    }
}

/// Chooses what to read. Files of other sources, other months and other tables are left out; where daily and
/// hourly files of a table and month are both there, each is used as SPEC 1.7 says.
pub fn plan(files: Vec<(ObjectMeta, Result<Footer>)>, lookups: &Lookups) -> Result<Plan> {
    let (mut found, mut unreadable, wanted) = (Vec::new(), Vec::new(), wanted(lookups)?);
    let mut daily: BTreeSet<(Table, Month)> = BTreeSet::new();
    for (meta, footer) in files {
        let facts = KeyFacts::of(&meta.key);
        if !concerns(&meta.key, &facts, &wanted, lookups) {
            continue;
        }
        let is_empty = footer.as_ref().is_ok_and(Footer::is_empty);
        // Columns tell the table, and its folder where those are missing that would; of the grain the folder knows more.
        let told = footer.and_then(|footer| match (footer.table(), facts.table) {
            (Ok(table), _) | (Err(_), Some(table)) => Ok((table, footer)),
            (Err(error), None) => Err(error),
        });
        match told {
            Ok((table, _)) if is_left_out(table, lookups) => {}
            Ok((table, footer)) => found.push(Found {
                table,
                grain: facts.grain.unwrap_or(footer.grain()),
                partition: facts.partition,
                months: months(facts.partition, &footer, &wanted),
                meta,
                footer,
            }),
            Err(_) if is_empty => {} // what has no rows lacks none
            Err(error) => {
                // Daily files that cannot be read are there all the same: hourly ones do not stand in for them.
                if let (Some(table), Some(Grain::Daily), Some(month)) =
                    (facts.table, facts.grain, facts.partition)
                {
                    daily.insert((table, month));
                }
                unreadable.push(UnreadableObject::new(meta, error));
            }
        }
    }
    daily.extend(found.iter().filter(|file| file.grain == Grain::Daily).flat_map(Found::months));
    // Tables that have daily files, and a file in no month's directory.
    let loose = found.iter().filter(|file| file.partition.is_none()).map(|file| file.table);
    let loose: BTreeSet<Table> = loose.filter(|table| daily.iter().any(|(of, _)| of == table)).collect();
    let mut objects: Vec<(Table, PlannedObject)> = Vec::new();
    for file in found {
        let is_empty = file.footer.is_empty();
        let beside_daily = file.months().any(|month| daily.contains(&month));
        let beside_none = file.months().any(|month| !daily.contains(&month));
        let Found { table, grain, partition, meta, footer, .. } = file;
        let kind = FactKind::of(table, grain, beside_daily);
        // Label sets are the same however often they are read.
        let counts = kind.is_none_or(|kind| !kind.excludes().is_empty());
        let is_apart = grain == Grain::Hourly && beside_none && counts && loose.contains(&table);
        let checked = match kind {
            _ if is_apart => Err(Error::value(
                Location::object(meta.key.clone()),
                "hourly rows of months without daily ones, beside daily files of other months: only directories tell such \
                 months apart, so put each into its own (year=YYYY/month=MM), or give one grain only",
            )),
            Some(kind) => kind.check(footer.object(), footer.schema()).map(|()| kind),
            None => continue,
        };
        match checked {
            Ok(kind) => objects.push((table, PlannedObject { meta, footer, kind, partition })),
            Err(_) if is_empty => {}
            Err(error) => unreadable.push(UnreadableObject::new(meta, error)),
        }
    }
    objects.sort_by_key(|(table, _)| *table);
    Ok(Plan { objects: objects.into_iter().map(|(_, object)| object).collect(), unreadable })
}

/// Whether a run of these lookups has to look at the file with this key.
pub(super) fn concerns(key: &str, facts: &KeyFacts, wanted: &Wanted, lookups: &Lookups) -> bool {
    let is_left_out = facts.table.is_some_and(|table| is_left_out(table, lookups));
    facts.may_hold(wanted) && !is_left_out && !is_of_other_table(key)
}

/// Storage that nobody asks for is not even looked at (SPEC 2.7).
fn is_left_out(table: Table, lookups: &Lookups) -> bool {
    table == Table::StorageUsage && !lookups.storage_exists
}

/// First and last month that rows of a file can be of: as its directory says, or its statistics, or any that is wanted.
fn months(partition: Option<Month>, footer: &Footer, wanted: &Wanted) -> (Month, Month) {
    let of_rows = || footer.days().map(|(first, last)| (first.month(), last.month()));
    let (first, last) = partition.map(|month| (month, month)).or_else(of_rows).unwrap_or(wanted.months);
    (first.max(wanted.months.0), last.min(wanted.months.1))
}
