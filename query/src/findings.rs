//! The findings' durable state (SQLite): what is found, its life, and the change feed that deliveries follow.
//!
//! ```text
//! hits of one (detection, window) ─▶ reconcile (pure) ─▶ rows + feed entries, one transaction
//! ```
//! Nothing is deleted. Every change gets the next `seq` of the feed and an id that never changes
//! (`<finding id>-<revision>`), so a receiver that sees it twice can tell.

mod error;
pub mod reconcile;
mod state;

pub use error::FindingsError;
pub use state::{Filter, FindingsState, Page, Patch};
