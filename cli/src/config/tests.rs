use std::collections::BTreeSet;
use std::path::PathBuf;

use super::keys::{KEYS, Role};
use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn load_with(file: &str, env: Pairs<'_>, flags: Pairs<'_>) -> Result<(Config, Vec<Note>), ConfigError> {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("daysum.yaml");
    std::fs::write(&path, file).expect("the file is written");
    let flags: Vec<_> = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
    Config::load_with(Some(&path), &env, &flags)
}

fn load(file: &str, env: Pairs<'_>) -> (Config, Vec<Note>) {
    load_with(file, env, &[]).expect("a good configuration")
}

/// What is wrong, without the name of the temporary file.
fn refused(file: &str, env: Pairs<'_>) -> String {
    match load_with(file, env, &[]) {
        Ok(_) => panic!("accepted: {file}"),
        Err(ConfigError::InFile { source, .. }) => source.to_string(),
        Err(error) => error.to_string(),
    }
}

/// The file that the earlier Python implementation ships, with all its keys.
const EARLIER: &str = include_str!("tests/earlier.yaml");

const EARLIER_ENV: Pairs<'_> = &[
    ("ORG_ID", "org42"),
    ("OCP_PROVIDER_UUID", "fa4238b2-62ad-5c41-8747-6ee200183c54"),
    ("OCP_CLUSTER_ID", "cluster-1"),
    ("S3_ENDPOINT", "http://ceph:7480"),
    ("S3_ACCESS_KEY", "canary-access"),
    ("S3_SECRET_KEY", "canary-secret"),
    ("POSTGRES_PASSWORD", "canary-password"),
];

#[test]
fn the_earlier_file_is_read_whole() {
    let (config, notes) = load(EARLIER, EARLIER_ENV);
    assert_eq!(config.postgresql.host.as_deref(), Some("postgresql.cost-management.svc.cluster.local"));
    assert_eq!(config.postgresql.port, Some(5432));
    assert_eq!(config.postgresql.schema.as_deref(), Some("org1234567"));
    assert_eq!(config.postgresql.password.as_ref().map(Secret::expose), Some("canary-password"));
    assert_eq!(config.s3.endpoint.as_ref().map(Address::expose), Some("http://ceph:7480"));
    assert_eq!((config.s3.allow_http, config.s3.verify_ssl), (false, false));
    assert_eq!(config.run.threads, Some(4));
    assert!(config.run.in_memory);
    assert_eq!((config.ocp.year, config.ocp.month), (Some(2025), Some(11)));
    assert_eq!(config.ocp.start_date.map(|day| day.to_string()).as_deref(), Some("2025-11-01"));
    assert_eq!(
        config.input_prefix().as_deref(),
        Some("data/org42/OCP/source=fa4238b2-62ad-5c41-8747-6ee200183c54/year=2025/month=11")
    );
    let noted: BTreeSet<_> = notes.iter().map(|note| note.key.as_str()).collect();
    for key in ["performance.db_batch_size", "validation.trino.host", "aws.provider_uuid", "cost.markup"] {
        assert!(noted.contains(key), "{key}: {noted:?}");
    }
    assert!(noted.contains("s3.verify_ssl"), "less safe switches are said aloud");
    assert!(!noted.contains("performance.use_bulk_copy"), "what is always so needs no word");
    assert!(notes.iter().all(|note| !note.to_string().contains('\n')), "one line each");
}

#[test]
fn every_key_of_the_table_is_accepted_from_the_file_and_from_its_variable() {
    for key in KEYS {
        let text = match key.form {
            form::Form::Switch => "false".to_owned(),
            form::Form::Count(least, _) => least.to_string(),
            form::Form::Bytes(least) => least.to_string(),
            form::Form::Date => "2025-11-30".to_owned(),
            form::Form::Choice(words) => words[0].to_owned(),
            _ => "1".to_owned(),
        };
        let mut file = String::new();
        for (depth, part) in key.path.split('.').enumerate() {
            file.push_str(&format!("{}{part}:\n", "  ".repeat(depth)));
        }
        let file = format!("{} {text}\n", file.trim_end());
        let (config, notes) = load(&file, &[]);
        assert!(config.settings.get(key.path).is_some(), "{}", key.path);
        let noted = notes.iter().any(|note| note.key == key.path && note.text.starts_with("has no effect"));
        let idle = match key.role {
            Role::Obeyed => false,
            Role::Idle => true,
            Role::Always(position) => position,
        };
        assert_eq!(noted, idle, "{}", key.path);
        for variable in key.variables.iter().map(|name| (*name).to_owned()).chain([key.own_variable()]) {
            let (config, _) = load("", &[(&variable, &text)]);
            let setting = config.settings.get(key.path).unwrap_or_else(|| panic!("{variable}"));
            assert_eq!(setting.origin, Origin::Environment(variable));
        }
    }
}

