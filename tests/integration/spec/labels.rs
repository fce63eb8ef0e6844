//! Cases 1 to 15: keys and labels.

use daysum_core::Error;
use daysum_tests::fixture::{Fixture, LabelRow, PodRow, StorageRow, labels, pod, storage, text};
use daysum_tests::summary::Summary;
use serde_json::{Value, json};

use super::{each, one, refused};

fn pod_labels(fixture: &mut Fixture, labels: &[&str]) {
    let pods = labels.iter().enumerate();
    fixture.set_pods(pods.map(|(number, labels)| PodRow {
        labels: text(labels),
        pod: text(&format!("p{number}")),
        ..pod()
    }));
}

fn label_sets(summary: &Summary) -> Vec<Value> {
    summary.pods().iter().filter_map(|line| line.labels("pod_labels")).collect()
}

#[test]
fn case_01_the_vm_key_is_enabled_without_any_key() {
    let mut fixture = Fixture::base();
    fixture.enable(&[]);
    pod_labels(&mut fixture, &[r#"{"app":"x","vm_kubevirt_io_name":"v"}"#]);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"vm_kubevirt_io_name": "v"})]));
}

#[test]
fn case_02_only_enabled_keys_and_only_as_they_are_spelled() {
    let mut fixture = Fixture::base();
    fixture.enable(&["App", "other"]);
    fixture.lookups.disabled_tag_keys = vec!["app".to_owned()];
    pod_labels(&mut fixture, &[r#"{"app":"x","other":"y","OTHER":"z"}"#]);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"other": "y"})]));
}

/// Not a case of its own: white space that JSON allows makes no pipe string of it.
#[test]
fn json_behind_white_space_is_json() {
    let mut fixture = Fixture::base();
    let texts = ["\n{\"app\": 1, \"b\": \"label_\"}", "\r\t {\"q\": 1, \"c\": \"|label_app:no|\"}"];
    pod_labels(&mut fixture, &texts);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"app": "1"}), json!({})]));
    pod_labels(&mut fixture, &["\nlabel_b:y|label_app:x"]);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"app": "x"})]));
}

/// Nor is it one that labels of a pod on no node, which no row comes from, may be anything.
#[test]
fn labels_of_a_pod_on_no_node_are_not_read() {
    let mut fixture = Fixture::base();
    for node in [text(""), None] {
        fixture.set_pods([pod(), PodRow { node, labels: text("bad"), ..pod() }]);
        each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"app": "x"})]));
    }
    fixture.set_pods([pod(), PodRow { labels: text("bad"), ..pod() }]);
    refused(&fixture.files(), &fixture.lookups, |error| {
        assert!(error.to_string().contains("pod_labels"), "{error}")
    });
}

