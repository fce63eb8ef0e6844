//! How the random clusters are drawn.

use daysum_core::{CostCategory, Day, Lookups, NodeRole, TextOrNumber};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Cluster, Grains, Placed};
use crate::fixture::{Encoding, LabelRow, PodRow, SOURCE, StorageRow, TextEncoding, TimeUnit};

const HOUR: i64 = 3_600_000;

/// Label text in every form that is no error; many pairs are equal once parsed and filtered.
const LABELS: [&str; 26] = [
    "{}",
    "",
    "  ",
    r#"{"app":"x"}"#,
    r#"{ "app" : "x" }"#,
    r#"{"app":"\u0078"}"#,
    r#"{"app":"y"}"#,
    r#"{"app":"x","app":"y"}"#,
    r#"{"zone":"a"}"#,
    r#"{"zone":"b"}"#,
    r#"{"zone":"a","app":"x"}"#,
    r#"{"app":"x","zone":"a"}"#,
    r#"{"rack":"1"}"#,
    r#"{"rack":"2","app":"x"}"#,
    r#"{"app":null}"#,
    r#"{"team":{"bb":1.50,"a":[1,{"c":"d"}]}}"#,
    r#"{"team":{"a": [1, {"c": "d"}], "bb": 1.50}}"#,
    r#"{"team":1e2,"zone":true}"#,
    r#"{"team":"t","app":"z"}"#,
    r#"{"vm_kubevirt_io_name":"v"}"#,
    r#"{"":"nameless"}"#,
    r#"{"app":"é\n"}"#,
    r#"{"app":"\u00e9\u000a"}"#,
    "label_app:x|label_zone:a",
    "label_app:x|label_zone:a:b|junk",
    "label_team:t|label_team:u",
];

/// Numbers that show what is done to them: inexact, with bits below the grid, far apart, negative.
const NUMBERS: [f64; 12] = [
    0.1,
    1.0 / 3.0,
    1e-9 / 3.0,
    1e-24 / 3.0,
    3600.0,
    7200.0,
    10_800.5,
    -0.7,
    -0.0,
    123_456_789.123,
    17_179_869_184.0,
    98_765_432_109_876_543.0,
];

fn text(values: &'static [&'static str]) -> impl Strategy<Value = Option<String>> + Clone {
    weighted(0.9, select(values).prop_map(str::to_owned))
}

fn labels() -> impl Strategy<Value = Option<String>> + Clone {
    prop_oneof![2 => text(&LABELS[..12]), 1 => text(&LABELS)]
}

/// Volumes have few labels, so that their other keys decide.
fn volume_labels() -> impl Strategy<Value = Option<String>> + Clone {
    prop_oneof![6 => text(&LABELS[..3]), 1 => labels()]
}

fn number(hourly: bool) -> BoxedStrategy<Option<f64>> {
    let finite = prop_oneof![
        1 => Just(None),
        1 => Just(Some(0.0)),
        6 => select(&NUMBERS[..]).prop_map(Some),
        4 => (0.0..1e6).prop_map(Some),
    ];
    if !hourly {
        return finite.boxed();
    }
    // What raw files hold before koku has cleaned them: not a number, just allowed, absurd.
    let odd = select(&[f64::NAN, 1e18, 1e18 + 128.0, f64::INFINITY][..]).prop_map(Some);
    prop_oneof![120 => finite, 1 => odd].boxed()
}

/// Effective usage and cores are not checked for absurd values, so infinity would be an error there.
fn unchecked(hourly: bool) -> impl Strategy<Value = Option<f64>> {
    number(hourly).prop_map(|number| number.filter(|number| *number < 1e17 || number.is_nan()))
}

fn metrics(hourly: bool) -> impl Strategy<Value = [Option<f64>; 4]> {
    let effective = prop_oneof![2 => Just(None), 3 => unchecked(hourly)];
    (number(hourly), number(hourly), effective, number(hourly))
        .prop_map(|(usage, request, effective, limit)| [usage, request, effective, limit])
}

