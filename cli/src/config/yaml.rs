//! A YAML file as a flat list: `section.key`, the text of its value, the line.
//!
//! ```text
//! s3:                          s3.endpoint   "http://ceph:7480"   2
//!   endpoint: http://ceph:7480 s3.timeout    "07"                 3
//!   timeout: 07
//! ```
//!
//! Values keep the text that was written: a password of digits stays that password and never becomes a
//! rounded number on the way. Lists and mappings below a known key arrive as [`Content::Nested`].

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::error::ConfigError;

/// One key of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) content: Content,
    pub(super) line: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A scalar's text.
    Text(String),
    /// `null`, `~` or nothing at all.
    Null,
    /// A list, or a mapping below a key that has no keys of its own.
    Nested,
}

/// Something that is being read and not yet closed.
enum Open {
    /// A mapping, and the key that waits for its value, with its line.
    Mapping { prefix: String, key: Option<(String, usize)> },
    /// Inside a list or below a leaf: nothing is kept until it closes.
    Skipped,
}

/// Reads a document. `is_section` says which keys have keys of their own.
pub(super) fn read(text: &str, is_section: &dyn Fn(&str) -> bool) -> Result<Vec<Entry>, ConfigError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            ConfigError::Syntax { line, column, reason: error.kind().to_string() }
        })?;
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let refuse = |reason: &str| ConfigError::Syntax { line, column, reason: reason.to_owned() };
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err(refuse("a second document; a configuration is one"));
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(..) => {
                return Err(refuse("anchors and aliases are not read here; write the value out"));
            }
            Event::Scalar(text, style, ..) => match open.last_mut() {
                None if documents == 1 && is_null(&text, style) => {}
                None => return Err(refuse("expected sections such as `s3:` with keys below them")),
                Some(Open::Skipped) => {}
                Some(Open::Mapping { key: waiting @ None, .. }) => {
                    if text == "<<" {
                        return Err(refuse("merge keys are not read here; write the values out"));
                    }
                    *waiting = Some((text.into_owned(), line));
                }
                Some(Open::Mapping { prefix, key }) => {
                    let (key, line) = key.take().expect("the arm above takes the case of no key");
                    let content =
                        if is_null(&text, style) { Content::Null } else { Content::Text(text.into_owned()) };
                    push(&mut entries, dotted(prefix, &key), content, line)?;
                }
            },
            Event::MappingStart(..) => match open.last_mut() {
                None => open.push(Open::Mapping { prefix: String::new(), key: None }),
                Some(Open::Skipped) => open.push(Open::Skipped),
                Some(Open::Mapping { key: None, .. }) => {
                    return Err(refuse("a key must be plain text"));
                }
                Some(Open::Mapping { prefix, key }) => {
                    let (key, line) = key.take().expect("the arm above takes the case of no key");
                    let prefix = dotted(prefix, &key);
                    if is_section(&prefix) {
                        open.push(Open::Mapping { prefix, key: None });
                    } else {
                        push(&mut entries, prefix, Content::Nested, line)?;
                        open.push(Open::Skipped);
                    }
                }
            },
            Event::SequenceStart(..) => match open.last_mut() {
                None => return Err(refuse("expected sections such as `s3:` with keys below them")),
                Some(Open::Skipped) => open.push(Open::Skipped),
                Some(Open::Mapping { key: None, .. }) => return Err(refuse("a key must be plain text")),
                Some(Open::Mapping { prefix, key }) => {
                    let (key, line) = key.take().expect("the arm above takes the case of no key");
                    push(&mut entries, dotted(prefix, &key), Content::Nested, line)?;
                    open.push(Open::Skipped);
                }
            },
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            // Comments, and the ends of the stream.
            _ => {}
        }
    }
    Ok(entries)
}

fn dotted(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn push(entries: &mut Vec<Entry>, key: String, content: Content, line: usize) -> Result<(), ConfigError> {
    if let Some(earlier) = entries.iter().find(|entry| entry.key == key) {
        return Err(ConfigError::Duplicate { line, first: earlier.line, key });
    }
    entries.push(Entry { key, content, line });
    Ok(())
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Vec<(String, Content, usize)> {
        let is_section = |key: &str| matches!(key, "s3" | "a" | "a.b");
        let entries = read(text, &is_section).expect("valid YAML");
        entries.into_iter().map(|entry| (entry.key, entry.content, entry.line)).collect()
    }

    #[test]
    fn text_is_kept_as_written() {
        let text = "s3:\n  a: 007\n  b: 1e5 # five\n  c: \"no\"\n  d: ~\n  e: ''\n  f: |\n    x\n  g:\n";
        let texts = [("s3.a", "007", 2), ("s3.b", "1e5", 3), ("s3.c", "no", 4)];
        let found = flat(text);
        for (at, (key, value, line)) in texts.into_iter().enumerate() {
            assert_eq!(found[at], (key.to_owned(), Content::Text(value.to_owned()), line));
        }
        assert_eq!(found[3].1, Content::Null);
        assert_eq!(found[4].1, Content::Text(String::new()));
        assert_eq!(found[5].1, Content::Text("x\n".to_owned()));
        assert_eq!(found[6], ("s3.g".to_owned(), Content::Null, 9));
    }

    #[test]
    fn sections_nest_and_leaves_do_not() {
        let found = flat("a: {b: {c: 1}, d: [1, {e: 2}]}\nf: {g: {h: 1}}\n");
        let keys: Vec<_> = found.iter().map(|(key, content, _)| (key.as_str(), content)).collect();
        assert_eq!(
            keys,
            [("a.b.c", &Content::Text("1".into())), ("a.d", &Content::Nested), ("f", &Content::Nested)]
        );
    }

    #[test]
    fn nothing_is_a_configuration_too() {
        for text in ["", "# only a comment\n", "---\n", "~\n"] {
            assert!(flat(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_no_configuration_needs_is_refused_with_its_line() {
        for (text, line) in [
            ("- a\n", 1),
            ("text\n", 1),
            ("s3:\n  a: &x 1\n  b: *x\n", 3),
            ("s3:\n  <<: {a: 1}\n", 2),
            ("s3: {a: 1}\n---\ns3: {a: 1}\n", 2),
            ("s3:\n  ? [1]\n  : 2\n", 2),
            ("s3:\n  a: 'x\n", 2),
            ("s3:\n  a: 1\n b: 2\n", 3),
        ] {
            match read(text, &|key| key == "s3") {
                Err(ConfigError::Syntax { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        let twice = read("s3:\n  a: 1\n  a: 2\n", &|key| key == "s3");
        assert!(matches!(twice, Err(ConfigError::Duplicate { line: 3, first: 2, .. })), "{twice:?}");
    }
}
