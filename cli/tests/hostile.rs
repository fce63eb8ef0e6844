//! Keys and values of the input that would write to a terminal or into a log (T-73).

use std::fs;

use daysum_tests::command::{Bench, Daysum, text};
use daysum_tests::golden::Golden;
use serde_json::Value;

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
