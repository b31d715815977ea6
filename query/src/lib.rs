//! meshwarden's core: the store, the SQL session, detections and findings.
//!
//! ```text
//!  AccessLogBatch ─▶ store (hot ∪ cold) ─▶ sql session ─▶ detect ─▶ findings (+ change feed)
//!        └─ edges ─▶  └ edges_1m
//! ```
//! It opens no listening socket, reads no clock (time is an argument) and talks to no receiver of alerts.

mod causes;
mod core;
pub mod detect;
mod edges;
pub mod finding;
pub mod findings;
pub mod json;
pub mod sql;
pub mod store;
mod summary;
mod threads;
pub mod window;

pub use causes::with_causes;
pub use core::{Core, CoreError, CoreOptions, Failure, Keep, Round, Stay};
pub use summary::{Edge, EdgeStats, Minute, Summary};
