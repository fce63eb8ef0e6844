//! Label text, from whatever a file holds to one canonical spelling of the enabled keys (SPEC 2.1, 2.2).
//!
//! ```text
//! {"app": "x", "team": "t"}  --+
//! label_app:x|label_team:t   --+--> filter by enabled keys --> {"app": "x"}   (jsonb spelling, keys in jsonb order)
//! {"team":"u", "app":"\u0078"} +
//! ```
//!
//! Equal label sets have equal spellings, so the spelling can be interned and compared as a symbol.
//!
//! ```
//! use daysum_core::labels::{LabelFilter, OnMalformed};
//! let filter = LabelFilter::new(["app"], OnMalformed::Refuse);
//! assert_eq!(filter.canonical(r#"{"team":"t","app":"\u0078"}"#)?, r#"{"app": "x"}"#);
//! assert_eq!(filter.canonical("label_app:x|label_team:t")?, r#"{"app": "x"}"#);
//! assert_eq!(filter.canonical("  ")?, "{}");
//! assert!(filter.canonical("[1]").is_err());
//! # Ok::<(), String>(())
//! ```

mod jsonb;
mod scan;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::lookups::VM_KEY;

pub(crate) use jsonb::key_order;

/// What to do with label text that is neither a JSON object nor a pipe string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMalformed {
    /// An error that names file, row group, row and column; the day is held back.
    #[default]
    Refuse,
    /// Treated as no labels.
    Empty,
}

/// The keys that are kept, in jsonb order.
#[derive(Debug, Clone)]
pub struct LabelFilter {
    keys: Vec<String>,
    index: HashMap<String, usize, RandomState>,
    /// What stands before the value in a canonical set, such as `"app": `.
    spelled: Vec<String>,
    /// Position by the key's spelling there, between its quotes.
    by_spelling: HashMap<String, usize, RandomState>,
    /// Whether no key needs escapes.
    spelled_as_they_are: bool,
    on_malformed: OnMalformed,
}

/// The values of enabled keys, by position of the key. JSON null, here `None`, is a value: it overrides.
type Values = BTreeMap<usize, Option<String>>;

