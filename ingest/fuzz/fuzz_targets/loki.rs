//! See [`ingest_fuzz::loki`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::loki(input));
