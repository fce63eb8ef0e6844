//! The architecture as a test: which module may use which, which crate may use which, and what core never holds.
//!
//! ```text
//! drive > finalise, fold, decode > state > port > rows > schema > labels, like, intern, exact > lookups, day > error > send
//! cli, tests > io-s3, io-postgres > core < wasm        tests > fuzz > core
//! ```
//!
//! An arrow that is missing here is a decision: add it to the table if it points the right way, and write down
//! why if it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each module of core and the modules it may use. What a test module uses is its own affair.
const MODULES: &[(&str, &[&str])] = &[
    ("send", &[]),
    ("error", &["send"]),
    ("day", &["error"]),
    ("lookups", &["day", "error"]),
    ("exact", &["error"]),
    ("intern", &["error"]),
    ("like", &["error", "lookups"]),
    ("labels", &["error", "intern", "lookups"]),
    ("schema", &["day", "error", "intern", "labels"]),
    ("rows", &["day", "error", "exact", "intern", "schema", "send"]),
    ("port", &["day", "error", "rows", "schema", "send"]),
    ("state", &["day", "error", "exact", "intern", "labels", "lookups", "port", "schema"]),
    ("decode", &["day", "error", "port", "schema"]),
    ("fold", &["day", "decode", "error", "exact", "intern", "labels", "port", "schema", "state"]),
    (
        "finalise",
        &["day", "error", "exact", "intern", "labels", "like", "lookups", "port", "rows", "schema", "state"],
    ),
    (
        "drive",
        &[
            "day", "decode", "error", "finalise", "fold", "labels", "lookups", "port", "rows", "schema",
            "send", "state",
        ],
    ),
];

/// Each crate and the crates of ours it may use.
const CRATES: &[(&str, &[&str])] = &[
    ("daysum-core", &[]),
    ("daysum-io-s3", &["daysum-core"]),
    ("daysum-io-postgres", &["daysum-core"]),
    ("daysum-wasm", &["daysum-core"]),
    ("daysum", &["daysum-core", "daysum-io-s3", "daysum-io-postgres"]),
    ("daysum-tests", &["daysum", "daysum-core", "daysum-io-s3", "daysum-io-postgres", "daysum-fuzz"]),
];

/// What core leaves to its callers: files, sockets, threads, clocks, the environment.
const NOT_IN_CORE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env::var",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "println!",
    "eprintln!",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// Every source file of core that is not a test, with its module and its code: no comments, no tests.
fn core_sources() -> Vec<(String, PathBuf, String)> {
    let source = root().join("core/src");
    let (mut files, mut directories) = (Vec::new(), vec![source.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("core/src is readable") {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                let below = path.strip_prefix(&source).expect("it was found below core/src");
                let first = below.iter().next().expect("a file name").to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).expect("a source file is text");
                files.push((module, path, code_of(&text)));
            }
        }
    }
    assert!(files.len() > 20, "core was found: {files:?}");
    files
}

/// The code of a file: test modules stand at its end.
fn code_of(text: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    before_tests.lines().filter(is_code).map(|line| format!("{line}\n")).collect()
}

/// The first segment behind each `crate::`, groups taken apart: `crate::{a::X, b}` is a and b.
fn used(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let segment = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect()
        };
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(segment(rest));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for letter in group.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(segment(&item));
                    item.clear();
                    continue;
                }
                _ => {}
            }
            item.push(letter);
        }
        names.insert(segment(&item));
    }
    names.remove("");
    names
}

/// Names that lib.rs lifts to the root, and the module each comes from.
fn lifted() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("core/src/lib.rs")).expect("core has a lib.rs");
    let mut names = BTreeMap::new();
    for item in code_of(&text).replace('\n', " ").split(';') {
        let Some((module, list)) =
            item.trim().strip_prefix("pub use ").and_then(|path| path.split_once("::"))
        else {
            continue;
        };
        let leaf = |name: &str| name.rsplit([':', ' ']).next().unwrap_or_default().to_owned();
        for name in list.trim_matches(['{', '}', ' ']).split(',') {
            names.insert(leaf(name.trim()), module.to_owned());
        }
    }
    names
}

