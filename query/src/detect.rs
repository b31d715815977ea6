//! Detections: one `.sql` file each, with a strict header; their SQL runs once per window of event time and returns hits.
//!
//! ```text
//!  .sql files ─▶ Pack (header, SQL checked; bad ones refused by name) ─▶ Engine ── window ──▶ hits
//!                                                                          ▲
//!                                                            the access logs of that window
//! ```
//! A hit is a pure function of the rows whose `time` lies in `[window.start − lookback, window.end)`; nothing else goes in: no
//! clock, no random number, no order of arrival. That is what makes batch and stream agree.

mod check;
mod engine;
pub mod header;
mod hit;
pub(crate) mod overdue;
mod pack;
mod prepared;
mod sight;
mod touched;

pub use check::CheckError;
pub use engine::{Engine, EvaluateError};
pub use header::{Header, HeaderError};
pub use hit::{Hit, HitError};
pub use pack::{Detection, Pack, PackError, Refused};
pub(crate) use prepared::Prepared;
pub use sight::{Missing, Sight};
pub use touched::Touched;
