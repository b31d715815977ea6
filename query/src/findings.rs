//! The findings' durable state (SQLite): what is found, its life, and the change feed that deliveries follow.
//!
//! ```text
//! hits of some (detection, window) ─▶ reconcile, runs (pure) ─▶ rows + feed entries, one transaction
//! ```
//! Nothing is deleted. Every change gets the next `seq` of the feed and an id that never changes
//! (`<finding id>-<revision>`), so a receiver that sees it twice can tell.

mod error;
mod passing;
pub mod reconcile;
mod runs;
mod state;

pub use error::FindingsError;
pub(crate) use passing::Passing;
pub use state::{Filter, FindingsState, Page, Patch};

use std::sync::Arc;

use crate::detect::{Header, Hit};
use crate::window::Window;

/// What a detection found in one window.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The detection.
    pub header: Arc<Header>,
    /// The window.
    pub window: Window,
    /// Its hits.
    pub hits: Vec<Hit>,
}
