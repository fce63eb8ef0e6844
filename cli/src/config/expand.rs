//! `${NAME}` and `${NAME:-default}` inside a value.
//!
//! The surprise worth knowing: as in the earlier Python implementation a variable that is set, even to nothing,
//! beats its default, and a value is expanded once: what a variable holds is never expanded again.

/// A variable that is neither set nor given a default.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unset(pub String);

/// Replaces every reference; text that only looks like one stays as it is.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Unset> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let Some((name, default, after)) = reference(&rest[start + 2..]) else {
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        };
        match (env(name), default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => return Err(Unset(name.to_owned())),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Splits `NAME}…` or `NAME:-default}…` behind a `${` into name, default and what follows.
fn reference(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inside, after) = text.split_once('}')?;
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let mut letters = name.chars();
    let starts_well = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
    (starts_well && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_'))
        .then_some((name, default, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".into()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".into()),
            _ => None,
        }
    }

    #[test]
    fn references_become_values() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${HOST}", "db"),
            ("tcp://${HOST}:${PORT:-5432}/x", "tcp://db:5432/x"),
            ("${EMPTY:-other}", ""),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${NESTED}", "${HOST}"),
            ("source={provider_uuid}/$HOST", "source={provider_uuid}/$HOST"),
            ("${not closed", "${not closed"),
            ("${1X} ${} ${a-b}", "${1X} ${} ${a-b}"),
            ("ü${HOST}ü", "üdbü"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(expand("a${NONE}b", &env), Err(Unset("NONE".into())));
    }
}
