//! What a value may look like, checked once for every layer alike.

use daysum_core::Day;

use super::secret::{Address, Secret};

/// The form that a key asks of its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// A path of this machine.
    Path,
    /// A path or URL, shown without password and query.
    Address,
    /// Any text, never shown.
    Secret,
    /// True or false.
    Switch,
    /// A whole number between two, both inclusive.
    Count(u64, u64),
    /// A size such as `256MiB`, of so many bytes at the least.
    Bytes(u64),
    /// `YYYY-MM-DD`.
    Date,
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// Anything, a list or a mapping included; kept by nobody.
    Anything,
}

/// A value of the form its key asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Address(Address),
    Secret(Secret),
    Switch(bool),
    Count(u64),
    Date(Day),
    Choice(&'static str),
    Ignored,
}

impl Form {
    /// Reads a value; the error says what is accepted and never what was given.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let value = match self {
            Self::Text => Some(Value::Text(text.to_owned())),
            Self::Path => (!text.contains("://") && !of_shell(text)).then(|| Value::Text(text.to_owned())),
            Self::Address => (!of_shell(text)).then(|| Value::Address(Address::new(text))),
            Self::Secret => Some(Value::Secret(Secret::new(text))),
            Self::Switch => switch(trimmed).map(Value::Switch),
            Self::Count(least, most) => {
                // The earlier implementation's files write 100_000 now and then.
                let number = trimmed.replace('_', "").parse().ok();
                number.filter(|number| (least..=most).contains(number)).map(Value::Count)
            }
            Self::Bytes(least) => bytes(trimmed).filter(|bytes| *bytes >= least).map(Value::Count),
            Self::Date => trimmed.parse().ok().map(Value::Date),
            Self::Choice(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(trimmed)).map(|word| Value::Choice(word))
            }
            Self::Anything => Some(Value::Ignored),
        };
        value.ok_or_else(|| self.expected())
    }

    /// What is accepted, to follow "must be".
    pub(super) fn expected(self) -> String {
        match self {
            Self::Text | Self::Secret | Self::Anything => "text".to_owned(),
            Self::Path => "a path of this machine, no URL; nothing expands a leading ~".to_owned(),
            Self::Address => "a path or URL; nothing expands a leading ~".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Bytes(least) => {
                format!("a size such as 256MiB, 1GB or 1048576, of {} MiB or more", least >> 20)
            }
            Self::Date => "a date such as 2025-11-30".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }
}

/// Whether it is for a shell to make a path of it.
fn of_shell(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a size: a whole number with `B`, `K`/`KB`/`KiB`, `M…`, `G…`, `T…` or nothing behind it. `KB` counts in
/// thousands, `K` and `KiB` in 1,024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "ki" | "kib" => Some(1 << 10),
        "m" | "mi" | "mib" => Some(1 << 20),
        "g" | "gi" | "gib" => Some(1 << 30),
        "t" | "ti" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let number: u64 = number.replace('_', "").parse().ok()?;
    number.checked_mul(factor?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("64b", 64),
            ("256MiB", 256 << 20),
            ("256 mib", 256 << 20),
            ("512M", 512 << 20),
            ("2Gi", 2 << 30),
            ("1GB", 1_000_000_000),
            ("1_000kb", 1_000_000),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "MiB", "1.5G", "-1", "1 elephant", "99999999999999999999", "99999999T"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn forms_accept_what_they_say_and_nothing_else() {
        assert_eq!(Form::Switch.read("Yes"), Ok(Value::Switch(true)));
        assert_eq!(Form::Switch.read("0"), Ok(Value::Switch(false)));
        assert!(Form::Switch.read("").is_err());
        assert_eq!(Form::Count(1, 12).read("07"), Ok(Value::Count(7)));
        assert!(Form::Count(1, 12).read("13").is_err());
        assert!(Form::Count(1, 12).read("1.0").is_err());
        assert_eq!(Form::Choice(&["json", "human"]).read("JSON"), Ok(Value::Choice("json")));
        assert!(Form::Choice(&["json"]).read("jsonx").is_err());
        assert!(Form::Date.read("2025-02-29").is_err());
        assert!(Form::Date.read("2024-02-29").is_ok());
        assert_eq!(Form::Bytes(16 << 20).read("16MiB"), Ok(Value::Count(16 << 20)));
        assert!(Form::Bytes(16 << 20).read("16MB").is_err());
        assert!(Form::Path.read("of/~/here").is_ok());
        assert!(Form::Path.read("s3://bucket/spills").is_err());
        assert!(Form::Address.read("s3://bucket/days").is_ok());
        assert!(Form::Address.read("~/days").is_err());
    }
}
