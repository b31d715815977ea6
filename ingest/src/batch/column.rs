//! The builder of one column: cells are set by row number, those in between are null.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BinaryViewArray, BooleanArray, Int32Array, Int64Array, TimestampMicrosecondArray, make_array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};

use crate::schema::ColumnType;
use crate::unchecked::string_views;

/// The cells of one column.
#[derive(Debug)]
pub(super) struct Column {
    data_type: ColumnType,
    nullable: bool,
    cells: Cells,
    valid: Bits,
    /// Rows for which room is made at first.
    expected: usize,
}

#[derive(Debug)]
enum Cells {
    /// Nothing was set yet.
    None,
    /// Views of the batch's buffers.
    Text(Vec<u128>),
    /// Integers of 64 bits, and times.
    Int64(Vec<i64>),
    Int32(Vec<i32>),
    Boolean(Bits),
    Binary(Vec<Box<[u8]>>),
}

/// One bit a row.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Sets the bit of a row for which there is room.
    #[inline]
    fn set(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    fn make_room(&mut self, rows: usize) {
        self.0.resize(rows.div_ceil(64).max(self.0.len()), 0);
    }

    /// The first `rows` bits are set.
    fn all(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !rows.is_multiple_of(64)) {
            *last = (1 << (rows % 64)) - 1;
        }
        Bits(words)
    }

    /// One bit a row, in order.
    fn of(rows: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut bits = Bits(vec![0; rows.len().div_ceil(64)]);
        rows.enumerate().filter(|(_, bit)| *bit).for_each(|(row, _)| bits.set(row));
        bits
    }

    fn buffer(self, rows: usize) -> BooleanBuffer {
        let mut words = self.0;
        words.resize(rows.div_ceil(64), 0);
        BooleanBuffer::new(Buffer::from_vec(words), 0, rows)
    }
}

/// Sets a cell of a vector that grows as rows come.
macro_rules! set {
    ($column:ident, $row:ident, $variant:ident, $value:expr, $empty:expr) => {{
        if !matches!(&$column.cells, Cells::$variant(cells) if $row < cells.len()) {
            // the first cell, or one for which there is no room yet
            $column.make_room($row, |cells, rows| match cells {
                Cells::$variant(cells) => cells.resize(rows, $empty),
                cells => *cells = Cells::$variant(vec![$empty; rows]),
            });
        }
        if let Cells::$variant(cells) = &mut $column.cells
            && let Some(cell) = cells.get_mut($row)
        {
            *cell = $value;
            $column.valid.set($row);
        }
    }};
}

/// A number as the low bits of a cell.
pub(super) fn bits(number: i64) -> u128 {
    u128::from(number.cast_unsigned())
}

fn int64(cell: u128) -> i64 {
    // the high half is 0
    u64::try_from(cell).unwrap_or_default().cast_signed()
}

fn int32(cell: u128) -> i32 {
    i32::try_from(int64(cell)).unwrap_or_default()
}

impl Column {
    /// A cell that is not set is null; empty or 0 where the column is not nullable.
    pub(super) fn new(data_type: ColumnType, nullable: bool) -> Self {
        Column { data_type, nullable, cells: Cells::None, valid: Bits::default(), expected: 0 }
    }

    /// Makes room for so many rows when the first is set.
    pub(super) fn expect(&mut self, rows: usize) {
        self.expected = rows;
    }