impl LabelFilter {
    /// A filter for these keys and the virtual-machine key, which is always enabled.
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>, on_malformed: OnMalformed) -> Self {
        let mut keys: Vec<String> = keys.into_iter().map(Into::into).chain([VM_KEY.to_owned()]).collect();
        keys.sort_by(|a, b| key_order(a, b));
        keys.dedup();
        let index = keys.iter().cloned().enumerate().map(|(position, key)| (key, position)).collect();
        let spelled: Vec<String> = keys.iter().map(|key| jsonb::spelled(key) + ": ").collect();
        let between_quotes = spelled.iter().map(|key| &key[1..key.len() - "\": ".len()]);
        let spelled_as_they_are = between_quotes.clone().eq(&keys);
        let by_spelling =
            between_quotes.enumerate().map(|(position, key)| (key.to_owned(), position)).collect();
        Self { keys, index, spelled, by_spelling, spelled_as_they_are, on_malformed }
    }

    /// The enabled keys, in jsonb order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The canonical spelling of the enabled labels in `text`, or why the text is malformed.
    pub fn canonical(&self, text: &str) -> Result<String, String> {
        if let Some(set) = self.flat(text) {
            return Ok(set);
        }
        match self.values(text) {
            Ok(values) => Ok(self.spell(&values)),
            Err(_) if self.on_malformed == OnMalformed::Empty => Ok("{}".to_owned()),
            Err(reason) => Err(reason),
        }
    }

    /// What it does with malformed text.
    pub fn on_malformed(&self) -> OnMalformed {
        self.on_malformed
    }

    /// Whether the text is malformed, whatever is done with it.
    pub fn is_malformed(&self, text: &str) -> bool {
        self.flat(text).is_none() && self.values(text).is_err()
    }

    /// Merges canonical label sets; where several have a key, the last one wins (SPEC 2.5, 2.7).
    pub fn merge<const N: usize>(&self, sets: [&str; N]) -> String {
        let mut given = sets.into_iter().filter(|set| *set != "{}");
        let first = Cow::Borrowed(given.next().unwrap_or("{}"));
        given.fold(first, |below, above| Cow::Owned(self.merge_two(&below, above))).into_owned()
    }

    /// Members are taken as they are spelled, and lie in the order of their keys.
    fn merge_two(&self, below: &str, above: &str) -> String {
        let mut out = String::with_capacity(below.len() + above.len());
        let (mut below, mut above) = (scan::members(below), scan::members(above));
        let (mut lower, mut upper) = (below.next(), above.next());
        loop {
            let order = match (lower, upper) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((lower, _)), Some((upper, _))) => self.order(lower, upper),
            };
            let taken = if order == Ordering::Less { lower } else { upper };
            if order != Ordering::Greater {
                lower = below.next();
            }
            if order != Ordering::Less {
                upper = above.next();
            }
            out.push_str(if out.is_empty() { "{" } else { ", " });
            out.extend(taken.map(|(_, member)| member));
        }
        out.push('}');
        out
    }

    /// The order of two keys as they are spelled between their quotes.
    fn order(&self, left: &str, right: &str) -> Ordering {
        if self.spelled_as_they_are {
            return key_order(left, right);
        }
        self.by_spelling.get(left).cmp(&self.by_spelling.get(right))
    }

    /// The quick path for what koku writes, in which texts are spelled as they will be.
    fn flat(&self, text: &str) -> Option<String> {
        let mut values = Vec::with_capacity(self.keys.len().min(16));
        let is_flat = scan::flat_object(text, |key, value| {
            values.extend(self.index.get(key).map(|position| (*position, value)));
        });
        if !is_flat {
            return None;
        }
        values.sort_by_key(|(position, _)| *position); // stable: of equal keys the last one stays behind the others
        let mut out = String::with_capacity(text.len());
        for (at, &(position, value)) in values.iter().enumerate() {
            if values.get(at + 1).is_some_and(|(next, _)| *next == position) {
                continue;
            }
            out.push_str(if out.is_empty() { "{" } else { ", " });
            out.push_str(&self.spelled[position]);
            out.push('"');
            out.push_str(value);
            out.push('"');
        }
        out.push_str(if out.is_empty() { "{}" } else { "}" });
        Some(out)
    }

    fn values(&self, text: &str) -> Result<Values, String> {
        let mut values = Values::new();
        if matches!(text.trim_matches(' '), "" | "{}") {
            return Ok(values);
        }
        let mut keep = |key: &str, value| {
            if let Some(&position) = self.index.get(key) {
                values.insert(position, value);
            }
        };
        if is_pipe_string(text) {
            jsonb::refuse_nul(text)?;
            for (key, value) in pipe_labels(text) {
                keep(&key, Some(value));
            }
        } else {
            for (key, value) in jsonb::object(text)? {
                keep(&key, value);
            }
        }
        Ok(values)
    }

    fn spell(&self, values: &Values) -> String {
        let mut out = String::from("{");
        for (&position, value) in values {
            if out.len() > 1 {
                out.push_str(", ");
            }
            out.push_str(&self.spelled[position]);
            match value {
                None => out.push_str("null"),
                Some(text) => out.push_str(&jsonb::spelled(text)),
            }
        }
        out.push('}');
        out
    }
}

/// The operator's own form, `label_key:value|label_key:value`, as it stands in files that koku has not
/// rewritten. Text that could be JSON, behind JSON's own white space, is JSON.
fn is_pipe_string(text: &str) -> bool {
    !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['{', '[', '"']) && text.contains("label_")
}

/// koku's reading of a pipe string (SPEC 1.6): a part must have exactly one colon, every occurrence
/// of `label_` leaves the key, the last of equal keys wins.
fn pipe_labels(text: &str) -> BTreeMap<String, String> {
    text.split('|')
        .filter_map(|part| part.split_once(':'))
        .filter(|(_, value)| !value.contains(':'))
        .map(|(key, value)| (key.replace("label_", ""), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
