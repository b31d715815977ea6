#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::mesh::{Format, ISTIO_JSON};
use crate::peers::child::decoder;
use crate::peers::render::render;

/// Two passes and a bit.
const LINES: usize = 6_000;

#[test]
fn every_line_is_an_access_log() {
    for format in Format::ALL {
        let mut decoder = decoder();
        let mut line = Vec::new();
        for values in Traffic::new().take(LINES) {
            line.clear();
            render(&values, format, &mut line);
            decoder.push(&line);
        }
        let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).collect();
        batches.extend(decoder.finish());
        let rejects: usize = batches.iter().map(|batch| batch.rejects.num_rows()).sum();
        let rows: usize = batches.iter().map(|batch| batch.rows.num_rows()).sum();
        assert_eq!((rows, rejects), (LINES, 0), "{format:?}");
    }
}

#[test]
fn no_line_is_like_another_and_times_go_on() {
    let lines: Vec<Line> = Traffic::new().take(LINES).collect();
    let distinct: BTreeSet<String> = lines.iter().map(|line| Value::from(line.clone()).to_string()).collect();
    assert_eq!(distinct.len(), LINES);
    assert!(distinct.iter().all(|line| !line.contains(PODS)), "an address of the samples is left");
    // each pass is behind the one before it
    let times: Vec<i64> = lines.iter().filter_map(started).collect();
    let passes: Vec<_> =
        times.chunks(2644).map(|pass| (pass.iter().min().unwrap(), pass.iter().max().unwrap())).collect();
    assert!(passes.windows(2).all(|pair| pair[0].1 < pair[1].0), "{passes:?}");
}

#[test]
fn both_sides_of_a_request_agree() {
    let traffic = Traffic::new();
    let samples = traffic.samples.clone();
    let of = |line: &Line, key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut sides: BTreeMap<String, BTreeSet<[Option<String>; 2]>> = BTreeMap::new();
    // the second pass: it is of another cell than the samples
    for (sample, line) in samples.iter().zip(traffic.skip(samples.len())) {
        let Some(id) = of(sample, "request_id").filter(|_| sample["original_path"].is_null()) else { continue };
        assert!(
            of(&line, "downstream_local_uri_san").is_none_or(|san| san.contains("-01/sa/") || san.contains("istio"))
        );
        sides.entry(id).or_default().insert([of(&line, "request_id"), of(&line, "path")]);
    }
    let differ: Vec<_> = sides.iter().filter(|(id, sides)| id.len() == 36 && sides.len() > 1).collect();
    assert!(differ.is_empty() && sides.len() > 1000, "{} of {}: {differ:?}", differ.len(), sides.len());
}

#[test]
fn istio_json_has_istio_keys() {
    let mut line = Vec::new();
    render(&Traffic::new().next().unwrap(), Format::IstioJson, &mut line);
    let object: Line = serde_json::from_slice(&line).unwrap();
    assert_eq!(object.len(), ISTIO_JSON.len());
    assert_eq!(object["start_time"].as_str().unwrap().len(), "2026-11-01T00:00:00.000Z".len());
}
