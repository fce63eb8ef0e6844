//! The quick path for what koku writes: a flat JSON object of strings without escapes.

use memchr::memchr2;

/// Calls `keep` with every key and value of a flat object, in order. False where the text is anything
/// else, valid or not; then `keep` may have been called, and the full parser decides.
pub(super) fn flat_object<'a>(text: &'a str, mut keep: impl FnMut(&'a str, &'a str)) -> bool {
    let mut rest = Rest { text, at: 0 };
    if !rest.take(b'{') {
        return false;
    }
    loop {
        let Some(key) = rest.string() else { return false };
        if !rest.take(b':') {
            return false;
        }
        let Some(value) = rest.string() else { return false };
        keep(key, value);
        if !rest.take(b',') {
            return rest.take(b'}') && rest.at == text.len();
        }
    }
}

/// The members of a canonical set, each with its key, as they are spelled: `app` and `"app": "x"`.
pub(super) fn members(set: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = set.strip_prefix('{').unwrap_or_default();
    std::iter::from_fn(move || {
        let key = 1 + closing_quote(rest.get(1..)?)?;
        let value = key + "\": ".len();
        let end = match rest[value..].strip_prefix('"') {
            Some(text) => value + 1 + closing_quote(text)? + 1,
            None => value + "null".len(),
        };
        let member = (&rest[1..key], &rest[..end]);
        rest = rest[end..].strip_prefix(", ").unwrap_or_default();
        Some(member)
    })
}

/// Where the string ends that `text` is the inside and the rest of.
fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at = (at + 2).min(bytes.len()); // what is escaped closes nothing
    }
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// Takes one byte and the white space on both sides of it.
    fn take(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let found = self.text.as_bytes().get(self.at) == Some(&wanted);
        if found {
            self.at += 1;
            self.skip_space();
        }
        found
    }

    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    /// Takes a string that needs no unescaping.
    fn string(&mut self) -> Option<&'a str> {
        let inner = self.text.as_bytes().get(self.at..)?.strip_prefix(b"\"")?;
        let length = inner.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        if inner[length] != b'"' {
            return None;
        }
        let start = self.at + 1;
        self.at = start + length + 1;
        Some(&self.text[start..start + length])
    }
}
