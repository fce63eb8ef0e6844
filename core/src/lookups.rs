//! What koku's database answers before a run: tag keys, cost categories, node roles, the period.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::day::{Day, Month};
use crate::error::{Error, Result};

/// The newest form of the lookups file that this build reads.
pub const LOOKUPS_VERSION: u32 = 1;

/// What a run plans grows with the days of its range, whether there are rows or not.
const MOST_DAYS: i32 = 36_525;

/// The tag key that is enabled without anybody enabling it (SPEC 2.1): it identifies virtual machines.
pub const VM_KEY: &str = "vm_kubevirt_io_name";

/// What the database knows and the files do not (SPEC 2.0, 2.1, 2.9, 2.10).
///
/// The JSON form is documented here, is versioned, and is what `daysum run --lookups` reads:
///
/// ```
/// let lookups = daysum_core::Lookups::from_json(br#"{
///   "version": 1,
///   "source_uuid": "fa4238b2-62ad-5c41-8747-6ee200183c54",
///   "start_date": "2025-11-01", "end_date": "2025-11-30",
///   "report_period_id": 7, "cluster_id": "my-cluster", "cluster_alias": "My cluster",
///   "enabled_tag_keys": ["app", "team"],
///   "cost_categories": [{"namespace": "openshift-%", "cost_category_id": 1}],
///   "nodes": [{"node": "n1", "resource_id": "i-1", "node_role": "worker"}]
/// }"#)?;
/// assert_eq!(lookups.cluster_id, "my-cluster");
/// assert!(lookups.storage_exists);
/// # Ok::<(), daysum_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookups {
    /// Form of this file; absent means 1.
    pub version: Option<u32>,
    /// Tenant schema, such as `org1234567`; used by database sinks only.
    pub schema: Option<String>,
    /// The provider whose files are read; compared as lower-case text.
    #[serde(deserialize_with = "none_is_nothing")]
    pub source_uuid: String,
    /// Year of the partition, as text or number: with the month the range, where there are no dates.
    pub year: Option<TextOrNumber>,
    /// Month of the partition, as text or number.
    pub month: Option<TextOrNumber>,
    /// First day, inclusive, `YYYY-MM-DD`.
    pub start_date: Option<String>,
    /// Last day, inclusive, `YYYY-MM-DD`.
    pub end_date: Option<String>,
    /// Days of the month to publish (SPEC 2.11); absent means every day of the range.
    pub days: Option<Vec<TextOrNumber>>,
    /// `reporting_ocpusagereportperiod.id`.
    pub report_period_id: Option<i32>,
    /// Cluster identifier, up to 50 characters.
    #[serde(deserialize_with = "none_is_nothing")]
    pub cluster_id: String,
    /// Human name of the cluster.
    #[serde(deserialize_with = "none_is_nothing")]
    pub cluster_alias: String,
    /// Whether storage is summarised (SPEC 2.7); false ignores storage files.
    #[serde(deserialize_with = "none_is_true")]
    pub storage_exists: bool,
    /// Enabled tag keys of provider type OCP (SPEC 2.1).
    #[serde(deserialize_with = "none_is_nothing")]
    pub enabled_tag_keys: Vec<String>,
    /// Cost-category patterns (SPEC 2.10).
    #[serde(deserialize_with = "none_is_nothing")]
    pub cost_categories: Vec<CostCategory>,
    /// The node registry of the whole tenant (SPEC 2.9).
    #[serde(deserialize_with = "none_is_nothing")]
    pub nodes: Vec<NodeRole>,
    /// Keys that are known but not enabled; informative.
    #[serde(deserialize_with = "none_is_nothing")]
    pub disabled_tag_keys: Vec<String>,
    /// Enabled tag keys of other provider types, by type; informative.
    #[serde(deserialize_with = "none_is_nothing")]
    pub other_provider_tag_keys: BTreeMap<String, Vec<String>>,
    /// Keys this build does not know; kept so that callers can name them in a warning. Those of entries are named
    /// `nodes[].KEY`, without their values.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

impl Default for Lookups {
    /// What an empty file says.
    fn default() -> Self {
        Self {
            version: None,
            schema: None,
            source_uuid: String::new(),
            year: None,
            month: None,
            start_date: None,
            end_date: None,
            days: None,
            report_period_id: None,
            cluster_id: String::new(),
            cluster_alias: String::new(),
            storage_exists: true,
            enabled_tag_keys: Vec::new(),
            cost_categories: Vec::new(),
            nodes: Vec::new(),
            disabled_tag_keys: Vec::new(),
            other_provider_tag_keys: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }
}

/// A list or text for which somebody wrote null has nothing in it.
fn none_is_nothing<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    given: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_default())
}

/// What somebody wrote null for is as if it was not written.
fn none_is_true<'de, D: Deserializer<'de>>(given: D) -> std::result::Result<bool, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or(true))
}

/// A pattern in PostgreSQL's LIKE language and the category it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostCategory {
    /// LIKE pattern over the namespace: `%`, `_`, backslash escapes.
    pub namespace: String,
    /// `reporting_ocp_cost_category.id`.
    pub cost_category_id: i32,
}

