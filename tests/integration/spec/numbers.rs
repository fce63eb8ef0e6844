//! SPEC 1.6: numbers that are no usage.

use daysum_core::Error;
use daysum_tests::engine::engines;
use daysum_tests::fixture::{Fixture, PodRow, StorageRow, pod, storage};

use super::{each, one};

/// Every engine refuses the fixture, but for the oracle: its sums have no end.
#[track_caller]
fn refused(fixture: &Fixture, check: impl Fn(&Error)) {
    for (name, engine) in &engines()[1..] {
        check(&engine.summarise(&fixture.files(), &fixture.lookups).expect_err(name));
    }
}

/// The row after a sound one is refused, by file, row and column.
#[track_caller]
fn is_refused(fixture: &Fixture, table: &str, column: &str) {
    refused(fixture, |error| {
        assert_eq!(error.code(), "value", "{column}: {error}");
        let at = error.location().expect("a place");
        assert!(at.object.starts_with(table), "{error}");
        assert_eq!((at.row, at.column.as_deref()), (Some(1), Some(column)), "{error}");
    });
}

#[test]
fn daily_rows_are_sums_of_finite_numbers() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2f64.powi(101)] {
        let mut fixture = Fixture::with_storage();
        let mut odd = pod();
        odd.memory[1] = Some(number);
        fixture.daily_pods = vec![pod(), odd];
        is_refused(&fixture, "openshift_pod_usage_line_items_daily/", "pod_request_memory_byte_seconds");

        let mut fixture = Fixture::with_storage();
        let mut odd = storage();
        odd.sums[2] = Some(number);
        fixture.storage = vec![storage(), odd];
        let column = "persistentvolumeclaim_usage_byte_seconds";
        is_refused(&fixture, "openshift_storage_usage_line_items_daily/", column);
    }
}

#[test]
fn sizes_are_finite() {
    for number in [f64::INFINITY, f64::NEG_INFINITY] {
        let with = |at: usize| {
            let mut odd = pod();
            odd.capacity[at] = Some(number);
            vec![pod(), odd]
        };
        let columns = ["node_capacity_cpu_cores", "node_capacity_memory_bytes"];
        for (at, column) in [(0, columns[0]), (2, columns[1])] {
            let fixture = Fixture { daily_pods: with(at), ..Fixture::base() };
            is_refused(&fixture, "openshift_pod_usage_line_items_daily/", column);
        }
        let columns = ["node_capacity_cpu_core_seconds", "node_capacity_memory_byte_seconds"];
        for (at, column) in [(1, columns[0]), (3, columns[1])] {
            let fixture = Fixture { hourly_pods: with(at), ..Fixture::base() };
            is_refused(&fixture, "openshift_pod_usage_line_items/", column);
        }
        let odd = StorageRow { capacity_bytes: Some(number), ..storage() };
        let fixture = Fixture { storage: vec![storage(), odd], ..Fixture::base() };
        let column = "persistentvolumeclaim_capacity_bytes";
        is_refused(&fixture, "openshift_storage_usage_line_items_daily/", column);
    }
}

/// More of the largest numbers than a sum holds, whether they are counted or added one by one.
#[test]
fn a_sum_that_does_not_fit_is_an_overflow() {
    let largest = 2f64.powi(101).next_down();
    let row = |number: usize| {
        let mut odd = pod();
        odd.cpu[1] = Some(largest);
        odd.cpu[0] = Some(number as f64);
        odd
    };
    let fixture = Fixture { daily_pods: (0..2100).map(row).collect(), ..Fixture::base() };
    refused(&fixture, |error| assert_eq!(error.code(), "overflow", "{error}"));
}

/// In hourly rows koku's pandas takes NaN for missing.
#[test]
fn hourly_rows_pass_over_what_is_no_number() {
    let odd = PodRow { cpu: [Some(f64::NAN), Some(7200.0), None, None], ..pod() };
    let fixture = Fixture { hourly_pods: vec![pod(), odd], daily_pods: Vec::new(), ..Fixture::base() };
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!(line.cpu(), [1.0, 4.0, 4.0, 3.0].map(Some));
    });
}
