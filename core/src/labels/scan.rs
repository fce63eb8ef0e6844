//! The quick path for what koku writes: a flat JSON object of strings without escapes.

/// Calls `keep` with every key and value of a flat object, in order. False where the text is anything
/// else, valid or not; then `keep` may have been called, and the full parser decides.
pub(super) fn flat_object<'a>(text: &'a str, mut keep: impl FnMut(&'a str, &'a str)) -> bool {
    let mut rest = Rest(text);
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
            return rest.take(b'}') && rest.0.is_empty();
        }
    }
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Takes one byte and the white space on both sides of it.
    fn take(&mut self, wanted: u8) -> bool {
        let trimmed = self.0.trim_start_matches(is_json_space);
        let found = trimmed.as_bytes().first() == Some(&wanted);
        if found {
            self.0 = trimmed[1..].trim_start_matches(is_json_space);
        }
        found
    }

    /// Takes a string that needs no unescaping.
    fn string(&mut self) -> Option<&'a str> {
        let inner = self.0.strip_prefix('"')?;
        let end = inner.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
        if inner.as_bytes()[end] != b'"' {
            return None;
        }
        self.0 = &inner[end + 1..];
        Some(&inner[..end])
    }
}

fn is_json_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}
