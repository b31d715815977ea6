//! From a complete body to an answer: taken in, and told what became of the lines.

use axum::http::{HeaderValue, header};
use bytes::Bytes;
use ingest::journal::{JournalError, Label};
use tokio::sync::OwnedSemaphorePermit;

use super::{Accepted, Ack, Answer, Done, Durable, Reason};
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::intake::{IntakeError, Taken};
use crate::receive::{Receiver, Tally};

/// What was sent.
pub(super) struct Sent {
    pub(super) label: Label,
    /// So that sending it again is no second time.
    pub(super) key: Option<String>,
    /// The body, plain.
    pub(super) pieces: Vec<Bytes>,
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
    let taken = state.intake().take(label, key.as_deref().into(), pieces).await.map_err(|error| problem(&error))?;
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
    let tally = Receiver::Http.into_tables(state.detector(), taken, bytes).await.map_err(|error| problem(&error))?;
    Ok(accepted(tally))
}

fn accepted(tally: Tally) -> Accepted {
    let reason = |(line, reason)| Reason { line, reason };
    let reasons = tally.reasons.into_iter().map(reason).collect();
    Accepted { accepted: tally.accepted, rejected: tally.rejected, reasons }
}

/// What a caller is told of lines that were not taken.
pub(crate) fn problem(error: &IntakeError) -> Problem {
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
