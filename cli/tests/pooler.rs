//! A pooler in transaction mode stands between: no statement may rest on what an earlier one left in the connection.

use daysum_tests::command::{Bench, Daysum, text};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::{SCHEMA, shared};

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

#[test]
#[ignore = "needs pgbouncer; .ci/steps/60-acceptance.sh installs it"]
fn runs_side_by_side_share_a_few_connections() {
    let bench = Bench::generated(DAYSUM, 20);
    let golden = Golden::small();
    let (database, _) = DAYSUM.tenant(&golden.lookups);
    let pooler = shared().pooler();
    let (input, url) = (bench.path("input"), pooler.url(&database));
    let whole = ["--lookups", text(&bench.lookups), "--database", &url, "--schema", SCHEMA];
    let command = |verb, more: &[&str]| {
        DAYSUM.ends(0, &[&[verb, text(&input)], &whole[..], more].concat());
    };
    DAYSUM.ends(0, &["db", "check", "--database", &url, "--schema", SCHEMA]);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| command("run", &["--force", "--writers", "4"]));
            }
        });
        command("verify", &[]);
    }
    let days =
        format!("SELECT count(DISTINCT usage_start) FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    assert_eq!(shared().sql(&database, &days), "20");
}
