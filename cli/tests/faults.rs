//! An S3 server that fails while `daysum run` reads from it, and the days in PostgreSQL (T-50 to T-54).

use daysum_tests::command::{Daysum, golden, text};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::{SCHEMA, shared};
use daysum_tests::s3::{BUCKET, Fault, S3Server};

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

/// A bucket with two days, a database, and a run between them.
struct Scene {
    s3: S3Server,
    database: String,
    url: String,
}

impl Scene {
    fn new() -> Self {
        let set = Golden::small();
        let s3 = S3Server::start();
        s3.place_files("in", &set.files);
        let (database, url) = DAYSUM.tenant(&set.lookups);
        Self { s3, database, url }
    }

    /// A run whose rows carry this alias; what it said.
    fn run(&self, alias: &str, code: i32, more: &[&str]) -> String {
        self.run_with(alias, code, more, &[])
    }

    /// The same with variables.
    fn run_with(&self, alias: &str, code: i32, more: &[&str], variables: &[(&str, String)]) -> String {
        let (input, (_, lookups)) = (format!("s3://{BUCKET}/in"), golden("gen-small"));
        let run = ["run", &input, "--lookups", text(&lookups), "--cluster-alias", alias, "--threads", "1"];
        let to = ["--database", &self.url, "--schema", SCHEMA];
        let limits = [("S3_TIMEOUT", "1".to_owned()), ("DAYSUM_S3_RETRY_TIMEOUT", "2".to_owned())];
        DAYSUM.ends_with(
            code,
            &[&run[..], &to, more].concat(),
            &[&self.s3.variables()[..], &limits, variables].concat(),
        )
    }

    /// Days, rows, and whose they are.
    fn published(&self) -> String {
        let sql = format!(
            "SELECT usage_start, count(*), string_agg(DISTINCT cluster_alias, ' ') \
             FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary GROUP BY 1 ORDER BY 1"
        );
        shared().sql(&self.database, &sql)
    }
}

/// Footers come first, one GET each; what follows reads columns, and meets the fault that often.
fn after_footers(fault: Fault, times: usize) -> impl Iterator<Item = Option<Fault>> {
    let files = Golden::small().files.len();
    std::iter::repeat_n(None, files).chain(std::iter::repeat_n(Some(fault), times))
}

#[test]
fn a_refusal_in_the_middle_holds_back_its_day_and_the_next_run_completes_it() {
    let scene = Scene::new();
    scene.run("old", 0, &[]);
    let old = scene.published();
    // Once for row groups of a day together, and once for the one that is tried by itself then.
    scene.s3.plan(after_footers(Fault::Forbidden, 2));
    let said = scene.run("new", 3, &[]);
    assert_eq!(scene.s3.planned(), 0, "it was met");
    assert!(said.contains("permission denied") && said.contains("held back: 1 days"), "{said}");
    let (kept, replaced) = (scene.published(), old.replace("|old", "|new"));
    assert!(kept != old && kept != replaced, "one day is old and one is new: {kept}");
    assert!(kept.lines().all(|day| old.contains(day) || replaced.contains(day)), "{kept}");
    scene.run("new", 0, &[]);
    assert_eq!(scene.published(), replaced);
    let left = shared().sql(&scene.database, &format!("SELECT object FROM {SCHEMA}.daysum_quarantine"));
    assert_eq!(left, "", "what has been read is forgotten");
}

/// A file that could not be had may be a sound one: unlike a bad one, it is never left out of its days.
#[test]
fn what_may_not_be_read_is_not_skipped() {
    let scene = Scene::new();
    scene.run("old", 0, &[]);
    let old = scene.published();
    let skip = [("DAYSUM_POLICY_BAD_FILE", "skip-and-report".to_owned())];
    scene.s3.plan(after_footers(Fault::Forbidden, 2));
    scene.run_with("new", 3, &[], &skip);
    assert_eq!(scene.s3.planned(), 0, "it was met");
    let (kept, replaced) = (scene.published(), old.replace("|old", "|new"));
    assert!(kept.lines().any(|day| old.contains(day)), "a day is the old one: {kept}");
    assert!(
        kept.lines().all(|day| old.contains(day) || replaced.contains(day)),
        "the other is whole: {kept}"
    );
    scene.s3.plan(std::iter::repeat_n(Some(Fault::Forbidden), 1000));
    scene.run_with("newer", 3, &[], &skip);
    assert_eq!(scene.published(), kept, "nor where the footers are refused");
}

#[test]
fn a_server_that_stays_away_or_confuses_bytes_ends_the_run_with_one_error() {
    let scene = Scene::new();
    scene.run("old", 0, &[]);
    let old = scene.published();
    for fault in [Fault::SlowDown, Fault::Stalled, Fault::Truncated, Fault::NoRange, Fault::WiderRange] {
        scene.s3.plan(after_footers(fault, 1000));
        let said = scene.run("new", 1, &[]);
        assert_eq!(said.matches("daysum: source: read ").count(), 1, "{fault:?}: {said}");
        assert!(said.contains(".parquet"), "{said}");
        assert_eq!(scene.published(), old, "{fault:?}");
    }
    scene.s3.plan([]);
    scene.run("new", 0, &[]);
    assert_eq!(scene.published(), old.replace("|old", "|new"));
}

/// A listing that failed is never an empty one, least of all where days without objects are pruned.
#[test]
fn a_listing_that_fails_prunes_nothing() {
    let scene = Scene::new();
    scene.run("old", 0, &[]);
    let old = scene.published();
    for fault in [Fault::SlowDown, Fault::Internal, Fault::TooMany, Fault::Stalled] {
        scene.s3.plan_lists([Some(fault)]);
        scene.run("old", 0, &["--prune"]);
        assert_eq!((scene.s3.planned(), scene.published()), (0, old.clone()), "{fault:?} passes by");
    }
    for (fault, said) in [(Fault::Forbidden, "permission denied"), (Fault::SlowDown, "SlowDown")] {
        scene.s3.plan_lists(std::iter::repeat_n(Some(fault), 1000));
        let told = scene.run("old", 1, &["--prune", "--force"]);
        assert!(told.contains("list the input") && told.contains(said), "{told}");
        assert_eq!(scene.published(), old, "{fault:?}");
    }
}