#[test]
fn keys_and_variables_are_named_once() {
    let mut seen = BTreeSet::new();
    for key in KEYS {
        assert!(seen.insert(key.path.to_owned()), "{}", key.path);
        assert!(seen.insert(key.own_variable()), "{}", key.path);
        for variable in key.variables {
            assert!(seen.insert((*variable).to_owned()), "{variable}");
        }
    }
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_defaults() {
    let file = "s3: {bucket: from-file, timeout: 7, region: r}\n";
    let env = [("S3_BUCKET", "from-env"), ("S3_TIMEOUT", "8")];
    let (config, _) = load_with(file, &env, &[("s3.bucket", "from-flag")]).expect("good");
    assert_eq!(config.s3.bucket.as_deref(), Some("from-flag"));
    assert_eq!(config.s3.timeout, 8);
    assert_eq!(config.s3.region.as_deref(), Some("r"));
    assert_eq!(load("", &[]).0.s3.timeout, 60);
    // The variable of our own name goes before the others, the earlier implementation's order after it.
    let env = [("POC_MONTH", "2"), ("OCP_MONTH", "1"), ("PGHOST", "c"), ("DATABASE_HOST", "b")];
    let (config, _) = load("", &env);
    assert_eq!((config.ocp.month, config.postgresql.host.as_deref()), (Some(2), Some("b")));
    let (config, _) = load("", &[("DAYSUM_OCP_MONTH", "3"), ("POC_MONTH", "2"), ("DAYSUM_THREADS", "5")]);
    assert_eq!((config.ocp.month, config.run.threads), (Some(3), Some(5)));
    // Set to nothing is not set.
    assert_eq!(load("s3: {bucket: b}", &[("S3_BUCKET", "")]).0.s3.bucket.as_deref(), Some("b"));
}

#[test]
fn keys_that_mean_the_same_stand_in_for_each_other() {
    let file = "performance: {use_streaming: false, max_workers: 3}\norganization: {org_id: org7}\n";
    let (config, _) = load(file, &[]);
    assert_eq!((config.run.in_memory, config.run.threads), (true, Some(3)));
    assert_eq!(config.postgresql.schema.as_deref(), Some("org7"));
    assert!(config.to_yaml().contains("mode: in-memory"), "what is shown is what is done");
    let (config, _) =
        load(file, &[("DAYSUM_MODE", "streaming"), ("DAYSUM_THREADS", "1"), ("POSTGRES_SCHEMA", "s")]);
    assert_eq!((config.run.in_memory, config.run.threads), (false, Some(1)));
    assert_eq!(config.postgresql.schema.as_deref(), Some("s"));
}

#[test]
fn a_newer_month_drops_older_days() {
    let file = "ocp: {year: 2025, month: 11, start_date: 2025-11-03, end_date: 2025-11-04}\n";
    let (config, notes) = load(file, &[]);
    assert!(config.ocp.start_date.is_some() && notes.is_empty());
    let (config, notes) = load(file, &[("OCP_MONTH", "12")]);
    assert!(config.ocp.start_date.is_none() && config.ocp.end_date.is_none());
    assert_eq!(notes.len(), 2, "{notes:?}");
    let (config, _) = load(file, &[("OCP_MONTH", "12"), ("OCP_START_DATE", "2025-12-24")]);
    assert_eq!(config.ocp.start_date.map(|day| day.to_string()).as_deref(), Some("2025-12-24"));
    assert!(config.ocp.end_date.is_none());
}

#[test]
fn unknown_keys_are_refused_with_the_one_that_was_meant() {
    for (file, expected) in [
        ("s3:\n  acess_key: x\n", "line 2: unknown key s3.acess_key; did you mean s3.access_key?"),
        ("\nmemory_limit: 1\n", "line 2: unknown key memory_limit; did you mean run.memory_limit?"),
        ("run: [a, b]\n", "line 1: run must be a section with keys of its own"),
        ("s3: {Bucket: b}\n", "line 1: unknown key s3.Bucket; did you mean s3.bucket?"),
        ("ocp: {memory_limit: 1}\n", "line 1: unknown key ocp.memory_limit; did you mean run.memory_limit?"),
        (
            "performance: {use_catgorical: true}\n",
            "line 1: unknown key performance.use_catgorical; did you mean performance.use_categorical?",
        ),
        ("run: {zzz: 1}\n", "line 1: unknown key run.zzz; `daysum config show` lists every key"),
    ] {
        assert_eq!(refused(file, &[]), expected);
    }
    let section = refused("postgres:\n  host: db\n", &[]);
    assert!(
        section.contains("unknown key postgres") && section.contains("did you mean postgresql"),
        "{section}"
    );
    let flag = load_with("", &[], &[("run.thread", "1")]).expect_err("no such key");
    assert_eq!(flag.to_string(), "command line: unknown key run.thread; did you mean run.threads?");
}

#[test]
fn values_of_the_wrong_form_name_line_and_form() {
    for (file, env, expected) in [
        ("run:\n  threads: many\n", &[][..], "line 2: run.threads must be a whole number from 1 to 1024"),
        ("run: {threads: 0}", &[], "line 1: run.threads must be a whole number from 1 to 1024"),
        ("s3: {use_ssl: maybe}", &[], "line 1: s3.use_ssl must be true or false"),
        ("s3: {bucket: [a, b]}", &[], "line 1: s3.bucket must be text, not a list or a mapping"),
        ("ocp: {end_date: 2025-11-31}", &[], "line 1: ocp.end_date must be a date such as 2025-11-30"),
        ("run: {format: xml}", &[], "line 1: run.format must be one of parquet, csv, arrow, jsonl"),
        (
            "",
            &[("POSTGRES_PORT", "http")],
            "environment variable POSTGRES_PORT: postgresql.port must be a whole number from 1 to 65535",
        ),
    ] {
        assert_eq!(refused(file, env), expected);
    }
}

#[test]
fn unset_variables_are_named_together_unless_nobody_needs_them() {
    let file =
        "s3:\n  access_key: ${A}\n  secret_key: x${B}y\n  region: ${C:-}\naws: {provider_uuid: \"${D}\"}\n";
    let text = refused(file, &[]);
    for part in ["line 2: s3.access_key needs the environment variable A", "line 3", "variable B", "${A:-}"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("variable C") && !text.contains("variable D"), "{text}");
    let (config, notes) = load(file, &[("S3_ACCESS_KEY", "a"), ("B", "b")]);
    assert_eq!(config.s3.secret_key.as_ref().map(Secret::expose), Some("xby"));
    assert_eq!(config.s3.region, None);
    let noted: Vec<_> = notes.iter().map(|note| note.key.as_str()).collect();
    assert_eq!(noted, ["aws.provider_uuid"]);
}

#[test]
fn secrets_are_shown_nowhere() {
    let file = "s3: {access_key: canary-1, secret_key: canary-2, session_token: canary-3}\n\
        postgresql: {url: 'postgres://u:canary-4@h/d?password=canary-5', password: canary-6}\n\
        run: {input: 'https://u:canary@7@h/x?X-Amz-Signature=canary-8'}\n";
    let (config, notes) = load(file, &[]);
    let shown = format!("{config:?}{notes:?}{}{:?}", config.to_yaml(), config.effective());
    let json = serde_json::to_string(&config.effective()).expect("plain data");
    let secret = config.s3.access_key.clone().expect("given");
    let shown = format!("{shown}{json}{secret}{secret:?}{}", serde_json::json!(secret));
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(shown.matches("https://u:(hidden)@h/x?(hidden)").count(), 5, "{shown}");
    let input = config.run.input.as_ref().map(Address::expose);
    assert_eq!(
        input,
        Some("https://u:canary@7@h/x?X-Amz-Signature=canary-8"),
        "whoever reads it has it whole"
    );
}

#[test]
fn no_error_repeats_a_value() {
    let canary = "canary-7c1e";
    for file in [
        format!("s3: {{use_ssl: {canary}}}"),
        format!("s3: {{timeout: \"{canary}\"}}"),
        format!("s3: {{secret: {canary}}}"),
        format!("s3:\n  secret_key: '{canary}\n"),
        format!("s3:\n  secret_key: \"\\q{canary}\"\n"),
        format!("s3:\n  secret_key: {canary}: x: y\n"),
        format!("s3:\n  secret_key: {canary}\n bad\n"),
        format!("s3:\n  secret_key: [{canary}]\n"),
        format!("s3:\n  secret_key: @{canary}\n"),
        format!("s3:\n  secret_key: %{canary}\n"),
        format!("s3:\n  secret_key: *{canary}\n"),
        format!("s3:\n  secret_key: !{canary}!x y\n  secret_key: 1\n"),
        "run: {threads: \"${CANARY}\"}".to_owned(),
    ] {
        let error = load_with(&file, &[("CANARY", canary)], &[]).expect_err(&file);
        assert!(!format!("{error} {error:?}").contains(canary), "{error:?}");
    }
}

#[test]
fn what_is_shown_reads_back_as_the_same_configuration() {
    let env: Vec<_> = EARLIER_ENV.iter().copied().filter(|(name, _)| !name.contains("ORG")).collect();
    let (config, _) = load(&EARLIER.replace("${ORG_ID}", "org42"), &env);
    let text = config.to_yaml();
    let (again, _) = load(&text.replace("\"(hidden)\"", ""), &[]);
    assert_eq!(format!("{:?}", again.ocp), format!("{:?}", config.ocp), "{text}");
    assert_eq!(format!("{:?}", again.features), format!("{:?}", config.features));
    assert_eq!(again.run.threads, config.run.threads);
    assert_eq!(again.s3.endpoint, config.s3.endpoint);
    assert!(text.contains("environment variable S3_ENDPOINT") && text.contains("# line"), "{text}");
}

#[test]
fn a_missing_file_and_no_file() {
    let missing = Config::load(Some(&PathBuf::from("/nonexistent/daysum.yaml")), &|_| None);
    assert!(missing.expect_err("it is not there").to_string().contains("/nonexistent/daysum.yaml"));
    let (config, notes) = Config::load(None, &|_| None).expect("defaults");
    assert!(notes.is_empty());
    assert_eq!((config.run.format, config.logging.level, config.run.in_memory), ("parquet", "info", false));
    assert_eq!(config.input_prefix(), None);
}

#[test]
fn prefixes_end_where_templates_part_or_a_value_is_missing() {
    let file = "ocp: {parquet_path_pod: 'data/a/pod/month={month}', parquet_path_storage: data/a/storage}\n";
    assert_eq!(load(file, &[("OCP_MONTH", "2")]).0.input_prefix().as_deref(), Some("data/a"));
    assert_eq!(load(file, &[]).0.input_prefix(), None);
    assert_eq!(load("ocp: {parquet_path_pod: '*/x'}", &[]).0.input_prefix(), None);
}

#[test]
fn without_an_input_the_bucket_is_read() {
    let file = "s3: {bucket: b}\nocp: {parquet_path_pod: data/a/pod, parquet_path_storage: data/a/storage}\n";
    let input = |file, env| load(file, env).0.input().map(|input| input.expose().to_owned());
    assert_eq!(input(file, &[]).as_deref(), Some("s3://b/data/a"));
    assert_eq!(input(file, &[("DAYSUM_INPUT", "in")]).as_deref(), Some("in"));
    assert_eq!(input("s3: {bucket: b}", &[]).as_deref(), Some("s3://b/"));
    assert_eq!(input("run: {threads: 1}", &[]), None);
}

#[test]
fn a_database_on_the_command_line_beats_the_output_of_the_file() {
    let file = "run: {output: out}\n";
    let flag = [("postgresql.url", "postgres://db.example.com/koku")];
    let (config, notes) = load_with(file, &[], &flag).expect("good");
    assert!(config.run.output.is_none() && notes.iter().any(|note| note.key == "run.output"), "{notes:?}");
    let both = "run: {output: out}\npostgresql: {url: postgres://db.example.com/koku}\n";
    assert!(load(both, &[]).0.run.output.is_some());
}
