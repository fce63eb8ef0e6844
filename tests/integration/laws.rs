//! Laws over random clusters: every engine is the oracle to the bit, whatever the files look like; and the
//! clusters are rich enough to tell.

use daysum_tests::cluster::{Cluster, cluster};
use daysum_tests::compare::{Precision, compare};
use daysum_tests::engine::{Engine, InputFile, engines};
use daysum_tests::oracle::{Bug, Oracle};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// As many cases as PROPTEST_CASES says, else proptest's own 256; each failure prints its whole cluster.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

/// `Err` where the two results are not the same rows, or not errors of the same class.
fn agree(
    expected: &dyn Engine,
    of: &[InputFile],
    actual: &dyn Engine,
    to: &[InputFile],
    cluster: &Cluster,
) -> Result<(), String> {
    match (expected.summarise(of, &cluster.lookups), actual.summarise(to, &cluster.lookups)) {
        (Ok(expected), Ok(actual)) => compare(&expected, &actual, Precision::Bits),
        (Err(expected), Err(actual)) if expected.code() == actual.code() => Ok(()),
        (expected, actual) => {
            let told = |result: daysum_core::Result<_>| {
                result.map_or_else(|error| error.to_string(), |_| "rows".into())
            };
            Err(format!("expected {}, actual {}", told(expected), told(actual)))
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_engine_is_the_oracle(cluster in cluster()) {
        let (files, oracle) = (cluster.files(), Oracle::default());
        for (name, engine) in engines() {
            if let Err(difference) = agree(&oracle, &files, &*engine, &files, &cluster) {
                prop_assert!(false, "{name}: {difference}");
            }
        }
    }

    #[test]
    fn how_rows_lie_in_files_cannot_be_seen(cluster in cluster()) {
        for (name, engine) in engines() {
            if let Err(difference) = agree(&*engine, &cluster.plain_files(), &*engine, &cluster.files(), &cluster) {
                prop_assert!(false, "{name}: {difference}");
            }
        }
    }
}

/// Draws the same clusters on every machine.
fn clusters() -> impl Iterator<Item = Cluster> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = cluster();
    std::iter::from_fn(move || Some(strategy.new_tree(&mut runner).expect("a cluster").current()))
}

#[test]
fn the_clusters_are_no_errors() {
    for cluster in clusters().take(100) {
        let result = Oracle::default().summarise(&cluster.files(), &cluster.lookups);
        assert!(result.is_ok(), "{result:?}");
    }
}

/// A law that no mistake can break proves nothing: each of these must be noticed in one of twenty cases.
#[test]
fn every_planted_bug_is_caught() {
    const CASES: usize = 100;
    let mut caught = Bug::ALL.map(|bug| (bug, 0));
    for cluster in clusters().take(CASES) {
        let files = cluster.files();
        let right = Oracle::default().summarise(&files, &cluster.lookups).expect("no error");
        for (bug, count) in &mut caught {
            let wrong = Oracle::with_bug(*bug).summarise(&files, &cluster.lookups);
            *count += usize::from(!wrong.is_ok_and(|wrong| compare(&right, &wrong, Precision::Bits).is_ok()));
        }
    }
    assert!(
        caught.iter().all(|(_, count)| *count >= CASES / 20),
        "too few of {CASES} clusters showed it: {caught:?}"
    );
}
