//! Formats of a mesh's own, written by real Envoys and read by what its MeshConfig says: each line is the row that the same event is in Istio's default JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use chrono::{DateTime, Utc};
use ingest::mesh_config::LogFormat;
use ingest::{DecodeOptions, Decoder, JsonFormat, MeshFormats, TextFormat};
use tests::mesh::{CUSTOM, CustomFormat, Run};

/// Columns that depend on how the format says it, or on the format itself.
const NOT_COMPARED: [&str; 3] = ["source", "log_id", "extra"];

/// Lines of the formats that have two readings, because a caller put the separator into a header: those with a tab in the user agent, on two proxies.
const AMBIGUOUS: [usize; 4] = [2, 0, 0, 0];

fn options(format: CustomFormat) -> DecodeOptions {
    let MeshFormats { providers, problems, .. } = MeshFormats::parse(&format.mesh_config());
    assert_eq!(problems, []);
    let mut options = DecodeOptions::default();
    for provider in providers {
        match &provider.format {
            LogFormat::Text(text) => options.add_text_format(TextFormat::compile(text).unwrap()),
            LogFormat::Json(labels) => options.add_json_format(&JsonFormat::compile(labels).unwrap(), false).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    options
}

/// Rows by line, and the reasons of the lines that are none.
fn decoded(options: DecodeOptions, log: &[u8]) -> (BTreeMap<u64, (RecordBatch, usize)>, BTreeMap<u64, String>) {
    let mut decoder = Decoder::new(Arc::new(options), "log", DateTime::<Utc>::UNIX_EPOCH);
    decoder.push(log);
    let mut batches: Vec<_> = std::iter::from_fn(|| decoder.next_batch()).collect();
    batches.extend(decoder.finish());
    let (mut rows, mut rejects) = (BTreeMap::new(), BTreeMap::new());
    for batch in batches {
        let ids = batch.rows.column_by_name("log_id").unwrap().as_string_view().clone();
        for (row, id) in ids.iter().enumerate() {
            rows.insert(id.unwrap().strip_prefix("log:").unwrap().parse().unwrap(), (batch.rows.clone(), row));
        }
        let column = |name| batch.rejects.column_by_name(name).unwrap();
        let lines = column("line").as_primitive::<arrow::datatypes::Int64Type>();
        for (row, line) in lines.values().iter().enumerate() {
            let text = |name| column(name).as_string_view().value(row).to_owned();
            rejects.insert(line.cast_unsigned(), format!("{}: {}", text("reason"), text("detail")));
        }
    }
    (rows, rejects)
}

pub(super) fn formats_of_the_mesh_s_own_read_alike(run: &Run) {
    let (plain, rejects) = decoded(DecodeOptions::default(), &run.logs.istio_json);
    assert!(rejects.is_empty() && plain.len() > 1000);
    for ((format, log), ambiguous) in CUSTOM.into_iter().zip(&run.logs.custom).zip(AMBIGUOUS) {
        let name = format.file_name;
        let (rows, rejects) = decoded(options(format), log);
        assert_eq!(rows.len() + rejects.len(), plain.len(), "{name}");
        assert_eq!(rejects.len(), ambiguous, "{name}: {rejects:#?}");
        assert!(rejects.values().all(|reject| reject.contains("more than one way")), "{name}: {rejects:#?}");
        for (line, (rows, row)) in rows {
            let (plain, plain_row) = &plain[&line];
            let schema = rows.schema();
            for (number, field) in schema.fields().iter().enumerate() {
                let cell = |column: &ArrayRef, row| column.slice(row, 1);
                let (custom, plain) = (cell(rows.column(number), row), cell(plain.column(number), *plain_row));
                if !NOT_COMPARED.contains(&field.name().as_str()) {
                    assert_eq!(custom.as_ref(), plain.as_ref(), "{name}:{line}, {}", field.name());
                }
            }
        }
    }
}
