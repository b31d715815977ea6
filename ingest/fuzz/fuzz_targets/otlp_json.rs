//! See [`ingest_fuzz::otlp_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::otlp_json(input));
