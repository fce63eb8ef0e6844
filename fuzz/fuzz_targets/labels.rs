//! `cargo +nightly fuzz run labels`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| daysum_fuzz::labels(data));
