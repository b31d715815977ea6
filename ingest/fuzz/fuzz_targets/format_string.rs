//! See [`ingest_fuzz::format_string`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::format_string(input));
