//! Label text, as S's filter function and jsonb see it (SPEC 2.2, 2.3, 4.2).

use std::collections::{BTreeMap, BTreeSet};

use daysum_core::{Day, Lookups, Result, VM_KEY};
use serde_json::value::RawValue;

use super::read::Input;
use super::{Bug, Oracle, value_error};

/// A label set. The length before the key gives jsonb's order; `None` is JSON null.
pub(super) type Labels = BTreeMap<(usize, String), Option<String>>;

/// The distinct label sets of each node and namespace on each day.
pub(super) struct LabelSets {
    keys: BTreeSet<String>,
    nodes: BTreeMap<(Day, String), BTreeSet<Labels>>,
    namespaces: BTreeMap<(Day, String), BTreeSet<Labels>>,
}

impl LabelSets {
    pub(super) fn of(oracle: &Oracle, input: &Input, lookups: &Lookups) -> Result<Self> {
        let keys = lookups.enabled_tag_keys.iter().cloned().chain([VM_KEY.to_owned()]).collect();
        let mut sets = Self { keys, nodes: BTreeMap::new(), namespaces: BTreeMap::new() };
        for (rows, into_nodes) in [(&input.node_labels, true), (&input.namespace_labels, false)] {
            for row in rows {
                let labels = filter(row.labels.as_deref(), &sets.keys)
                    .map_err(|reason| value_error(row.at.clone(), reason))?;
                // NULL joins nothing.
                let Some(owner) = row.owner.clone() else { continue };
                let by_owner = if into_nodes { &mut sets.nodes } else { &mut sets.namespaces };
                let of_day = by_owner.entry((row.day, owner)).or_default();
                if !oracle.has(Bug::NoFanOut) || of_day.is_empty() {
                    of_day.insert(labels);
                }
            }
        }
        Ok(sets)
    }

    /// The enabled labels of a line item.
    pub(super) fn filtered(&self, text: Option<&str>) -> Result<Labels, String> {
        filter(text, &self.keys)
    }

    /// One entry per row of the left join on day and node.
    pub(super) fn of_node(&self, day: Day, node: Option<&str>) -> Vec<Labels> {
        left_join(&self.nodes, day, node)
    }

    /// One entry per row of the left join on day and namespace.
    pub(super) fn of_namespace(&self, day: Day, namespace: Option<&str>) -> Vec<Labels> {
        left_join(&self.namespaces, day, namespace)
    }
}

fn left_join(sets: &BTreeMap<(Day, String), BTreeSet<Labels>>, day: Day, owner: Option<&str>) -> Vec<Labels> {
    match owner.and_then(|owner| sets.get(&(day, owner.to_owned()))) {
        Some(sets) => sets.iter().cloned().collect(),
        None => vec![Labels::new()],
    }
}

