//! The builder of one column.

use std::sync::Arc;

use arrow::array::builder::{NullBufferBuilder, make_view};
use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Int32Builder, Int64Builder, TimestampMicrosecondBuilder,
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

    #[inline]
    pub(super) fn append(&mut self, value: &Value<'_>, texts: &mut Texts<'_>) {
        match (self, value) {
            // most cells are texts, and most of these are null
            (ColumnBuilder::Text(builder), Value::Text(text)) => {
                builder.views.push(texts.view(text));
                builder.nulls.append_non_null();
            }
            (ColumnBuilder::Text(builder), _) => {
                builder.views.push(0);
                builder.nulls.append_null();
            }
            (builder, value) => builder.append_other(value),
        }
    }

    #[inline(never)]
    fn append_other(&mut self, value: &Value<'_>) {
        match (self, value) {
            (ColumnBuilder::Text(_), _) => {}
            (ColumnBuilder::Binary(builder), Value::Binary(bytes)) => builder.append_value(bytes),
            (ColumnBuilder::Binary(builder), _) => builder.append_null(),
            (ColumnBuilder::Int64(builder), Value::Int64(number)) => builder.append_value(*number),
            (ColumnBuilder::Int64(builder), _) => builder.append_null(),
            (ColumnBuilder::Int32(builder), Value::Int32(number)) => builder.append_value(*number),
            (ColumnBuilder::Int32(builder), _) => builder.append_null(),
            (ColumnBuilder::Boolean(builder), Value::Boolean(truth)) => builder.append_value(*truth),
            (ColumnBuilder::Boolean(builder), _) => builder.append_null(),
            (ColumnBuilder::Timestamp(builder), Value::Timestamp(micros)) => builder.append_value(*micros),
            (ColumnBuilder::Timestamp(builder), _) => builder.append_null(),
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
