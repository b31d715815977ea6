//! Every seed of the fuzz targets, and with them what once made one fail, goes through its target.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

type Target = fn(&[u8]);

#[test]
fn every_seed() {
    let targets: [(&str, Target); 11] = [
        ("decode", targets::decode),
        ("decode_configured", targets::decode_configured),
        ("format_string", targets::format_string),
        ("mesh_config", targets::mesh_config),
        ("inflate", targets::inflate),
        ("als", targets::als),
        ("otlp", targets::otlp),
        ("otlp_json", targets::otlp_json),
        ("hec", targets::hec),
        ("bulk", targets::bulk),
        ("loki", targets::loki),
    ];
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    assert_eq!(std::fs::read_dir(&seeds).unwrap().count(), targets.len());
    for (name, target) in targets {
        let mut paths: Vec<_> = std::fs::read_dir(seeds.join(name)).unwrap().map(|seed| seed.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{name}");
        for path in paths {
            let seed = std::fs::read(&path).unwrap();
            let run = std::panic::catch_unwind(|| target(&seed));
            assert!(run.is_ok(), "{}", path.display());
        }
    }
}
