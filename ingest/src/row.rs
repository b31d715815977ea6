//! One row of `access_logs`: a typed value per column, in the order of the columns.

use std::borrow::Cow;

use crate::schema::{ACCESS_LOGS, COLUMN_COUNT, Col, ColumnType};

/// The value of one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Value<'a> {
    /// The line does not say.
    #[default]
    Null,
    Text(Cow<'a, str>),
    Binary(&'a [u8]),
    Int64(i64),
    Int32(i32),
    Boolean(bool),
    /// µs since 1970, UTC.
    Timestamp(i64),
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    /// The same value, with memory of its own; bytes are no part of a row of access logs.
    pub(crate) fn to_owned(&self) -> Value<'static> {
        match self {
            Value::Text(text) => Value::Text(Cow::Owned(text.clone().into_owned())),
            Value::Int64(number) => Value::Int64(*number),
            Value::Int32(number) => Value::Int32(*number),
            Value::Boolean(truth) => Value::Boolean(*truth),
            Value::Timestamp(micros) => Value::Timestamp(*micros),
            Value::Null | Value::Binary(_) => Value::Null,
        }
    }

    fn fits(&self, data_type: ColumnType) -> bool {
        match self {
            Value::Null => true,
            Value::Text(_) => data_type == ColumnType::Text,
            Value::Binary(_) => data_type == ColumnType::Binary,
            Value::Int64(_) => data_type == ColumnType::Int64,
            Value::Int32(_) => data_type == ColumnType::Int32,
            Value::Boolean(_) => data_type == ColumnType::Boolean,
            Value::Timestamp(_) => data_type == ColumnType::Timestamp,
        }
    }
}

/// One row. Starts with nulls only.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    values: [Value<'a>; COLUMN_COUNT],
    /// The columns that were set, one bit each.
    set: u128,
}

/// A bit for each column.
const _: () = assert!(COLUMN_COUNT <= 128);

impl<'a> Row<'a> {
    pub(crate) fn new() -> Self {
        Row { values: std::array::from_fn(|_| Value::Null), set: 0 }
    }

    /// Sets a column.
    pub(crate) fn set(&mut self, column: Col, value: Value<'a>) {
        debug_assert!(
            ACCESS_LOGS.get(column as usize).is_some_and(|c| value.fits(c.data_type)),
            "{column:?} {value:?}"
        );
        if let Some(slot) = self.values.get_mut(column as usize) {
            *slot = value;
            self.set |= 1 << column as usize;
        }
    }

    /// Sets a text column, if there is a text.
    pub(crate) fn set_text(&mut self, column: Col, text: Option<impl Into<Cow<'a, str>>>) {
        if let Some(text) = text {
            self.set(column, Value::Text(text.into()));
        }
    }

    /// Column number and value of what was set, in the order of the columns.
    pub(crate) fn set_values(&self) -> impl Iterator<Item = (usize, &Value<'a>)> {
        let mut left = self.set;
        std::iter::from_fn(move || {
            let column = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            Some((column, self.values.get(column)?))
        })
    }

    /// The value of a column.
    pub(crate) fn get(&self, column: Col) -> &Value<'a> {
        self.values.get(column as usize).unwrap_or(&Value::Null)
    }

    /// Every value, in the order of the columns.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[Value<'a>] {
        &self.values
    }
}