fn precedence() -> Fixture {
    let mut fixture = Fixture::with_storage();
    fixture.enable(&["app", "team", "zone", "only_pv"]);
    fixture.node_labels = vec![labels("n1", r#"{"zone":"a","app":"node"}"#)];
    fixture.namespace_labels = vec![labels("ns", r#"{"team":"t","app":"ns"}"#)];
    fixture.storage = vec![StorageRow {
        volume_labels: text(r#"{"app":"pv","only_pv":"1"}"#),
        claim_labels: text(r#"{"app":"pvc"}"#),
        ..storage()
    }];
    fixture
}

#[test]
fn case_03_pod_labels_win_over_namespace_over_node() {
    let mut fixture = precedence();
    each(&fixture, |summary| {
        assert_eq!(label_sets(summary), [json!({"app": "x", "team": "t", "zone": "a"})]);
    });
    pod_labels(&mut fixture, &["{}"]);
    each(&fixture, |summary| {
        assert_eq!(label_sets(summary), [json!({"app": "ns", "team": "t", "zone": "a"})]);
    });
}

#[test]
fn case_04_claim_labels_win_over_volume_over_namespace_over_node() {
    each(&precedence(), |summary| {
        let line = one(summary.storage());
        let expected = json!({"app": "pvc", "team": "t", "zone": "a", "only_pv": "1"});
        assert_eq!(line.labels("volume_labels"), Some(expected.clone()));
        assert_eq!(line.labels("all_labels"), Some(expected));
        assert_eq!(line.text("pod_labels"), None);
    });
}

#[test]
fn case_05_two_label_sets_of_a_node_give_two_rows() {
    let mut fixture = Fixture::base();
    fixture.enable(&["zone"]);
    fixture.node_labels = vec![labels("n1", r#"{"zone":"a"}"#), labels("n1", r#"{"zone":"b"}"#)];
    each(&fixture, |summary| {
        assert_eq!(label_sets(summary), [json!({"zone": "a"}), json!({"zone": "b"})]);
        assert!(summary.pods().iter().all(|line| line.cpu()[0] == Some(1.0)));
        assert_eq!(one(summary.unallocated()).cpu()[0], Some(2.0));
    });
}

#[test]
fn case_06_the_pods_own_label_makes_it_one_row_of_twice_the_usage() {
    let mut fixture = Fixture::base();
    fixture.enable(&["zone"]);
    pod_labels(&mut fixture, &[r#"{"zone":"mine"}"#]);
    fixture.node_labels = vec![labels("n1", r#"{"zone":"a"}"#), labels("n1", r#"{"zone":"b"}"#)];
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).cpu(), [2.0, 4.0, 4.0, 6.0].map(Some));
        assert_eq!(one(summary.unallocated()).cpu()[0], Some(2.0));
    });
}

#[test]
fn case_07_sets_that_differ_in_a_disabled_key_are_one() {
    let mut fixture = Fixture::base();
    fixture.node_labels = vec![labels("n1", r#"{"rack":"1"}"#), labels("n1", r#"{"rack":"2"}"#)];
    each(&fixture, |summary| assert_eq!(one(summary.pods()).cpu()[0], Some(1.0)));
}

#[test]
fn case_08_node_and_namespace_sets_multiply() {
    let mut fixture = Fixture::base();
    fixture.enable(&["zone", "team"]);
    fixture.node_labels = vec![labels("n1", r#"{"zone":"a"}"#), labels("n1", r#"{"zone":"b"}"#)];
    fixture.namespace_labels = vec![labels("ns", r#"{"team":"s"}"#), labels("ns", r#"{"team":"t"}"#)];
    let unallocated = |summary: &Summary| {
        let line = one(summary.unallocated());
        assert_eq!(line.cpu(), [Some(0.0), Some(-4.0), Some(-4.0), None]);
        assert_eq!(line.memory()[0], Some(12.0));
    };
    each(&fixture, |summary| {
        assert_eq!(summary.pods().len(), 4);
        assert!(summary.pods().iter().all(|line| line.cpu()[0] == Some(1.0)));
        unallocated(summary);
    });
    pod_labels(&mut fixture, &[r#"{"zone":"mine","team":"mine"}"#]);
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).cpu()[0], Some(4.0));
        unallocated(summary);
    });
}

#[test]
fn case_09_null_and_blank_labels_are_no_labels() {
    let mut fixture = Fixture::base();
    pod_labels(&mut fixture, &["", "", "   "]);
    fixture.daily_pods[0].labels = None;
    each(&fixture, |summary| {
        assert_eq!(label_sets(summary), [json!({})]);
        assert_eq!(one(summary.pods()).cpu()[0], Some(3.0));
    });
}

fn assert_names_the_label(error: &Error, malformed: &str) {
    assert_eq!(error.code(), "value", "{malformed:?}: {error}");
    let at = error.location().expect("a place");
    assert!(at.object.starts_with("openshift_pod_usage_line_items_daily/"), "{error}");
    assert_eq!(at.row, Some(1), "{error}");
    assert_eq!(at.column.as_deref(), Some("pod_labels"), "{error}");
}

#[test]
fn case_10_malformed_labels_are_refused_with_file_and_row() {
    for malformed in ["{", r#"{"app":"#, r#"["x"]"#, r#""x""#, "5", "null", "true", "\t", "\n", "nonsense"] {
        let mut fixture = Fixture::base();
        pod_labels(&mut fixture, &["{}", malformed]);
        refused(&fixture.files(), &fixture.lookups, |error| assert_names_the_label(error, malformed));
    }
}

/// Batches are decoded one after the other, larger or smaller ones: the row is that of the row group.
#[test]
fn a_row_behind_many_others_is_named_by_its_own_number() {
    let mut fixture = Fixture::base();
    fixture.node_labels = vec![labels("n1", "{}"); 20_000];
    fixture.node_labels[17_000].labels = text("[]");
    refused(&fixture.files(), &fixture.lookups, |error| {
        let at = error.location().expect("a place");
        assert_eq!((at.row, at.column.as_deref()), (Some(17_000), Some("node_labels")), "{error}");
    });
}

#[test]
fn case_11_values_of_other_types_become_their_jsonb_text() {
    let mut fixture = Fixture::base();
    fixture.enable(&["n", "b", "z", "o", "a"]);
    pod_labels(&mut fixture, &[r#"{"n":1.50,"b":true,"z":null,"o":{"x":1},"a":[1,2]}"#]);
    each(&fixture, |summary| {
        let expected = json!({"n": "1.50", "b": "true", "z": null, "o": r#"{"x": 1}"#, "a": "[1, 2]"});
        assert_eq!(label_sets(summary), [expected]);
    });
}

#[test]
fn case_12_spelling_does_not_split_a_group() {
    let mut fixture = Fixture::base();
    fixture.enable(&["app", "b"]);
    pod_labels(&mut fixture, &[r#"{"app":"é","b":"1"}"#, r#"{ "b" : "1", "app": "\u00e9" }"#]);
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).labels("pod_labels"), Some(json!({"app": "é", "b": "1"})));
    });
}

#[test]
fn case_13_a_nul_character_is_refused() {
    for malformed in [r#"{"app":"\u0000"}"#, "label_app:\0"] {
        let mut fixture = Fixture::base();
        pod_labels(&mut fixture, &["{}", malformed]);
        refused(&fixture.files(), &fixture.lookups, |error| assert_names_the_label(error, malformed));
    }
}

#[test]
fn case_14_pipe_strings() {
    let mut fixture = Fixture::base();
    fixture.enable(&["a", "b", "junk", "my_x", "my_label_x"]);
    pod_labels(&mut fixture, &["label_a:1|label_b:x:y|junk|label_a:2"]);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"a": "2"})]));
    pod_labels(&mut fixture, &["label_my_label_x:1"]);
    each(&fixture, |summary| assert_eq!(label_sets(summary), [json!({"my_x": "1"})]));
}

#[test]
fn case_15_empty_labels_everywhere_are_an_empty_object() {
    let mut fixture = Fixture::with_storage();
    pod_labels(&mut fixture, &["{}"]);
    fixture.node_labels = vec![labels("n1", "{}")];
    fixture.namespace_labels = vec![LabelRow { labels: None, ..labels("ns", "") }];
    each(&fixture, |summary| {
        assert_eq!(one(summary.pods()).text("pod_labels"), Some("{}"));
        assert_eq!(one(summary.storage()).text("volume_labels"), Some("{}"));
        assert_eq!(one(summary.unallocated()).text("all_labels"), Some("{}"));
    });
}
