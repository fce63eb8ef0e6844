//! Cases 28 to 32: cost categories.

use daysum_tests::fixture::{Fixture, PodRow, pod, storage, text};

use super::{each, one};

fn in_namespaces(namespaces: &[&str]) -> Fixture {
    let mut fixture = Fixture::base();
    fixture.set_pods(namespaces.iter().map(|namespace| PodRow { namespace: text(namespace), ..pod() }));
    fixture
}

fn categories_of(fixture: &Fixture, expected: &[(&str, Option<i32>)]) {
    each(fixture, |summary| {
        let lines = summary.pods();
        let found: Vec<_> =
            lines.iter().map(|line| (line.text("namespace").unwrap_or_default(), line.category())).collect();
        assert_eq!(found, expected);
    });
}

#[test]
fn case_28_patterns_match_whole_names_in_their_case() {
    let mut fixture = in_namespaces(&["OpenShift-x", "openshift", "openshift-monitoring", "my-openshift-x"]);
    fixture.categories(&[("openshift-%", 1), ("openshift", 2)]);
    categories_of(
        &fixture,
        &[
            ("OpenShift-x", None),
            ("my-openshift-x", None),
            ("openshift", Some(2)),
            ("openshift-monitoring", Some(1)),
        ],
    );
}

#[test]
fn case_29_two_patterns_double_the_usage() {
    let mut fixture = in_namespaces(&["openshift-x"]);
    fixture.storage = vec![daysum_tests::fixture::StorageRow { namespace: text("openshift-x"), ..storage() }];
    fixture.categories(&[("openshift-x", 2), ("openshift-%", 1)]);
    each(&fixture, |summary| {
        let line = one(summary.pods());
        assert_eq!((line.category(), line.cpu()), (Some(2), [2.0, 4.0, 4.0, 6.0].map(Some)));
        assert_eq!(line.capacity(), [4.0, 4.0, 16.0, 16.0].map(Some));
        assert_eq!(one(summary.unallocated()).cpu()[0], Some(2.0));
        let line = one(summary.storage()); // SPEC 2.7, consequence 11
        super::close(line.volume(), [10.0, 2.0 * 10.0 / 28.0, 2.0 * 8.0 / 28.0, 2.0 * 4.0 / 28.0]);
        assert_eq!(line.category(), Some(2));
    });
}

#[test]
fn case_30_underscores_and_escapes() {
    let mut fixture = in_namespaces(&["n_s", "nxs", "nxxs", "100%", "100x"]);
    fixture.categories(&[("n_s", 1)]);
    categories_of(
        &fixture,
        &[("100%", None), ("100x", None), ("n_s", Some(1)), ("nxs", Some(1)), ("nxxs", None)],
    );
    fixture.categories(&[(r"n\_s", 1), (r"100\%", 2)]);
    categories_of(
        &fixture,
        &[("100%", Some(2)), ("100x", None), ("n_s", Some(1)), ("nxs", None), ("nxxs", None)],
    );
}

#[test]
fn case_31_unallocated_rows_repeat_for_every_pattern() {
    let mut fixture = Fixture::base();
    fixture.roles(&[("n1", "i-1", Some("master"))]);
    fixture.categories(&[("Platform unallocated", 1), ("Platform%", 3), ("Worker%", 2)]);
    each(&fixture, |summary| {
        let lines = summary.unallocated();
        assert_eq!(lines.iter().map(|line| line.category()).collect::<Vec<_>>(), [Some(1), Some(3)]);
        assert!(lines.iter().all(|line| line.cpu()[0] == Some(3.0)));
    });
}

#[test]
fn case_32_no_categories() {
    each(&Fixture::with_storage(), |summary| {
        assert_eq!(one(summary.pods()).category(), None);
        assert_eq!(one(summary.storage()).category(), None);
        assert_eq!(one(summary.unallocated()).category(), None);
    });
}
