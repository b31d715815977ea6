//! The program that measures meshwarden beside its peers, in short: what needs no Python, over a small file.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_short_measurement_has_a_table_and_numbers() {
    let cache = tempfile::tempdir().unwrap();
    let run = |further: &[&str]| {
        let mut peers = Command::new(env!("CARGO_BIN_EXE_peers"));
        peers.args(["--bytes", "1M", "--runs", "1", "--only", "floor", "--only", "arrow-json", "--only", "zcat"]);
        peers.args(["--only", "decode-recommended", "--only", "decode-istio", "--only", "text", "--only", "gzip"]);
        let output = peers.args(further).env("MESHWARDEN_CACHE", cache.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = run(&[]);
    for words in
        ["| work | program |", "| decode, all keys, recommended format | meshwarden |", "arrow-json", "floor", "zcat"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    let numbers: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(numbers["works"].as_array().unwrap().len(), 4);
    let samples = &numbers["works"][0]["programs"][0]["samples"];
    assert_eq!(samples[0]["rows"], numbers["works"][0]["programs"][0]["lines"]);
}
