//! The works that this program does itself, each in a process of its own: `peers --child WORK FILE`.
//!
//! ```text
//! decode        file ─ 1 MiB chunks ─▶ Decoder ─▶ batches, dropped           what `meshwarden scan` does on its reading thread
//! decode-gzip   the same through Inflater
//! arrow-json    file ─▶ arrow_json::Reader, inferred schema, full width ─▶ batches of 8,192 rows, dropped
//! floor         file ─ 1 MiB chunks ─▶ is it UTF-8, where are the newlines   what nobody can do without
//! table         file ─ decoder ─▶ store in a folder beside the file, on stable storage   what the service does with a body
//! write         so many bytes of lines to stdout
//! ```
//! Says `{"seconds", "rows"}`.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema;
use chrono::{DateTime, Utc};
use ingest::inflate::Inflater;
use ingest::{DecodeOptions, Decoder};
use query::store::{Store, StoreOptions};
use serde_json::json;

use super::error::PeersError;
use super::files;
use crate::mesh::Format;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Rows of arrow-json's batches.
const ROWS: usize = 8192;
/// Lines that arrow-json's schema is inferred from: several passes over all kinds of lines.
const SAMPLE: usize = 10_000;

/// Does one work and returns what it says.
///
/// # Errors
/// If the work is unknown or fails.
pub fn child(arguments: &[String]) -> Result<String, PeersError> {
    let [work, argument] = arguments else { return Err(PeersError::Child { given: arguments.join(" ") }) };
    let path = Path::new(argument);
    let unknown = || PeersError::Child { given: arguments.join(" ") };
    let work: fn(&Path, File) -> Result<u64, PeersError> = match work.as_str() {
        "decode" => |path, file| decode(file).map_err(PeersError::file(path)),
        "decode-gzip" => |path, file| decode_gzip(path, file),
        "floor" => |path, file| floor(file).map_err(PeersError::file(path)),
        "table" => return table(path),
        "arrow-json" => return arrow_json(path, |strings| strings),
        "arrow-json-views" => return arrow_json(path, |_| DataType::Utf8View),
        "write" => {
            let bytes = argument.parse().map_err(|_| unknown())?;
            let mut out = io::BufWriter::with_capacity(CHUNK, io::stdout().lock());
            files::write(Format::Recommended, bytes, &mut out).map_err(PeersError::file("standard output"))?;
            return Ok(String::new());
        }
        _ => return Err(unknown()),
    };
    let file = File::open(path).map_err(PeersError::file(path))?;
    let started = Instant::now();
    let rows = work(path, file)?;
    Ok(said(started, rows))
}

fn said(started: Instant, rows: u64) -> String {
    json!({"seconds": started.elapsed().as_secs_f64(), "rows": rows}).to_string()
}

pub(super) fn decoder() -> Decoder {
    Decoder::new(Arc::new(DecodeOptions::default()), "peers", DateTime::<Utc>::UNIX_EPOCH)
}

/// Rows only: a line that was rejected is one too few.
fn decode(mut file: File) -> io::Result<u64> {
    let mut decoder = decoder();
    let mut rows = 0;
    loop {
        let length = file.read(decoder.space())?;
        if length == 0 {
            break;
        }
        decoder.fill(length);
        while let Some(batch) = decoder.next_batch() {
            rows += black_box(batch.rows).num_rows();
        }
    }
    rows += decoder.finish().map_or(0, |batch| batch.rows.num_rows());
    Ok(rows as u64)
}

fn decode_gzip(path: &Path, mut file: File) -> Result<u64, PeersError> {
    let mut decoder = decoder();
    let mut inflater = Inflater::new(None);
    let mut chunk = vec![0; CHUNK];
    let mut rows = 0;
    loop {
        let length = file.read(&mut chunk).map_err(PeersError::file(path))?;
        if length == 0 {
            break;
        }
        inflater.push(chunk.get(..length).unwrap_or_default(), &mut |plain| decoder.push(plain))?;
        while let Some(batch) = decoder.next_batch() {
            rows += black_box(batch.rows).num_rows();
        }
    }
    inflater.finish(&mut |plain| decoder.push(plain))?;
    rows += decoder.finish().map_or(0, |batch| batch.rows.num_rows());
    Ok(rows as u64)
}

/// As many rows in memory as the service has.
fn table(path: &Path) -> Result<String, PeersError> {
    // beside the file: the same disk
    let folder = path.parent().map_or_else(tempfile::tempdir, tempfile::tempdir_in).map_err(PeersError::file(path))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PeersError::file(path))?;
    let mut file = File::open(path).map_err(PeersError::file(path))?;
    runtime.block_on(async {
        let store = Store::open(folder.path(), StoreOptions::default()).await?;
        let started = Instant::now();
        let mut decoder = decoder();
        loop {
            let length = file.read(decoder.space()).map_err(PeersError::file(path))?;
            decoder.fill(length);
            while let Some(batch) = decoder.next_batch() {
                store.append(&batch.compact()).await?;
                if store.wants_flush() {
                    store.flush().await?;
                }
            }
            if length == 0 {
                break;
            }
        }
        if let Some(batch) = decoder.finish() {
            store.append(&batch.compact()).await?;
        }
        store.flush().await?;
        let seconds = started.elapsed().as_secs_f64();
        let bytes: u64 = store.tables().iter().map(|table| table.bytes).sum();
        Ok(json!({"seconds": seconds, "rows": store.stats().cold_rows, "bytes": bytes}).to_string())
    })
}

/// `text` says which type texts have; inferring them is not part of the work.
fn arrow_json(path: &Path, text: fn(DataType) -> DataType) -> Result<String, PeersError> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(CHUNK, file)).map_err(PeersError::file(path));
    let inferred = infer_json_schema(open()?, Some(SAMPLE))?.0;
    let schema = Arc::new(Schema::new(texts_as(inferred.fields(), text)));
    let file = open()?;
    let started = Instant::now();
    let mut rows = 0;
    for batch in ReaderBuilder::new(schema).with_batch_size(ROWS).build(file)? {
        rows += black_box(batch?).num_rows();
    }
    Ok(said(started, rows as u64))
}

/// The fields with another type for texts, at any depth that access logs have.
fn texts_as(fields: &Fields, text: fn(DataType) -> DataType) -> Fields {
    let of = |field: &Arc<Field>| {
        let data_type = match field.data_type() {
            DataType::Utf8 => text(DataType::Utf8),
            DataType::Struct(inner) => DataType::Struct(texts_as(inner, text)),
            other => other.clone(),
        };
        Field::new(field.name(), data_type, true)
    };
    fields.iter().map(of).collect()
}

/// The lines, if all of it is UTF-8.
fn floor(mut file: File) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let (mut kept, mut lines) = (0, 0);
    loop {
        let length = file.read(chunk.get_mut(kept..).unwrap_or_default())?;
        if length == 0 {
            return if kept == 0 {
                Ok(lines)
            } else {
                Err(io::Error::other("no line end within a chunk, or at the end"))
            };
        }
        let held = kept + length;
        let bytes = chunk.get(..held).unwrap_or_default();
        // a character may be cut by the chunk's end, a line's end cuts none
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        let bytes = bytes.get(..whole).unwrap_or_default();
        simdutf8::basic::from_utf8(bytes).map_err(io::Error::other)?;
        for end in memchr::memchr_iter(b'\n', bytes) {
            black_box(end);
            lines += 1;
        }
        chunk.copy_within(whole..held, 0);
        kept = held - whole;
    }
}
