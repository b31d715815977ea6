//! From a complete body to an answer: taken in, and told what became of the lines.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use axum::http::{HeaderValue, header};
use ingest::AccessLogBatch;
use ingest::journal::{JournalError, Label};
use tokio::sync::OwnedSemaphorePermit;

use super::{Accepted, Ack, Answer, Done, Durable, Reason};
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::intake::{IntakeError, Taken};

/// Rejects that the answer names.
const REASONS: usize = 1000;

/// What was sent.
pub(super) struct Sent {
    pub(super) label: Label,
    /// So that sending it again is no second time.
    pub(super) key: Option<String>,
    /// The body, plain.
    pub(super) pieces: Vec<Vec<u8>>,
}

/// Takes a body in; when this returns, as much is done as `ack` says.
pub(super) async fn take_in(
    state: AppState,
    place: OwnedSemaphorePermit,
    sent: Sent,
    ack: Ack,
) -> Result<Answer, Problem> {
    let Sent { label, key, pieces } = sent;
    let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let taken = state.intake().take(label, key.as_deref(), pieces).await.map_err(|error| problem(&error))?;
    let again = taken.is_again();
    match (ack, taken.sequence()) {
        (Ack::Durable, Some(sequence)) if again => Ok(Answer { done: Done::Durable(Durable { sequence }), again }),
        (Ack::Durable, Some(sequence)) => {
            tokio::spawn(async move {
                if let Err(problem) = into_tables(state, place, taken, bytes).await {
                    tracing::error!(
                        sequence,
                        ?problem,
                        "lines that were acknowledged are not in the tables yet: they will be after a restart"
                    );
                }
            });
            Ok(Answer { done: Done::Durable(Durable { sequence }), again })
        }
        _ => into_tables(state, place, taken, bytes)
            .await
            .map(|accepted| Answer { done: Done::Queryable(accepted), again }),
    }
}

async fn into_tables(
    state: AppState,
    place: OwnedSemaphorePermit,
    taken: Taken,
    bytes: u64,
) -> Result<Accepted, Problem> {
    let _place = place;
    let (mut tally, again) = (Tally::default(), taken.is_again());
    taken.into_tables(|batch| tally.add(batch)).await.map_err(|error| problem(&error))?;
    if again {
        state.metrics().repeated();
        return Ok(tally.accepted());
    }
    state.detector().make_room().await;
    state.detector().wake();
    state.metrics().ingested(
        (tally.accepted, tally.with_extra),
        tally.by_reason.iter().map(|(reason, lines)| (reason.as_str(), *lines)),
        bytes,
    );
    Ok(tally.accepted())
}

fn problem(error: &IntakeError) -> Problem {
    match error {
        IntakeError::NoRoom => full(),
        IntakeError::Journal(error) => match error.as_ref() {
            JournalError::Full { .. } => full(),
            JournalError::TooLong => Problem::new(Kind::TooLarge, error.to_string()),
            _ => Problem::internal("keeping the lines", error.as_ref()),
        },
        IntakeError::OtherBody => Problem::new(
            Kind::KeyReused,
            "other lines were taken under this Idempotency-Key within the last 24 hours: give each payload a key of its own",
        ),
        error => Problem::internal("taking the lines in", error),
    }
}

fn full() -> Problem {
    Problem::new(Kind::Full, "the server's disk is full: nothing was accepted, send it again later")
        .with(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    /// Of these, rows with an `extra`.
    with_extra: u64,
    rejected: u64,
    reasons: Vec<Reason>,
    by_reason: BTreeMap<String, u64>,
}

impl Tally {
    fn accepted(self) -> Accepted {
        Accepted { accepted: self.accepted, rejected: self.rejected, reasons: self.reasons }
    }

    fn add(&mut self, batch: &AccessLogBatch) {
        self.accepted += batch.rows.num_rows() as u64;
        let extra = batch.rows.column_by_name("extra");
        self.with_extra += extra.map_or(0, |extra| (extra.len() - extra.null_count()) as u64);
        self.rejected += batch.rejects.num_rows() as u64;
        let column = |name| batch.rejects.column_by_name(name).map(AsRef::as_ref);
        let lines = column("line").and_then(|column: &dyn Array| column.as_primitive_opt::<Int64Type>());
        let reasons = column("reason").and_then(|column: &dyn Array| column.as_string_view_opt());
        let (Some(lines), Some(reasons)) = (lines, reasons) else { return };
        for (line, reason) in lines.values().iter().zip(reasons.iter().flatten()) {
            if self.reasons.len() < REASONS {
                self.reasons.push(Reason { line: u64::try_from(*line).unwrap_or(0), reason: reason.to_owned() });
            }
            match self.by_reason.get_mut(reason) {
                Some(lines) => *lines += 1,
                None => {
                    self.by_reason.insert(reason.to_owned(), 1);
                }
            }
        }
    }
}
