//! Synthetic clusters: the same bytes from the same seed, and the same rows from every engine.

use std::num::NonZeroUsize;
use std::path::Path;

use daysum::synth::{Shape, generate};
use daysum_core::Lookups;
use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::engine::{InputFile, engines};

/// Every Parquet file below a directory, by key.
pub(crate) fn files(root: &Path) -> Vec<InputFile> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let key = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.push(InputFile { key, bytes: std::fs::read(&path).expect("readable").into() });
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

#[test]
fn a_generated_cluster_is_its_seed_and_every_engine_agrees_on_it() {
    let threads = |threads| NonZeroUsize::new(threads).expect("not zero");
    let start = "2025-11-29".parse().expect("a date");
    let mut shape = Shape { row_group_rows: 300, changes: 2, ..Shape::of_rows(2_000, 3, start, 7) };
    let mut generated = Vec::new();
    for (seed, threads) in [(7, threads(1)), (7, threads(3)), (8, threads(1))] {
        shape.seed = seed;
        let directory = tempfile::tempdir().expect("a directory");
        let written = generate(&shape, directory.path(), threads).expect("it is written");
        let lookups = std::fs::read(directory.path().join("lookups.json")).expect("lookups");
        let files = files(directory.path());
        assert_eq!(written.files, files.len());
        generated.push((files, lookups));
    }
    let same = |a: usize, b: usize| {
        let bytes = |at: usize| generated[at].0.iter().map(|file| &file.bytes).collect::<Vec<_>>();
        bytes(a) == bytes(b) && generated[a].1 == generated[b].1
    };
    assert!(same(0, 1) && !same(0, 2));

    shape.volumes = 0;
    let directory = tempfile::tempdir().expect("a directory");
    let written = generate(&shape, directory.path(), threads(1)).expect("it is written");
    let lookups = std::fs::read(directory.path().join("lookups.json")).expect("lookups");
    let storage = Lookups::from_json(&lookups).expect("lookups that daysum reads").storage_exists;
    assert_eq!((written.files, storage), (9, false), "three days of three tables, and no storage");

    let (files, lookups) = &generated[0];
    let lookups = Lookups::from_json(lookups).expect("lookups that daysum reads");
    let mut expected = None;
    for (name, engine) in engines() {
        let rows = engine.summarise(files, &lookups).expect("sound files");
        let expected = expected.get_or_insert_with(|| rows.clone());
        assert!(rows.num_rows() > 100);
        assert_same(name, expected, &rows, Precision::Bits);
    }
}
