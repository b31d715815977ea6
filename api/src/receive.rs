//! Receivers: every way in which lines come, and what all of them have in common.
//!
//! ```text
//!  http/ingest.rs   POST /api/v1/ingest ─┐
//!  tail.rs          files               ─┴▶ Intake::take (journal) ─▶ into_tables ─▶ room is made, detection is woken, lines are counted
//! ```
//! Each has a name, under which its lines are counted in `GET /metrics`.

mod tail;
mod tally;

pub(crate) use tail::{PatternError, TailSettings, Tailing};
pub(crate) use tally::Tally;

use crate::detect_loop::Detector;
use crate::intake::{IntakeError, Taken};

/// Who received lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    Http,
    Tail,
}

impl Receiver {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Tail];

    /// Its name in metrics, and for the positions of its streams.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tail => "tail",
        }
    }

    /// Takes what is on stable storage into the tables, and counts it: `bytes` of lines. Waits where too much is in memory.
    pub(crate) async fn into_tables(self, detector: &Detector, taken: Taken, bytes: u64) -> Result<Tally, IntakeError> {
        let (mut tally, again) = (Tally::default(), taken.is_again());
        taken.into_tables(|batch| tally.add(batch)).await?;
        if again {
            detector.metrics().repeated();
            return Ok(tally);
        }
        detector.make_room().await;
        detector.wake();
        detector.metrics().received(self, &tally, bytes);
        Ok(tally)
    }
}
