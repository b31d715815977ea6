//! The report: a Markdown table, or every number as JSON.
//!
//! MB are 10⁶ bytes. A ratio is meshwarden's lines a second over the other's: above 1, meshwarden is faster.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::error::PeersError;
use super::measure::Sample;
use super::memory::{MOST, Memory, OF};
use super::programs::Program;
use super::works::{Done, Target};

/// Everything measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: String,
    pub(super) works: Vec<Done>,
    pub(super) memory: Option<Memory>,
    /// What could not be measured, and why.
    pub(super) failures: Vec<(&'static str, PeersError)>,
}

impl Report {
    /// The table, with what the fastest ways and the findings were under it.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        text.push_str(
            "| work | program | MB/s | lines/s | meshwarden is | to reach | met |\n|---|---|--:|--:|--:|---|---|\n",
        );
        for done in &self.works {
            rows(done, &mut text);
        }
        if let Some(memory) = &self.memory {
            let most = memory.sample.memory.unwrap_or_default();
            let (bytes, met) = (
                mega(memory.bytes),
                if most <= MOST && memory.bytes < OF { "read too little to say" } else { yes(most <= MOST) },
            );
            let _ = writeln!(
                text,
                "| memory of scan, {bytes} MB | meshwarden | | | {} MB resident | at most {} MB of {} MB read | {met} |",
                mega(most),
                mega(MOST),
                mega(OF)
            );
        }
        for done in &self.works {
            notes(done, &mut text);
        }
        for (work, why) in &self.failures {
            let _ = write!(text, "\n{work}: **not measured**: {why}.\n");
        }
        text.trim_end().to_owned()
    }

    /// Every sample of every way.
    pub(super) fn json(&self) -> String {
        let works: Vec<Value> = self.works.iter().map(work_json).collect();
        let memory = self.memory.as_ref().map(|memory| json!({"bytes": memory.bytes, "sample": memory.sample.json()}));
        let failures: Vec<_> =
            self.failures.iter().map(|(work, why)| json!({"work": work, "why": why.to_string()})).collect();
        json!({"machine": self.machine, "works": works, "memory": memory, "failures": failures}).to_string()
    }
}

fn rows(done: &Done, text: &mut String) {
    let fastest = done.fastest();
    let own = fastest.first().map(|(program, seconds)| lines_a_second(program, *seconds)).unwrap_or_default();
    for (place, (program, seconds)) in fastest.iter().enumerate() {
        let bytes_a_second = program.file.bytes as f64 / seconds;
        let lines = lines_a_second(program, *seconds);
        let ratio = own / lines;
        let wanted = done.work.targets.iter().find_map(|target| match *target {
            Target::Times(peer, times) if peer == program.peer => {
                let times_text = if times < 1.0 { format!("{:.0} %", times * 100.0) } else { format!("{times} ×") };
                Some((format!("at least {times_text}"), ratio >= times))
            }
            Target::Rate(rate) if place == 0 => Some((format!("aim: {:.0} MB/s", rate / 1e6), bytes_a_second >= rate)),
            _ => None,
        });
        let (wanted, met) = wanted.map_or_else(Default::default, |(wanted, met)| (wanted, yes(met)));
        let title = if place == 0 { done.work.title } else { "" };
        let ratio = if place == 0 { String::new() } else { format!("{ratio:.2} ×") };
        let (rate, lines, name) = (bytes_a_second / 1e6, thousands(lines), &program.invocation.name);
        let _ = writeln!(text, "| {title} | {name} | {rate:.0} | {lines} | {ratio} | {wanted} | {met} |");
    }
}

/// Other ways, memory and findings.
fn notes(done: &Done, text: &mut String) {
    let ways: Vec<String> = done
        .medians()
        .into_iter()
        .filter(|(program, _)| !program.way.is_empty())
        .map(|(program, seconds)| {
            format!("{} {:.0}", program.invocation.name, program.file.bytes as f64 / seconds / 1e6)
        })
        .collect();
    if !ways.is_empty() {
        let _ = write!(text, "\n{}: every way, MB/s: {}.\n", done.work.name, ways.join(", "));
    }
    let sizes = done.work.programs.iter().zip(&done.samples).filter_map(|(program, samples)| {
        Some(format!("{} {} MB", program.invocation.name, mega(samples.last()?.bytes?)))
    });
    let sizes: Vec<String> = sizes.collect();
    if !sizes.is_empty() {
        let _ = write!(text, "\n{}: what was written: {}.\n", done.work.name, sizes.join(", "));
    }
    for (program, samples) in done.work.programs.iter().zip(&done.samples) {
        let Some(Sample { memory: Some(memory), findings: Some(findings), .. }) = samples.last() else { continue };
        let counts: Vec<String> = findings.iter().map(|(detection, count)| format!("{detection} {count}")).collect();
        let _ = write!(
            text,
            "\n{}: {} had at most {} MB resident and found: {}.\n",
            done.work.name,
            program.invocation.name,
            mega(*memory),
            counts.join(", ")
        );
    }
}

fn work_json(done: &Done) -> Value {
    let programs: Vec<Value> = done
        .medians()
        .into_iter()
        .zip(&done.samples)
        .map(|((program, median), samples)| {
            json!({
                "program": program.peer, "way": program.way, "bytes": program.file.bytes, "lines": program.file.lines,
                "median_seconds": median, "samples": samples.iter().map(Sample::json).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"work": done.work.name, "programs": programs})
}

fn lines_a_second(program: &Program, seconds: f64) -> f64 {
    program.file.lines as f64 / seconds
}

fn yes(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

fn mega(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// `1,234,567`.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
