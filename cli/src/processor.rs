//! Whether this processor can run what was compiled, so that it says so instead of dying of an illegal instruction.

use std::fs::File;
use std::io::{BufRead, BufReader};

/// What `.cargo/config.toml` has the compiler use, by Linux's names, where it was so compiled.
const COMPILED_FOR: &[&str] =
    if cfg!(target_feature = "avx2") { &["avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"] } else { &[] };

/// What is lacking, as a message. Nothing is where the system does not tell.
pub(crate) fn lacks() -> Option<String> {
    lacking(BufReader::new(File::open("/proc/cpuinfo").ok()?))
}

/// What is told of the first processor is enough: the others follow, and there can be hundreds.
fn lacking(told: impl BufRead) -> Option<String> {
    let flags = told.lines().map_while(Result::ok).find(|line| line.starts_with("flags"))?;
    let has: Vec<&str> = flags.split_whitespace().collect();
    let lacking = COMPILED_FOR.iter().find(|feature| !has.contains(feature))?;
    Some(format!(
        "this processor has no {lacking}, for which this program was compiled; build it with RUSTFLAGS=-Ctarget-cpu=x86-64"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_processor_is_told_of() {
        let told = |flags: &str| format!("processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t:\n");
        assert_eq!(lacking(told(&COMPILED_FOR.join(" ")).as_bytes()), None);
        assert_eq!(lacking("model name: no flags are told\n".as_bytes()), None);
        assert_eq!(lacking(told("sse2").as_bytes()).is_some(), !COMPILED_FOR.is_empty());
    }
}
