//! Which row groups a query can leave out because their bloom filters say that what it looks for is not there.
//!
//! ```text
//!  footer (cached) ─▶ where the filter begins ─▶ its header, and of its blocks the one (32 bytes) that the value's hash falls into
//! ```
//! DataFusion reads filters whole, a quarter of a megabyte for each row group, and does so after this for the row groups that are left. The layout is
//! Parquet's (`BloomFilter.md` of the format: a Thrift header, then split blocks, chosen by the upper half of xxHash64); whatever does not look like it
//! leaves nothing out.

use std::fs::File;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectMeta;
use object_store::local::LocalFileSystem;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;
use twox_hash::XxHash64;

use super::partitioned;
use crate::store::cold::{BLOOM_FILTERS, ColdFile};

/// Files that are looked at at a time.
const AT_ONCE: usize = 4;
/// Bytes of a block.
const BLOCK: usize = 32;
/// Longest header.
const HEADER: usize = 64;

/// A column that must have one of some values.
#[derive(Debug, PartialEq, Eq)]
struct LookedFor {
    column: &'static str,
    values: Vec<String>,
}

/// What to read of each file; `None`: all of it, as far as bloom filters know.
pub(super) async fn plans(
    state: &dyn Session,
    files: &[&ColdFile],
    filters: &[Expr],
) -> Result<Vec<Option<ParquetAccessPlan>>> {
    let looked_for: Vec<LookedFor> = filters.iter().flat_map(split_conjunction).filter_map(LookedFor::of).collect();
    if looked_for.is_empty() || files.iter().any(|file| file.place.as_folder().is_none()) {
        return Ok(files.iter().map(|_| None).collect());
    }
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let looked_for: Arc<[LookedFor]> = looked_for.into();
    let mut plans = Vec::with_capacity(files.len());
    for file in files {
        let (meta, path) = (partitioned(file)?.object_meta, file.shown());
        let (cache, looked_for) = (Arc::clone(&cache), Arc::clone(&looked_for));
        // a footer is let go of at once: those of all files together may be large, and nothing bounds them but the cache
        plans.push(async move {
            let footer = footer(meta, cache).await?;
            let plan = tokio::task::spawn_blocking(move || {
                File::open(path).ok().map(|file| plan(&file, &footer, &looked_for))
            });
            plan.await.map_err(|error| DataFusionError::External(Box::new(error)))
        });
    }
    futures::stream::iter(plans).buffered(AT_ONCE).try_collect().await
}

/// Where everything is in a file.
async fn footer(file: ObjectMeta, cache: Arc<FileMetadataCache>) -> Result<Arc<ParquetMetaData>> {
    let store = LocalFileSystem::new();
    DFParquetMetadata::new(&store, &file).with_file_metadata_cache(Some(cache)).fetch_metadata().await
}

impl LookedFor {
    /// `column = 'text'`, `'text' = column`, `column IN ('text', …)`.
    fn of(filter: &Expr) -> Option<Self> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                let of = |column, value| Some(Self { column: name(column)?, values: vec![text(value)?] });
                of(left, right).or_else(|| of(right, left))
            }
            Expr::InList(list) if !list.negated => {
                Some(Self { column: name(&list.expr)?, values: list.list.iter().map(text).collect::<Option<_>>()? })
            }
            _ => None,
        }
    }
}

fn name(expr: &Expr) -> Option<&'static str> {
    let Expr::Column(column) = expr else { return None };
    BLOOM_FILTERS.into_iter().find(|name| *name == column.name)
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text), _) => {
            text.clone()
        }
        _ => None,
    }
}

fn plan(file: &File, footer: &ParquetMetaData, looked_for: &[LookedFor]) -> ParquetAccessPlan {
    let mut plan = ParquetAccessPlan::new_all(footer.num_row_groups());
    let columns = footer.file_metadata().schema_descr().columns();
    for LookedFor { column, values } in looked_for {
        let Some(place) = columns.iter().position(|known| known.path().string() == *column) else { continue };
        for (number, group) in
            footer.row_groups().iter().enumerate().filter(|(number, _)| plan.should_scan(*number)).collect::<Vec<_>>()
        {
            let chunk = group.column(place);
            let filter = chunk.bloom_filter_offset().zip(chunk.bloom_filter_length());
            let may_hold =
                |value: &String| filter.and_then(|(offset, length)| holds(file, offset, length, value)).unwrap_or(true);
            if !values.iter().any(may_hold) {
                plan.skip(number);
            }
        }
    }
    plan
}

