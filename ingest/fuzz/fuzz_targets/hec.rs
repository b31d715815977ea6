//! See [`ingest_fuzz::hec`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::hec(input));
