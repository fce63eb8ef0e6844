//! The sink against psql's binary `\copy`: the same rows, the same table, the same server, in turns.
//!
//! `cargo run --release -p daysum-tests --example copy_bench -- [ROWS] [ROUNDS]` prints the seconds of each and
//! the ratio of the medians. The sink encodes rows, takes locks and writes the ledger; psql sends a file made
//! beforehand, in a transaction that deletes the day first as the sink does.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use daysum_core::port::{RunId, WriteScope};
use daysum_core::{Day, rows};
use daysum_io_postgres::{PostgresSink, Schema, SinkOptions};
use daysum_tests::postgres::{SCHEMA, binary, database, shared};

const SOURCE: &str = "fa4238b2-62ad-5c41-8747-6ee200183c54";
const TABLE: &str = "org1234567.reporting_ocpusagelineitem_daily_summary";

#[expect(clippy::print_stdout, reason = "the numbers are what it is for")]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (count, rounds) = (arguments.next().unwrap_or(100_000), arguments.next().unwrap_or(5));
    let day: Day = "2025-02-01".parse().expect("a date");
    let (name, batches) = (database(), batches(day, count));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let schema = Schema::new(SCHEMA).expect("a good name");
    let mut sink = PostgresSink::new(shared().config(&name), schema, SinkOptions::default());
    let mut publish = |round: usize| {
        // Other rows by the ledger's account, so that none are taken for unchanged.
        shared().sql(&name, "DELETE FROM org1234567.daysum_ledger");
        let scope = WriteScope {
            source_uuid: SOURCE.to_owned(),
            report_period_id: Some(7),
            day,
            inputs: Vec::new(),
            fingerprint: String::new(),
            run: RunId(round.to_string()),
        };
        let started = Instant::now();
        let published = runtime.block_on(sink.publish_day(&scope, || Ok(batches.iter().cloned().map(Ok))));
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(published.expect("published").rows, count as u64);
        seconds
    };
    publish(0);
    let columns =
        rows::schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(",");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display();
    shared().sql(&name, &format!("\\copy (SELECT uuid,{columns} FROM {TABLE}) TO '{path}' (FORMAT binary)"));
    let script = format!(
        "BEGIN; DELETE FROM {TABLE} WHERE usage_start = '2025-02-01' AND report_period_id = 7;\n\
         \\copy {TABLE} (uuid,{columns}) FROM '{path}' (FORMAT binary)\nCOMMIT;\n"
    );
    let commands = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(commands.path(), script).expect("written");
    let psql = || {
        let started = Instant::now();
        let status = Command::new(binary("psql"))
            .args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &shared().url(&name), "-f"])
            .arg(commands.path())
            .stdout(Stdio::null())
            .status()
            .expect("psql runs");
        assert!(status.success());
        started.elapsed().as_secs_f64()
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        // Dead rows of the round before would slow down whoever comes second.
        shared().sql(&name, &format!("VACUUM {TABLE}"));
        ours.push(publish(round));
        shared().sql(&name, &format!("VACUUM {TABLE}"));
        theirs.push(psql());
        println!("round {round}: daysum {:.3} s, psql {:.3} s", ours[round - 1], theirs[round - 1]);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{count} rows: daysum {ours:.3} s, psql {theirs:.3} s, ratio {:.2}", ours / theirs);
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Pod rows as a cluster has them: repeated capacities, distinct sums, a few labels.
fn batches(day: Day, count: usize) -> Vec<RecordBatch> {
    let text = |name: &str, row: usize| match name {
        "cluster_id" | "cluster_alias" => Some("bench".to_owned()),
        "data_source" => Some("Pod".to_owned()),
        "namespace" => Some(format!("namespace-{}", row % 50)),
        "node" | "resource_id" => Some(format!("node-{}.example.com", row % 100)),
        "pod_labels" | "all_labels" => {
            Some(format!(r#"{{"app": "app-{}", "team": "team-{}", "version": "{row}"}}"#, row % 20, row % 7))
        }
        "volume_labels" => None,
        "source_uuid" => Some(SOURCE.to_owned()),
        "infrastructure_usage_cost" => Some(rows::ZERO_COST.to_owned()),
        _ => None,
    };
    let number = |name: &str, row: usize| {
        if name.contains("capacity_") && !name.starts_with("persistent") {
            Some(16.0)
        } else if name.starts_with("pod_") {
            Some((row as f64 + 1.0) / 7.0)
        } else {
            None
        }
    };
    let rows: Vec<usize> = (0..count).collect();
    rows.chunks(8192)
        .map(|rows| {
            let columns: Vec<ArrayRef> = rows::schema()
                .fields()
                .iter()
                .map(|field| -> ArrayRef {
                    let name = field.name().as_str();
                    match field.data_type() {
                        DataType::Date32 => Arc::new(Date32Array::from(vec![day.0; rows.len()])),
                        DataType::Int32 => {
                            let value = (name == "report_period_id").then_some(7);
                            Arc::new(Int32Array::from(vec![value; rows.len()]))
                        }
                        DataType::Float64 => {
                            Arc::new(rows.iter().map(|row| number(name, *row)).collect::<Float64Array>())
                        }
                        _ => Arc::new(rows.iter().map(|row| text(name, *row)).collect::<StringArray>()),
                    }
                })
                .collect();
            RecordBatch::try_new(rows::schema(), columns).expect("the schema's own columns")
        })
        .collect()
}
