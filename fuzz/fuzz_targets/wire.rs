//! `cargo +nightly fuzz run wire`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    daysum_fuzz::wire(data);
});
