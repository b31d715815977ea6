//! Windows of event time: half-open `[start, end)`, microseconds since the epoch, UTC.
//!
//! Windows of one length *tile* time: every instant lies in exactly one, and their edges are multiples of the length since the
//! epoch, so the same line falls into the same window whenever and in whatever company it arrives.

use chrono::{DateTime, Utc};

/// A half-open interval of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    start: i64,
    end: i64,
}

/// An interval that holds no instant, or one outside of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window from {start} to {end} (µs) is empty: its end must lie after its start")]
pub struct WindowError {
    start: i64,
    end: i64,
}

impl Window {
    /// The interval `[start, end)`, in microseconds since the epoch.
    ///
    /// # Errors
    /// If it is empty.
    pub fn new(start: i64, end: i64) -> Result<Self, WindowError> {
        if start < end { Ok(Self { start, end }) } else { Err(WindowError { start, end }) }
    }

    /// The interval between two instants.
    ///
    /// # Errors
    /// If it is empty.
    pub fn between(start: DateTime<Utc>, end: DateTime<Utc>) -> Result<Self, WindowError> {
        Self::new(start.timestamp_micros(), end.timestamp_micros())
    }

    /// The window of `length` µs (at least 1) that holds the instant `time` (µs since the epoch).
    #[must_use]
    pub fn holding(time: i64, length: i64) -> Self {
        let length = length.max(1);
        let start = time.saturating_sub(time.rem_euclid(length));
        Self { start, end: start.saturating_add(length) }
    }

    /// First instant inside, µs since the epoch.
    #[must_use]
    pub fn start(self) -> i64 {
        self.start
    }

    /// First instant after, µs since the epoch.
    #[must_use]
    pub fn end(self) -> i64 {
        self.end
    }

    /// Length in µs.
    #[must_use]
    pub fn length(self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// First instant inside.
    #[must_use]
    pub fn start_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.start).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// First instant after.
    #[must_use]
    pub fn end_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.end).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn windows_tile_time_before_and_after_the_epoch() {
        for time in [-7, -1, 0, 4, 5, 1_795_358_539_895_000] {
            let window = Window::holding(time, 5);
            assert!(window.start() <= time && time < window.end(), "{time} outside {window:?}");
            assert_eq!(window.start().rem_euclid(5), 0);
            assert_eq!(Window::holding(window.end(), 5).start(), window.end());
        }
    }
}
