//! See [`ingest_fuzz::inflate`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::inflate(input));