#[test]
fn modules_of_core_use_only_what_the_table_allows() {
    let table: BTreeMap<_, _> = MODULES.iter().copied().collect();
    let lifted = lifted();
    assert_eq!(lifted.get("Day").map(String::as_str), Some("day"), "lib.rs was understood: {lifted:?}");
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (module, path, code) in core_sources().iter().filter(|(module, ..)| module != "lib") {
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!("{}: module {module} is not in the table", path.display()));
            continue;
        };
        for name in used(code) {
            let target = lifted.get(&name).cloned().unwrap_or(name);
            arrows += 1;
            if target != *module && !allowed.contains(&target.as_str()) {
                wrong.push(format!("{}: {module} uses {target}", path.display()));
            }
        }
        // A module's own file reaches its neighbours by `crate::`, so that the scan above sees it.
        let own_file = path.parent() == Some(&root().join("core/src"))
            || path.file_name().is_some_and(|name| name == "mod.rs");
        if own_file && code.contains("super::") || code.contains("super::super::super::") {
            wrong.push(format!("{}: `super` leaves the module; write `crate::`", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(arrows > 30, "the scan sees the arrows");
}

#[test]
fn arrows_never_form_a_circle() {
    for table in [MODULES, CRATES] {
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        for (name, uses) in table {
            let ahead: Vec<_> =
                uses.iter().filter(|used| **used != "daysum-fuzz" && !placed.contains(**used)).collect();
            assert!(ahead.is_empty(), "{name} uses {ahead:?}, which the table lists at or after it");
            assert!(placed.insert(name), "{name} is listed twice");
        }
    }
}

#[test]
fn the_scan_understands_how_rust_spells_a_path() {
    let text = "use crate::{Day, a::{B, c::D}, e};\n// use crate::comment::X;\nfn f() -> crate::g::H {}\n\
        #[cfg(test)]\nmod tests {\n    use crate::test_only;\n}\n";
    let names: Vec<_> = used(&code_of(text)).into_iter().collect();
    assert_eq!(names, ["Day", "a", "e", "g"]);
}

#[test]
fn core_leaves_the_world_to_its_callers() {
    let mut wrong = Vec::new();
    for (module, path, code) in core_sources() {
        for word in NOT_IN_CORE.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{} has {word}", path.display()));
        }
        if code.contains("target_arch") && module != "send" {
            wrong.push(format!("{} knows about targets; send.rs alone does", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// Names of the crates that core brings along, itself included.
fn tree_of_core(edges: &str, target: &str) -> BTreeSet<String> {
    let options = ["--prefix", "none", "--format", "{p}", "--locked", "--target", target];
    let text = cargo(&[&["tree", "-p", "daysum-core", "-e", edges], &options[..]].concat());
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn core_brings_no_runtime_no_network_and_no_c() {
    for target in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
        let normal = tree_of_core("normal", target);
        assert!(normal.contains("arrow") && normal.contains("parquet"), "{normal:?}");
        let unwanted = ["tokio", "async-std", "smol", "reqwest", "hyper", "object_store", "wasm-bindgen"];
        for name in &normal {
            let bad = unwanted.contains(&name.as_str()) || name.ends_with("-sys");
            assert!(!bad, "core brings {name} on {target}");
        }
        // Whatever compiles C, C++ or assembly does it in a build script.
        for name in tree_of_core("normal,build", target) {
            assert!(
                !["cc", "cmake", "bindgen", "nasm-rs"].contains(&name.as_str()),
                "core compiles with {name}"
            );
        }
    }
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]))
            .expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let table: BTreeMap<_, _> = CRATES.iter().copied().collect();
    assert_eq!(packages.len(), table.len(), "every member of the workspace is in the table");
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let allowed = table.get(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
            let target = dependency["name"].as_str().expect("a dependency has a name");
            // The tests of a crate may use the harness.
            let by_its_tests = dependency["kind"] == "dev" && target == "daysum-tests";
            if target.starts_with("daysum") && !by_its_tests {
                assert!(allowed.contains(&target), "{name} uses {target}");
            }
        }
        assert_eq!(package["license"], "Apache-2.0", "{name}");
        assert_eq!(package["edition"], "2024", "{name}");
        assert!(package["rust_version"].is_string() && package["description"].is_string(), "{name}");
    }
}
