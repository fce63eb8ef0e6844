//! io-s3 on real servers: s3s-fs in this process with faults, and in CI Ceph's gateway.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daysum::synth::{self, Shape};
use daysum_core::drive::KeyFacts;
use daysum_core::port::{Ledger, ListRequest, RunId, Sink, Source, Wanted, WriteScope};
use daysum_core::rows::RowsFormat;
use daysum_core::{Lookups, Result, drive};
use daysum_io_s3::{Missing, ObjectStoreSink, ObjectStoreSource, Place, StoreSettings};
use daysum_tests::compare::{Precision, assert_same};
use daysum_tests::engine::InputFile;
use daysum_tests::golden::{Golden, read_parquet};
use daysum_tests::s3::{Fault, S3Server, SECRET, upload};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use parquet::file::reader::{FileReader, SerializedFileReader};
use sha2::{Digest, Sha256};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, pki_types::PrivateKeyDer};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use crate::{generate, postgres};

fn summarise(runtime: &Runtime, place: Place, lookups: &Lookups) -> Result<RecordBatch> {
    let source = ObjectStoreSource::new(place);
    let summary = runtime.block_on(drive::summarise(&source, &ListRequest::default(), lookups))?;
    let days: Vec<RecordBatch> =
        summary.days.iter().map(|day| day.rows().expect("a day in memory")).collect();
    Ok(concat_batches(&daysum_core::rows::schema(), &days).expect("one schema"))
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

#[test]
fn every_golden_from_a_bucket() {
    let (server, runtime) = (S3Server::start(), runtime());
    for golden in Golden::all() {
        let prefix = format!("data/{}", golden.name);
        server.place_files(&prefix, &golden.files);
        let rows = summarise(&runtime, server.place(&prefix), &golden.lookups).expect("a sound bucket");
        assert_same(&golden.name, &golden.expected, &rows, Precision::Relative(1e-9));
    }
}

#[test]
fn faults_within_the_budget_leave_the_rows_as_they_are() {
    let (server, runtime, golden) = (S3Server::start(), runtime(), Golden::small());
    server.upload("in", &golden.files);
    for fault in [
        Fault::SlowDown,
        Fault::TooMany,
        Fault::Internal,
        Fault::Truncated,
        Fault::Stalled,
        Fault::StalledBody,
    ] {
        server.plan([None, Some(fault), None, None, Some(fault)]);
        server.plan_lists(Some(fault).filter(|fault| *fault != Fault::StalledBody).map(Some));
        let rows = summarise(&runtime, server.place("in"), &golden.lookups)
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_same(&format!("{fault:?}"), &golden.expected, &rows, Precision::Relative(1e-9));
        assert_eq!(server.planned(), 0, "{fault:?} was met");
    }
}

#[test]
fn what_no_retry_cures_is_one_clear_error() {
    let (server, runtime, golden) = (S3Server::start(), runtime(), Golden::small());
    server.upload("in", &golden.files);
    for (fault, said) in [
        (Fault::Forbidden, "permission denied"),
        (Fault::WrongRange, "Requested 4..4397, got 1..4397"),
        (Fault::NoRange, "non-partial response"),
        (Fault::WiderRange, "Requested 4..4400, got 0..8868"),
    ] {
        // Behind the footers, because those of small files are read with all the rest.
        server.plan(std::iter::repeat_n(None, golden.files.len()).chain([Some(fault)]));
        let error = summarise(&runtime, server.place("in"), &golden.lookups).expect_err("a refused read");
        let shown = format!("{error} {error:?}");
        assert!(
            error.code() == "port" && shown.contains(".parquet") && shown.contains(said),
            "{fault:?}: {shown}"
        );
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn an_object_that_changes_or_vanishes_is_never_spliced_or_empty() {
    let (server, runtime, golden) = (S3Server::start(), runtime(), Golden::small());
    server.upload("in", &golden.files);
    let place = server.place("in");
    let source = ObjectStoreSource::new(place.clone());
    let objects =
        runtime.block_on(drive::list(&source, &ListRequest::default(), &golden.lookups)).expect("a listing");
    assert_eq!(objects.len(), golden.files.len());
    let path = object_store::path::Path::parse(format!("in/{}", objects[0].key)).expect("a sound key");
    runtime.block_on(place.store.put(&path, "other bytes".into())).expect("replaced");
    let error = runtime
        .block_on(source.read(&objects[0], std::slice::from_ref(&(0..4))))
        .expect_err("another version");
    assert!(error.to_string().contains("changed since it was listed"), "{error}");
    runtime.block_on(place.store.delete(&path)).expect("removed");
    let error =
        runtime.block_on(source.read(&objects[0], std::slice::from_ref(&(0..4)))).expect_err("no object");
    assert!(error.to_string().contains("vanished since it was listed"), "{error}");
}

/// T-63: what a run needs is the tail with the footer, and each needed column chunk, once. Of larger files gaps that are
/// read along are nothing.
#[test]
fn nothing_is_fetched_twice() {
    let (server, runtime, cluster) =
        (S3Server::start(), runtime(), tempfile::tempdir().expect("a directory"));
    let shape = Shape {
        row_group_rows: 40_000,
        ..Shape::of_rows(200_000, 2, "2025-11-01".parse().expect("a day"), 1)
    };
    synth::generate(&shape, cluster.path(), NonZeroUsize::MIN).expect("it is written");
    let files = generate::files(cluster.path());
    let lookups = std::fs::read(cluster.path().join("lookups.json")).expect("lookups");
    let lookups = Lookups::from_json(&lookups).expect("lookups");
    server.place_files("in", &files);
    // Nobody needs the ends of reports and hours, nor the node that a volume's rows name.
    let unread = |key: &str, name: &str| {
        matches!(name, "report_period_start" | "report_period_end" | "interval_end")
            || (key.contains("storage_usage") && name == "node")
    };
    let (mut needed, mut not_needed) = (0, 0);
    for file in &files {
        needed += (file.bytes.len() as u64).min(64 * 1024); // the tail with the footer
        let reader = SerializedFileReader::new(file.bytes.clone()).expect("Parquet");
        for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            let counted =
                if unread(&file.key, &column.column_path().string()) { &mut not_needed } else { &mut needed };
            *counted += column.byte_range().1;
        }
    }
    assert!(not_needed > 0);
    server.take_sent();
    summarise(&runtime, server.place("in"), &lookups).expect("a sound bucket");
    let sent = server.take_sent().bytes;
    assert!(sent <= needed * 105 / 100, "{sent} for {needed} bytes");
}

/// Four sources of six months each, ours among them; the other objects cannot be read.
#[test]
fn a_large_bucket_is_listed_where_it_concerns_the_run() {
    let (server, runtime, mut golden) = (S3Server::start(), runtime(), Golden::small());
    // The other layout has more folders below the month.
    let source = &golden.lookups.source_uuid;
    let month = format!("data/org1/OCP/source={source}/year=2025/month=11");
    golden.files.push(InputFile {
        key: format!("{month}/day=01/openshift_pod_usage_line_items/data.parquet"),
        bytes: "is listed".into(),
    });
    server.place_files("small", &golden.files);
    server.place_files("large", &golden.files);
    let of_others: Vec<InputFile> = ["pod_usage", "storage_usage"]
        .iter()
        .flat_map(|table| ["a", "b", golden.lookups.source_uuid.as_str()].map(|source| (table, source)))
        .flat_map(|of| (1..=6).map(move |month| (of, month)))
        .flat_map(|((table, source), month)| {
            let folder = format!("org1/OCP/{table}/source={source}/year=2025/month={month:02}");
            (0..80).map(move |number| format!("{folder}/{number}.parquet"))
        })
        .map(|key| InputFile { key, bytes: "broken".into() })
        .collect();
    server.place_files("large", &of_others);
    let wanted = drive::wanted(&golden.lookups).expect("a range");
    let list = |prefix: &str, wanted: Option<&Wanted>| {
        let source = ObjectStoreSource::new(server.place(prefix));
        server.take_sent();
        let request = ListRequest { wanted: wanted.cloned(), ..ListRequest::default() };
        let found = runtime.block_on(source.list(&request).try_collect::<Vec<_>>()).expect("a listing");
        // Versions say when the files were placed, and there are two places.
        let keys: BTreeSet<_> = found.into_iter().map(|object| object.key).collect();
        (keys, server.take_sent())
    };
    let own = golden.files.len() as u64;
    let (all, sent) = list("small", Some(&wanted));
    assert_eq!((all.len() as u64, sent.lists, sent.listed), (own, 1, own), "one page is all there is");
    let (everything, of_everything) = list("large", None);
    let ours = everything.into_iter().filter(|key| KeyFacts::of(key).may_hold(&wanted));
    assert_eq!(ours.collect::<BTreeSet<_>>(), all);
    assert_eq!(of_everything.listed, own + of_others.len() as u64);
    let (same, sent) = list("large", Some(&wanted));
    assert_eq!(same, all);
    // Two pages say that it is large; after them, no object of anybody else is seen.
    assert!(sent.listed <= 2000 + own && sent.listed < of_everything.listed, "{sent:?}");
    let folders = sent.lists - 2;
    assert!(folders <= 50, "{folders} folders were listed");
}

#[test]
fn a_day_is_replaced_with_its_ledger_entry_and_left_alone_when_it_is_the_same() {
    let server = S3Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let [small, large] = ["small", "large"].map(|name| directory.path().join(name));
    let local = |path: &Path| Place::directory(path, Missing::Make).expect("a directory");
    // A file of more than five mebibytes is uploaded in parts.
    let in_parts = postgres::rows_of("2025-11-01", 1, 160_000);
    for (place, rows, least) in [
        (server.place("small"), Golden::small().expected, 0),
        (local(&small), Golden::small().expected, 0),
        (server.place("large"), in_parts.clone(), 12 << 20),
        (local(&large), in_parts, 12 << 20),
    ] {
        runtime().block_on(async {
            let mut sink = ObjectStoreSink::new(place.clone(), RowsFormat::Parquet);
            let day = "2025-11-01".parse().expect("a date");
            let scope = WriteScope {
                source_uuid: "ab-1".to_owned(),
                report_period_id: None,
                day,
                inputs: Vec::new(),
                fingerprint: "f".to_owned(),
                run: RunId("r".to_owned()),
            };
            // Dropped without a commit: nothing happened.
            sink.begin(&scope).await.expect("begun").write(&rows).await.expect("written");
            assert!(sink.published("ab-1", day, day).await.expect("a ledger").is_empty());
            let mut receipts = Vec::new();
            for unchanged in [false, true] {
                let mut write = sink.begin(&scope).await.expect("begun");
                write.write(&rows).await.expect("written");
                let receipt = write.commit().await.expect("committed");
                assert_eq!((receipt.rows, receipt.unchanged), (rows.num_rows() as u64, unchanged));
                receipts.push(receipt);
            }
            let published = sink.published("ab-1", day, day).await.expect("a ledger");
            let path = place.prefix.clone().join("ab-1").join("2025-11-01.parquet");
            let bytes = place.store.get(&path).await.expect("the day").bytes().await.expect("its bytes");
            let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((published.len(), &published[0].digest), (1, &digest), "anybody can check the file");
            assert_eq!(receipts[0].bytes, bytes.len() as u64);
            assert!(bytes.len() > least, "{} bytes", bytes.len());
            assert_same("published", &rows, &read_parquet(bytes), Precision::Bits);
            // Of two runs the later one's day stays, whatever the earlier one has seen.
            let later = WriteScope { run: RunId("later".to_owned()), ..scope.clone() };
            let mut write = sink.begin(&later).await.expect("begun");
            write.write(&rows).await.expect("written");
            write.commit().await.expect("committed");
            assert_eq!(sink.remove_day(&published[0]).await.expect("looked"), None);
            let now = sink.published("ab-1", day, day).await.expect("a ledger");
            assert_eq!(now[0].scope, later);
            assert_eq!(sink.remove_day(&now[0]).await.expect("removed"), Some(rows.num_rows() as u64));
            assert!(sink.published("ab-1", day, day).await.expect("a ledger").is_empty());
            assert!(place.store.get(&path).await.is_err(), "its file is gone, too");
            let bad = WriteScope { source_uuid: "../up".to_owned(), ..scope.clone() };
            assert_eq!(sink.begin(&bad).await.err().expect("refused").code(), "config");
        });
    }
}

#[test]
fn plain_http_to_another_machine_needs_a_flag() {
    let settings = StoreSettings {
        endpoint: Some("http://s3.example.com".into()),
        access_key: Some("key".into()),
        secret_key: Some("secret".into()),
        ..StoreSettings::default()
    };
    let error = Place::open("s3://bucket/x", &settings, Missing::Refuse).expect_err("refused");
    assert!(error.to_string().contains("plain HTTP"), "{error}");
    Place::open("s3://bucket/x", &StoreSettings { allow_http: true, ..settings }, Missing::Refuse)
        .expect("allowed");
}

/// The server once more, behind a certificate that it has signed itself. Its address.
async fn behind_tls(server: &S3Server) -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = certificate.self_signed(&key).expect("signed");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = builder.expect("versions").with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let plain = server.endpoint().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, plain) = (acceptor.clone(), plain.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return }; // who trusts nobody goes
                let mut server = TcpStream::connect(plain).await.expect("the server");
                let _ = copy_bidirectional(&mut client, &mut server).await; // until one of them goes
            });
        }
    });
    format!("https://localhost:{port}")
}