/// Days around the ends of months, in a year of their own each.
fn first_day() -> impl Strategy<Value = Day> {
    select(&["2024-02-27", "2025-01-30", "2025-04-29", "2025-12-30", "2025-06-10"][..])
        .prop_map(|day| day.parse().expect("a day"))
}

fn start(first: Day, hourly: bool) -> impl Strategy<Value = i64> {
    let of_day = if hourly {
        vec![0, HOUR, HOUR, HOUR + 1, 2 * HOUR, 24 * HOUR - 1]
    } else {
        vec![0, 0, 24 * HOUR - 1]
    };
    (prop_oneof![1 => 0..5i64, 5 => Just(1)], select(of_day))
        .prop_map(move |(day, of_day)| first.start_millis() + day * 24 * HOUR + of_day)
}

fn pod(first: Day, hourly: bool) -> impl Strategy<Value = PodRow> {
    let keys = (
        text(&["ns1", "ns1", "ns1", "ns2", "", "openshift-x", "Platform unallocated"]),
        weighted(0.97, select(&["n1", "n1", "n1", "n2", "n3", ""][..])),
        text(&["p1", "p1", "p2", "p3", ""]),
        text(&["i-1", "i-1", "i-2", "i-10", ""]),
        labels(),
    );
    // Beside daily rows nothing drops an hourly one, so infinity is an error in what capacity is made of.
    let seconds = |hourly| number(hourly).prop_map(|number| number.filter(|number| *number != f64::INFINITY));
    let capacity = (unchecked(hourly), seconds(hourly), number(hourly), seconds(hourly));
    (start(first, hourly), keys, metrics(hourly), metrics(hourly), capacity).prop_map(
        |(
            start,
            (namespace, node, pod, resource_id, labels),
            cpu,
            memory,
            (cores, core_seconds, bytes, byte_seconds),
        )| {
            PodRow {
                start,
                namespace,
                // No volume is on a pod without any node: that is an error (SPEC 2.7, consequence 8).
                pod: if node.is_some() { pod } else { Some("lost".to_owned()) },
                node: node.map(str::to_owned),
                resource_id,
                labels,
                cpu,
                memory,
                capacity: [cores, core_seconds, bytes, byte_seconds],
            }
        },
    )
}

fn storage(first: Day, hourly: bool) -> impl Strategy<Value = StorageRow> {
    let keys = (
        text(&["ns1", "ns1", "ns1", "ns1", "ns2", "", "openshift-x"]),
        text(&["p1", "p1", "p2", "p3", "", "unknown"]),
        text(&["pvc1", "pvc1", "pvc1", "pvc1", "pvc2", ""]),
        text(&["pv1", "pv1", "pv1", "pv1", "pv2", ""]),
        text(&["sc", "sc", "sc", ""]),
        text(&["vol-1", "vol-1", "vol-2", ""]),
    );
    let numbers = (number(hourly), number(hourly), number(hourly), number(hourly));
    (start(first, hourly), keys, (volume_labels(), volume_labels()), numbers).prop_map(
        |(start, (namespace, pod, claim, volume, class, handle), (volume_labels, claim_labels), numbers)| {
            StorageRow {
                start,
                namespace,
                pod,
                claim,
                volume,
                class,
                handle,
                volume_labels,
                claim_labels,
                capacity_bytes: numbers.0,
                sums: [numbers.1, numbers.2, numbers.3],
            }
        },
    )
}

fn label_row(first: Day, owners: &'static [&'static str], hourly: bool) -> impl Strategy<Value = LabelRow> {
    (start(first, hourly), text(owners), labels()).prop_map(|(start, owner, labels)| LabelRow {
        start,
        owner,
        labels,
    })
}

fn placed<R: std::fmt::Debug>(row: impl Strategy<Value = R>) -> impl Strategy<Value = Placed<R>> {
    (row, 0..3u8, prop::bool::weighted(0.03)).prop_map(|(row, file, misplaced)| Placed {
        row,
        file,
        misplaced,
    })
}

