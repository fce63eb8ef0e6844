//! Every adapter against the promises of its port.

use std::os::unix::fs::symlink;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use bytes::Bytes;
use daysum_core::port::memory::{MemoryQuarantine, MemorySink, MemorySource, MemorySpill, MemoryStateStore};
use daysum_core::port::{ListRequest, ObjectMeta, Source, WriteScope, conformance};
use daysum_core::rows::RowsFormat;
use daysum_core::{Day, Result};
use daysum_io_postgres::{PostgresQuarantine, PostgresSink, Schema, SinkOptions};
use daysum_io_s3::{
    LocalSource, Missing, ObjectStoreQuarantine, ObjectStoreSink, ObjectStoreSource, ObjectStoreStateStore,
    Place,
};
use daysum_tests::engine::InputFile;
use daysum_tests::golden::read_parquet;
use daysum_tests::postgres::{SCHEMA, database, shared};
use daysum_tests::s3::S3Server;
use futures::TryStreamExt;
use futures::executor::block_on;
use object_store::ObjectStoreExt;
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
    conformance::spill_store(&MemorySpill);
    let sink = MemorySink::default();
    let stored = async |day| sink.batches().iter().map(|rows| of_day(rows, day)).sum();
    block_on(conformance::sink(&mut sink.clone(), &scope(), rows, stored));
    block_on(conformance::ledger(&mut sink.clone(), &later(), rows, stored));
}

/// How many of these rows are of the day.
fn of_day(rows: &RecordBatch, day: Day) -> usize {
    let days = rows.column_by_name("usage_start").expect("rows have a day").as_primitive::<Date32Type>();
    days.values().iter().filter(|value| **value == day.0).count()
}

#[test]
fn a_directory() {
    let kept = directory();
    // What links lead to inside is not listed twice, nor round in a circle; out of the directory none is followed (T-71).
    for (to, name) in [("top.parquet", "linked.parquet"), ("a", "round"), ("", "a/c/round")] {
        symlink(kept.path().join(to), kept.path().join(name)).expect("a link");
    }
    let source = LocalSource::new(kept.path()).expect("a directory");
    block_on(conformance::source(&source, &objects()));
    let elsewhere = directory();
    let (out, gone) = ("is a link out of the input", "is a link to what is not there");
    for (to, name, said) in
        [("top.parquet", "a/out.parquet", out), ("a", "out", out), ("no", "a/nothing", gone)]
    {
        let link = kept.path().join(name);
        symlink(elsewhere.path().join(to), &link).expect("a link");
        let request = ListRequest::default();
        let listed: Result<Vec<_>, _> = block_on(source.list(&request).try_collect());
        let error = listed.expect_err("refused").to_string();
        assert!(error.contains(&format!("{name:?} {said}")), "{error}");
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
        let folder = output.path().join(&scope.source_uuid);
        let stored = async |day| match std::fs::read(folder.join(format!("{day}.{format}"))) {
            Ok(csv) if format == RowsFormat::Csv => String::from_utf8_lossy(&csv).lines().count() - 1,
            Ok(parquet) => of_day(&read_parquet(parquet.into()), day),
            Err(_) => 0,
        };
        let mut sink = ObjectStoreSink::new(place, format);
        conformance::sink(&mut sink, &scope, rows, stored).await;
        conformance::ledger(&mut sink, &WriteScope { day: later().day, ..scope }, rows, stored).await;
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
        let mut sink = ObjectStoreSink::new(server.place("out"), RowsFormat::Parquet);
        let stored = async |day| {
            let Place { store, prefix, .. } = server.place("out");
            let path = prefix.join(scope().source_uuid).join(format!("{day}.parquet"));
            let Ok(found) = store.get(&path).await else { return 0 };
            of_day(&read_parquet(found.bytes().await.expect("readable")), day)
        };
        conformance::sink(&mut sink, &scope(), rows, stored).await;
        conformance::ledger(&mut sink, &later(), rows, stored).await;
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
        let stored = async |day: Day| {
            let sql = format!("SELECT count(*) FROM {} WHERE usage_start = '{day}'", postgres::SUMMARY);
            shared().sql(&name, &sql).parse().expect("a number")
        };
        conformance::sink(&mut sink, &scope(), rows, stored).await;
        conformance::ledger(&mut sink, &later(), rows, stored).await;
    });
}

fn scope() -> WriteScope {
    postgres::scope("2025-11-01", "conformance")
}

/// Days of which a sink that has shown its own promises holds nothing.
fn later() -> WriteScope {
    postgres::scope("2025-11-11", "conformance")
}

fn rows(day: Day) -> RecordBatch {
    postgres::rows_of(&day.to_string(), 1, 40)
}

/// Size and time can be those of before; the file is not.
#[test]
fn a_file_that_takes_another_s_place_is_another_version() {
    let directory = TempDir::new().expect("a directory");
    let [place, other] = ["a", "b"].map(|name| directory.path().join(name));
    for path in [&place, &other] {
        std::fs::write(path, "same size").expect("writable");
    }
    let source = LocalSource::new(directory.path()).expect("a directory");
    let listed = || {
        let found: Result<Vec<ObjectMeta>> = block_on(source.list(&ListRequest::default()).try_collect());
        found.expect("a listing").into_iter().find(|object| &*object.key == "a").expect("it is there")
    };
    let (before, written) = (listed(), std::fs::metadata(&place).and_then(|file| file.modified()));
    let file = std::fs::File::options().append(true).open(&other).expect("it is there");
    file.set_modified(written.expect("a time")).expect("times can be set");
    std::fs::rename(&other, &place).expect("one directory");
    assert_ne!(listed().version, before.version);
    let error = block_on(source.read(&before, std::slice::from_ref(&(0..4)))).expect_err("another file");
    assert_eq!(error.code(), "changed", "{error}");
}
