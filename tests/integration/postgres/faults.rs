//! Connections that break, at the worst moments (T-20, T-21, T-25, T-72).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use daysum_core::Error;
use daysum_core::port::Sink;
use daysum_io_postgres::{Database, PostgresConfig, RetryPolicy, Timeouts};
use daysum_tests::postgres::{SCHEMA, Server, database, shared};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{SOURCE, SUMMARY, config, day, eager, publish, rows_of, schema, scope, sink, table};

const DAY: &str = "2025-02-01";

/// The server dies in the middle of a COPY and comes back: the old day is there, and a retry replaces it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_mid_copy_costs_a_retry() {
    let mut server = Server::start();
    let mut config = server.config("postgres");
    config.retry.min_delay = Duration::from_millis(20);
    Database::new(config.clone(), schema()).init().await.expect("made");
    let count =
        format!("SELECT count(*), min(usage_end) FROM {SCHEMA}.reporting_ocpusagelineitem_daily_summary");
    publish(&mut sink(config.clone()), &scope(DAY, "r1"), &rows_of(DAY, 1, 20)).await.expect("published");

    let (scope, batch) = (scope(DAY, "r2"), rows_of(DAY, 2, 3000));
    let mut sink = eager(config);
    let error = {
        let mut write = sink.begin(&scope).await.expect("begun");
        write.write(&batch).await.expect("the server listens");
        server.stop_now();
        match write.write(&batch).await {
            Ok(()) => write.commit().await.expect_err("nobody answers"),
            Err(error) => error,
        }
    };
    assert!(error.is_retryable(), "{error}");
    server.resume();
    assert_eq!(server.sql("postgres", &count), format!("20|{DAY}"));

    // The same within publish_day: the caller sees a receipt.
    let mut attempts = 0;
    let receipt = sink
        .publish_day(&scope, || {
            attempts += 1;
            if attempts == 1 {
                server.stop_now();
                server.resume();
            }
            Ok([Ok(batch.clone())].into_iter())
        })
        .await
        .expect("published");
    assert_eq!((receipt.rows, receipt.rows_deleted), (3000, Some(20)));
    assert_eq!(server.sql("postgres", &count), format!("3000|{DAY}"));
}

/// Forwards bytes between a client and the server until a COMMIT comes by.
struct Proxy {
    port: u16,
    /// What to do with the next COMMIT.
    mode: Arc<AtomicU8>,
}

const PASS: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;
const SILENT: u8 = 3;