/// Hourly rows, daily rows, or both: the daily ones decide what the hourly ones are read for.
fn grains<R: std::fmt::Debug + Clone, S: Strategy<Value = R> + 'static>(
    most: usize,
    row: impl Fn(bool) -> S,
) -> impl Strategy<Value = Grains<R>> {
    let rows = |hourly| vec(placed(row(hourly)), 0..=most);
    (rows(true), rows(false), 0..4u8).prop_map(|(hourly, daily, present)| match present {
        0 => Grains { hourly, daily: Vec::new() },
        1 => Grains { hourly: Vec::new(), daily },
        _ => Grains { hourly, daily },
    })
}

fn lookups(first: Day) -> impl Strategy<Value = Lookups> {
    let categories = subsequence(
        vec![
            ("ns%", 1),
            ("ns1", 5),
            ("%1", 3),
            ("_s2", 9),
            ("openshift-%", 1),
            ("", 6),
            ("Platform unallocated", 2),
            ("Platform%", 7),
            ("Worker%", 4),
            (r"ns\_", 8),
        ],
        0..=5,
    );
    let role = (
        select(&["n1", "n2", "n3", ""][..]),
        text(&["i-1", "i-2", "i-10", ""]),
        text(&["master", "infra", "worker", "worker", "", "gpu"]),
    );
    let range = (
        prop_oneof![4 => 0..2, 1 => 2..4i32],
        2..5i32,
        weighted(0.1, subsequence((1..=31).collect::<Vec<u32>>(), 10..=25)),
    );
    (
        subsequence(vec!["app", "zone", "team", "", "other"], 1..=5),
        categories,
        vec(role, 0..6),
        range,
        prop::bool::weighted(0.95),
    )
        .prop_map(move |(keys, categories, roles, (start, length, days), storage_exists)| Lookups {
            source_uuid: SOURCE.to_owned(),
            start_date: Some(Day(first.0 + start).to_string()),
            end_date: Some(Day(first.0 + start + length - 1).to_string()),
            days: days.map(|days| days.into_iter().map(TextOrNumber::Number).collect()),
            report_period_id: Some(7),
            cluster_id: "cluster".to_owned(),
            cluster_alias: "The cluster".to_owned(),
            storage_exists,
            enabled_tag_keys: keys.into_iter().map(str::to_owned).collect(),
            cost_categories: categories
                .into_iter()
                .map(|(namespace, id)| CostCategory { namespace: namespace.to_owned(), cost_category_id: id })
                .collect(),
            nodes: roles
                .into_iter()
                .map(|(node, resource_id, node_role)| NodeRole {
                    node: node.to_owned(),
                    resource_id,
                    node_role,
                })
                .collect(),
            ..Lookups::default()
        })
}

fn encoding() -> impl Strategy<Value = Encoding> {
    (
        select(&[TextEncoding::Utf8, TextEncoding::Large, TextEncoding::View, TextEncoding::Dictionary][..]),
        select(&[TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond][..]),
        any::<(bool, bool, bool)>(),
        select(&[1usize, 2, 3, 1 << 20][..]),
    )
        .prop_map(|(text, unit, (utc, null_typed, without_optional), row_group)| Encoding {
            text,
            unit,
            utc,
            null_typed,
            without_optional,
            row_group,
        })
}

/// A cluster of a few days.
pub fn cluster() -> impl Strategy<Value = Cluster> {
    first_day().prop_flat_map(|first| {
        (
            lookups(first),
            grains(14, move |hourly| pod(first, hourly)),
            grains(16, move |hourly| storage(first, hourly)),
            grains(5, move |hourly| label_row(first, &["n1", "n1", "n1", "n2", ""], hourly)),
            grains(5, move |hourly| label_row(first, &["ns1", "ns1", "ns1", "ns2", ""], hourly)),
            vec(encoding(), 1..6),
            any::<(bool, bool)>(),
        )
            .prop_map(
                |(
                    lookups,
                    pods,
                    storage,
                    node_labels,
                    namespace_labels,
                    encodings,
                    (stranger, backwards),
                )| Cluster {
                    lookups,
                    pods,
                    storage,
                    node_labels,
                    namespace_labels,
                    encodings,
                    stranger,
                    backwards,
                },
            )
    })
}