/// Whether a bloom filter says that it may hold a value; `None`: it cannot be read, or is not as it should be.
fn holds(file: &File, offset: i64, length: i32, value: &str) -> Option<bool> {
    let (offset, length) = (u64::try_from(offset).ok()?, usize::try_from(length).ok()?);
    // blocks are a power of two, and the header is small
    let blocks = length.checked_ilog2().map(|bits| 1_usize << bits)? / BLOCK;
    let header = length - blocks * BLOCK;
    if blocks == 0 || !(1..=HEADER).contains(&header) {
        return None;
    }
    let mut bytes = [0; HEADER];
    let bytes = bytes.get_mut(..header)?;
    read(file, bytes, offset)?;
    if said_length(bytes)? != blocks * BLOCK {
        return None;
    }
    let hash = XxHash64::oneshot(0, value.as_bytes());
    let number = ((hash >> 32) * blocks as u64) >> 32;
    let mut block = [0; BLOCK];
    read(file, &mut block, offset + header as u64 + number * BLOCK as u64)?;
    // a filter of that one block
    Some(Sbbf::new(&block).check(value))
}

/// `numBytes`, the first field of the header in Thrift's compact form: its number and type, then a zigzag varint.
fn said_length(header: &[u8]) -> Option<usize> {
    let (first, rest) = header.split_first()?;
    if *first != 0x15 {
        return None;
    }
    let mut number = 0_u64;
    for (place, byte) in rest.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return (number & 1 == 0).then_some(usize::try_from(number >> 1).ok()?);
        }
    }
    None
}

#[cfg(unix)]
fn read(file: &File, bytes: &mut [u8], offset: u64) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset).ok()
}

#[cfg(not(unix))]
fn read(_file: &File, _bytes: &mut [u8], _offset: u64) -> Option<()> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use datafusion::prelude::{col, lit};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use proptest::prelude::*;

    use super::*;

    /// A file of one column, row groups of so many rows.
    fn file(ids: &[String], rows: usize) -> File {
        let file = tempfile::tempfile().unwrap();
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(ids));
        let batch = RecordBatch::try_from_iter([("request_id", column)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows))
            .set_bloom_filter_enabled(true)
            .set_bloom_filter_fpp(0.01)
            .build();
        let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn groups(file: &File, value: &str) -> Vec<usize> {
        let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
        let looked_for = [LookedFor { column: "request_id", values: vec![value.to_owned()] }];
        plan(file, reader.metadata(), &looked_for).row_group_indexes()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_there_is_never_left_out(ids in prop::collection::vec("[a-f0-9é]{0,40}", 1..600), rows in 1..200_usize) {
            let file = file(&ids, rows);
            for (row, id) in ids.iter().enumerate() {
                prop_assert!(groups(&file, id).contains(&(row / rows)), "{id}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_nearly_never_looked_for() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("id {n}")).collect();
        let file = file(&ids, 1000);
        let found: usize = (0..500).map(|n| groups(&file, &format!("other {n}")).len()).sum();
        assert!(found < 500 * 20 / 50, "{found}");
        assert_eq!(groups(&file, "id 7777").first(), Some(&7));
    }

    #[test]
    fn only_what_must_be_is_looked_for() {
        let of = |filter: Expr| LookedFor::of(&filter).map(|it| (it.column, it.values));
        let some = |column, values: &[&str]| Some((column, values.iter().map(|value| (*value).to_owned()).collect()));
        assert_eq!(of(col("request_id").eq(lit("a"))), some("request_id", &["a"]));
        assert_eq!(of(lit("a").eq(col("source_ip"))), some("source_ip", &["a"]));
        assert_eq!(of(col("request_id").in_list(vec![lit("a"), lit("b")], false)), some("request_id", &["a", "b"]));
        assert_eq!(of(col("request_id").in_list(vec![lit("a")], true)), None);
        assert_eq!(of(col("request_id").not_eq(lit("a"))), None);
        assert_eq!(of(col("path").eq(lit("a"))), None);
        assert_eq!(of(col("request_id").eq(lit("a")).or(col("source_ip").eq(lit("b")))), None);
    }

    #[test]
    fn a_header_that_is_none_leaves_nothing_out() {
        assert_eq!(said_length(&[0x15, 0x80, 0x01]), Some(64));
        assert_eq!(
            (said_length(&[0x15, 0x81, 0x01]), said_length(&[0x25, 0x80, 0x01]), said_length(&[0x15, 0x80])),
            (None, None, None)
        );
    }
}
