//! Command line over environment over file over defaults: one value per key, and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::error::{ConfigError, Note};
use super::expand::expand;
use super::form::Value;
use super::keys::{self, KEYS, Key, Role};
use super::yaml::{self, Content};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the file, at this line.
    File(usize),
    /// In this environment variable.
    Environment(String),
    /// On the command line.
    CommandLine,
}

impl Origin {
    /// Higher beats lower.
    fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::CommandLine => 3,
        }
    }
    /// Whether this one beats the other.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.layer() > other.layer()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(line) => write!(f, "line {line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value that was given, and where.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What was given, by key.
#[derive(Debug, Default, Clone)]
pub(super) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    pub(super) fn get(&self, path: &str) -> Option<&Setting> {
        debug_assert!(keys::find(path).is_some(), "{path} is in the table");
        self.0.get(path)
    }
    /// What was given for a key, or else its default.
    pub(super) fn value(&self, path: &str) -> Option<Value> {
        let given = self.get(path).map(|setting| setting.value.clone());
        given.or_else(|| keys::find(path)?.default_value())
    }
    /// Gives a key the value of another one that means the same, where nobody gave it itself.
    pub(super) fn derive(&mut self, path: &'static str, from: &str, map: fn(&Value) -> Option<Value>) {
        let Some(setting) = self.get(from) else { return };
        let Some(value) = map(&setting.value) else { return };
        let origin = setting.origin.clone();
        self.0.entry(path).or_insert(Setting { value, origin });
    }
    pub(super) fn remove(&mut self, path: &str) -> Option<Setting> {
        self.0.remove(path)
    }
}

/// Lays the layers over each other.
pub(super) fn collect(
    file: Option<(&Path, &str)>,
    env: &dyn Fn(&str) -> Option<String>,
    flags: &[(&str, String)],
    notes: &mut Vec<Note>,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    for (path, text) in flags {
        let origin = Origin::CommandLine;
        let key = keys::find(path).ok_or_else(|| unknown(path, origin.clone()))?;
        accept(&mut settings, key, text, origin)?;
    }
    for key in KEYS {
        // A variable set to nothing, as compose files leave them, counts as not set.
        let text = |name: String| env(&name).filter(|text| !text.is_empty()).map(|text| (name, text));
        if let Some((name, text)) = key.every_variable().find_map(text) {
            accept(&mut settings, key, &text, Origin::Environment(name))?;
        }
    }
    if let Some((path, text)) = file {
        read_file(text, env, &mut settings)
            .map_err(|error| ConfigError::InFile { path: path.to_owned(), source: Box::new(error) })?;
    }
    for key in KEYS {
        if let Some(setting) = settings.get(key.path)
            && let Some(text) = key.remark(&setting.value)
        {
            notes.push(Note { key: key.path.to_owned(), origin: setting.origin.clone(), text });
        }
    }
    Ok(settings)
}

fn read_file(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    settings: &mut Settings,
) -> Result<(), ConfigError> {
    let mut missing = Vec::new();
    for entry in yaml::read(text, &keys::is_section)? {
        let origin = Origin::File(entry.line);
        let Some(key) = keys::find(&entry.key) else {
            // An empty `s3:` is a section nobody filled in.
            if keys::is_section(&entry.key) {
                if entry.content == Content::Null {
                    continue;
                }
                let expected = "a section with keys of its own".to_owned();
                return Err(ConfigError::Value { origin, key: entry.key, expected });
            }
            return Err(unknown(&entry.key, origin));
        };
        match entry.content {
            Content::Null => {}
            Content::Nested if key.role == Role::Idle => accept(settings, key, "", origin)?,
            Content::Nested => {
                let expected = format!("{}, not a list or a mapping", key.form.expected());
                return Err(ConfigError::Value { origin, key: entry.key, expected });
            }
            Content::Text(text) => match expand(&text, env) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => accept(settings, key, &text, origin)?,
                // What a higher layer gives, or nobody obeys, needs no variable.
                Err(_) if settings.get(key.path).is_some() => {}
                Err(_) if key.role == Role::Idle => accept(settings, key, "", origin)?,
                Err(_) if key.role != Role::Obeyed => {}
                Err(unset) => missing.push((entry.line, entry.key, unset.0)),
            },
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(ConfigError::Unset { missing }) }
}

/// Checks a value, and keeps it where no higher layer gave one.
fn accept(settings: &mut Settings, key: &'static Key, text: &str, origin: Origin) -> Result<(), ConfigError> {
    let value = key.form.read(text).map_err(|expected| ConfigError::Value {
        origin: origin.clone(),
        key: key.path.to_owned(),
        expected,
    })?;
    settings.0.entry(key.path).or_insert(Setting { value, origin });
    Ok(())
}

fn unknown(path: &str, origin: Origin) -> ConfigError {
    // A key comes from outside: a newline or an escape sequence in one must not reach a terminal.
    let key = path.escape_debug().to_string();
    ConfigError::UnknownKey { origin, suggestion: keys::suggest(path).map(str::to_owned), key }
}

impl Key {
    /// The one line for a value that has no effect.
    fn remark(&self, value: &Value) -> Option<String> {
        match self.role {
            Role::Obeyed => None,
            Role::Idle => Some(format!("has no effect: {}", self.about)),
            Role::Always(position) if *value == Value::Switch(position) => None,
            Role::Always(_) => Some(format!("has no effect: {}", self.about)),
        }
    }
}
