//! The oracle against koku's own SQL: what earns it the right to judge the engine.

use daysum_tests::compare::{Difference, Precision, Side, assert_same, differences};
use daysum_tests::engine::Engine;
use daysum_tests::golden::{Golden, HourlyOnly};
use daysum_tests::oracle::Oracle;

const PRECISION: Precision = Precision::Relative(1e-9);

#[test]
fn the_oracle_equals_every_golden() {
    let goldens = Golden::all();
    assert_eq!(goldens.len(), 31, "tests/data/golden is complete");
    for golden in goldens {
        let actual = Oracle::default()
            .summarise(&golden.files, &golden.lookups)
            .unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        assert_same(&golden.name, &golden.expected, &actual, PRECISION);
    }
}

#[test]
fn from_hourly_files_alone_the_oracle_equals_every_golden_whose_daily_rows_are_the_sums_of_its_hourly_rows() {
    let mut different = Vec::new();
    for golden in Golden::all() {
        let actual = Oracle::default()
            .summarise(&golden.hourly_files(), &golden.lookups)
            .unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        match golden.hourly_only() {
            HourlyOnly::Same => assert_same(&golden.name, &golden.expected, &actual, PRECISION),
            HourlyOnly::Differs(_) => {
                let found = differences(&golden.expected, &actual, PRECISION).expect("the same columns");
                assert_expected_differences(&golden.name, &found);
                different.push(golden.name);
            }
        }
    }
    assert_eq!(
        different,
        ["edge-05-null-effective-usage", "edge-11-storage-without-pod", "edge-17-varying-capacity"]
    );
}

/// A number that differs for another reason than NULL having become 0: what the row holds, column, expected, actual.
type Number = (&'static str, &'static str, Option<f64>, Option<f64>);

/// Rows on one side only.
type Alone = (Side, &'static str);

fn assert_expected_differences(golden: &str, found: &[Difference]) {
    let (numbers, alone): (&[Number], &[Alone]) = match golden {
        "edge-05-null-effective-usage" => (
            &[
                // The stored effective usage of the daily row is 5.5 s; the hourly rows have 2 h each.
                (
                    r#"namespace="eff-lower""#,
                    "pod_effective_usage_cpu_core_hours",
                    Some(5.5 / 3600.0),
                    Some(48.0),
                ),
                (
                    r#"namespace="eff-lower""#,
                    "pod_effective_usage_memory_gigabyte_hours",
                    Some(0.0),
                    Some(24.0),
                ),
                (
                    r#"unallocated" node="n1""#,
                    "pod_effective_usage_cpu_core_hours",
                    Some(30.0 - 5.5 / 3600.0),
                    Some(-18.0),
                ),
                (
                    r#"unallocated" node="n1""#,
                    "pod_effective_usage_memory_gigabyte_hours",
                    Some(318.0),
                    Some(294.0),
                ),
                // One of the two requests is NULL in the daily row and 0.5 h in the hourly ones.
                (r#"namespace="mixed""#, "pod_request_cpu_core_hours", Some(18.0), Some(30.0)),
                (r#"unallocated" node="n2""#, "pod_request_cpu_core_hours", Some(78.0), Some(66.0)),
                // A node of which nothing is known: NULL is 0 in hourly rows, so all of it is unallocated.
                (r#"unallocated" node="n3""#, "pod_usage_cpu_core_hours", None, Some(96.0)),
                (r#"unallocated" node="n3""#, "pod_request_cpu_core_hours", None, Some(96.0)),
                (r#"unallocated" node="n3""#, "pod_effective_usage_cpu_core_hours", None, Some(96.0)),
                (r#"unallocated" node="n3""#, "pod_usage_memory_gigabyte_hours", None, Some(384.0)),
                (r#"unallocated" node="n3""#, "pod_request_memory_gigabyte_hours", None, Some(384.0)),
                (r#"unallocated" node="n3""#, "pod_effective_usage_memory_gigabyte_hours", None, Some(384.0)),
            ],
            &[],
        ),
        "edge-11-storage-without-pod" => (&[], &[]),
        "edge-17-varying-capacity" => (
            &[],
            &[
                (Side::Expected, r#"namespace="Worker unallocated" node="daily-only""#),
                (Side::Expected, r#"namespace="a" node="daily-only""#),
                (Side::Actual, r#"namespace="a" node="hourly-only""#),
                (Side::Actual, r#"usage_start="2025-11-10" node="hourly-only""#),
            ],
        ),
        other => panic!("{other} has no table of differences"),
    };
    let mut numbers_left = numbers.to_vec();
    let mut alone_left = alone.to_vec();
    for difference in found {
        if difference.side != Side::Both {
            let position = alone_left
                .iter()
                .position(|(side, row)| *side == difference.side && difference.row.contains(row));
            alone_left.remove(position.unwrap_or_else(|| panic!("{golden}: unexpected {difference}")));
        }
        for (column, expected, actual) in &difference.numbers {
            if expected.is_none() && *actual == Some(0.0) {
                continue; // the sum of nothing is 0 where daily rows are derived (SPEC 1.5)
            }
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            };
            let position = numbers_left.iter().position(|(row, of, ours, theirs)| {
                difference.row.contains(row)
                    && of == column
                    && close(*ours, *expected)
                    && close(*theirs, *actual)
            });
            numbers_left.remove(position.unwrap_or_else(|| panic!("{golden}: unexpected {difference}")));
        }
    }
    assert!(
        numbers_left.is_empty() && alone_left.is_empty(),
        "{golden}: {numbers_left:?} {alone_left:?} did not occur"
    );
}
