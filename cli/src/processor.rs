//! Whether this processor can run what was compiled, so that it says so instead of dying of an illegal instruction.

use std::fs;

/// What `.cargo/config.toml` has the compiler use, by Linux's names, where it was so compiled.
const COMPILED_FOR: &[&str] =
    if cfg!(target_feature = "avx2") { &["avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"] } else { &[] };

/// What is lacking, as a message. Nothing is where the system does not tell.
pub(crate) fn lacks() -> Option<String> {
    lacking(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn lacking(told: &str) -> Option<String> {
    let has: Vec<&str> = told.lines().find(|line| line.starts_with("flags"))?.split_whitespace().collect();
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
        assert_eq!(lacking(&told(&COMPILED_FOR.join(" "))), None);
        assert_eq!(lacking("model name: no flags are told\n"), None);
        assert_eq!(lacking(&told("sse2")).is_some(), !COMPILED_FOR.is_empty());
    }
}
