//! Several days on their way into PostgreSQL at once, on a real server.

use std::fs;
use std::process::{Child, Command, Stdio};

use daysum_core::Lookups;
use daysum_tests::command::{Bench, Daysum, days, text, wait_until};
use daysum_tests::postgres::{SCHEMA, binary, shared};

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));
const DAYS: u32 = 9;
const FIRST: &str = "2025-11-01";

/// A cluster of nine days and a database for it.
struct Scene {
    bench: Bench,
    database: String,
    url: String,
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::generated(DAYSUM, DAYS);
        let lookups = Lookups::from_json(&fs::read(&bench.lookups).expect("readable")).expect("lookups");
        let (database, url) = DAYSUM.tenant(&lookups);
        Self { bench, database, url }
    }

    /// The arguments of a run whose rows carry this alias.
    fn run<'a>(&'a self, alias: &'a str, writers: &'a str) -> Vec<&'a str> {
        let (input, lookups) = (self.bench.work.path(), text(&self.bench.lookups));
        let to = ["--database", &self.url, "--schema", SCHEMA, "--force", "--writers", writers];
        [&["run", text(input), "--lookups", lookups, "--cluster-alias", alias], &to[..]].concat()
    }

    fn start(&self, alias: &str, writers: &str) -> Child {
        let run = self.run(alias, writers);
        DAYSUM.command(&run, &[]).stderr(Stdio::piped()).spawn().expect("the command was built for this test")
    }

    fn sql(&self, sql: &str) -> String {
        shared().sql(&self.database, sql)
    }

    /// Days, rows of each, and whose they are.
    fn published(&self) -> Vec<String> {
        let sql = format!(
            "SELECT usage_start, count(*), string_agg(DISTINCT cluster_alias, ' ') \
             FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary GROUP BY 1 ORDER BY 1"
        );
        self.sql(&sql).lines().map(str::to_owned).collect()
    }

    /// Everything but the random key, and what the ledger says of it.
    fn content(&self) -> String {
        self.sql(&format!(
            "SELECT md5(string_agg((to_jsonb(t) - 'uuid')::text, ';' ORDER BY (to_jsonb(t) - 'uuid')::text)), \
                    (SELECT string_agg(usage_day || ' ' || rows || ' ' || digest, ';' ORDER BY usage_day) \
                     FROM {SCHEMA}.daysum_ledger) \
             FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary t"
        ))
    }

    /// Somebody who holds the ledger's row of the first day, until they are let go.
    fn hold_first_day(&self) -> Child {
        let hold = format!(
            "BEGIN; SELECT FROM {SCHEMA}.daysum_ledger WHERE usage_day = '{FIRST}' FOR UPDATE; SELECT pg_sleep(600)"
        );
        let holder = Command::new(binary("psql"))
            .args(["-Xq", "-d", &self.url, "-c", &hold])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql runs");
        wait_until("the holder", || self.sessions("wait_event = 'PgSleep'") == "1");
        holder
    }

    fn let_go(&self, mut holder: Child) {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event = 'PgSleep'",
        );
        holder.wait().expect("it was ended");
    }

    fn wait_for_a_waiting_writer(&self) {
        wait_until("the writer of the first day", || self.sessions("wait_event_type = 'Lock'") == "1");
    }

    /// How many sessions of this database are like that.
    fn sessions(&self, like: &str) -> String {
        self.sql(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {like}"
        ))
    }

    /// Makes every insertion of rows of the first day fail with this code.
    fn refuse_first_day(&self, code: &str) {
        self.sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF NEW.usage_start = '{FIRST}' THEN \
                     RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; \
                 END IF; RETURN NEW; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON {SCHEMA}.reporting_ocpusagelineitem_daily_summary \
                 FOR EACH ROW EXECUTE FUNCTION refuse()"
        ));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

fn ends(child: Child, code: i32) -> String {
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(code), "{said}");
    said
}

#[test]
fn any_number_of_writers_publishes_the_same_rows() {
    let contents: Vec<String> = ["1", "2", "8"]
        .into_iter()
        .map(|writers| {
            let scene = Scene::new();
            let said = DAYSUM.ends(0, &scene.run("a", writers));
            assert_eq!(said.matches("published day=").count(), DAYS as usize, "{said}");
            assert_eq!(said.matches("created the partition").count(), 1, "{said}");
            assert_eq!(scene.published().len(), DAYS as usize);
            scene.content()
        })
        .collect();
    assert!(
        contents[0].len() > 100 && contents.iter().all(|content| *content == contents[0]),
        "{contents:?}"
    );
}

/// The partition that another writer has made meanwhile is not in an older snapshot.
#[test]
fn a_stricter_isolation_of_the_database_holds_nothing_back() {
    let scene = Scene::new();
    scene.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', \
               current_database()); END $$",
    );
    DAYSUM.ends(0, &scene.run("a", "8"));
    assert_eq!(scene.published().len(), DAYS as usize);
}

/// Somebody holds the ledger's row of one day. Its writer waits, and the other one publishes all that remains.
#[test]
fn a_day_that_waits_does_not_keep_the_others() {
    let scene = Scene::new();
    DAYSUM.ends(0, &scene.run("old", "2"));
    let before = scene.published();
    let holder = scene.hold_first_day();
    let child = scene.start("new", "2");
    let new = || scene.published().iter().filter(|day| day.ends_with("|new")).count();
    wait_until("the other days", || new() == DAYS as usize - 1);
    scene.wait_for_a_waiting_writer();
    assert_eq!(scene.published()[0], before[0], "the day that is not committed is the old one");
    scene.let_go(holder);
    ends(child, 0);
    let all_new: Vec<String> = before.iter().map(|day| day.replace("|old", "|new")).collect();
    assert_eq!(scene.published(), all_new);
}

