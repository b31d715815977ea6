//! Receivers: every way in which lines come, and what all of them have in common.
//!
//! ```text
//!  http/ingest.rs   POST /api/v1/ingest              ─┐
//!  http/doors/      OTLP, ALS, HEC, _bulk, Loki      ─┤
//!  tail.rs          files                            ─┴▶ Intake::take (journal) ─▶ into_tables ─▶ room is made, detection is woken, lines are counted
//! ```
//! Each has a name, under which its lines are counted in `GET /metrics`.

mod address;
mod tail;
mod tally;

pub(crate) use address::{DoorAddress, DoorError, Doors, Opened};
pub(crate) use tail::{PatternError, TailSettings, Tailing};
pub(crate) use tally::Tally;

use crate::detect_loop::Detector;
use crate::intake::{IntakeError, Taken};

/// Who received lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    Http,
    Tail,
    OtlpGrpc,
    OtlpHttp,
    Als,
    Hec,
    Bulk,
    Loki,
}

impl Receiver {
    /// All of them.
    pub(crate) const ALL: [Self; 8] =
        [Self::Http, Self::Tail, Self::OtlpGrpc, Self::OtlpHttp, Self::Als, Self::Hec, Self::Bulk, Self::Loki];

    /// Its name in metrics, for the positions of its streams, and in the column `source` where the sender gives none.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tail => "tail",
            Self::OtlpGrpc => "otlp_grpc",
            Self::OtlpHttp => "otlp_http",
            Self::Als => "als",
            Self::Hec => "hec",
            Self::Bulk => "bulk",
            Self::Loki => "loki",
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
