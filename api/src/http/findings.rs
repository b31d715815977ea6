//! `/api/v1/findings`: what was found, one of them with its evidence, and what a person says about it.
//!
//! A list waits (a bounded while) for detection to look at what came in before: whoever ingests and then asks sees the outcome.

mod evidence;
mod list;
mod one;
mod patch;
mod schema;

pub(crate) use list::{__path_list, list};
pub(crate) use one::{__path_one, one};
pub(crate) use patch::{__path_patch, patch};

use super::problem::{Kind, Problem};
use super::state::AppState;

/// Waits until detection has looked at everything appended so far, but no longer than settings allow. `false`: it has not.
async fn caught_up(state: &AppState) -> Result<bool, Problem> {
    match tokio::time::timeout(state.config().findings_wait, state.detector().catch_up()).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(error)) => Err(Problem::internal("detection", &error)),
        Err(_) => Ok(false),
    }
}

fn no_such(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new(Kind::NotFound, format!("there is no finding '{shown}': GET /api/v1/findings lists them"))
}
