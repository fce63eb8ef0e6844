//! Cases 33 to 50: volumes, the nodes they are on, and what they share.

use daysum_tests::fixture::{
    Encoding, Fixture, PodRow, StorageRow, TextEncoding, hour, labels, pod, storage, text,
};
use serde_json::json;

use super::{close, each, one, refused, texts};

/// Capacity, request and usage of the common volume in February 2025.
const MONTHS: [f64; 3] = [0.357142857142857, 0.285714285714286, 0.142857142857143];

fn on(name: &str, node: &str) -> PodRow {
    PodRow { pod: text(name), node: text(node), ..pod() }
}

fn of_pod(name: &str) -> StorageRow {
    StorageRow { pod: text(name), ..storage() }
}

fn fixture(pods: impl IntoIterator<Item = PodRow>, storage: impl IntoIterator<Item = StorageRow>) -> Fixture {
    let mut fixture = Fixture { storage: storage.into_iter().collect(), ..Fixture::base() };
    fixture.set_pods(pods);
    fixture
}

/// Storage rows are these: node, then how often capacity counts, and request and usage.
#[track_caller]
fn shares(fixture: &Fixture, expected: &[(Option<&str>, f64, f64)]) {
    each(fixture, |summary| {
        let lines = summary.storage();
        assert_eq!(texts(&lines, "node"), expected.iter().map(|(node, ..)| *node).collect::<Vec<_>>());
        for (line, (_, capacity, usage)) in lines.iter().zip(expected) {
            close(line.volume(), [10.0, MONTHS[0] * capacity, MONTHS[1] * usage, MONTHS[2] * usage]);
        }
    });
}