impl Proxy {
    async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mode = Arc::new(AtomicU8::new(PASS));
        let shared_mode = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server_port)).await.expect("the server");
                tokio::spawn(forward(client, server, shared_mode.clone()));
            }
        });
        Self { port, mode }
    }

    fn config(&self, database: &str) -> PostgresConfig {
        let url = format!("postgres://koku@127.0.0.1:{}/{database}", self.port);
        let mut config = PostgresConfig::from_url(&url).expect("an address");
        config.retry = RetryPolicy { min_delay: Duration::from_millis(20), ..RetryPolicy::default() };
        config
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, mode: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let commit = up[..read].windows(12).any(|bytes| bytes == b"Q\0\0\0\x0bCOMMIT\0");
                let mode = if commit { mode.swap(PASS, Ordering::SeqCst) } else { PASS };
                if mode == CUT_BEFORE {
                    return;
                }
                if server.write_all(&up[..read]).await.is_err() {
                    return;
                }
                if mode == CUT_AFTER {
                    // The answer arrives here and goes no further.
                    let _ = server.read(&mut down).await;
                    return;
                }
                if mode == SILENT {
                    let _ = server.read(&mut down).await;
                    std::future::pending::<()>().await;
                }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What is asked before the first day is asked again as days are.
#[tokio::test]
async fn a_report_period_is_made_once_whatever_becomes_of_its_commit() {
    let name = database();
    let proxy = Proxy::start(shared().port()).await;
    for (mode, date) in [(CUT_BEFORE, "2025-02-01"), (CUT_AFTER, "2025-03-01")] {
        let ensure = async || {
            let mut database = Database::new(proxy.config(&name), schema());
            database.ensure_report_period(SOURCE, day(date).month(), "c", "alias").await
        };
        proxy.mode.store(mode, Ordering::SeqCst);
        let made = ensure().await.expect("asked again");
        assert_eq!(proxy.mode.load(Ordering::SeqCst), PASS, "the connection was cut");
        assert_eq!(ensure().await.expect("found"), made);
    }
    let count = "SELECT count(*) FROM org1234567.reporting_ocpusagereportperiod";
    assert_eq!(shared().sql(&name, count), "2");
}

/// The commit happened and its answer was lost: the ledger says so, and nothing is written twice.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts() {
    let name = database();
    let proxy = Proxy::start(shared().port()).await;
    publish(&mut sink(proxy.config(&name)), &scope(DAY, "r1"), &rows_of(DAY, 1, 20))
        .await
        .expect("published");
    let (scope, batch) = (scope(DAY, "r2"), rows_of(DAY, 2, 30));
    let mut sink = sink(proxy.config(&name));
    let mut write = sink.begin(&scope).await.expect("begun");
    write.write(&batch).await.expect("written");
    proxy.mode.store(CUT_AFTER, Ordering::SeqCst);
    let receipt = write.commit().await.expect("the ledger knows");
    assert_eq!((receipt.rows, receipt.rows_deleted), (30, Some(20)));
    assert_eq!(proxy.mode.load(Ordering::SeqCst), PASS, "the fault was used");
    assert_eq!(shared().sql(&name, "SELECT run, rows FROM org1234567.daysum_ledger"), "r2|30");
    // The sink finds its way back to the server.
    publish(&mut sink, &super::scope(DAY, "r3"), &batch).await.expect("published");
}

/// The commit never arrived: the ledger says so, and the day is written again.
#[tokio::test]
async fn a_commit_that_never_arrived_is_done_again() {
    let name = database();
    let proxy = Proxy::start(shared().port()).await;
    publish(&mut sink(proxy.config(&name)), &scope(DAY, "r1"), &rows_of(DAY, 1, 20))
        .await
        .expect("published");
    let before = table(&name, "true");
    let (scope, batch) = (scope(DAY, "r2"), rows_of(DAY, 2, 30));
    let mut sink = sink(proxy.config(&name));
    let mut write = sink.begin(&scope).await.expect("begun");
    write.write(&batch).await.expect("written");
    proxy.mode.store(CUT_BEFORE, Ordering::SeqCst);
    let error = write.commit().await.expect_err("rolled back");
    assert!(error.is_retryable() && error.to_string().contains("rolled back"), "{error}");
    assert_eq!(table(&name, "true"), before);

    let mut attempts = 0;
    let receipt = sink
        .publish_day(&scope, || {
            attempts += 1;
            let batches = [Ok(batch.clone())];
            let mode = proxy.mode.clone();
            let fault = attempts == 1;
            Ok(batches.into_iter().inspect(move |_| {
                // The next COMMIT is that of the day: the transaction is open when rows are asked for.
                if fault {
                    mode.store(CUT_BEFORE, Ordering::SeqCst);
                }
            }))
        })
        .await
        .expect("published");
    assert_eq!((receipt.rows, attempts), (30, 2));
    assert_eq!(shared().sql(&name, &format!("SELECT count(*) FROM {SUMMARY}")), "30");
}

/// A server that has answered with a refusal has not committed: koku's deferred foreign keys speak up at COMMIT.
#[tokio::test]
async fn a_refused_commit_is_final() {
    let name = database();
    publish(&mut sink(config(&name)), &scope(DAY, "r1"), &rows_of(DAY, 1, 4)).await.expect("published");
    let before = table(&name, "true");
    shared().sql(
        &name,
        &format!(
            "ALTER TABLE {SUMMARY}_2025_02 ADD FOREIGN KEY (report_period_id) \
             REFERENCES org1234567.reporting_ocpusagereportperiod (id) DEFERRABLE INITIALLY DEFERRED NOT VALID"
        ),
    );
    let error = publish(&mut sink(config(&name)), &scope(DAY, "r2"), &rows_of(DAY, 2, 4))
        .await
        .expect_err("no period 7");
    assert!(error.to_string().contains("23503") && !error.is_retryable(), "{error}");
    assert_eq!(table(&name, "true"), before);
}

