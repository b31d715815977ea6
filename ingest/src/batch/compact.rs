//! Rows with memory of their own: texts of a decoded batch are views of its input, all of which stays in memory with it.
//!
//! ```text
//!  views of 64 KiB blocks of lines ─▶ a buffer for each column, in which a text that was there a few rows ago is not there again
//! ```
//! Access logs repeat themselves: hosts, principals, policies. Kept once, they take a third of the memory, and as many more rows fit into a flush.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringViewArray};
use arrow::buffer::Buffer;

use crate::unchecked::string_views;

/// Texts that are remembered, each in a place that its bytes give.
const REMEMBERED: usize = 256;
/// Texts up to this length are in their views.
const INLINE: u32 = 12;

/// The same batch, each text column with a buffer of its own that holds nothing else.
pub(crate) fn compact(batch: &RecordBatch) -> RecordBatch {
    let column = |column: &ArrayRef| -> ArrayRef {
        match column.as_string_view_opt() {
            Some(array) if array.null_count() < array.len() => Arc::new(texts(array)),
            // no texts, no bytes of lines
            _ => Arc::clone(column),
        }
    };
    // columns of the same types and lengths make a batch again
    RecordBatch::try_new(batch.schema(), batch.columns().iter().map(column).collect()).unwrap_or_else(|_| batch.clone())
}

fn texts(array: &StringViewArray) -> StringViewArray {
    let mut bytes: Vec<u8> = Vec::new();
    let mut views = Vec::with_capacity(array.len());
    let mut known = [0_u128; REMEMBERED];
    for (row, view) in array.views().iter().enumerate() {
        if array.is_null(row) {
            views.push(0);
            continue;
        }
        let length = *view as u32;
        if length <= INLINE {
            views.push(*view);
            continue;
        }
        let text = array.value(row).as_bytes();
        let place = place(text);
        let seen = known.get(place).copied().unwrap_or(0);
        // length and first bytes, then all of them
        if seen as u64 == *view as u64 && at(&bytes, seen) == Some(text) {
            views.push(seen);
            continue;
        }
        let Ok(offset) = u32::try_from(bytes.len()) else { return array.gc() };
        bytes.extend_from_slice(text);
        let new = u128::from(*view as u64) | u128::from(offset) << 96;
        views.push(new);
        if let Some(known) = known.get_mut(place) {
            *known = new;
        }
    }
    bytes.shrink_to_fit();
    string_views(views, &Arc::from([Buffer::from_vec(bytes)]), array.nulls().cloned())
}

/// The text of one of these views.
fn at(bytes: &[u8], view: u128) -> Option<&[u8]> {
    let (offset, length) = ((view >> 96) as usize, view as u32 as usize);
    bytes.get(offset..offset + length)
}

/// By the last bytes, in which texts differ that begin alike.
fn place(text: &[u8]) -> usize {
    let last = text.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
    let mixed = (last ^ (text.len() as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % REMEMBERED
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use arrow::datatypes::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_stay_what_they_are(texts in prop::collection::vec(prop::option::of("[ab]{0,2}[xy]{0,14}[ab]{0,2}"), 0..400), start in 0..100_usize) {
            let array = StringViewArray::from(texts);
            let array = array.slice(start.min(array.len()), array.len() - start.min(array.len()));
            prop_assert_eq!(super::texts(&array), array);
        }
    }

    #[test]
    fn what_repeats_is_there_once() {
        let (long, other) =
            ("spiffe://cluster.local/ns/shop/sa/orders", "outbound|8080||payments.bank.svc.cluster.local");
        let rows: Vec<Option<&str>> =
            (0..300).map(|row| [Some(long), Some(other), None, Some("short")][row % 4]).collect();
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8View, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringViewArray::from(rows))]).unwrap();
        let compacted = compact(&batch);
        assert_eq!(compacted, batch);
        let buffers = compacted.column(0).as_string_view().data_buffers();
        assert_eq!(buffers.iter().map(Buffer::len).sum::<usize>(), long.len() + other.len());
    }
}
