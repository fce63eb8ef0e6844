//! The effective configuration as YAML, secrets hidden: what `daysum config show` prints.

use std::fmt::Write;

use serde::Serialize;

use super::form::Value;
use super::keys::{KEYS, Key, Role};
use super::layers::{Origin, Settings};
use super::secret::Secret;

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The key, dotted.
    pub key: &'static str,
    /// Its value as it may be shown; `None` where there is neither value nor default.
    pub value: Option<String>,
    /// Where it was given.
    pub origin: String,
    /// What it does, or why it does nothing.
    pub about: &'static str,
    /// Environment variables that give it, the first one first.
    pub variables: Vec<String>,
    /// Whether it is accepted without having an effect.
    pub idle: bool,
}

/// Every key that is obeyed or was given, in the order of the table.
pub(super) fn effective(settings: &Settings) -> Vec<Effective> {
    let shown_key = |key: &&Key| key.role == Role::Obeyed || settings.get(key.path).is_some();
    KEYS.iter()
        .filter(shown_key)
        .map(|key| {
            let given = settings.get(key.path);
            let default = || (!key.default.is_empty()).then(|| key.default.to_owned());
            Effective {
                key: key.path,
                value: given.map_or_else(default, |setting| Some(text(&setting.value))),
                origin: given.map_or(Origin::Default, |setting| setting.origin.clone()).to_string(),
                about: key.about,
                variables: key.every_variable().collect(),
                idle: key.role != Role::Obeyed,
            }
        })
        .collect()
}

/// The same as a file that could be read again, were it not for the secrets.
pub(super) fn yaml(settings: &Settings) -> String {
    let mut out = String::new();
    let mut section = "";
    for line in effective(settings) {
        let (head, rest) = line.key.split_once('.').expect("every key of the table has a section");
        if head != section {
            section = head;
            writeln!(out, "{section}:").expect("a String takes every write");
        }
        // A key of a deeper section, such as cost.distribution.method, is idle and shown flat.
        let hash = if line.idle { "# " } else { "" };
        let value = line.value.as_deref().map(quoted).unwrap_or_default();
        let given = format!("{hash}{rest}: {value}");
        let variables = line.variables.join(", ");
        writeln!(out, "  {given:<44} # {}; {}; {variables}", line.origin, line.about)
            .expect("a String takes every write");
    }
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Address(address) => address.to_string(),
        Value::Secret(secret) => Secret::to_string(secret),
        Value::Switch(on) => on.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Date(day) => day.to_string(),
        Value::Choice(word) => (*word).to_owned(),
        Value::Ignored => "(ignored)".to_owned(),
    }
}

/// A scalar that YAML reads back as this text.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