#[test]
fn case_33_without_a_pod_there_is_no_node_and_nothing_is_divided() {
    let mut fixture = fixture([pod()], [of_pod("unknown")]);
    fixture.enable(&["zone", "team"]);
    fixture.node_labels = vec![labels("n1", r#"{"zone":"a"}"#)];
    fixture.namespace_labels = vec![labels("ns", r#"{"team":"t"}"#)];
    shares(&fixture, &[(None, 1.0, 1.0)]);
    each(&fixture, |summary| {
        let line = one(summary.storage());
        assert_eq!(line.text("resource_id"), None);
        assert_eq!(line.labels("volume_labels"), Some(json!({"team": "t"})));
    });
}

#[test]
fn case_34_a_volume_on_two_nodes_through_two_pods() {
    let fixture = fixture([on("p1", "n1"), on("p2", "n2")], [of_pod("p1"), of_pod("p2")]);
    shares(&fixture, &[(Some("n1"), 1.0, 0.5), (Some("n2"), 1.0, 0.5)]);
}

#[test]
fn case_35_one_pod_that_moves_to_a_second_node() {
    let fixture = fixture([on("p1", "n1"), on("p1", "n2")], [of_pod("p1")]);
    shares(&fixture, &[(Some("n1"), 1.0, 0.5), (Some("n2"), 1.0, 0.5)]);
}

#[test]
fn case_36_two_pods_of_one_node_double_everything_but_the_size() {
    let fixture = fixture([on("p1", "n1"), on("p2", "n1")], [of_pod("p1"), of_pod("p2")]);
    shares(&fixture, &[(Some("n1"), 2.0, 2.0)]);
    each(&fixture, |summary| {
        let expected = [10.0, 0.714285714285714, 0.571428571428571, 0.285714285714286];
        close(one(summary.storage()).volume(), expected);
    });
}

#[test]
fn case_37_two_resource_ids_of_a_node_give_two_full_rows() {
    let fixture = fixture([pod(), PodRow { resource_id: text("i-2"), ..pod() }], [storage()]);
    shares(&fixture, &[(Some("n1"), 1.0, 1.0), (Some("n1"), 1.0, 1.0)]);
    each(&fixture, |summary| {
        let lines = summary.storage();
        let mut ids = texts(&lines, "resource_id");
        ids.sort_unstable();
        assert_eq!(ids, [Some("i-1"), Some("i-2")]);
    });
}

#[test]
fn hourly_rows_of_two_resource_ids_are_a_daily_row_of_the_largest() {
    let later = |labels: &str| PodRow { resource_id: text("i-0"), labels: text(labels), ..pod() };
    for (labels, ids) in
        [(r#"{"app":"x"}"#, &[Some("i-1")][..]), (r#"{"app":"y"}"#, &[Some("i-0"), Some("i-1")])]
    {
        let mut fixture = fixture([pod(), later(labels)], [storage()]);
        fixture.enable(&["app"]);
        fixture.daily_pods.clear();
        each(&fixture, |summary| assert_eq!(texts(&summary.storage(), "resource_id"), ids, "{labels}"));
    }
}

#[test]
fn case_38_a_claim_with_two_volumes_doubles_both() {
    let fixture = fixture([pod()], [storage(), StorageRow { volume: text("pv2"), ..storage() }]);
    shares(&fixture, &[(Some("n1"), 2.0, 2.0), (Some("n1"), 2.0, 2.0)]);
}

#[test]
fn case_39_claims_without_a_volume_share_one_count() {
    let claim = |name: &str, claim: &str| StorageRow { volume: text(""), claim: text(claim), ..of_pod(name) };
    let fixture = fixture([on("p1", "n1"), on("p2", "n2")], [claim("p1", "a"), claim("p2", "b")]);
    shares(&fixture, &[(Some("n1"), 1.0, 0.5), (Some("n2"), 1.0, 0.5)]);
}

#[test]
fn case_40_a_null_volume_is_not_divided() {
    let claim = |name: &str, claim: &str| StorageRow { volume: None, claim: text(claim), ..of_pod(name) };
    let fixture = fixture([on("p1", "n1"), on("p2", "n2")], [claim("p1", "a"), claim("p2", "b")]);
    shares(&fixture, &[(Some("n1"), 1.0, 1.0), (Some("n2"), 1.0, 1.0)]);
}

#[test]
fn case_41_a_pod_on_the_empty_node_has_that_node() {
    shares(&fixture([on("p1", "")], [storage()]), &[(Some(""), 1.0, 1.0)]);
    let fixture = fixture([on("p1", ""), on("p2", "n2")], [of_pod("p1"), of_pod("p2")]);
    shares(&fixture, &[(Some(""), 1.0, 0.5), (Some("n2"), 1.0, 0.5)]);
}

#[test]
fn case_42_a_pod_on_no_node_at_all_is_refused() {
    let fixture = fixture([PodRow { node: None, ..pod() }], [storage()]);
    refused(&fixture.files(), &fixture.lookups, |error| assert_eq!(error.code(), "value", "{error}"));
    // Beside a node that is known, the missing one counts for nothing.
    let fixture =
        self::fixture([PodRow { node: None, ..on("p1", "") }, on("p2", "n2")], [of_pod("p1"), of_pod("p2")]);
    shares(&fixture, &[(None, 1.0, 1.0), (Some("n2"), 1.0, 1.0)]);
}

/// PostgreSQL's NULL / 0 is NULL, and no error.
#[test]
fn what_is_null_is_not_divided_by_no_node_either() {
    let nothing = |sums| StorageRow { sums, ..storage() };
    let fixture = fixture([PodRow { node: None, ..pod() }], [nothing([Some(1.0), None, None])]);
    each(&fixture, |summary| {
        let [capacity, month, request, usage] = one(summary.storage()).volume();
        assert!(capacity.is_some() && month.is_some() && request.is_none() && usage.is_none());
    });
    for sums in [[None, Some(0.0), None], [None, None, Some(0.0)]] {
        let fixture = self::fixture([PodRow { node: None, ..pod() }], [nothing(sums)]);
        refused(&fixture.files(), &fixture.lookups, |error| assert_eq!(error.code(), "value", "{error}"));
    }
}

#[test]
fn case_43_handles_keep_rows_apart_that_look_alike() {
    let handle = |handle: Option<&str>| StorageRow { handle: handle.map(str::to_owned), ..storage() };
    let fixture = fixture([pod()], [handle(Some("vol-1")), handle(Some("vol-2")), handle(None)]);
    shares(&fixture, &[(Some("n1"), 1.0, 1.0); 3]);
}

#[test]
fn case_44_an_empty_claim_matches_and_a_null_one_does_not() {
    shares(&fixture([pod()], [StorageRow { claim: text(""), ..storage() }]), &[(Some("n1"), 1.0, 1.0)]);
    shares(&fixture([pod()], [StorageRow { claim: None, ..storage() }]), &[(None, 1.0, 1.0)]);
}

#[test]
fn case_45_names_are_matched_within_a_namespace_but_counted_across() {
    let elsewhere = PodRow { namespace: text("ns2"), ..on("p1", "n2") };
    let fixture =
        fixture([on("p1", "n1"), elsewhere], [storage(), StorageRow { namespace: text("ns2"), ..storage() }]);
    shares(&fixture, &[(Some("n1"), 1.0, 0.5), (Some("n2"), 1.0, 0.5)]);
    each(&fixture, |summary| {
        assert_eq!(texts(&summary.storage(), "namespace"), [Some("ns"), Some("ns2")]);
        close([summary.storage()[0].volume()[2]], [0.142857142857143]);
    });
}

#[test]
fn case_46_the_month_of_the_day_divides() {
    for (day, days) in
        [("2024-02-10", 29.0), ("2025-02-10", 28.0), ("2025-04-30", 30.0), ("2025-01-31", 31.0)]
    {
        let start = hour(day, 0);
        let mut fixture = fixture([PodRow { start, ..pod() }], [StorageRow { start, ..storage() }]);
        fixture.lookups.start_date = text(day);
        fixture.lookups.end_date = text(day);
        each(&fixture, |summary| {
            close(one(summary.storage()).volume(), [10.0, 10.0 / days, 8.0 / days, 4.0 / days]);
        });
    }
}

#[test]
fn case_47_nodes_are_counted_per_day() {
    let next = hour("2025-02-02", 0);
    let pods = [on("p1", "n1"), on("p2", "n2"), PodRow { start: next, ..on("p1", "n1") }];
    let fixture = fixture(pods, [of_pod("p1"), of_pod("p2"), StorageRow { start: next, ..of_pod("p1") }]);
    shares(&fixture, &[(Some("n1"), 1.0, 0.5), (Some("n2"), 1.0, 0.5), (Some("n1"), 1.0, 1.0)]);
}

#[test]
fn case_48_a_pod_with_two_label_sets_does_not_double_its_volume() {
    let fixture = fixture([pod(), PodRow { labels: text(r#"{"app":"y"}"#), ..pod() }], [storage()]);
    shares(&fixture, &[(Some("n1"), 1.0, 1.0)]);
}

#[test]
fn case_49_no_storage_files_are_no_storage_rows() {
    each(&Fixture::base(), |summary| {
        assert_eq!((summary.pods().len(), summary.storage().len(), summary.unallocated().len()), (1, 0, 1));
    });
    let mut fixture = Fixture::with_storage();
    fixture.lookups.storage_exists = false;
    each(&fixture, |summary| {
        assert_eq!((summary.pods().len(), summary.storage().len(), summary.unallocated().len()), (1, 0, 1));
    });
}

#[test]
fn case_50_files_of_different_ages_lie_side_by_side() {
    let without_handle = StorageRow { handle: None, ..storage() };
    let mut fixture = fixture([pod()], vec![without_handle; 3]);
    fixture.rows_per_file = 1;
    let koku = Encoding { text: TextEncoding::Large, ..Encoding::default() };
    let older = Encoding { without_optional: true, ..Encoding::default() };
    let empty = Encoding { null_typed: true, ..Encoding::default() };
    fixture.encodings = vec![koku, older, empty];
    shares(&fixture, &[(Some("n1"), 3.0, 3.0)]);
}
