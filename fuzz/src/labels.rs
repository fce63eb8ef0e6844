//! Text that claims to be labels: JSON, a pipe string, or nothing of the kind.

use daysum_core::labels::{LabelFilter, OnMalformed};

/// Reads `data` as label text and holds the answer against the laws of canonical labels.
pub fn labels(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys = ["app", "team", "a.b/c-d", "ü", ""];
    let refusing = LabelFilter::new(keys, OnMalformed::Refuse);
    let lenient = LabelFilter::new(keys, OnMalformed::Empty);
    let empty = lenient.canonical(text).expect("malformed text counts as no labels");
    match refusing.canonical(text) {
        Err(_) => assert_eq!(empty, "{}"),
        Ok(canonical) => {
            assert_eq!(empty, canonical, "the choice concerns malformed text alone");
            assert_eq!(refusing.canonical(&canonical).as_deref(), Ok(canonical.as_str()), "canonical stays");
            assert_eq!(refusing.merge([canonical.as_str()]), canonical, "merged with nothing");
            assert_eq!(
                refusing.merge([canonical.as_str(), "{}"]),
                canonical,
                "the empty set changes nothing"
            );
            assert_eq!(
                refusing.merge([canonical.as_str(), canonical.as_str()]),
                canonical,
                "nor does itself"
            );
        }
    }
}
