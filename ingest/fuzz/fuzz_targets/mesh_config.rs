//! See [`ingest_fuzz::mesh_config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest_fuzz::mesh_config(input));
