//! Cases 16 to 27: pods and capacity.

use daysum_tests::fixture::{Fixture, PodRow, hour, pod, text};

use super::{each, one, texts};

const DAY: &str = "2025-02-01";

#[test]
fn case_16_pods_with_equal_labels_are_one_row() {
    let mut fixture = Fixture::base();
    fixture.set_pods([
        PodRow { resource_id: text("i-9"), ..pod() },
        PodRow { pod: text("p2"), resource_id: text("i-10"), ..pod() },
    ]);
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!(line.cpu(), [2.0, 4.0, 4.0, 6.0].map(Some));
        assert_eq!(line.text("resource_id"), Some("i-9"), "the largest as text");
    });
}

#[test]
fn case_17_partial_daily_rows_of_several_files_add_up() {
    let mut fixture = Fixture::base();
    let third = |value: Option<f64>| value.map(|value| value / 3.0);
    fixture.daily_pods =
        vec![PodRow { cpu: pod().cpu.map(third), memory: pod().memory.map(third), ..pod() }; 3];
    fixture.rows_per_file = 1;
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!((line.cpu(), line.memory()), ([1.0, 2.0, 2.0, 3.0].map(Some), [Some(1.0); 4]));
    });
}

#[test]
fn case_18_pods_without_a_node_are_left_out_but_their_capacity_counts() {
    let mut fixture = Fixture::base();
    let with = |node: Option<String>, hours: f64| {
        let mut row = PodRow { node, ..pod() };
        row.capacity[1] = Some(hours * 3600.0);
        row
    };
    fixture.set_pods([with(text("n1"), 6.0), with(text(""), 10.0)]);
    fixture.daily_pods.push(PodRow { node: None, ..pod() });
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!((line.text("node"), line.cpu()[0]), (Some("n1"), Some(1.0)));
        assert_eq!((line.capacity()[1], line.cluster()[0]), (Some(6.0), Some(16.0)));
    });
    // The group of the NULL node counts too (SPEC 2.4).
    fixture.hourly_pods.push(with(None, 2.0));
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cluster()[0], Some(18.0)));
}

#[test]
fn case_19_capacity_is_the_largest_of_an_interval_summed_over_intervals() {
    let mut fixture = Fixture::base();
    let reports = |at: i64, seconds: f64| {
        let mut row = PodRow { start: hour(DAY, at), ..pod() };
        row.capacity[1] = Some(seconds);
        row
    };
    fixture.hourly_pods = vec![reports(0, 3600.0), reports(0, 7200.0), reports(1, 14_400.0)];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).capacity()[1], Some(6.0)));
    // Intervals are compared to the millisecond (SPEC 2.4).
    fixture.hourly_pods[1].start += 1;
    each(&fixture, |summary| assert_eq!(one(summary.pods()).capacity()[1], Some(7.0)));
}

#[test]
fn case_20_missing_hours_are_not_made_up() {
    let mut fixture = Fixture::base();
    fixture.hourly_pods = (0..5).map(|at| PodRow { start: hour(DAY, at), ..pod() }).collect();
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).capacity(), [4.0, 20.0, 16.0, 80.0].map(Some));
        assert_eq!(one(summary.pods()).cluster(), [20.0, 80.0].map(Some));
    });
}

#[test]
fn case_21_without_hourly_rows_capacity_is_zero_and_unallocated_negative() {
    let mut fixture = Fixture::base();
    fixture.hourly_pods.clear();
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!(line.capacity(), [4.0, 0.0, 16.0, 0.0].map(Some));
        assert_eq!(line.cluster(), [0.0, 0.0].map(Some));
        assert_eq!(one(summary.unallocated()).cpu(), [Some(-1.0), Some(-2.0), Some(-2.0), None]);
    });
}

#[test]
fn case_22_effective_usage_falls_back_to_the_larger_of_what_is_there() {
    let mut fixture = Fixture::base();
    fixture.daily_pods = vec![PodRow { cpu: [None, Some(7200.0), None, Some(10_800.0)], ..pod() }];
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).cpu(), [None, Some(2.0), Some(2.0), Some(3.0)]);
        assert_eq!(one(summary.unallocated()).cpu(), [None, Some(2.0), Some(2.0), None]);
    });
    fixture.daily_pods = vec![PodRow { cpu: [None, None, None, None], ..pod() }];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu(), [None; 4]));
    // A stored value wins even where it is smaller.
    fixture.daily_pods = vec![PodRow { cpu: [Some(3600.0), Some(7200.0), Some(900.0), None], ..pod() }];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu(), [Some(1.0), Some(2.0), Some(0.25), None]));
}

