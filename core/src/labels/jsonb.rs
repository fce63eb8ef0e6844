//! JSON as PostgreSQL's jsonb understands and spells it (SPEC 2.2, 4.2).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// jsonb's order of keys: shorter first, then bytewise.
pub(crate) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Deeper values than this are refused, as they are by serde_json.
const MAX_DEPTH: u32 = 128;

/// Longest expansion of a number with an exponent; PostgreSQL's numeric ends in the same region.
const MAX_NUMBER: u64 = 4096;

/// The members of a JSON object: strings as they are, null as `None`, all else as its jsonb text.
/// Of equal keys the last wins.
pub(super) fn object(text: &str) -> Result<BTreeMap<String, Option<String>>, String> {
    let members: Members<'_> = serde_json::from_str(text)
        .map_err(|error| format!("labels are neither a JSON object nor a pipe string: {error}"))?;
    let mut found = BTreeMap::new();
    for (key, raw) in members.0 {
        refuse_nul(&key)?;
        let raw = raw.get().trim();
        let value = match raw.as_bytes()[0] {
            b'"' => Some(string(raw)?),
            b'n' => None,
            _ => {
                let mut text = String::new();
                spell(raw, &mut text, MAX_DEPTH)?;
                Some(text)
            }
        };
        found.insert(key, value);
    }
    Ok(found)
}

/// A JSON string in jsonb's spelling.
pub(super) fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    out
}

/// Appends a JSON string in jsonb's spelling.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            _ => out.push_str(&format!("\\u{byte:04x}")),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Members in the order written, equal keys included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Appends the jsonb text of a nested value.
fn spell(raw: &str, out: &mut String, depth: u32) -> Result<(), String> {
    let depth = depth.checked_sub(1).ok_or("labels are nested deeper than 128 levels")?;
    let malformed = |error: serde_json::Error| format!("malformed label value: {error}");
    match raw.as_bytes()[0] {
        b'{' => {
            let members: Members<'_> = serde_json::from_str(raw).map_err(malformed)?;
            let mut sorted: Vec<(usize, String, &RawValue)> = Vec::new();
            for (position, (key, value)) in members.0.into_iter().enumerate() {
                refuse_nul(&key)?;
                sorted.push((position, key, value));
            }
            sorted.sort_by(|a, b| key_order(&a.1, &b.1).then(b.0.cmp(&a.0)));
            sorted.dedup_by(|later, kept| later.1 == kept.1);
            out.push('{');
            for (at, (_, key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_string(&key, out);
                out.push_str(": ");
                spell(value.get().trim(), out, depth)?;
            }
            out.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(malformed)?;
            out.push('[');
            for (at, value) in items.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                spell(value.get().trim(), out, depth)?;
            }
            out.push(']');
        }
        b'"' => write_string(&string(raw)?, out),
        b't' | b'f' | b'n' => out.push_str(raw),
        _ => out.push_str(&number(raw)?),
    }
    Ok(())
}

fn string(raw: &str) -> Result<String, String> {
    let text: String =
        serde_json::from_str(raw).map_err(|error| format!("malformed label value: {error}"))?;
    refuse_nul(&text)?;
    Ok(text)
}

pub(super) fn refuse_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err(r"labels hold \u0000, which jsonb cannot store".to_owned()) } else { Ok(()) }
}

/// A number as PostgreSQL's numeric spells it: no exponent, the scale kept (1.50 stays, 1e2 is 100).
fn number(raw: &str) -> Result<String, String> {
    let (negative, unsigned) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| format!("label value {raw} is out of range"))?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if exponent.unsigned_abs().saturating_add(mantissa.len() as u64) > MAX_NUMBER {
        return Err(format!("label value {raw} is out of range"));
    }
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i64 + exponent;
    let scale = (digits.len() as i64 - point).max(0) as usize;
    let mut digits = if point > digits.len() as i64 {
        format!("{digits:0<width$}", width = point as usize)
    } else {
        format!("{digits:0>width$}", width = scale + 1)
    };
    let fraction = digits.split_off(digits.len() - scale);
    let whole = digits.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let zero = whole == "0" && fraction.bytes().all(|digit| digit == b'0');
    let sign = if negative && !zero { "-" } else { "" };
    Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_numeric_spells_them() {
        for (raw, expected) in [
            ("1.50", "1.50"),
            ("1e2", "100"),
            ("1.5e3", "1500"),
            ("1.50e1", "15.0"),
            ("1E-2", "0.01"),
            ("12e-1", "1.2"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("-1.0", "-1.0"),
            ("0.1e1", "1"),
            ("100", "100"),
        ] {
            assert_eq!(number(raw).as_deref(), Ok(expected), "{raw}");
        }
        assert!(number("1e999999999").is_err());
    }
}
