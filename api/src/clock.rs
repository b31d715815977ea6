//! Where everything gets the time from: passed in by `main`, so that a test holds it in its hand.

use chrono::{DateTime, Utc};

/// Says what time it is. Implemented by every closure that returns a time.
pub trait Clock: Send + Sync {
    /// Now, wall time.
    fn now(&self) -> DateTime<Utc>;
}

impl<F> Clock for F
where
    F: Fn() -> DateTime<Utc> + Send + Sync,
{
    fn now(&self) -> DateTime<Utc> {
        self()
    }
}