    /// Makes room for a row, and for as many as there may be.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, row: usize, resize: impl FnOnce(&mut Cells, usize)) {
        let rows = self.expected.max(row + 1);
        // a batch with more rows than the last one
        self.expected = if row < self.expected { rows } else { rows.max(row * 2) };
        resize(&mut self.cells, self.expected);
        self.valid.make_room(self.expected);
    }

    #[inline]
    pub(super) fn set_view(&mut self, row: usize, view: u128) {
        set!(self, row, Text, view, 0);
    }

    #[inline]
    pub(super) fn set_int64(&mut self, row: usize, value: i64) {
        set!(self, row, Int64, value, 0);
    }

    #[inline]
    pub(super) fn set_int32(&mut self, row: usize, value: i32) {
        set!(self, row, Int32, value, 0);
    }

    /// Sets all of the first `rows` cells, where nothing was set before.
    pub(super) fn fill_view(&mut self, rows: usize, view: u128) {
        self.cells = Cells::Text(vec![view; rows]);
        self.valid = Bits::all(rows);
    }

    /// The same, for a 64-bit number or a time.
    pub(super) fn fill_int64(&mut self, rows: usize, value: i64) {
        self.cells = Cells::Int64(vec![value; rows]);
        self.valid = Bits::all(rows);
    }

    /// Gives each row the cell of that number, where nothing was set before. A cell is a view, or the low bits of a number; `None` is null.
    pub(super) fn gather(&mut self, rows: &[u32], of: &[Option<u128>]) {
        let (cells, valid): (Vec<u128>, Vec<bool>) =
            of.iter().map(|cell| (cell.unwrap_or_default(), cell.is_some())).unzip();
        let each = || rows.iter().map(|number| cells.get(*number as usize).copied().unwrap_or_default());
        self.cells = match self.data_type {
            ColumnType::Text => Cells::Text(each().collect()),
            ColumnType::Int64 | ColumnType::Timestamp => Cells::Int64(each().map(int64).collect()),
            ColumnType::Int32 => Cells::Int32(each().map(int32).collect()),
            ColumnType::Boolean => Cells::Boolean(Bits::of(each().map(|cell| cell == 1))),
            // no edge has one
            ColumnType::Binary => Cells::None,
        };
        self.valid = match valid.iter().all(|valid| *valid) {
            true => Bits::all(rows.len()),
            false => Bits::of(rows.iter().map(|number| valid.get(*number as usize).copied().unwrap_or_default())),
        };
    }

    pub(super) fn set_binary(&mut self, row: usize, value: &[u8]) {
        set!(self, row, Binary, value.into(), Box::default());
    }

    /// The array of the first `rows` cells; the column starts anew. `nulls` has an array of nulls of each type that was needed before.
    pub(super) fn finish(&mut self, rows: usize, buffers: &Arc<[Buffer]>, nulls: &mut Nulls) -> ArrayRef {
        let valid = std::mem::take(&mut self.valid);
        let valid = Some(valid).filter(|_| self.nullable).map(|valid| NullBuffer::new(valid.buffer(rows)));
        let valid = valid.filter(|valid| valid.null_count() > 0);
        fn cut<T: Clone>(mut cells: Vec<T>, rows: usize, empty: T) -> Vec<T> {
            cells.resize(rows, empty);
            cells
        }
        match std::mem::replace(&mut self.cells, Cells::None) {
            Cells::None => nulls.of(self.data_type, self.nullable, rows),
            Cells::Text(views) => Arc::new(string_views(cut(views, rows, 0), buffers, valid)),
            Cells::Int64(cells) if self.data_type == ColumnType::Timestamp => {
                let times = TimestampMicrosecondArray::new(cut(cells, rows, 0).into(), valid);
                Arc::new(times.with_data_type(self.data_type.arrow()))
            }
            Cells::Int64(cells) => Arc::new(Int64Array::new(cut(cells, rows, 0).into(), valid)),
            Cells::Int32(cells) => Arc::new(Int32Array::new(cut(cells, rows, 0).into(), valid)),
            Cells::Boolean(cells) => Arc::new(BooleanArray::new(cells.buffer(rows), valid)),
            Cells::Binary(cells) => Arc::new(BinaryViewArray::from_iter_values(cells.iter().take(rows))),
        }
    }
}

/// Arrays of nulls, or of empty texts and zeros, made once: most columns of most formats are empty.
#[derive(Debug, Default)]
pub(super) struct Nulls {
    arrays: Vec<((ColumnType, bool), ArrayRef)>,
}

impl Nulls {
    fn of(&mut self, data_type: ColumnType, nullable: bool, rows: usize) -> ArrayRef {
        let kind = (data_type, nullable);
        self.arrays.retain(|(known, array)| *known != kind || array.len() >= rows);
        if let Some((_, array)) = self.arrays.iter().find(|(known, _)| *known == kind) {
            return array.slice(0, rows);
        }
        let nulls = new_null_array(&data_type.arrow(), rows);
        let array = match nullable {
            true => nulls,
            // what stands in the place of a null is empty or 0
            false => {
                let data = nulls.to_data().into_builder().nulls(None).build();
                data.map_or(nulls, make_array)
            }
        };
        self.arrays.push((kind, Arc::clone(&array)));
        array
    }
}
