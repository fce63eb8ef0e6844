//! `cargo +nightly fuzz run run`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| daysum_fuzz::run(data));
