//! What an operator relies on around a run: logs, metrics, what a second run reads, what the quarantine holds.

use daysum_tests::command::{Daysum, golden, text};
use serde_json::Value;
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

#[test]
fn log_lines_have_the_form_and_the_level_of_the_settings() {
    let (input, lookups) = golden("gen-small");
    let work = TempDir::new().expect("a directory");
    let settings = work.path().join("daysum.yaml");
    let output = work.path().join("out");
    let run = ["run", text(&input), "--lookups", text(&lookups), "--output", text(&output), "--force"];
    let with = |yaml: &str, variables: &[(&str, String)]| {
        std::fs::write(&settings, yaml).expect("writable");
        DAYSUM.ends_with(0, &[&run[..], &["--config", text(&settings)]].concat(), variables)
    };

    let lines: Vec<Value> = with("logging: {format: json, level: info}", &[])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let days: Vec<&Value> = lines.iter().filter(|line| line["message"] == "published").collect();
    assert_eq!(days.len(), 2, "{lines:?}");
    for (line, day) in days.iter().zip(["2025-11-01", "2025-11-02"]) {
        assert_eq!((&line["day"], &line["level"]), (&Value::from(day), &Value::from("INFO")));
        assert_eq!(line["span"]["source"].as_str().map(str::len), Some(36), "{line}");
        assert_eq!(line["span"]["run"].as_str().map(str::len), Some(36), "{line}");
    }
    let last = lines.last().expect("the end is told");
    assert_eq!((&last["message"], &last["days"]), (&Value::from("the run has ended"), &Value::from(2)));

    assert_eq!(with("logging: {format: json, level: error}", &[]), "");
    let debug = [("DAYSUM_LOG", "daysum=info".to_owned())];
    assert!(with("logging: {format: json, level: error}", &debug).contains("\"published\""));

    let said = with("logging: {format: console, level: info}", &[]);
    assert!(said.contains("published day=2025-11-01") && said.contains("rows out"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where nobody looks: {said}");
    let said = with("logging: {format: human, level: warning}", &[]);
    assert!(!said.contains("published") && said.contains("rows out"), "{said}");

    std::fs::write(&settings, "logging: {format: json}").expect("writable");
    let wrong = ["run", "/nowhere", "--lookups", text(&lookups), "--config", text(&settings)];
    let said = DAYSUM.ends(2, &wrong);
    let line: Value = serde_json::from_str(said.trim_end()).expect("one JSON line");
    assert_eq!(line["level"], "ERROR");
}
