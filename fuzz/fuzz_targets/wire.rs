//! `cargo +nightly fuzz run wire`
#![no_main]

libfuzzer_sys::fuzz_target!(init: daysum_fuzz::only_uncaught_panics(), |data: &[u8]| {
    daysum_fuzz::wire(data);
});
