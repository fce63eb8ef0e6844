//! The fuzz corpus, replayed on stable: what a fuzzer once found stays found.

use std::path::Path;

fn replay(target: &str, action: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&directory).expect("the corpus is part of the repository") {
        let path = entry.expect("a directory entry").path();
        eprintln!("{}", path.display()); // shown where the action panics: which input it was
        action(&std::fs::read(&path).expect("a corpus file is readable"));
        inputs += 1;
    }
    assert!(inputs >= 5, "{target} has a corpus: {inputs} inputs");
}

#[test]
fn decode() {
    replay("decode", daysum_fuzz::decode);
}

#[test]
fn labels() {
    replay("labels", daysum_fuzz::labels);
}

#[test]
fn wire() {
    replay("wire", daysum_fuzz::wire);
}

#[test]
fn run() {
    replay("run", daysum_fuzz::run);
}