/// 55P03, 57P01 and 53300 are worth a retry; a refused statement is not.
#[tokio::test]
async fn what_passes_by_itself_is_retryable() {
    let name = database();
    let mut impatient = config(&name);
    impatient.timeouts.lock = Duration::from_millis(50);
    impatient.retry = RetryPolicy::none();
    let (first, second) = (scope(DAY, "r1"), scope(DAY, "r2"));
    let mut holder = sink(config(&name));
    let write = holder.begin(&first).await.expect("begun");
    let mut waiting = sink(impatient.clone());
    let error = waiting.begin(&second).await.map(drop).expect_err("the day is locked");
    assert!(error.is_retryable() && error.to_string().contains("55P03"), "{error}");
    // Another day of the month waits for nobody.
    waiting.begin(&scope("2025-02-02", "r3")).await.map(drop).expect("another day");

    shared().sql(&name, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND state = 'idle in transaction' AND application_name = 'daysum'"));
    let error = write.commit().await.expect_err("terminated");
    assert!(error.is_retryable(), "{error}");

    // The waiter, patient now, gets the day.
    impatient.retry = RetryPolicy::default();
    publish(&mut sink(impatient), &second, &rows_of(DAY, 1, 3)).await.expect("published");
    let missing = publish(&mut sink(config("no_such_database")), &second, &rows_of(DAY, 1, 3))
        .await
        .expect_err("missing");
    assert!(!missing.is_retryable() && missing.to_string().contains("no_such_database"), "{missing}");
}

/// T-25: a peer that accepts and stays silent is given up on.
#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let canary = "canary-51f2";
    let mut silent = PostgresConfig::from_url(&format!("postgres://koku:{canary}@127.0.0.1:{port}/x"))
        .expect("an address");
    silent.timeouts = Timeouts { connect: Duration::from_millis(200), ..Timeouts::default() };
    silent.retry = RetryPolicy { retries: 1, min_delay: Duration::from_millis(10), ..RetryPolicy::default() };
    let mut sink = sink(silent);
    let scope = scope(DAY, "r");
    let error = sink.begin(&scope).await.map(drop).expect_err("nobody there");
    assert!(matches!(error, Error::Port { retryable: true, .. }), "{error}");
    assert!(error.to_string().contains("no answer"), "{error}");
    assert!(!format!("{error} {error:?} {sink:?}").contains(canary));
}

