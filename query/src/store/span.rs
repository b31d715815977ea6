//! The stretch of event time that a piece of data covers: closed `[earliest, latest]`, microseconds since the epoch, UTC.
//!
//! A span is only ever used to *skip* data: where it is unknown (`None`: rows without a time, a file without statistics) the data is
//! read. So a span may be too wide, never too narrow.

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};

use crate::window::Window;

/// First and last instant, both inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First instant, µs.
    pub(crate) earliest: i64,
    /// Last instant, µs.
    pub(crate) latest: i64,
}

impl Span {
    /// The span of a time column. `None` if a row has no time, or there are no rows.
    pub(crate) fn of(times: &TimestampMicrosecondArray) -> Option<Self> {
        if times.null_count() > 0 {
            return None;
        }
        let earliest = arrow::compute::min(times)?;
        let latest = arrow::compute::max(times)?;
        Some(Self { earliest, latest })
    }

    /// The span that holds both.
    pub(crate) fn join(self, other: Self) -> Self {
        Self { earliest: self.earliest.min(other.earliest), latest: self.latest.max(other.latest) }
    }

    /// Whether some instant lies in both.
    pub(crate) fn overlaps(self, window: Window) -> bool {
        self.earliest < window.end() && window.start() <= self.latest
    }
}

/// The smallest span over all; `None` if one of them is unknown, or there are none.
pub(crate) fn join_all(spans: impl IntoIterator<Item = Option<Span>>) -> Option<Span> {
    spans.into_iter().reduce(|all, next| Some(all?.join(next?))).flatten()
}

/// Whether data of this span has to be read for this window.
pub(crate) fn may_overlap(span: Option<Span>, window: Window) -> bool {
    span.is_none_or(|span| span.overlaps(window))
}

/// The time column of a batch. `None` if the column is of another type (checked once when a batch is appended).
pub(crate) fn times(rows: &RecordBatch, time_column: usize) -> Option<&TimestampMicrosecondArray> {
    rows.columns().get(time_column)?.as_any().downcast_ref()
}