/// One row of the node registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRole {
    /// Node name; NULL is that of none.
    #[serde(deserialize_with = "none_is_nothing")]
    pub node: String,
    /// Resource id; a NULL one never matches.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// `master`, `infra`, `worker` or anything else.
    #[serde(default)]
    pub node_role: Option<String>,
}

/// koku writes years, months and days sometimes as text, sometimes as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextOrNumber {
    /// Such as `8`.
    Number(u32),
    /// Such as `"08"`.
    Text(String),
}

impl TextOrNumber {
    /// Its value; `None` where the text is no number.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

impl Lookups {
    /// Reads the JSON form; refuses a version newer than [`LOOKUPS_VERSION`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json); // as some editors begin files
        let refuse = |error| Error::config(format!("lookups: {error}"));
        let mut lookups: Self = serde_json::from_slice(json).map_err(refuse)?;
        let Entries { nodes, cost_categories } = serde_json::from_slice(json).map_err(refuse)?;
        for (list, keys, known) in [
            ("nodes", nodes, &["node", "resource_id", "node_role"][..]),
            ("cost_categories", cost_categories, &["namespace", "cost_category_id"]),
        ] {
            let unknown = keys.unwrap_or_default().0.into_iter().filter(|key| !known.contains(&key.as_str()));
            lookups.unknown.extend(unknown.map(|key| (format!("{list}[].{key}"), serde_json::Value::Null)));
        }
        match lookups.version {
            Some(version) if version > LOOKUPS_VERSION => Err(Error::config(format!(
                "lookups: version {version} is newer than {LOOKUPS_VERSION}, the newest this build reads"
            ))),
            _ => Ok(lookups),
        }
    }

    /// The days asked for, both ends inclusive: the dates if given, else the whole of year and month.
    pub fn range(&self) -> Result<(Day, Day)> {
        let partition = match (&self.year, &self.month) {
            (Some(year), Some(month)) => Some(
                year.number()
                    .zip(month.number())
                    .and_then(|(year, month)| Day::from_ymd(i32::try_from(year).ok()?, month, 1))
                    .map(Day::month)
                    .ok_or_else(|| Error::config("lookups: year and month do not name a month"))?,
            ),
            _ => None,
        };
        let end_of = |key: &str, text: &Option<String>, otherwise: fn(Month) -> Day| match (text, partition) {
            (Some(text), _) => text.parse().map_err(|error: Error| error.of(key)),
            (None, Some(month)) => Ok(otherwise(month)),
            (None, None) => Err(Error::config(
                "no date range: give start_date and end_date, or year and month (--start, --end or --month)",
            )),
        };
        let (start, end) = (
            end_of("start_date", &self.start_date, Month::first)?,
            end_of("end_date", &self.end_date, Month::last)?,
        );
        if end < start {
            return Err(Error::config(format!("the range ends ({end}) before it starts ({start})")));
        }
        if end.0.saturating_sub(start.0) > MOST_DAYS {
            return Err(Error::config(format!("the range from {start} to {end} is longer than a century")));
        }
        Ok((start, end))
    }
}

/// The same file as [`Lookups`], of which only the keys of entries are looked at.
#[derive(Deserialize)]
struct Entries {
    nodes: Option<Keys>,
    cost_categories: Option<Keys>,
}

/// The keys of all entries of a list.
#[derive(Default)]
struct Keys(BTreeSet<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(list: D) -> std::result::Result<Self, D::Error> {
        list.deserialize_seq(Keys::default())
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> std::result::Result<Self, A::Error> {
        while let Some(entry) = entries.next_element::<BTreeMap<String, IgnoredAny>>()? {
            self.0.extend(entry.into_keys());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_century_at_most() {
        let range = |start: &str, end: &str| {
            let (start, end) = (Some(start.to_owned()), Some(end.to_owned()));
            Lookups { start_date: start, end_date: end, ..Lookups::default() }.range()
        };
        assert!(range("2000-01-01", "2099-12-31").is_ok());
        assert!(range("2000-01-01", "9999-12-31").is_err());
        assert!(range("0000-01-01", "5881580-07-11").is_err(), "more days than their number holds");
        assert!(range("2000-01-01", "1999-12-31").is_err());
        let slashes = range("2000-01-01", "2000/01/02").expect_err("no date").to_string();
        assert!(slashes.contains("end_date: \"2000/01/02\" is not a date"), "{slashes}");
    }

    #[test]
    fn unknown_keys_are_kept_those_of_entries_too() {
        let json = br#"{"cluster": 1, "nodes": [{"node": "n", "role": "worker"}, {"node": "m", "node_role": "infra"}],
            "cost_categories": [{"namespace": "a%", "cost_category_id": 1, "name": "x"}]}"#;
        let unknown = Lookups::from_json(json).expect("read").unknown;
        assert_eq!(Vec::from_iter(unknown.keys()), ["cluster", "cost_categories[].name", "nodes[].role"]);
    }

    #[test]
    fn a_list_or_text_that_is_null_is_empty() {
        let json =
            br#"{"enabled_tag_keys": null, "cost_categories": null, "nodes": null, "disabled_tag_keys": null,
            "source_uuid": null, "cluster_id": null, "cluster_alias": null, "storage_exists": null}"#;
        assert_eq!(Lookups::from_json(json).expect("read"), Lookups::default());
        assert_eq!(Lookups::from_json(b"\xef\xbb\xbf{}").expect("read"), Lookups::default());
    }
}
