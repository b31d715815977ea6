//! The builder of one column.

use std::sync::Arc;

use arrow::array::builder::{NullBufferBuilder, make_view};
use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryViewBuilder, BooleanBuilder, Int32Builder, Int64Builder, TimestampMicrosecondBuilder,
};
use arrow::buffer::Buffer;

use super::arena::{Arena, Origin};
use crate::row::Value;
use crate::schema::ColumnType;
use crate::unchecked::string_views;

#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Text(Views),
    Binary(BinaryViewBuilder),
    Int64(Int64Builder),
    Int32(Int32Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Views of texts: all of them of the batch's buffers.
#[derive(Debug)]
pub(super) struct Views {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
}

/// Where texts come from and where they go.
#[derive(Debug)]
pub(super) struct Texts<'a> {
    /// The line that the row is made of, and where it stands.
    pub(super) line: &'a [u8],
    pub(super) origin: Origin,
    pub(super) made: &'a mut Arena,
}

impl Texts<'_> {
    #[inline]
    fn view(&mut self, text: &str) -> u128 {
        let bytes = text.as_bytes();
        // up to twelve bytes stand in the view itself
        if bytes.len() <= 12 {
            return make_view(bytes, 0, 0);
        }
        let Origin { buffer, offset } = self.within_line(bytes).unwrap_or_else(|| self.made.put(bytes));
        make_view(bytes, buffer, offset)
    }

    /// Where the text stands, if it is a piece of the line itself.
    #[inline]
    fn within_line(&self, text: &[u8]) -> Option<Origin> {
        let start = (text.as_ptr() as usize).checked_sub(self.line.as_ptr() as usize)?;
        let inside = start.checked_add(text.len()).is_some_and(|end| end <= self.line.len());
        let offset = u32::try_from(start).ok()?.checked_add(self.origin.offset)?;
        inside.then_some(Origin { offset, ..self.origin })
    }
}

impl ColumnBuilder {
    pub(super) fn new(data_type: ColumnType, rows: usize) -> Self {
        match data_type {
            ColumnType::Text => {
                ColumnBuilder::Text(Views { views: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) })
            }
            ColumnType::Binary => ColumnBuilder::Binary(BinaryViewBuilder::new()),
            ColumnType::Int64 => ColumnBuilder::Int64(Int64Builder::with_capacity(rows)),
            ColumnType::Int32 => ColumnBuilder::Int32(Int32Builder::with_capacity(rows)),
            ColumnType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Timestamp => {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows);
                ColumnBuilder::Timestamp(builder.with_data_type(data_type.arrow()))
            }
        }
    }

    /// Appends the value of a row; the rows before it that have none are null.
    #[inline]
    pub(super) fn append(&mut self, row: usize, value: &Value<'_>, texts: &mut Texts<'_>) {
        if self.len() < row {
            self.pad(row);
        }
        match (self, value) {
            (ColumnBuilder::Text(builder), Value::Text(text)) => {
                builder.views.push(texts.view(text));
                builder.nulls.append_non_null();
            }
            (ColumnBuilder::Binary(builder), Value::Binary(bytes)) => builder.append_value(bytes),
            (ColumnBuilder::Int64(builder), Value::Int64(number)) => builder.append_value(*number),
            (ColumnBuilder::Int32(builder), Value::Int32(number)) => builder.append_value(*number),
            (ColumnBuilder::Boolean(builder), Value::Boolean(truth)) => builder.append_value(*truth),
            (ColumnBuilder::Timestamp(builder), Value::Timestamp(micros)) => builder.append_value(*micros),
            // null, or of another type, which `Row::set` rules out
            (builder, _) => builder.pad(row + 1),
        }
    }

    /// Cells so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            ColumnBuilder::Text(builder) => builder.views.len(),
            ColumnBuilder::Binary(builder) => builder.len(),
            ColumnBuilder::Int64(builder) => builder.len(),
            ColumnBuilder::Int32(builder) => builder.len(),
            ColumnBuilder::Boolean(builder) => builder.len(),
            ColumnBuilder::Timestamp(builder) => builder.len(),
        }
    }

    /// Appends nulls until there are so many cells.
    pub(super) fn pad(&mut self, rows: usize) {
        let nulls = rows.saturating_sub(self.len());
        match self {
            ColumnBuilder::Text(builder) => {
                builder.views.resize(builder.views.len() + nulls, 0);
                builder.nulls.append_n_nulls(nulls);
            }
            ColumnBuilder::Binary(builder) => (0..nulls).for_each(|_| builder.append_null()),
            ColumnBuilder::Int64(builder) => builder.append_nulls(nulls),
            ColumnBuilder::Int32(builder) => builder.append_nulls(nulls),
            ColumnBuilder::Boolean(builder) => builder.append_nulls(nulls),
            ColumnBuilder::Timestamp(builder) => builder.append_nulls(nulls),
        }
    }

    /// The array; `buffers` are those of the batch.
    pub(super) fn finish(&mut self, buffers: &Arc<[Buffer]>) -> ArrayRef {
        match self {
            ColumnBuilder::Text(builder) => {
                let rows = builder.views.len();
                let views = std::mem::replace(&mut builder.views, Vec::with_capacity(rows));
                Arc::new(string_views(views, buffers, builder.nulls.finish()))
            }
            ColumnBuilder::Binary(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}
