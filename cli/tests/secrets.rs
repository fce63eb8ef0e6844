//! Secrets are planted wherever one can be given, runs succeed and fail, and nothing that a run leaves behind or says,
//! with every library at its most talkative, may hold one of them.

use std::fs;
use std::path::{Path, PathBuf};

use daysum_tests::command::{Daysum, golden, text};
use daysum_tests::golden::Golden;
use daysum_tests::postgres::{SCHEMA, shared};
use daysum_tests::s3::{BUCKET, KEY, S3Server, SECRET};
use tempfile::TempDir;

const DAYSUM: Daysum = Daysum(env!("CARGO_BIN_EXE_daysum"));

const PASSWORD: &str = "canary-password";
const TOKEN: &str = "canary-session-token";
const SIGNATURE: &str = "canary-signature";
const YAML: &str = "canary-yaml-value";

/// A directory that keeps everything that runs write.
struct Scene {
    work: TempDir,
    lookups: PathBuf,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// A run must end with this code and have said something; no secret may be in anything it said or wrote.
    fn ends(&self, name: &str, code: i32, arguments: &[&str], variables: &[(&str, String)]) {
        let mut variables = variables.to_vec();
        for form in ["console", "json"] {
            variables.push(("LOG_FORMAT", form.to_owned()));
            variables.push(("DAYSUM_LOG", "trace".to_owned()));
            let ended = DAYSUM.run(arguments, &variables);
            assert_eq!(ended.code, Some(code), "{name}: {}", ended.stderr);
            clean(&format!("{name}: stdout"), ended.stdout.as_bytes());
            clean(&format!("{name}: stderr"), ended.stderr.as_bytes());
            assert!(!ended.stdout.is_empty() || !ended.stderr.is_empty(), "{name} said nothing");
        }
        self.written(self.work.path());
    }

    fn run(&self, name: &str, code: i32, more: &[&str], variables: &[(&str, String)]) {
        let (report, metrics) = (self.path("report.json"), self.path("metrics.prom"));
        let run = ["run", "--lookups", text(&self.lookups), "--force", "--report", text(&report)];
        let metrics = ["--metrics-file", text(&metrics)];
        self.ends(name, code, &[&run[..], &metrics, more].concat(), variables);
    }

    fn written(&self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.written(&path);
            } else if path.extension().is_none_or(|extension| extension != "yaml") {
                clean(text(&path), &fs::read(&path).expect("readable"));
            }
        }
    }
}

fn clean(place: &str, bytes: &[u8]) {
    for canary in [KEY, SECRET, PASSWORD, TOKEN, SIGNATURE, YAML] {
        let found = bytes.windows(canary.len()).position(|window| window == canary.as_bytes());
        if let Some(at) = found {
            let around = &bytes[at.saturating_sub(300)..(at + 100).min(bytes.len())];
            panic!("{place} holds {canary}: {}", String::from_utf8_lossy(around));
        }
    }
}

