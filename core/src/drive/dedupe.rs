//! Two payloads can bring the same day; koku keeps the one that covers more of it (SPEC 1.2).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::port::ObjectMeta;

/// Keeps one manifest for each directory and day, by the metadata `reportdatestart`, `reportnumhours` and `manifestid`:
/// the one with more hours, and among equals the one with the larger id. An object without the three is kept: nothing
/// says that another one replaces it.
pub fn dedupe(objects: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
    let mut best: BTreeMap<(String, String), Manifest> = BTreeMap::new();
    for object in &objects {
        let Some((day, manifest)) = told(object) else { continue };
        best.entry(day)
            .and_modify(|known| {
                if manifest.cmp(known) == Ordering::Greater {
                    *known = manifest.clone();
                }
            })
            .or_insert(manifest);
    }
    let stays = |object: &ObjectMeta| told(object).is_none_or(|(day, manifest)| best[&day].id == manifest.id);
    objects.into_iter().filter(stays).collect()
}

#[derive(Debug, Clone)]
struct Manifest {
    hours: u64,
    id: String,
}

impl Manifest {
    fn cmp(&self, other: &Self) -> Ordering {
        let ids = match (self.id.parse::<u64>(), other.id.parse::<u64>()) {
            (Ok(ours), Ok(theirs)) => ours.cmp(&theirs),
            _ => self.id.cmp(&other.id),
        };
        self.hours.cmp(&other.hours).then(ids)
    }
}

/// Directory and day of an object, and the manifest that it came with.
fn told(object: &ObjectMeta) -> Option<((String, String), Manifest)> {
    let word = |name: &str| object.metadata.get(name).filter(|value| !value.is_empty()).cloned();
    let directory = object.key.rsplit_once('/').map_or("", |(directory, _)| directory);
    let hours = word("reportnumhours")?.parse().ok()?;
    Some(((directory.to_owned(), word("reportdatestart")?), Manifest { hours, id: word("manifestid")? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, day: &str, hours: &str, manifest: &str) -> ObjectMeta {
        let words = [("reportdatestart", day), ("reportnumhours", hours), ("manifestid", manifest)];
        let metadata = words.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        ObjectMeta { key: key.into(), metadata, ..ObjectMeta::default() }
    }

    #[test]
    fn more_hours_then_the_larger_manifest_in_each_directory_and_day() {
        let kept = dedupe(vec![
            object("pods/a", "2025-02-01", "12", "9"),
            object("pods/b", "2025-02-01", "24", "2"),
            object("pods/c", "2025-02-01", "24", "10"), // as numbers 10 is more than 2
            object("pods/d", "2025-02-01", "24", "10"), // a manifest has several files
            object("pods/e", "2025-02-02", "1", "1"),
            object("volumes/a", "2025-02-01", "12", "9"),
            object("volumes/b", "2025-02-01", "", "99"), // says too little to be compared
            ObjectMeta { key: "pods/f".into(), ..ObjectMeta::default() },
        ]);
        let keys: Vec<&str> = kept.iter().map(|object| &*object.key).collect();
        assert_eq!(keys, ["pods/c", "pods/d", "pods/e", "volumes/a", "volumes/b", "pods/f"]);
        let kept = dedupe(vec![object("a", "d", "1", "x-2"), object("b", "d", "1", "x-1")]);
        assert_eq!(&*kept[0].key, "a", "ids that are no numbers compare as text");
    }
}
