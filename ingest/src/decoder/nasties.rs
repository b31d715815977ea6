//! Lines that break parsers, each between two good ones: it becomes the right row or the right reject, and its neighbours are kept, by both
//! decoders, however the bytes are cut.
//!
//! ```text
//! good ⏎ nasty ⏎ good      nasty at the end, without ⏎      BOM good ⏎ nasty ⏎ good
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::reject::SAMPLE_BYTES;
use cases::{BOUND, cases, path, reject};

/// What one line of a case becomes. A case holds several where it has line breaks.
#[derive(Debug, Clone)]
enum Is {
    /// A row with these columns, `name=value`, or `name=` for null; `extra` is null where it is not named.
    Row(Vec<String>),
    /// A reject, its bytes as they are.
    Reject(RejectReason),
    /// A reject whose bytes are kept without a secret.
    Redacted(RejectReason, Vec<u8>),
    Nothing,
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    lines: Vec<Is>,
}

fn options() -> Arc<DecodeOptions> {
    Arc::new(DecodeOptions::default())
}

fn decoders() -> [(&'static str, Decoder); 2] {
    let now = DateTime::from_timestamp_micros(1).unwrap();
    [("fast", Decoder::new(options(), "in", now)), ("reference", Decoder::reference(options(), "in", now))]
}

fn run(mut decoder: Decoder, input: &[u8], piece: usize) -> AccessLogBatch {
    for piece in input.chunks(piece) {
        decoder.push(piece);
    }
    decoder.finish().unwrap()
}

/// A value as text, times in µs; nothing for null.
fn cell(batch: &RecordBatch, column: &str, row: usize) -> String {
    let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    let array: ArrayRef = match array.data_type() {
        DataType::Timestamp(..) => arrow::compute::cast(array, &DataType::Int64).unwrap(),
        _ => Arc::clone(array),
    };
    if array.is_null(row) {
        return String::new();
    }
    ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).unwrap().value(row).to_string()
}

/// Checks what became of an input in which the nasty one's first line is that, and begins there.
fn check(
    what: &str,
    batch: &AccessLogBatch,
    case: &Case,
    (mut number, mut offset): (u64, usize),
    good: &[(u64, &str)],
) {
    let mut rows: Vec<(u64, Vec<String>)> =
        good.iter().map(|(number, path)| (*number, vec![format!("path=/{path}")])).collect();
    let mut rejects = 0;
    for (is, raw) in case.lines.iter().zip(case.bytes.split(|byte| *byte == b'\n')) {
        let line = raw.strip_suffix(b"\r").unwrap_or(raw);
        let (reason, kept) = match is {
            Is::Nothing => (None, line),
            Is::Row(columns) => {
                rows.push((number, columns.clone()));
                (None, line)
            }
            Is::Reject(reason) => (Some(*reason), line),
            Is::Redacted(reason, kept) => (Some(*reason), kept.as_slice()),
        };
        if let Some(reason) = reason {
            let told = cell(&batch.rejects, "detail", rejects);
            assert_eq!(cell(&batch.rejects, "reason", rejects), reason.as_str(), "{what}: {told}");
            assert_eq!(cell(&batch.rejects, "line", rejects), number.to_string(), "{what}: line");
            assert_eq!(cell(&batch.rejects, "byte_offset", rejects), offset.to_string(), "{what}: byte offset");
            assert_eq!(cell(&batch.rejects, "length", rejects), line.len().to_string(), "{what}: length");
            assert_eq!(cell(&batch.rejects, "sha256", rejects), hex(&Sha256::digest(line)), "{what}: sha256");
            let kept = if reason == RejectReason::LineTooLong { &kept[..SAMPLE_BYTES] } else { kept };
            let raw = batch.rejects.column_by_name("raw").unwrap().as_binary_view().value(rejects);
            assert!(raw == kept, "{what}: {}", String::from_utf8_lossy(raw));
            assert!(!told.is_empty() && told.len() < 400, "{what}: {told}");
            rejects += 1;
        }
        number += 1;
        offset += raw.len() + 1;
    }
    rows.sort();
    assert_eq!((batch.rows.num_rows(), batch.rejects.num_rows()), (rows.len(), rejects), "{what}");
    assert_eq!(batch.rejects.column_by_name("line").unwrap().as_primitive::<Int64Type>().null_count(), 0);
    for (place, (number, columns)) in rows.iter().enumerate() {
        assert_eq!(cell(&batch.rows, "log_id", place), format!("in:{number}"), "{what}");
        let mut extra = "";
        for column in columns {
            let (name, expected) = column.split_once('=').unwrap();
            let found = cell(&batch.rows, name, place);
            assert!(found == expected, "{what}: {name} is {found:.200}, not {expected:.200}");
            extra = if name == "extra" { expected } else { extra };
        }
        assert!(extra == cell(&batch.rows, "extra", place), "{what}: {:.200}", cell(&batch.rows, "extra", place));
    }
}

fn good(path: &str) -> String {
    format!(r#"{{"start_time":5,"path":"/{path}","method":"GET"}}"#)
}

/// A case within an input.
struct Input {
    bytes: Vec<u8>,
    /// Where the case begins.
    offset: usize,
    /// Number and path of each good line.
    good: Vec<(u64, &'static str)>,
}

/// Between good lines; with a byte order mark before them; at the end, without a line break.
fn surrounded(case: &Case) -> [Input; 3] {
    let (before, after) = (good("before"), good("after"));
    let between = [before.as_bytes(), b"\n", &case.bytes, b"\n", after.as_bytes(), b"\n"].concat();
    let marked = ["\u{feff}".as_bytes(), &between].concat();
    let last = [before.as_bytes(), b"\n", &case.bytes].concat();
    let start = before.len() + 1;
    let neighbours = vec![(1, "before"), (2 + case.lines.len() as u64, "after")];
    [
        Input { bytes: between, offset: start, good: neighbours.clone() },
        Input { bytes: marked, offset: start + 3, good: neighbours },
        Input { bytes: last, offset: start, good: vec![(1, "before")] },
    ]
}

fn check_case(case: &Case, inputs: &[Input]) {
    assert_eq!(case.lines.len(), case.bytes.split(|byte| *byte == b'\n').count(), "{}", case.name);
    // megabytes byte by byte take minutes, and the cutting of long lines has a test of its own (blocks)
    let pieces: &[usize] = if case.bytes.len() > 1 << 20 { &[4096] } else { &[1, 7, 4096] };
    for piece in pieces {
        for Input { bytes, offset, good } in inputs {
            for (decoder_name, decoder) in decoders() {
                let shown = String::from_utf8_lossy(case.bytes.get(..80).unwrap_or(&case.bytes));
                let what = format!("{} ({shown}), {decoder_name}, pieces of {piece}", case.name);
                check(&what, &run(decoder, bytes, *piece), case, (2, *offset), good);
            }
        }
    }
}

#[test]
fn nasty_lines() {
    let cases = cases();
    assert!(cases.len() >= 120, "{}", cases.len());
    for case in &cases {
        check_case(case, &surrounded(case));
    }
}

#[test]
fn a_line_of_ten_megabytes() {
    assert_eq!(DecodeOptions::default().max_line_bytes, BOUND);
    let case = reject("ten megabytes", path(&b"x".repeat(10 << 20)), RejectReason::LineTooLong);
    let [between, ..] = surrounded(&case);
    check_case(&case, &[between]);
}
