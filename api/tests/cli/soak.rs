//! R20: the service under a steady load for long. Memory and open files stay what they are, and files of the tables do not pile up.
//!
//! ```sh
//! MESHWARDEN_SOAK_SECONDS=3600 cargo test --release -p api --test cli soak:: -- --nocapture    # 90 seconds in the usual run
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use super::client::post;
use super::killed::line;
use super::service::Service;
use super::{command, text};

/// Lines of a body, and bodies a second.
const LINES: u64 = 400;
const EVERY: Duration = Duration::from_millis(100);

/// What is looked at.
#[derive(Clone, Copy, Debug)]
struct Sample {
    seconds: f64,
    resident_mb: f64,
    open_files: usize,
    parquet_files: usize,
}

fn sample(process: &str, data: &Path, begun: Instant) -> Sample {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: f64 = resident.trim().split(' ').next().unwrap().parse().unwrap();
    let days = std::fs::read_dir(data.join("access_logs")).into_iter().flatten().map(|day| day.unwrap().path());
    let parquet = days.filter(|day| day.to_str().unwrap().contains("day=")).map(|day| std::fs::read_dir(day).unwrap());
    Sample {
        seconds: begun.elapsed().as_secs_f64(),
        resident_mb: resident / 1e3,
        open_files: std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
        parquet_files: parquet.map(Iterator::count).sum(),
    }
}

/// The slope of a line through points, by least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / count, y + b / count));
    let (above, below) =
        points.fold((0.0, 0.0), |(above, below), (a, b)| (above + (a - x) * (b - y), below + (a - x) * (a - x)));
    above / below
}

#[test]
fn memory_and_files_stay_what_they_are() {
    let seconds: u64 = std::env::var("MESHWARDEN_SOAK_SECONDS").map_or(90, |seconds| seconds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("meshwarden.toml"));
    // much happens in little time
    std::fs::write(&config, "[store]\nflush_seconds = 1\nkeep_old_files_seconds = 0\n").unwrap();
    let args =
        ["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()];
    let service = Service::spawn(&mut command(&args)).unwrap_or_else(|(said, _)| panic!("{said}"));
    let (process, begun) = (service.process(), Instant::now());
    let (mut samples, mut sent) = (Vec::new(), 0_u64);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let due = begun + EVERY * u32::try_from(sent / LINES).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // event time goes on ten times as fast as the clock
        let body: String = (sent..sent + LINES).map(|n| line(&n.to_string(), n / 4) + "\n").collect();
        assert_eq!(post(service.address(), "/api/v1/ingest", "", &body).unwrap().status, 200);
        sent += LINES;
        if sent.is_multiple_of(LINES * 10) {
            samples.push(sample(&process, &data, begun));
        }
    }
    service.stop();
    let (first, later) = samples.split_at(samples.len() / 2);
    let of_later = slope(later.iter().map(|sample| (sample.seconds / 3600.0, sample.resident_mb)));
    let (open, parquet) = (|sample: &Sample| sample.open_files, |sample: &Sample| sample.parquet_files);
    let most = |of: fn(&Sample) -> usize, samples: &[Sample]| samples.iter().map(of).max().unwrap();
    let median = |of: fn(&Sample) -> f64, samples: &[Sample]| {
        let mut values: Vec<f64> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let resident = |samples: &[Sample]| median(|sample| sample.resident_mb, samples);
    let largest = samples.iter().map(|sample| sample.resident_mb).fold(0.0, f64::max);
    println!(
        "{sent} lines in {seconds} s: resident {:.0} MB in the first half, {:.0} MB in the second (medians; {of_later:.1} MB an hour), {largest:.0} MB at most; open files at most {} and {}; Parquet files at most {}, {} in the end",
        resident(first),
        resident(later),
        most(open, first),
        most(open, later),
        most(parquet, &samples),
        samples.last().unwrap().parquet_files,
    );
    let all = super::run(&[
        "sql",
        "SELECT count(*) AS n, count(DISTINCT request_id) AS ids FROM access_logs",
        "--data",
        args[2],
        "--output",
        "csv",
    ]);
    assert_eq!(text(&all.stdout), format!("n,ids\n{sent},{sent}\n"));
    // detections hold what their windows of five minutes hold: until those have passed, memory grows, and has only its bound
    // (those of an hour, and whatever else the machine does in it: what waits for its turn is held, too)
    assert!(largest < if seconds < 1200 { 1200.0 } else { 1600.0 }, "memory has no bound");
    let (middle, end) = samples[samples.len() / 3..].split_at(samples.len() / 3);
    assert!(seconds < 1200 || resident(end) < resident(middle) * 1.1 + 20.0, "memory grows");
    // a compaction opens the files that it reads, and closes them: what stays open is open at the quietest moment, too
    let least = later.iter().map(open).min().unwrap();
    assert!(least <= most(open, first) + 10, "files stay open");
    assert!(most(open, &samples) < 200, "files are open all at once");
    // one a second until the next minute's compaction, those that it is reading, and what it made
    assert!(most(parquet, &samples) < 160, "files pile up");
}
