//! The fuzz corpus, replayed on stable: what a fuzzer once found stays found, and what it starts from is sound.

use std::collections::BTreeMap;
use std::path::Path;

/// Replays a target's corpus; returns by the inputs' names whether they are accepted.
fn replay(target: &str, action: impl Fn(&[u8]) -> bool) -> BTreeMap<String, bool> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).expect("the corpus is part of the repository");
    let paths = entries.map(|entry| entry.expect("a directory entry").path());
    let replayed = paths.map(|path| {
        eprintln!("{}", path.display()); // shown where the action panics: which input it was
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        (name, action(&std::fs::read(&path).expect("a corpus file is readable")))
    });
    replayed.collect()
}

/// Files of all tables, as the writers make them.
const SOUND: [&str; 5] =
    ["namespace-labels-hourly", "node-labels-daily", "pod-daily", "pod-hourly", "storage-daily"];

#[test]
fn files_of_every_table_are_decoded() {
    let accepted = replay("decode", daysum_fuzz::decode);
    assert!(SOUND.iter().all(|name| accepted[*name]), "{accepted:?}");
}

#[test]
fn files_of_every_table_are_summarised() {
    let accepted = replay("run", daysum_fuzz::run);
    assert!(SOUND.iter().all(|name| accepted[*name]), "{accepted:?}");
}

#[test]
fn states_are_accepted_and_damaged_ones_refused() {
    let accepted = replay("wire", daysum_fuzz::wire);
    assert!(accepted.iter().all(|(name, accepted)| name.starts_with("edge-") == *accepted), "{accepted:?}");
    assert!(accepted.len() >= 6, "{accepted:?}");
}

#[test]
fn labels_are_filtered_again_without_a_change() {
    let filtered = |text: &[u8]| {
        daysum_fuzz::labels(text);
        true
    };
    assert!(replay("labels", filtered).len() >= 21);
}
