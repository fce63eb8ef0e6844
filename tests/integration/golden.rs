//! Every engine against the golden data sets.

use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::engine::{Engine, engines};
use daysum_tests::golden::{Golden, HourlyOnly};
use daysum_tests::oracle::Oracle;

/// koku's SQL sums doubles in any order, so the last digits of its rows are no law (SPEC 4.1).
const PRECISION: Precision = Precision::Relative(1e-9);

#[test]
fn every_golden_from_kokus_layout() {
    for golden in Golden::all() {
        for (name, engine) in engines() {
            let name = format!("{}, {name}", golden.name);
            let actual = engine
                .summarise(&golden.files, &golden.lookups)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_same(&name, &golden.expected, &actual, PRECISION);
        }
    }
}

#[test]
fn every_golden_from_hourly_files_alone() {
    for golden in Golden::all() {
        let files = golden.hourly_files();
        let oracle = Oracle::default().summarise(&files, &golden.lookups).expect("goldens are sound");
        for (name, engine) in engines() {
            let name = format!("{} from hourly files, {name}", golden.name);
            let actual =
                engine.summarise(&files, &golden.lookups).unwrap_or_else(|error| panic!("{name}: {error}"));
            // What the oracle differs in is stated row by row in oracle_goldens.
            if golden.hourly_only() == HourlyOnly::Same {
                assert_same(&name, &golden.expected, &actual, PRECISION);
            }
            assert_same(&name, &oracle, &actual, Precision::Bits);
        }
    }
}
