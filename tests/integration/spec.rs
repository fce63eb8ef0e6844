//! The 72 cases of SPEC section 5, each through every engine. The numbers are the text's, not the oracle's.
//!
//! | cases | file |
//! |---|---|
//! | 1 to 15, keys and labels | `spec/labels.rs` |
//! | 16 to 27, pods and capacity | `spec/pods.rs` |
//! | 28 to 32, cost categories | `spec/categories.rs` |
//! | 33 to 50, storage | `spec/storage.rs` |
//! | 51 to 57, unallocated | `spec/unallocated.rs` |
//! | 58 to 72, ranges, reruns, files | `spec/files.rs` |
//! | none: numbers that are no usage (SPEC 1.6) | `spec/numbers.rs` |
//!
//! [`ELSEWHERE`] lists the cases, or parts of cases, that cannot be seen in the rows of one run.

mod categories;
mod files;
mod labels;
mod numbers;
mod pods;
mod storage;
mod unallocated;

use daysum_core::{Error, Lookups};
use daysum_tests::engine::{InputFile, engines};
use daysum_tests::fixture::Fixture;
use daysum_tests::summary::{Line, Summary};

/// What is proved where a run, a database or a command line can be seen, and why not here.
const ELSEWHERE: [(u32, &str); 10] = [
    (10, "the target stays as it was: a target is needed; the refusal itself is here"),
    (
        59,
        "rows of another month are in the run's statistics: a run is needed; that they do not count is here",
    ),
    (60, "run twice: needs a target that is replaced"),
    (61, "which target rows a replacement keeps: needs the database"),
    (63, "the report period is looked up in the database"),
    (66, "the target stays as it was: a target is needed; the refusal itself is here"),
    (67, "the deduplicating mode reads object metadata; that both files count without it is here"),
    (70, "numbers as text: the database sink's conversion"),
    (71, "lengths of varchar columns: the database sink's check"),
    (72, "partitions: needs the database"),
];

/// Runs the fixture through every engine.
#[track_caller]
fn each(fixture: &Fixture, check: impl Fn(&Summary)) {
    each_of(&fixture.files(), &fixture.lookups, check);
}

/// Runs the files through every engine.
#[track_caller]
fn each_of(files: &[InputFile], lookups: &Lookups, check: impl Fn(&Summary)) {
    for (name, engine) in engines() {
        let rows = engine.summarise(files, lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&Summary(rows));
    }
}

/// Every engine refuses the files.
#[track_caller]
fn refused(files: &[InputFile], lookups: &Lookups, check: impl Fn(&Error)) {
    for (name, engine) in engines() {
        match engine.summarise(files, lookups) {
            Ok(rows) => panic!("{name} did not refuse: {rows:?}"),
            Err(error) => check(&error),
        }
    }
}

/// The one element.
#[track_caller]
fn one(mut lines: Vec<Line>) -> Line {
    assert_eq!(lines.len(), 1, "one row expected: {lines:#?}");
    lines.remove(0)
}

/// Numbers that are the text's to fifteen digits.
#[track_caller]
fn close<const N: usize>(found: [Option<f64>; N], expected: [f64; N]) {
    for (found, expected) in found.iter().zip(expected) {
        let found = found.unwrap_or_else(|| panic!("{expected} expected, NULL found"));
        assert!(
            (found - expected).abs() <= 1e-14 * expected.abs().max(1.0),
            "{expected} expected, {found} found"
        );
    }
}

/// Text columns of several lines.
fn texts<'a>(lines: &'a [Line], name: &str) -> Vec<Option<&'a str>> {
    lines.iter().map(|line| line.text(name)).collect()
}

#[test]
fn the_common_fixture() {
    each(&Fixture::with_storage(), |summary| {
        let pod = one(summary.pods());
        assert_eq!(pod.cpu(), [1.0, 2.0, 2.0, 3.0].map(Some));
        assert_eq!(pod.memory(), [Some(1.0); 4]);
        assert_eq!(pod.capacity(), [4.0, 4.0, 16.0, 16.0].map(Some));
        assert_eq!(pod.cluster(), [4.0, 16.0].map(Some));
        assert_eq!(pod.labels("pod_labels"), Some(serde_json::json!({"app": "x"})));
        assert_eq!(pod.labels("all_labels"), pod.labels("pod_labels"));
        assert_eq!((pod.text("volume_labels"), pod.volume()), (None, [None; 4]));
        let storage = one(summary.storage());
        close(storage.volume(), [10.0, 0.357142857142857, 0.285714285714286, 0.142857142857143]);
        assert_eq!((storage.text("node"), storage.text("resource_id")), (Some("n1"), Some("i-1")));
        assert_eq!(
            (storage.text("pod_labels"), storage.cpu(), storage.cluster()),
            (None, [None; 4], [None; 2])
        );
        let unallocated = one(summary.unallocated());
        assert_eq!(unallocated.cpu(), [Some(3.0), Some(2.0), Some(2.0), None]);
        assert_eq!(unallocated.memory(), [Some(15.0), Some(15.0), Some(15.0), None]);
        assert_eq!(unallocated.text("namespace"), None);
        for line in [&pod, &storage] {
            assert_eq!(line.text("infrastructure_usage_cost"), Some(daysum_core::rows::ZERO_COST));
        }
        for line in [pod, storage, unallocated] {
            assert_eq!(
                (line.day().to_string(), line.text("cluster_id")),
                ("2025-02-01".into(), Some("cluster"))
            );
            assert_eq!(line.text("source_uuid"), Some(daysum_tests::fixture::SOURCE));
        }
    });
    let mut fixture = Fixture::base();
    fixture.roles(&[("n1", "i-1", Some("worker"))]);
    each(&fixture, |summary| {
        assert_eq!(one(summary.unallocated()).text("namespace"), Some("Worker unallocated"));
    });
}

#[test]
fn no_case_is_both_here_and_elsewhere_or_nowhere() {
    let here = concat!(
        include_str!("spec/labels.rs"),
        include_str!("spec/pods.rs"),
        include_str!("spec/categories.rs"),
        include_str!("spec/storage.rs"),
        include_str!("spec/unallocated.rs"),
        include_str!("spec/files.rs"),
    );
    for case in 1..=72 {
        let tested = here.contains(&format!("fn case_{case:02}_"));
        let elsewhere = ELSEWHERE.iter().find(|(number, _)| *number == case);
        let only_in_part = elsewhere.is_some_and(|(_, reason)| reason.contains(" is here"));
        assert_eq!(tested, elsewhere.is_none() || only_in_part, "case {case}");
    }
}