/// jsonb's `||`: of equal keys the last wins.
pub(super) fn merged<'a>(sets: impl IntoIterator<Item = &'a Labels>) -> Labels {
    sets.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The jsonb text of a label set.
pub(super) fn spelled(labels: &Labels) -> String {
    let members = labels.iter().map(|((_, key), value)| {
        format!("{}: {}", quoted(key), value.as_deref().map_or("null".to_owned(), quoted))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

fn filter(text: Option<&str>, keys: &BTreeSet<String>) -> Result<Labels, String> {
    let text = text.unwrap_or_default().trim_matches(' ');
    if text.is_empty() {
        return Ok(Labels::new());
    }
    let spaces = |letter: char| letter != '\u{c}' && letter.is_ascii_whitespace();
    let could_be_json =
        text.trim_start_matches(spaces).starts_with(['{', '[', '"']) || !text.contains("label_");
    let all = if could_be_json { from_json(text)? } else { from_pipes(&without_nul(text.to_owned())?) };
    Ok(all
        .into_iter()
        .filter(|(key, _)| keys.contains(key))
        .map(|(key, value)| ((key.len(), key), value))
        .collect())
}

/// koku's `process_openshift_labels` (SPEC 1.6).
fn from_pipes(text: &str) -> BTreeMap<String, Option<String>> {
    let mut labels = BTreeMap::new();
    for part in text.split('|') {
        let pieces: Vec<&str> = part.split(':').collect();
        if let [key, value] = pieces[..] {
            labels.insert(key.replace("label_", ""), Some(value.to_owned()));
        }
    }
    labels
}

fn from_json(text: &str) -> Result<BTreeMap<String, Option<String>>, String> {
    members(text)?
        .into_iter()
        .map(|(key, raw)| {
            let raw = raw.get();
            let value = match raw.as_bytes()[0] {
                b'n' => None,
                b'"' => Some(string(raw)?),
                _ => Some(jsonb(raw)?),
            };
            Ok((without_nul(key)?, value))
        })
        .collect()
}

/// Inserting into a map one after the other: the last of equal keys stays.
fn members(text: &str) -> Result<BTreeMap<String, Box<RawValue>>, String> {
    serde_json::from_str(text).map_err(|error| format!("malformed labels: {error}"))
}

fn string(raw: &str) -> Result<String, String> {
    without_nul(serde_json::from_str(raw).map_err(|error| format!("malformed labels: {error}"))?)
}

fn without_nul(text: String) -> Result<String, String> {
    if text.contains('\0') { Err("labels hold \\u0000".to_owned()) } else { Ok(text) }
}

/// The text of `raw::jsonb`.
fn jsonb(raw: &str) -> Result<String, String> {
    Ok(match raw.as_bytes()[0] {
        b'{' => {
            let mut parts = Vec::new();
            for (key, value) in members(raw)? {
                let key = without_nul(key)?;
                parts.push((key.len(), quoted(&key), jsonb(value.get())?));
            }
            // The map was bytewise, so a stable sort by length is jsonb's order.
            parts.sort_by_key(|(length, ..)| *length);
            let parts: Vec<String> =
                parts.into_iter().map(|(_, key, value)| format!("{key}: {value}")).collect();
            format!("{{{}}}", parts.join(", "))
        }
        b'[' => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(raw).map_err(|error| error.to_string())?;
            let items: Vec<String> = items.iter().map(|item| jsonb(item.get())).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        b'"' => quoted(&string(raw)?),
        b't' | b'f' | b'n' => raw.to_owned(),
        _ => numeric(raw),
    })
}

/// A number in the spelling of PostgreSQL's numeric: 1.50 stays, 1e2 is 100, 12e-1 is 1.2.
fn numeric(raw: &str) -> String {
    let (sign, raw) = raw.strip_prefix('-').map_or(("", raw), |raw| ("-", raw));
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let (mut whole, mut fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole.to_owned(), fraction.to_owned()),
        None => (mantissa.to_owned(), String::new()),
    };
    // Move the point one digit at a time.
    let exponent: i32 = exponent.parse().expect("JSON exponents of test data fit");
    for _ in 0..exponent.max(0) {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in exponent.min(0)..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let zero = whole == "0" && fraction.chars().all(|digit| digit == '0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{whole}{point}{fraction}", if zero { "" } else { sign })
}

fn quoted(text: &str) -> String {
    // serde_json escapes exactly what jsonb escapes: quote, backslash and the control characters.
    serde_json::to_string(text).expect("text is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &str, keys: &[&str]) -> String {
        filter(Some(text), &keys.iter().map(|key| (*key).to_owned()).collect())
            .map_or_else(|e| e, |l| spelled(&l))
    }

    #[test]
    fn numbers_keep_their_scale_and_lose_their_exponent() {
        for (raw, expected) in [
            ("1.50", "1.50"),
            ("1e2", "100"),
            ("1.5e3", "1500"),
            ("1.50e1", "15.0"),
            ("1E-2", "0.01"),
            ("12e-1", "1.2"),
            ("-0.0", "0.0"),
            ("-1.5", "-1.5"),
            ("0.1e1", "1"),
        ] {
            assert_eq!(numeric(raw), expected, "{raw}");
        }
    }

    #[test]
    fn nested_values_are_text_in_jsonb_order_and_spacing() {
        assert_eq!(
            filtered(r#"{"long": {"bb":1.50,"a":[1,{"z":null}],"a":true}, "k":"v","out":1}"#, &["long", "k"]),
            r#"{"k": "v", "long": "{\"a\": true, \"bb\": 1.50}"}"#
        );
    }

    #[test]
    fn pipe_strings_lose_values_with_colons() {
        assert_eq!(filtered("label_a:1|label_b:x:y|junk|label_a:2", &["a", "b", "junk"]), r#"{"a": "2"}"#);
        assert_eq!(filtered("label_my_label_x:1", &["my_x"]), r#"{"my_x": "1"}"#);
    }
}
