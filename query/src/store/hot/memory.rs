//! How much memory a batch really holds, and how to make it hold less.
//!
//! Text columns are views into shared input blocks: fifty columns may point into one block of a megabyte. Arrow's own
//! `get_array_memory_size` would count that block fifty times; here every allocation counts once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayData, ArrayRef, AsArray as _, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

/// Bytes of all allocations that this batch keeps alive, each counted once.
pub(super) fn held(rows: &RecordBatch) -> usize {
    let mut seen = HashSet::new();
    rows.columns().iter().map(|column| held_by(&column.to_data(), &mut seen)).sum()
}

fn held_by(data: &ArrayData, seen: &mut HashSet<usize>) -> usize {
    let mut once =
        |buffer: &Buffer| if seen.insert(buffer.data_ptr().as_ptr() as usize) { buffer.capacity() } else { 0 };
    let mut bytes: usize = data.buffers().iter().map(&mut once).sum();
    if let Some(nulls) = data.nulls() {
        bytes += once(nulls.buffer());
    }
    bytes + data.child_data().iter().map(|child| held_by(child, seen)).sum::<usize>()
}

/// The same rows with text and bytes copied into buffers of their own, so that the input blocks can be freed.
pub(super) fn compact(rows: &RecordBatch) -> RecordBatch {
    let columns = rows
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        })
        .collect();
    // Same schema, same types, same lengths: this cannot fail; if it did, the rows as they are would be right as well.
    RecordBatch::try_new(rows.schema(), columns).unwrap_or_else(|_| rows.clone())
}
