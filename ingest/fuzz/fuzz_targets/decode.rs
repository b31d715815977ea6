//! See [`ingest_fuzz::decode`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::decode(input));
