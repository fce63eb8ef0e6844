//! The PostgreSQL adapters on a real server.

mod check;
mod concurrent;
mod faults;
mod lookups;
mod numbers;
mod replace;
mod tls;

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use daysum_core::port::{InputObject, Receipt, RunId, Sink, WriteScope};
use daysum_core::rows::{self, RowsDigest};
use daysum_core::schema::FactKind;
use daysum_core::{Day, Result};
use daysum_io_postgres::{PostgresConfig, PostgresSink, RetryPolicy, Schema, SinkOptions};
use daysum_tests::postgres::{SCHEMA, shared};

const SOURCE: &str = "fa4238b2-62ad-5c41-8747-6ee200183c54";
pub(crate) const SUMMARY: &str = "org1234567.reporting_ocpusagelineitem_daily_summary";

fn day(text: &str) -> Day {
    text.parse().expect("a date")
}

fn schema() -> Schema {
    Schema::new(SCHEMA).expect("a good name")
}

fn sink(config: PostgresConfig) -> PostgresSink {
    PostgresSink::new(config, schema(), SinkOptions::default())
}

/// Sends every chunk to the server at once.
fn eager(config: PostgresConfig) -> PostgresSink {
    PostgresSink::new(config, schema(), SinkOptions { spool_bytes: 0, ..SinkOptions::default() })
}

fn config(database: &str) -> PostgresConfig {
    let mut config = shared().config(database);
    config.retry = RetryPolicy { min_delay: std::time::Duration::from_millis(20), ..RetryPolicy::default() };
    config
}

pub(crate) fn scope(date: &str, run: &str) -> WriteScope {
    WriteScope {
        source_uuid: SOURCE.to_owned(),
        report_period_id: Some(7),
        day: day(date),
        inputs: vec![InputObject {
            key: "pod.parquet".into(),
            version: Some("\"etag\"".into()),
            size: 9,
            kind: Some(FactKind::PodDaily),
        }],
        fingerprint: "f".to_owned(),
        run: RunId(run.to_owned()),
    }
}

/// Rows of a day that differ by number and by `seed`, with labels and NULLs; alternately Pod and Storage.
pub(crate) fn rows_of(date: &str, seed: u32, count: u32) -> RecordBatch {
    let text = |name: &str, row: u32| -> Option<String> {
        let pod = row.is_multiple_of(2);
        match name {
            "cluster_id" => Some("cluster".to_owned()),
            "cluster_alias" => Some("Clüster \"1\"".to_owned()),
            "data_source" => Some(if pod { "Pod" } else { "Storage" }.to_owned()),
            "namespace" => Some(format!("ns-{}", row % 7)),
            "node" if row.is_multiple_of(5) => None,
            "node" | "resource_id" => Some(format!("{name}-{row}")),
            "pod_labels" if pod => Some(format!(r#"{{"app": "é\\u{row}", "team": null}}"#)),
            "all_labels" if pod => Some(format!(r#"{{"app": "é\\u{row}", "team": null}}"#)),
            "volume_labels" | "all_labels" if !pod => Some("{}".to_owned()),
            "persistentvolumeclaim" | "persistentvolume" | "storageclass" if !pod => Some(String::new()),
            "source_uuid" => Some(SOURCE.to_owned()),
            "infrastructure_usage_cost" => Some(rows::ZERO_COST.to_owned()),
            _ => None,
        }
    };
    let number = |index: usize, row: u32| (row % 3 != 1).then(|| f64::from(row + seed) / 8.0 + index as f64);
    build(date, count, text, number)
}

/// Rows made of a function for texts and one for numbers.
fn build(
    date: &str,
    count: u32,
    text: impl Fn(&str, u32) -> Option<String>,
    number: impl Fn(usize, u32) -> Option<f64>,
) -> RecordBatch {
    let columns: Vec<ArrayRef> = rows::schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| -> ArrayRef {
            let name = field.name().as_str();
            match (field.data_type(), name) {
                (arrow::datatypes::DataType::Date32, _) => {
                    Arc::new(Date32Array::from(vec![day(date).0; count as usize]))
                }
                (_, "report_period_id") => Arc::new(Int32Array::from(vec![7; count as usize])),
                (arrow::datatypes::DataType::Int32, _) => {
                    Arc::new((0..count).map(|row| (row % 2 == 0).then_some(1)).collect::<Int32Array>())
                }
                (arrow::datatypes::DataType::Float64, _) => {
                    Arc::new((0..count).map(|row| number(index, row)).collect::<Float64Array>())
                }
                _ => Arc::new((0..count).map(|row| text(name, row)).collect::<StringArray>()),
            }
        })
        .collect();
    RecordBatch::try_new(rows::schema(), columns).expect("the schema's own columns")
}

fn digest(batch: &RecordBatch) -> String {
    let mut digest = RowsDigest::default();
    digest.update(batch).expect("finished rows");
    digest.finish()
}

/// One attempt over the port, without retries of the whole day.
async fn publish(sink: &mut PostgresSink, scope: &WriteScope, batch: &RecordBatch) -> Result<Receipt> {
    let mut write = sink.begin(scope).await?;
    write.write(batch).await?;
    write.commit().await
}

/// What the table holds, in an order that rests on nothing but the values.
fn table(database: &str, condition: &str) -> String {
    shared()
        .sql(database, &format!("SELECT to_jsonb(t) - 'uuid' FROM {SUMMARY} t WHERE {condition} ORDER BY 1"))
}
