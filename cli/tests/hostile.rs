//! Input that would write to a terminal or into a log (T-73), or ask for more memory than there is (T-43).

use std::fs;

use daysum_tests::command::{Bench, Daysum, days, text};
use daysum_tests::fixture::{Fixture, LabelRow, labels};
use daysum_tests::golden::Golden;
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

/// Clears a screen, and looks like a line of a report.
const PLANTED: &str = "x\u{1b}[2J\r\nrows out 0\n.parquet";

fn harmless(said: &str) {
    let obeyed = |c: char| c.is_control() && c != '\n';
    assert!(!said.contains(obeyed), "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("rows out 0")), "{said:?}");
}

#[test]
fn a_key_cannot_write_to_the_terminal() {
    let bench = Bench::new(DAYSUM);
    let (input, output, settings) = (bench.path("input"), bench.path("out"), bench.path("daysum.yaml"));
    let pods = bench.file(&["pod_usage_line_items_daily", "2025-11-02"]);
    let planted = pods.with_file_name(PLANTED);
    fs::write(&planted, "broken").expect("writable");
    let key = text(planted.strip_prefix(&input).expect("it lies there"));
    let source = Golden::small().lookups.source_uuid;
    let of = ["--lookups", text(&bench.lookups), "--output", text(&output), "--config", text(&settings)];
    let of_source = ["--output", text(&output), "--source", &source];
    for format in ["console", "json"] {
        fs::write(&settings, format!("logging: {{format: {format}, level: debug}}")).expect("writable");
        let ended = DAYSUM.run(&[&["run", text(&input)], &of[..]].concat(), &[]);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("rows out 0"), "the key is told: {}", ended.stderr);
        harmless(&ended.stderr);
        if format == "json" {
            for line in ended.stderr.lines() {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
    }
    for asked in [&["plan", text(&input)][..], &["quarantine", "list"], &["quarantine", "show", key]] {
        let more: &[&str] = if asked[0] == "plan" { &of } else { &of_source };
        let ended = DAYSUM.run(&[asked, more].concat(), &[]);
        assert_eq!(ended.code, Some(0), "{asked:?}: {}", ended.stderr);
        assert!(ended.stdout.contains("rows out 0"), "{asked:?} tells the key: {}", ended.stdout);
        harmless(&ended.stdout);
        harmless(&ended.stderr);
    }
}

/// Seventy megabytes of blanks take three in the file.
#[test]
fn a_page_larger_than_the_limit_holds_back_its_day() {
    let work = TempDir::new().expect("a directory");
    let blanks = LabelRow { labels: Some(" ".repeat(70 << 20)), ..labels("n1", "") };
    let fixture = Fixture { node_labels: vec![blanks], ..Fixture::with_storage() };
    let ((input, lookups), report) = (fixture.place(work.path()), work.path().join("report.json"));
    for (limit, code) in [("64MiB", 3), ("128MiB", 0)] {
        let output = work.path().join(limit);
        let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output)];
        let within = ["--memory-limit", limit, "--report", text(&report)];
        let said = DAYSUM.ends(code, &[&run[..], &within].concat());
        let report: Value = serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
        let held = days(&report, "days_held").len();
        assert_eq!(held, usize::from(code == 3), "{said}");
        for told in ["column node_labels", "have 734", "give more memory"] {
            assert_eq!(said.contains(told), held > 0, "{said}");
        }
    }
}
