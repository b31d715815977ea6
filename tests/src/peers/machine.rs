//! Where and with what was measured, in one line.

use std::fs;

use chrono::{DateTime, Utc};

use super::programs::Bench;
use super::python::RELEASES;

/// `2026-11-24, AMD EPYC (2 cores, load 0.02 before), Linux 6.18; duckdb 2.0.1, …`.
pub(super) fn describe(bench: &Bench, now: DateTime<Utc>) -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let peers: Vec<String> = RELEASES.iter().map(|release| release.replace("==", " ")).collect();
    format!(
        "{}, {} ({} cores, load {} before), Linux {}; meshwarden {}, arrow-json {}, {}",
        now.format("%Y-%m-%d"),
        model.unwrap_or("unknown processor"),
        bench.cores.len(),
        bench.load,
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        arrow_version(),
        peers.join(", "),
    )
}

/// Processes that ran or wanted to, on average over the last minute: numbers of a busy machine are worth little.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The numbers of the cores that this process may use.
pub(super) fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0");
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The locked version of arrow-json.
fn arrow_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"arrow-json\"");
    lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).unwrap_or("59")
}