#[test]
fn case_23_effective_usage_is_the_sum_of_hourly_maxima() {
    let mut fixture = Fixture::base();
    fixture.daily_pods.clear();
    let second = |at: i64, usage: f64, request: f64| PodRow {
        start: hour(DAY, at),
        cpu: [Some(usage * 3600.0), Some(request * 3600.0), None, Some(0.0)],
        ..pod()
    };
    fixture.hourly_pods = vec![second(1, 1.0, 0.0), second(2, 0.0, 1.0)];
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).cpu(), [1.0, 1.0, 2.0, 0.0].map(Some));
    });
}

#[test]
fn case_24_no_namespace_and_an_empty_one_are_two() {
    let mut fixture = Fixture::base();
    fixture.set_pods([PodRow { namespace: None, ..pod() }, PodRow { namespace: text(""), ..pod() }, pod()]);
    each(&fixture, |summary| {
        assert_eq!(texts(&summary.pods(), "namespace"), [None, Some(""), Some("ns")]);
        assert!(summary.pods().iter().all(|line| line.cpu()[0] == Some(1.0)));
        assert_eq!(one(summary.unallocated()).cpu()[0], Some(2.0));
    });
}

#[test]
fn case_25_no_usage_is_zero_and_not_null() {
    let mut fixture = Fixture::base();
    fixture.set_pods([PodRow { cpu: [Some(0.0); 4], memory: [Some(-0.0); 4], ..pod() }]);
    each(&fixture, |summary| {
        let line = one(summary.pods());
        let bits = |numbers: [Option<f64>; 4]| numbers.map(|number| number.map(f64::to_bits));
        assert_eq!((bits(line.cpu()), bits(line.memory())), ([Some(0); 4], [Some(0); 4]), "never -0.0");
        assert_eq!(one(summary.unallocated()).cpu(), [Some(4.0), Some(4.0), Some(4.0), None]);
    });
}

#[test]
fn case_26_hourly_rows_above_1e18_are_dropped() {
    let above = 1e18 + 128.0; // the next double
    let mut fixture = Fixture::base();
    fixture.daily_pods.clear();
    fixture.hourly_pods = vec![PodRow { cpu: [Some(1e18), Some(0.0), None, Some(0.0)], ..pod() }];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu()[0], Some(1e18 / 3600.0)));
    for column in 0..9 {
        let mut row = PodRow { pod: text("absurd"), ..pod() };
        // Effective usage and cores are not among the columns that are checked.
        match column {
            0 => row.cpu[0] = Some(above),
            1 => row.cpu[1] = Some(above),
            2 => row.cpu[3] = Some(above),
            3 => row.memory[0] = Some(above),
            4 => row.memory[1] = Some(above),
            5 => row.memory[3] = Some(above),
            6 => row.capacity[1] = Some(above),
            7 => row.capacity[2] = Some(above),
            _ => row.capacity[3] = Some(f64::INFINITY),
        }
        fixture.hourly_pods = vec![pod(), row];
        each(&fixture, |summary| {
            assert_eq!(one(summary.pods()).cpu()[0], Some(1.0), "column {column}");
            assert_eq!(one(summary.pods()).capacity(), [4.0, 4.0, 16.0, 16.0].map(Some), "column {column}");
        });
    }
    fixture.hourly_pods = vec![PodRow { capacity: [Some(1e19), Some(14_400.0), None, None], ..pod() }];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).capacity()[0], Some(1e19)));
}

#[test]
fn case_27_what_is_no_number_counts_as_zero_in_hourly_rows() {
    let mut fixture = Fixture::base();
    fixture.daily_pods.clear();
    for missing in [None, Some(f64::NAN)] {
        fixture.hourly_pods = vec![PodRow { cpu: [missing, Some(3600.0), None, missing], ..pod() }];
        each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu(), [0.0, 1.0, 1.0, 0.0].map(Some)));
    }
    fixture.hourly_pods = vec![PodRow { cpu: [None; 4], memory: [None; 4], capacity: [None; 4], ..pod() }];
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!((line.cpu(), line.memory()), ([Some(0.0); 4], [Some(0.0); 4]));
        assert_eq!(line.capacity(), [None, Some(0.0), None, Some(0.0)], "maxima of nothing, sums of nothing");
    });
}