/// T-72: neither a refused password nor a refused connection shows it.
#[tokio::test]
async fn a_password_is_in_no_error() {
    let canary = "canary-77aa";
    let server = Server::start();
    let rules = server.data().join("pg_hba.conf");
    std::fs::write(&rules, "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        .expect("written");
    server.own(&rules);
    let socket = server.socket_url("postgres");
    let (client, connection) =
        tokio_postgres::connect(&socket, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    client
        .batch_execute("ALTER ROLE koku PASSWORD 'right'; SELECT pg_reload_conf()")
        .await
        .expect("reloaded");
    let ask = async |password: &str, port: u16| {
        let url = format!("postgres://koku:{password}@127.0.0.1:{port}/postgres");
        let mut config = PostgresConfig::from_url(&url).expect("an address");
        config.retry = RetryPolicy::none();
        let mut database = Database::new(config, schema());
        let asked = database.init().await;
        (
            format!(
                "{asked:?} {database:?} {}",
                asked.as_ref().map_or_else(ToString::to_string, |()| String::new())
            ),
            asked,
        )
    };
    // The reload is asynchronous: wait until the rule is in force.
    while ask(canary, server.port()).await.1.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (shown, refused) = ask(canary, server.port()).await;
    assert!(!shown.contains(canary) && shown.contains("28P01"), "{shown}");
    assert!(!refused.expect_err("a wrong password").is_retryable());
    ask("right", server.port()).await.1.expect("the right password");
    let (shown, refused) = ask(canary, 1).await;
    assert!(!shown.contains(canary) && shown.contains("127.0.0.1:1"), "{shown}");
    assert!(refused.expect_err("nobody listens").is_retryable());
}

/// T-21: each of these is raised once in the middle of the COPY, and the day is published all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passing_refusals_are_retried_and_final_ones_are_not() {
    let name = database();
    publish(&mut sink(config(&name)), &scope(DAY, "r0"), &rows_of(DAY, 9, 3)).await.expect("published");
    shared().sql(
        &name,
        &format!(
            "CREATE SEQUENCE attempts; CREATE TABLE fault (code text); \
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('public.attempts') = 1 THEN \
                     RAISE EXCEPTION 'planted' USING ERRCODE = (SELECT code FROM public.fault); \
                 END IF; RETURN NULL; END $$; \
             CREATE TRIGGER fail AFTER INSERT ON {SUMMARY} EXECUTE FUNCTION fail()"
        ),
    );
    let codes = ["40001", "40P01", "55P03", "57014", "57P01", "57P03", "53300", "53100", "23514", "42501"];
    for (seed, code) in (1..).zip(codes) {
        shared().sql(
            &name,
            &format!("ALTER SEQUENCE attempts RESTART; TRUNCATE fault; INSERT INTO fault VALUES ('{code}')"),
        );
        let before = table(&name, "true");
        let (scope, batch) = (scope(DAY, code), rows_of(DAY, seed, 5));
        let published = sink(config(&name)).publish_day(&scope, || Ok([Ok(batch.clone())].into_iter())).await;
        if ["53100", "42501"].contains(&code) {
            assert!(published.expect_err(code).to_string().contains(code));
            assert_eq!(table(&name, "true"), before, "{code}");
        } else {
            assert_eq!(published.expect(code).rows, 5);
            assert_ne!(table(&name, "true"), before, "{code}");
        }
    }
    shared().sql(&name, &format!("CREATE ROLE crowded_{name} LOGIN CONNECTION LIMIT 0"));
    let url = shared().url(&name).replace("koku@", &format!("crowded_{name}@"));
    let mut crowded = PostgresConfig::from_url(&url).expect("an address");
    crowded.retry = RetryPolicy::none();
    let error =
        publish(&mut sink(crowded), &scope(DAY, "r"), &rows_of(DAY, 1, 3)).await.expect_err("no room");
    assert!(error.is_retryable() && error.to_string().contains("53300"), "{error}");
}

/// T-20: the server is cut down again and again at whatever moment it happens to be, the commit among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_cut_down_at_any_moment_ends_in_the_same_rows() {
    let mut server = Server::start();
    let mut config = server.config("postgres");
    config.retry =
        RetryPolicy { min_delay: Duration::from_millis(20), retries: 20, ..RetryPolicy::default() };
    Database::new(config.clone(), schema()).init().await.expect("made");
    publish(&mut sink(config.clone()), &scope(DAY, "r"), &rows_of(DAY, 0, 500)).await.expect("published");
    for round in 1..=8_u32 {
        let cut = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(u64::from(round) * 7));
            server.stop_now();
            server.resume();
            server
        });
        // Small pieces, so that the cut falls into a transaction more often than between two.
        let scope = scope(DAY, &round.to_string());
        for seed in [round, round + 100, round] {
            let batch = rows_of(DAY, seed, 500);
            let pieces: Vec<_> = (0..500).step_by(50).map(|from| batch.slice(from, 50)).collect();
            let receipt = eager(config.clone())
                .publish_day(&scope, || Ok(pieces.clone().into_iter().map(Ok)))
                .await
                .expect("published in the end");
            assert_eq!(receipt.rows, 500);
        }
        server = cut.join().expect("no panic");
        let day_scope = daysum_io_postgres::DayScope::try_from(&scope).expect("it has a period");
        let diff = Database::new(config.clone(), schema())
            .diff_day(&day_scope, &[rows_of(DAY, round, 500)], daysum_io_postgres::NumericMode::Shortest)
            .await
            .expect("a diff");
        assert!(diff.is_empty() && diff.unchanged == 500, "round {round}: {diff:?}");
    }
}