#[test]
fn a_refused_day_is_held_back_and_the_others_are_published() {
    let scene = Scene::new();
    scene.refuse_first_day("42501");
    let report = scene.bench.path("report.json");
    let run = [&scene.run("a", "3")[..], &["--report", text(&report)]].concat();
    DAYSUM.ends(3, &run);
    let told = serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    assert_eq!((days(&told, "days_held"), days(&told, "days").len()), (vec![FIRST.to_owned()], 8));
    assert_eq!(scene.published().len(), 8);
    let held =
        scene.sql(&format!("SELECT date '1970-01-01' + days[1], object FROM {SCHEMA}.daysum_quarantine"));
    assert_eq!(held, format!("{FIRST}|day {FIRST}"));
}

/// The run fails, and yet every day is a whole one: what was being written is seen through.
#[test]
fn a_failure_that_may_pass_ends_the_run_between_days() {
    let scene = Scene::new();
    DAYSUM.ends(0, &scene.run("old", "3"));
    let rows = |day: &String| day.rsplit_once('|').expect("an alias").0.to_owned();
    let before: Vec<String> = scene.published().iter().map(rows).collect();
    scene.refuse_first_day("40001");
    let retries = [("DAYSUM_POSTGRESQL_RETRIES", "0".to_owned())];
    let said = DAYSUM.ends_with(1, &scene.run("new", "3"), &retries);
    assert!(said.contains("40001") && said.contains(FIRST), "{said}");
    let after = scene.published();
    assert_eq!(after.iter().map(rows).collect::<Vec<_>>(), before);
    assert!(after[0].ends_with("|old"), "{after:?}");
    // What the log calls published is, and nothing else.
    for day in &after[1..] {
        let told = said.contains(&format!("published day={}", &day[..10]));
        assert_eq!(told, day.ends_with("|new"), "{day}: {said}");
    }

    scene.sql(&format!("DROP TRIGGER refuse ON {SCHEMA}.reporting_ocpusagelineitem_daily_summary"));
    DAYSUM.ends(0, &scene.run("new", "3"));
    assert!(scene.published().iter().all(|day| day.ends_with("|new")));
}

#[test]
fn two_runs_of_several_writers_take_turns_day_by_day() {
    let scene = Scene::new();
    DAYSUM.ends(0, &scene.run("0", "2"));
    let rows = |day: &String| day.rsplit_once('|').expect("an alias").0.to_owned();
    let before: Vec<String> = scene.published().iter().map(rows).collect();
    for round in ["1", "2", "3"] {
        let other = format!("{round}'");
        let both = [scene.start(round, "3"), scene.start(&other, "2")];
        for child in both {
            let said = ends(child, 0);
            assert!(!said.contains("40P01"), "{said}");
        }
        let after = scene.published();
        assert_eq!(after.iter().map(rows).collect::<Vec<_>>(), before);
        assert!(
            after.iter().all(|day| day.ends_with(&format!("|{round}")) || day.ends_with(&other)),
            "{after:?}"
        );
    }
}

/// T-04: what was not committed is rolled back, and the next run does the rest.
#[test]
fn a_run_that_is_told_to_end_leaves_whole_days_and_no_session() {
    let scene = Scene::new();
    DAYSUM.ends(0, &scene.run("old", "2"));
    let before = scene.published();
    let holder = scene.hold_first_day();
    let mut child = scene.start("new", "2");
    scene.wait_for_a_waiting_writer();
    signal(&child, "-TERM");
    assert_eq!(child.wait().expect("it ends").code(), None, "the signal ends it");
    scene.let_go(holder);
    wait_until("the end of every session", || scene.sessions("application_name = 'daysum'") == "0");
    let renamed: Vec<String> = before.iter().map(|day| day.replace("|old", "|new")).collect();
    let after = scene.published();
    assert_eq!(after[0], before[0]);
    let whole = after.iter().zip(&before).zip(&renamed).all(|((day, old), new)| day == old || day == new);
    assert!(whole, "{after:?}");
    DAYSUM.ends(0, &scene.run("new", "2"));
    assert_eq!(scene.published(), renamed);
}

/// T-05: a run that is stopped in the middle of a day loses it to another one, and does it again when it wakes up.
#[test]
fn a_run_that_sleeps_past_its_limit_gives_way() {
    let scene = Scene::new();
    DAYSUM.ends(0, &scene.run("old", "1"));
    let holder = scene.hold_first_day();
    let limit = [("DAYSUM_POSTGRESQL_STATEMENT_TIMEOUT", "2".to_owned())];
    // On one thread the first day comes first, so nothing is published before the run falls asleep.
    let sleeper = DAYSUM
        .command(&[&scene.run("sleeper", "1")[..], &["--threads", "1"]].concat(), &limit)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command was built for this test");
    scene.wait_for_a_waiting_writer();
    signal(&sleeper, "-STOP");
    scene.let_go(holder);
    DAYSUM.ends(0, &scene.run("other", "2"));
    let others = scene.published();
    assert!(others.iter().all(|day| day.ends_with("|other")), "{others:?}");
    signal(&sleeper, "-CONT");
    let said = ends(sleeper, 0);
    assert!(said.contains("trying again"), "{said}");
    let renamed: Vec<String> = others.iter().map(|day| day.replace("|other", "|sleeper")).collect();
    assert_eq!(scene.published(), renamed);
}
