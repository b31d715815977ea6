//! The clock. Envoys live in real time, so certificates, tokens and windows do too; this is the one place that asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970.
#[expect(clippy::disallowed_methods, reason = "real Envoys check certificates and tokens against the real time")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
