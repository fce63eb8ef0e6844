//! What addresses and credentials of object stores mean, and how those that mean nothing are refused.

use std::fs;

use daysum_tests::command::{Bench, Daysum, days, text};
use daysum_tests::golden::Golden;
use daysum_tests::s3::{BUCKET, S3Server, SECRET};

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

/// A bucket that holds the golden data set gen-small below these prefixes, and a directory for output.
struct Scene {
    s3: S3Server,
    bench: Bench,
}

impl Scene {
    fn new(prefixes: &[&str]) -> Self {
        let (s3, set) = (S3Server::start(), Golden::small());
        prefixes.iter().for_each(|prefix| s3.place_files(prefix, &set.files));
        Self { s3, bench: Bench::new(DAYSUM) }
    }

    /// A run from a prefix into a place: its report, and what it said.
    fn run(
        &self,
        code: i32,
        from: &str,
        to: &str,
        variables: &[(&str, String)],
    ) -> (serde_json::Value, String) {
        let (from, report) = (format!("s3://{BUCKET}/{from}"), self.bench.path("report.json"));
        let _ = fs::remove_file(&report);
        let lookups = text(&self.bench.lookups);
        let run = ["run", &from, "--lookups", lookups, "--output", to, "--report", text(&report)];
        let said = DAYSUM.ends_with(code, &run, &[&self.s3.variables()[..], variables].concat());
        let told = fs::read(report).ok().and_then(|json| serde_json::from_slice(&json).ok());
        (told.unwrap_or_default(), said)
    }
}

#[test]
fn a_prefix_is_taken_as_it_is_written() {
    let scene = Scene::new(&["h#x", "h%41"]);
    for (from, to) in [("h#x", "res#1"), ("h%41", "res%41")] {
        let to = format!("s3://{BUCKET}/{to}");
        let (report, _) = scene.run(0, from, &to, &[]);
        assert_eq!(days(&report, "days").len(), 2);
        assert_eq!(days(&scene.run(0, from, &to, &[]).0, "days_unchanged").len(), 2, "{to} knows its days");
    }
    scene.run(4, "h", text(&scene.bench.path("out")), &[]);
    let (_, said) = scene.run(2, "h?X-Amz-Signature=1", text(&scene.bench.path("out")), &[]);
    assert!(said.contains("has no query"), "{said}");
}

#[test]
fn an_output_in_the_input_is_not_read_whatever_its_name() {
    let scene = Scene::new(&["in"]);
    let to = format!("s3://{BUCKET}/in/my out#1");
    assert_eq!(days(&scene.run(0, "in", &to, &[]).0, "days").len(), 2);
    assert_eq!(days(&scene.run(0, "in", &to, &[]).0, "days_unchanged").len(), 2);
}

#[test]
fn what_is_no_endpoint_is_refused() {
    let scene = Scene::new(&["in"]);
    let output = scene.bench.path("out");
    for endpoint in ["localhost:7480", "ceph:7480", "ftp://h", "127.0.0.1:1"] {
        let (_, said) = scene.run(2, "in", text(&output), &[("S3_ENDPOINT", endpoint.to_owned())]);
        assert!(said.contains("write https://HOST or http://HOST:PORT"), "{endpoint}: {said}");
    }
    let blanks = ("S3_ENDPOINT", format!(" {} ", scene.s3.endpoint()));
    assert_eq!(days(&scene.run(0, "in", text(&output), &[blanks]).0, "days").len(), 2);
}

/// A server that is away may come back; until then the log says why the run waits.
#[test]
fn what_is_tried_again_is_told() {
    let scene = Scene::new(&["in"]);
    let away =
        [("S3_ENDPOINT", "http://127.0.0.1:1".to_owned()), ("DAYSUM_S3_RETRY_TIMEOUT", "2".to_owned())];
    let (_, said) = scene.run(1, "in", text(&scene.bench.path("out")), &away);
    assert!(said.contains("backing off") && said.contains("onnection refused"), "{said}");
}

#[test]
fn credentials_are_one_set() {
    let scene = Scene::new(&["in"]);
    let output = scene.bench.path("out");
    let (_, said) = scene.run(2, "in", text(&output), &[("S3_ACCESS_KEY", "half".to_owned())]);
    assert!(said.contains("half of the S3 credentials"), "{said}");
    let none = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, String::new()));
    let nobody = ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1".to_owned());
    let (_, said) = scene.run(2, "in", text(&output), &[&none[..], &[nobody]].concat());
    assert!(said.contains("no S3 credentials: give S3_ACCESS_KEY"), "{said}");
    let other = [("S3_ACCESS_KEY", "AKEXAMPLE".to_owned()), ("S3_SECRET_KEY", SECRET.to_owned())];
    let (_, said) = scene.run(1, "in", text(&output), &other);
    assert!(said.contains("list the input") && !said.contains(SECRET), "{said}");
}

#[test]
fn settings_that_nobody_reads_are_told() {
    let scene = Scene::new(&["in"]);
    let output = scene.bench.path("out");
    let foreign = [("DATABASE_URL", "sqlite:///x".to_owned()), ("DAYSUM_S3_BUKET", "b".to_owned())];
    let (report, said) = scene.run(0, "in", text(&output), &foreign);
    assert_eq!(days(&report, "days").len(), 2, "a run into files needs no database");
    assert!(
        said.contains("DAYSUM_S3_BUKET is no setting and has no effect; did you mean DAYSUM_S3_BUCKET?"),
        "{said}"
    );
}