#[test]
fn no_secret_is_said_or_written() {
    let golden_set = Golden::small();
    let (input, lookups) = golden("gen-small");
    let scene = Scene { work: TempDir::new().expect("a directory"), lookups };
    let s3 = S3Server::start();
    s3.place_files("in", &golden_set.files);
    let (database, url) = DAYSUM.tenant(&golden_set.lookups);
    let address = format!("s3://{BUCKET}/in");
    let presigned = format!("{address}?X-Amz-Signature={SIGNATURE}&X-Amz-Security-Token={TOKEN}");
    let login = url.replace("koku@", &format!("koku:{PASSWORD}@"));
    let settings = [
        ("S3_ENDPOINT", s3.endpoint()),
        ("S3_ACCESS_KEY", KEY.to_owned()),
        ("S3_SECRET_KEY", SECRET.to_owned()),
    ];
    let with_token = [&settings[..], &[("S3_SESSION_TOKEN", TOKEN.to_owned())]].concat();

    // Runs that succeed: from S3 to the database, and to files.
    scene.run("to the database", 0, &[&address, "--database", &login, "--schema", SCHEMA], &settings);
    let output = scene.path("out");
    scene.run("to files", 0, &[&address, "--output", text(&output)], &s3.variables());
    let source = golden_set.lookups.source_uuid.as_str();
    let of_source = ["--database", &login, "--schema", SCHEMA, "--source", source, "--month", "2025-11"];
    for verb in [&["status"][..], &["quarantine", "list"], &["db", "check"], &["db", "init"]] {
        let asked = match verb[0] {
            "db" => &of_source[..4],
            "quarantine" => &of_source[..6],
            _ => &of_source[..],
        };
        scene.ends(verb[0], 0, &[verb, asked].concat(), &settings);
    }
    let ledger = shared().sql(&database, &format!("SELECT * FROM {SCHEMA}.daysum_ledger"));
    assert!(!ledger.is_empty());
    clean("the ledger", ledger.as_bytes());

    // Runs that fail: an unknown bucket, a server that is not there, refused keys, a database that is not there.
    let output = ["--output", text(&output)];
    let nowhere = ("S3_ENDPOINT", format!("http://{KEY}:{SECRET}@127.0.0.1:1"));
    let at_once = ("DAYSUM_S3_RETRY_TIMEOUT", "0".to_owned());
    scene.run("no server", 1, &[&[address.as_str()], &output[..]].concat(), &[nowhere, at_once]);
    scene.run("a presigned address", 2, &[&[presigned.as_str()], &output[..]].concat(), &settings);
    let bucket = "s3://no-such-bucket/in".to_owned();
    scene.run("no bucket", 1, &[&[bucket.as_str()], &output[..]].concat(), &settings);
    let refused = [settings[0].clone(), ("S3_ACCESS_KEY", KEY.into()), ("S3_SECRET_KEY", PASSWORD.into())];
    scene.run("refused keys", 1, &[&[address.as_str()], &output[..]].concat(), &refused);
    scene.run("a token", 0, &[&[address.as_str()], &output[..]].concat(), &with_token);
    let cleartext = ("S3_ENDPOINT", format!("http://{KEY}:{SECRET}@s3.example.com"));
    scene.run("plain text", 2, &[&[address.as_str()], &output[..]].concat(), &[cleartext]);
    let web = s3.endpoint().replace("://", &format!("://user:{PASSWORD}@"));
    let web = format!("{web}/in?X-Amz-Signature={SIGNATURE}");
    let allowed = [("ALLOW_HTTP", "true".to_owned())];
    scene.run("an address of the web", 1, &[&[web.as_str()], &output[..]].concat(), &allowed);
    scene.run("the same without leave", 1, &[&[web.as_str()], &output[..]].concat(), &[]);
    let ftp = format!("ftp://user:{PASSWORD}@127.0.0.1:1/in?X-Amz-Signature={SIGNATURE}");
    scene.run("no such scheme", 2, &[&[ftp.as_str()], &output[..]].concat(), &[]);
    scene.run("an output of that kind", 2, &[text(&input), "--output", &ftp], &[]);
    let no_retries = [("DAYSUM_POSTGRESQL_RETRIES", "1".to_owned())];
    for (name, database) in [
        ("no database", format!("postgres://koku:{PASSWORD}@127.0.0.1:1/koku")),
        ("a database that nobody knows", login.replace(&database, "nothing")),
        ("no host", format!("postgres://koku:{PASSWORD}@no-such-host.invalid/koku?sslmode=disable")),
        ("no TLS", format!("{login}?sslmode=require")),
    ] {
        scene.run(name, 1, &[text(&input), "--database", &database, "--schema", SCHEMA], &no_retries);
    }
    for database in [format!("mysql://koku:{PASSWORD}@h/d"), format!("postgres://koku:{PASSWORD}@h:port/d")] {
        scene.run("no address", 2, &[text(&input), "--database", &database, "--schema", SCHEMA], &[]);
    }
}

#[test]
fn no_secret_of_a_settings_file_is_said() {
    let (input, lookups) = golden("gen-small");
    let scene = Scene { work: TempDir::new().expect("a directory"), lookups };
    let file = scene.path("daysum.yaml");
    let config = ["--config", text(&file)];
    let output = scene.path("out");
    let run = [text(&input), "--output", text(&output)];
    let good = format!(
        "s3:\n  access_key: {KEY}\n  secret_key: {SECRET}\n  session_token: {TOKEN}\n  \
         endpoint: https://user:{PASSWORD}@s3.example.com\n\
         postgresql:\n  url: postgres://koku:{PASSWORD}@127.0.0.1:1/koku\n  password: {YAML}\n\
         run:\n  input: s3://bucket/in?X-Amz-Signature={SIGNATURE}\n"
    );
    fs::write(&file, &good).expect("writable");
    scene.ends("config show", 0, &["config", "show", "--config", text(&file)], &[]);
    scene.run("a good file", 0, &[&run[..], &config].concat(), &[]);
    for (name, yaml) in [
        ("an unknown key", format!("s3: {{secret_kye: {YAML}}}")),
        ("a number that is none", format!("s3: {{timeout: {YAML}}}")),
        ("a switch that is none", format!("s3: {{use_ssl: {YAML}}}")),
        ("a choice that is none", format!("run: {{mode: {YAML}}}")),
        ("a date that is none", format!("ocp: {{start_date: {YAML}}}")),
        ("a list", format!("s3: {{secret_key: [{YAML}, {SECRET}]}}")),
        ("no YAML", format!("s3:\n  secret_key: \"{YAML}\n  x: [")),
        ("a key twice", format!("s3:\n  secret_key: {YAML}\n  secret_key: {SECRET}\n")),
        ("a missing variable", format!("s3: {{secret_key: '{YAML}${{MISSING}}'}}")),
        ("no address", format!("postgresql: {{url: 'koku:{PASSWORD}@h/d'}}")),
        ("no endpoint", format!("s3: {{endpoint: '{YAML}', secret_key: {SECRET}, access_key: {KEY}}}")),
    ] {
        fs::write(&file, yaml).expect("writable");
        let input = if name == "no endpoint" { "s3://bucket/in" } else { text(&input) };
        // A run into files asks no database, and so does not look at its address.
        let more = if name == "no address" { vec![] } else { vec!["--output", text(&output)] };
        scene.run(name, 2, &[&[input], &more[..], &config].concat(), &[]);
    }
}
