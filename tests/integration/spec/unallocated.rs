//! Cases 51 to 57: what the nodes had left.

use daysum_tests::fixture::{Fixture, PodRow, pod, text};

use super::{each, one, texts};

#[test]
fn case_51_roles_decide_the_namespace() {
    let nodes = ["n1", "n2", "n3", "n4", "n5", "n6", "n7"];
    let mut fixture = Fixture::base();
    fixture.set_pods(nodes.map(|node| PodRow { node: text(node), ..pod() }));
    fixture.roles(&[
        ("n1", "i-1", Some("master")),
        ("n2", "i-1", Some("infra")),
        ("n3", "i-1", Some("worker")),
        ("n4", "i-1", Some("gpu")),
        ("n5", "i-1", Some("")),
        ("n6", "i-1", None),
    ]);
    each(&fixture, |summary| {
        let mut lines = summary.unallocated();
        lines.sort_by_key(|line| line.text("node").map(str::to_owned));
        let (platform, worker) = (Some("Platform unallocated"), Some("Worker unallocated"));
        assert_eq!(texts(&lines, "namespace"), [platform, platform, worker, None, None, None, None]);
        for line in &lines {
            assert_eq!(line.cpu(), [Some(3.0), Some(2.0), Some(2.0), None]);
            assert_eq!((line.text("all_labels"), line.text("infrastructure_usage_cost")), (Some("{}"), None));
            assert_eq!((line.text("pod_labels"), line.text("volume_labels")), (None, None));
            assert_eq!(line.capacity(), [4.0, 4.0, 16.0, 16.0].map(Some));
            assert_eq!(line.cluster(), [28.0, 112.0].map(Some));
        }
    });
}

#[test]
fn case_52_a_role_belongs_to_node_and_resource_id() {
    let mut fixture = Fixture::base();
    fixture.roles(&[("n1", "i-2", Some("worker"))]);
    each(&fixture, |summary| assert_eq!(one(summary.unallocated()).text("namespace"), None));
    // A NULL resource id matches nothing, not even a NULL one (SPEC 2.9).
    fixture.set_pods([PodRow { resource_id: None, ..pod() }]);
    fixture.lookups.nodes[0].resource_id = None;
    each(&fixture, |summary| assert_eq!(one(summary.unallocated()).text("namespace"), None));
}

#[test]
fn case_53_the_largest_role_of_a_node_in_two_clusters() {
    let mut fixture = Fixture::base();
    fixture.roles(&[("n1", "i-1", Some("worker")), ("n1", "i-1", Some("infra"))]);
    each(&fixture, |summary| {
        assert_eq!(one(summary.unallocated()).text("namespace"), Some("Worker unallocated"));
    });
}

#[test]
fn case_54_the_largest_role_of_two_resource_ids() {
    let mut fixture = Fixture::base();
    fixture.set_pods([pod(), PodRow { labels: text(r#"{"app":"y"}"#), resource_id: text("i-2"), ..pod() }]);
    fixture.roles(&[("n1", "i-1", Some("worker")), ("n1", "i-2", Some("master"))]);
    each(&fixture, |summary| {
        assert_eq!(summary.pods().len(), 2);
        let line = one(summary.unallocated());
        assert_eq!(line.text("namespace"), Some("Worker unallocated"));
        assert_eq!((line.text("resource_id"), line.cpu()[0]), (Some("i-2"), Some(2.0)));
    });
}

#[test]
fn case_55_an_overcommitted_node_is_negative() {
    let mut fixture = Fixture::base();
    let eight = Some(8.0 * 3600.0);
    fixture.set_pods([PodRow { cpu: [Some(3600.0), eight, eight, eight], ..pod() }]);
    each(&fixture, |summary| {
        assert_eq!(one(summary.unallocated()).cpu(), [Some(3.0), Some(-4.0), Some(-4.0), None]);
    });
}

const EXCLUDED: [&str; 4] =
    ["Network unattributed", "Platform unallocated", "Storage unattributed", "Worker unallocated"];

#[test]
fn case_56_namespaces_of_distributed_cost_are_not_subtracted() {
    let mut fixture = Fixture::base();
    fixture.set_pods(
        EXCLUDED.into_iter().chain(["ns"]).map(|namespace| PodRow { namespace: text(namespace), ..pod() }),
    );
    each(&fixture, |summary| {
        let lines = summary.pods();
        assert_eq!(
            texts(&lines, "namespace"),
            EXCLUDED.into_iter().chain(["ns"]).map(Some).collect::<Vec<_>>()
        );
        assert_eq!(one(summary.unallocated()).cpu()[0], Some(3.0));
    });
}

#[test]
fn case_57_a_node_with_nothing_else_has_no_unallocated_row() {
    let mut fixture = Fixture::base();
    fixture.set_pods(EXCLUDED.map(|namespace| PodRow { namespace: text(namespace), ..pod() }));
    each(&fixture, |summary| {
        assert_eq!((summary.pods().len(), summary.unallocated().len()), (4, 0));
    });
}
