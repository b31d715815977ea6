#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io::Write as _;

use ingest::Decoder;

use super::*;

const SAMPLES: &str = include_str!("../../../../sample-logs/mesh.jsonl");

/// Reads a few bytes at a time, and fails in the end.
struct Dripping(std::io::Cursor<Vec<u8>>, Option<&'static str>);

impl Read for Dripping {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let few = room.len().min(99_991);
        match self.0.read(&mut room[..few])? {
            0 => self.1.take().map_or(Ok(0), |fault| Err(std::io::Error::other(fault))),
            read => Ok(read),
        }
    }
}

/// `log_id` of each row, reason and line of each reject, and the fault.
fn decoded(stream: impl Read + Send + 'static, threads: usize) -> (Vec<String>, Result<(), String>) {
    let options = Arc::new(DecodeOptions::default());
    let settings = Settings { options: &options, source: "in", received_at: DateTime::UNIX_EPOCH, threads };
    let mut batches = Vec::new();
    let end = decode(Box::new(stream), &settings, &ProgressBar::hidden(), &mut |batch| {
        batches.push(batch);
        true
    });
    (named(&batches), end)
}

fn named(batches: &[AccessLogBatch]) -> Vec<String> {
    use arrow::array::AsArray as _;
    let texts = |batch: &arrow::array::RecordBatch, name: &str| {
        let column = batch.column_by_name(name).unwrap().as_string_view().clone();
        column.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    batches.iter().flat_map(|batch| [texts(&batch.rows, "log_id"), texts(&batch.rejects, "detail")].concat()).collect()
}

fn input() -> String {
    let torn = |line: &str| {
        let (head, tail) = line.split_at(line.len() / 2);
        format!("2026-11-22T14:39:24.7Z stdout P {head}\n2026-11-22T14:39:24.8Z stdout F {tail}\nno log\n")
    };
    let torn: String = SAMPLES.lines().map(torn).collect();
    format!("{SAMPLES}{torn}").repeat(3)
}

#[test]
fn any_number_of_threads_yields_the_same_in_order() {
    let input = input();
    let mut decoder = Decoder::new(Arc::new(DecodeOptions::default()), "in", DateTime::UNIX_EPOCH);
    decoder.push(input.as_bytes());
    let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).collect();
    batches.extend(decoder.finish());
    let mut plain = named(&batches);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(input.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for threads in [1, 2, 5] {
        for bytes in [input.clone().into_bytes(), gzip.clone()] {
            let (mut found, end) = decoded(Dripping(std::io::Cursor::new(bytes), None), threads);
            assert_eq!(end, Ok(()));
            // rejects and rows of a batch stand apart, and batches end elsewhere
            found.sort();
            plain.sort();
            assert!(found == plain, "{threads} threads");
        }
    }
}

#[test]
fn rows_come_in_the_order_of_the_input() {
    let input = SAMPLES.repeat(8);
    let (found, _) = decoded(std::io::Cursor::new(input), 3);
    let numbers: Vec<u64> = found.iter().map(|id| id.strip_prefix("in:").unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 20_000);
}

#[test]
fn a_fault_comes_after_what_was_before_it() {
    let input = SAMPLES.repeat(5);
    let lines = input.lines().count();
    let (found, end) = decoded(Dripping(std::io::Cursor::new(input.into_bytes()), Some("the disk is gone")), 2);
    assert_eq!(end, Err("the disk is gone".to_owned()));
    assert_eq!(found.len(), lines);
}

#[test]
fn who_does_not_listen_is_not_fed() {
    let options = Arc::new(DecodeOptions::default());
    let settings = Settings { options: &options, source: "in", received_at: DateTime::UNIX_EPOCH, threads: 2 };
    let mut batches = 0;
    let endless = std::io::repeat(b'\n').take(u64::MAX);
    let stream = std::io::Cursor::new(SAMPLES.repeat(2)).chain(endless);
    let end = decode(Box::new(stream), &settings, &ProgressBar::hidden(), &mut |_| {
        batches += 1;
        false
    });
    assert_eq!((batches, end), (1, Ok(())));
}
