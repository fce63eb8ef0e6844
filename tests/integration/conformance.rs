//! Every adapter against the promises of its port.

use std::os::unix::fs::symlink;

use arrow::array::RecordBatch;
use bytes::Bytes;
use daysum_core::Day;
use daysum_core::port::memory::{MemoryQuarantine, MemorySink, MemorySource, MemoryStateStore};
use daysum_core::port::{ListRequest, Source, WriteScope, conformance};
use daysum_core::rows::RowsFormat;
use daysum_io_postgres::{PostgresQuarantine, PostgresSink, Schema, SinkOptions};
use daysum_io_s3::{
    LocalSource, Missing, ObjectStoreQuarantine, ObjectStoreSink, ObjectStoreSource, ObjectStoreStateStore,
    Place,
};
use daysum_tests::engine::InputFile;
use daysum_tests::postgres::{SCHEMA, database, shared};
use daysum_tests::s3::S3Server;
use futures::TryStreamExt;
use futures::executor::block_on;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::postgres;

const OBJECTS: [(&str, &str); 5] = [
    ("top.parquet", "0123456789"),
    ("a/b.parquet", "abcdefghij"),
    ("a/c/d.parquet", "x"),
    ("ab/c.parquet", "y"),
    ("openshift_node_labels_line_items/source=AB-1/year=2025/month=11/x.parquet", "z"),
];

fn objects() -> Vec<(&'static str, Bytes)> {
    OBJECTS.iter().map(|(key, content)| (*key, Bytes::from(*content))).collect()
}

fn directory() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for (key, content) in OBJECTS {
        let path = directory.path().join(key);
        std::fs::create_dir_all(path.parent().expect("keys have directories")).expect("writable");
        std::fs::write(path, content).expect("writable");
    }
    directory
}

#[test]
fn memory() {
    let source = MemorySource::default();
    for (key, content) in objects() {
        source.insert(key, content);
    }
    block_on(conformance::source(&source, &objects()));
    block_on(conformance::state_store(&MemoryStateStore::default()));
    block_on(conformance::quarantine(&mut MemoryQuarantine::default()));
    block_on(conformance::sink(&mut MemorySink::default(), &scope(), rows));
}

#[test]
fn a_directory() {
    let kept = directory();
    // What links lead to inside is not listed twice, nor round in a circle; out of the directory none is followed (T-71).
    for (to, name) in
        [("top.parquet", "linked.parquet"), ("a", "round"), ("", "a/c/round"), ("no", "a/nothing")]
    {
        symlink(kept.path().join(to), kept.path().join(name)).expect("a link");
    }
    let source = LocalSource::new(kept.path()).expect("a directory");
    block_on(conformance::source(&source, &objects()));
    let elsewhere = directory();
    for (to, name) in [("top.parquet", "a/out.parquet"), ("a", "out")] {
        let link = kept.path().join(name);
        symlink(elsewhere.path().join(to), &link).expect("a link");
        let request = ListRequest::default();
        let listed: Result<Vec<_>, _> = block_on(source.list(&request).try_collect());
        let error = listed.expect_err("refused").to_string();
        assert!(error.contains(&format!("{name:?} is a link out of the input")), "{error}");
        std::fs::remove_file(link).expect("a link");
    }
}

#[tokio::test]
async fn an_object_store() {
    let kept = directory();
    let place = Place::directory(kept.path(), Missing::Refuse).expect("a directory");
    conformance::source(&ObjectStoreSource::new(place), &objects()).await;
    let output = TempDir::new().expect("a directory");
    let place = Place::directory(output.path(), Missing::Refuse).expect("a directory");
    conformance::quarantine(&mut ObjectStoreQuarantine::new(place.clone())).await;
    conformance::state_store(&ObjectStoreStateStore::new(place)).await;
    for format in [RowsFormat::Parquet, RowsFormat::Csv] {
        let place = Place::directory(output.path(), Missing::Refuse).expect("a directory");
        let scope = WriteScope { source_uuid: format!("{format:?}"), ..scope() };
        conformance::sink(&mut ObjectStoreSink::new(place, format), &scope, rows).await;
    }
}

#[test]
fn a_bucket() {
    let (server, runtime) = (S3Server::start(), Runtime::new().expect("a runtime"));
    for (key, content) in objects() {
        server.place_files("in", &[InputFile { key: key.to_owned(), bytes: content }]);
    }
    runtime.block_on(async {
        conformance::source(&ObjectStoreSource::new(server.place("in")), &objects()).await;
        let mut sink = ObjectStoreSink::new(server.place("out"), RowsFormat::Arrow);
        conformance::sink(&mut sink, &scope(), rows).await;
        conformance::state_store(&ObjectStoreStateStore::new(server.place("states"))).await;
        conformance::quarantine(&mut ObjectStoreQuarantine::new(server.place("out"))).await;
    });
}

#[test]
fn postgresql() {
    let (name, runtime) = (database(), Runtime::new().expect("a runtime"));
    let (config, schema) = (shared().config(&name), Schema::new(SCHEMA).expect("a good name"));
    runtime.block_on(async {
        conformance::quarantine(&mut PostgresQuarantine::new(config.clone(), schema.clone())).await;
        let mut sink = PostgresSink::new(config, schema, SinkOptions::default());
        conformance::sink(&mut sink, &scope(), rows).await;
    });
}

fn scope() -> WriteScope {
    postgres::scope("2025-11-01", "conformance")
}

fn rows(day: Day) -> RecordBatch {
    postgres::rows_of(&day.to_string(), 1, 40)
}
