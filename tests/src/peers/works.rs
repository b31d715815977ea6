//! The works, who does them, and what meshwarden is to reach.

use super::error::PeersError;
use super::files::LogFile;
use super::measure::Sample;
use super::options::Options;
use super::programs::{Bench, Program};
use super::python;
use crate::mesh::Format;

/// One kind of work and those who do it; meshwarden first.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) programs: Vec<Program>,
    pub(super) targets: &'static [Target],
}

/// What meshwarden is to reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// So many times the lines a second of a peer.
    Times(&'static str, f64),
    /// So many bytes a second, as an aim.
    Rate(f64),
}

/// A work done: the samples of each program, run after run.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) work: Work,
    pub(super) samples: Vec<Vec<Sample>>,
}

const DECODE: &[Target] =
    &[Target::Times("duckdb", 4.0), Target::Times("arrow-json", 6.0), Target::Times("floor", 0.4)];
/// 1 GB/s.
const SCAN: &[Target] = &[Target::Times("duckdb", 2.0), Target::Rate(1e9)];

/// The works that are asked for.
pub(super) fn all(bench: &Bench, options: &Options) -> Result<Vec<Work>, PeersError> {
    let make = |format: Format| LogFile::plain(&bench.folder, format, options.bytes);
    let mut works = Vec::new();
    for (name, title, format) in [
        ("decode-recommended", "decode, all keys, recommended format", Format::Recommended),
        ("decode-istio", "decode, all keys, Istio's default JSON", Format::IstioJson),
    ] {
        if options.does(name) {
            let file = make(format)?;
            let mut programs = vec![
                bench.own("meshwarden", "", "decode", &file),
                bench.own("floor", "", "floor", &file),
                bench.own("arrow-json", "Utf8", "arrow-json", &file),
                bench.own("arrow-json", "Utf8View", "arrow-json-views", &file),
            ];
            programs.extend(bench.readers(format, &file));
            works.push(Work { name, title, programs, targets: DECODE });
        }
    }
    if options.does("text") {
        let (text, json) = (make(Format::IstioText)?, make(Format::IstioJson)?);
        let programs =
            vec![bench.own("meshwarden", "", "decode", &text), bench.own("meshwarden, JSON", "", "decode", &json)];
        let targets = &[Target::Times("meshwarden, JSON", 1.0)];
        works.push(Work { name: "text", title: "decode, Istio's default TEXT", programs, targets });
    }
    if options.does("gzip") {
        let file = make(Format::Recommended)?.gzipped()?;
        let programs = vec![bench.own("meshwarden", "", "decode-gzip", &file), bench.zcat(&file)];
        works.push(Work { name: "gzip", title: "inflate and decode, gzip", programs, targets: &[] });
    }
    if options.does("scan") {
        let programs = bench.scans(&make(Format::Recommended)?)?.into();
        works.push(Work { name: "scan", title: "scan, all detections, 2 cores", programs, targets: SCAN });
    }
    if options.does("table") {
        let file = make(Format::Recommended)?;
        let mut programs = vec![bench.own("meshwarden", "", "table", &file)];
        programs.push(bench.python(&python::COPIER, Format::Recommended, &file, "zstd"));
        let targets = &[Target::Times("duckdb", 1.5)];
        works.push(Work {
            name: "table",
            title: "file into a durable Delta table (DuckDB: into Parquet)",
            programs,
            targets,
        });
    }
    for work in &mut works {
        work.programs.retain(|program| options.runs_peer(program.peer) || program.peer.starts_with("meshwarden"));
    }
    Ok(works)
}

impl Work {
    /// Runs every program `options.runs` times, taking turns.
    pub(super) fn measure(self, options: &Options) -> Result<Done, PeersError> {
        let mut samples = vec![Vec::new(); self.programs.len()];
        for _ in 0..options.runs {
            for (program, samples) in self.programs.iter().zip(&mut samples) {
                let sample = program.invocation.run()?;
                if let Some(rows) = sample.rows.filter(|rows| *rows != program.file.lines) {
                    let (work, lines) = (self.name, program.file.lines);
                    return Err(PeersError::Rows { work, program: program.invocation.name.clone(), rows, lines });
                }
                samples.push(sample);
            }
        }
        Ok(Done { work: self, samples })
    }
}

impl Done {
    /// Every program with the median of its seconds, in order.
    pub(super) fn medians(&self) -> Vec<(&Program, f64)> {
        let median = |samples: &Vec<Sample>| {
            let mut seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
        };
        self.work.programs.iter().zip(&self.samples).map(|(program, samples)| (program, median(samples))).collect()
    }

    /// The fastest way of each peer, in the order of the first ways.
    pub(super) fn fastest(&self) -> Vec<(&Program, f64)> {
        let mut fastest: Vec<(&Program, f64)> = Vec::new();
        for (program, seconds) in self.medians() {
            match fastest.iter_mut().find(|(other, _)| other.peer == program.peer) {
                Some(place) if seconds < place.1 => *place = (program, seconds),
                Some(_) => {}
                None => fastest.push((program, seconds)),
            }
        }
        fastest
    }
}
