//! See [`ingest_fuzz::als`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::als(input));