/// T-74
#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_unless_that_is_asked_for() {
    let (server, runtime, golden) = (S3Server::start(), runtime(), Golden::small());
    server.upload("in", &golden.files);
    let endpoint = runtime.block_on(behind_tls(&server));
    for accept_any_certificate in [false, true] {
        let settings = StoreSettings {
            endpoint: Some(endpoint.clone()),
            accept_any_certificate,
            retry_timeout: Some(Duration::ZERO),
            timeout: Some(Duration::from_secs(20)),
            ..server.settings()
        };
        let place = Place::open("s3://daysum/in", &settings, Missing::Refuse).expect("a good address");
        match summarise(&runtime, place, &golden.lookups) {
            Ok(rows) => {
                assert_eq!((rows.num_rows(), accept_any_certificate), (golden.expected.num_rows(), true))
            }
            Err(error) => {
                assert!(!accept_any_certificate && error.to_string().contains("certificate"), "{error}");
            }
        }
    }
}

/// The goldens through a server that somebody else wrote; CI starts Ceph's gateway for it.
#[test]
#[ignore = "needs S3_ENDPOINT, S3_BUCKET and AWS_* of a server; .ci/steps/60-acceptance.sh starts one"]
fn s3_acceptance() {
    let bucket = std::env::var("S3_BUCKET").expect("S3_BUCKET names a bucket");
    let settings = StoreSettings {
        endpoint: Some(std::env::var("S3_ENDPOINT").expect("S3_ENDPOINT is the server")),
        ..StoreSettings::default()
    };
    let runtime = runtime();
    for golden in Golden::all() {
        let place = Place::open(&format!("s3://{bucket}/in/{}", golden.name), &settings, Missing::Refuse)
            .expect("a good address");
        upload(&runtime, &place, &golden.files);
        let rows = summarise(&runtime, place.clone(), &golden.lookups).expect("a sound bucket");
        assert_same(&golden.name, &golden.expected, &rows, Precision::Relative(1e-9));
        let source = ObjectStoreSource::new(place.clone());
        let objects = runtime
            .block_on(drive::list(&source, &ListRequest::default(), &golden.lookups))
            .expect("a listing");
        let path = object_store::path::Path::parse(format!("{}/{}", place.prefix, objects[0].key));
        let path = path.expect("a sound key");
        runtime.block_on(place.store.put(&path, "other bytes".into())).expect("replaced");
        let error = runtime
            .block_on(source.read(&objects[0], std::slice::from_ref(&(0..4))))
            .expect_err("another version");
        assert!(error.to_string().contains("changed since it was listed"), "{error}");
    }
}
