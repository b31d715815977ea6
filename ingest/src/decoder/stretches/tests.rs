#![allow(clippy::unwrap_used, clippy::expect_used)]
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use proptest::prelude::*;

use super::*;

const SAMPLES: &str = include_str!("../../../../sample-logs/mesh.jsonl");

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1).unwrap()
}

/// Rows, rejects, lines and bytes of everything.
fn whole(batches: &[AccessLogBatch]) -> (RecordBatch, RecordBatch, u64, u64) {
    let all =
        |pick: fn(&AccessLogBatch) -> &RecordBatch, schema| concat_batches(&schema, batches.iter().map(pick)).unwrap();
    (
        all(|batch| &batch.rows, crate::schema::access_logs()),
        all(|batch| &batch.rejects, crate::schema::rejects()),
        batches.iter().map(|batch| batch.lines).sum(),
        batches.iter().map(|batch| batch.bytes).sum(),
    )
}

/// Where rows and rejects come from.
fn shown(rows: &RecordBatch, rejects: &RecordBatch) -> String {
    let text =
        |batch: &RecordBatch, name, row| batch.column_by_name(name).unwrap().as_string_view().value(row).to_owned();
    let rows = (0..rows.num_rows()).map(|row| text(rows, "log_id", row));
    let rejects =
        (0..rejects.num_rows()).map(|row| text(rejects, "reason", row) + ": " + &text(rejects, "detail", row));
    rows.chain(rejects).collect::<Vec<_>>().join("\n")
}

/// Two decoders take the stretches in turn; how often one had to be decoded again.
fn side_by_side(options: &Arc<DecodeOptions>, mut stretches: Stretches, input: &[u8]) -> (Vec<AccessLogBatch>, usize) {
    let mut decoders = [0, 1].map(|_| StretchDecoder::new(options.clone(), "in", now()));
    stretches.push(input);
    let mut cut: Vec<Stretch> = std::iter::from_fn(|| stretches.next_stretch()).collect();
    cut.extend(stretches.finish());
    let (mut batches, mut carried, mut again) = (Vec::new(), Carried::nothing(), 0);
    for (number, stretch) in cut.iter().enumerate() {
        assert_eq!(stretch.number(), number as u64);
        let decoder = &mut decoders[number % 2];
        let mut decoded = decoder.decode(stretch, Carried::nothing());
        if !carried.is_nothing() {
            decoded = decoder.decode(stretch, carried);
            again += 1;
        }
        batches.extend(decoded.0);
        carried = decoded.1;
    }
    batches.extend(decoders[0].finish(carried));
    (batches, again)
}

fn in_one_go(options: &Arc<DecodeOptions>, input: &[u8]) -> Vec<AccessLogBatch> {
    let mut decoder = Decoder::new(options.clone(), "in", now());
    decoder.push(input);
    let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).collect();
    batches.extend(decoder.finish());
    batches
}

#[test]
fn many_stretches_are_the_whole() {
    let pieces = |line: &str| {
        let (head, tail) = line.split_at(line.len() / 2);
        format!("2026-11-22T14:39:24.7Z stdout P {head}\n2026-11-22T14:39:24.8Z stdout F {tail}\n")
    };
    let bare = SAMPLES.repeat(3);
    let inputs = [bare.clone(), bare.lines().map(pieces).collect(), format!("\u{feff}{}", bare.trim_end())];
    for input in inputs {
        let options = Arc::new(DecodeOptions::default());
        let (batches, _) = side_by_side(&options, Stretches::new(&options), input.as_bytes());
        assert!(batches.len() > 4);
        assert_eq!(whole(&batches), whole(&in_one_go(&options, input.as_bytes())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn stretches_are_the_whole_wherever_they_are_cut(
        lines in prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize), 1..30),
        block in 1..6_000_usize,
        longest in prop_oneof![Just(100_usize), Just(1 << 20)],
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")],
    ) {
        let samples: Vec<&str> = SAMPLES.lines().collect();
        let mut input = String::new();
        for (sample, kind) in &lines {
            let line = samples[sample.index(samples.len())];
            let (head, tail) = line.split_at(line.len() / 3);
            let head = match kind {
                0 => format!("2026-11-22T14:39:24.7Z stdout P {head}{end}2026-11-22T14:39:24.8Z stdout F {tail}"),
                // its end never comes, or the end of another
                1 => format!("2026-11-22T14:39:24.7Z stderr P {head}"),
                2 => format!("2026-11-22T14:39:24.7Z stderr F {tail}"),
                3 => format!("__CURSOR=s=1;i=2{end}_HOSTNAME=node-1{end}MESSAGE={line}{end}"),
                4 => format!("__CURSOR=s=1;i=3{end}MESSAGE={line}"),
                5 => "no log".to_owned(),
                _ => line.to_owned(),
            };
            input.push_str(&head);
            input.push_str(end);
        }
        let options = Arc::new(DecodeOptions { max_line_bytes: longest, batch_rows: 7, ..DecodeOptions::default() });
        let mut stretches = Stretches::new(&options);
        stretches.blocks = Blocks::sized(longest, block, block);
        stretches.least = 1;
        let (batches, _) = side_by_side(&options, stretches, input.as_bytes());
        let (cut, plain) = (whole(&batches), whole(&in_one_go(&options, input.as_bytes())));
        prop_assert_eq!(cut.2, plain.2);
        // blank lines at the end count to a batch if there is one left to count them to
        let blank = input.len() - input.trim_end().len();
        prop_assert!(cut.3.abs_diff(plain.3) <= blank as u64, "{} {}", cut.3, plain.3);
        let same = cut.0 == plain.0 && cut.1 == plain.1;
        prop_assert!(same, "{}\n\n{}", shown(&cut.0, &cut.1), shown(&plain.0, &plain.1));
    }
}

#[test]
fn a_torn_record_makes_the_next_stretch_be_decoded_again() {
    let options = Arc::new(DecodeOptions::default());
    let line = SAMPLES.lines().next().unwrap();
    let (head, tail) = line.split_at(100);
    let input = format!("2026-11-22T14:39:24.7Z stdout P {head}\n2026-11-22T14:39:24.8Z stdout F {tail}\n");
    let mut stretches = Stretches::new(&options);
    stretches.blocks = Blocks::sized(1 << 20, 150, 150);
    stretches.least = 1;
    let (batches, again) = side_by_side(&options, stretches, input.as_bytes());
    assert_eq!(again, 1);
    let (rows, rejects, ..) = whole(&batches);
    assert_eq!((rows.num_rows(), rejects.num_rows()), (1, 0));
}
