//! When to try again.
//!
//! ```text
//! webhooks (Standard Webhooks):  0 · 5 s · 5 min · 30 min · 2 h · 5 h · 10 h · 14 h · 20 h · 24 h · given up   (75 h 35 min 5 s)
//! syslog, file (strict order):   0 · 1 s · 5 s · 30 s · 60 s · 5 min · 5 min · …                               (never given up)
//! ```
//! A sink in strict order has one delivery at its head and everything behind it waits, so long pauses would make a short
//! outage long, and giving up would tear a hole: what fails there is the sink, never the one message.
//!
//! Every pause is stretched by up to a fifth. The stretch comes from (delivery, attempt), not from a random number: it spreads
//! deliveries, and a test knows it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Pauses before the second, third, … attempt of a webhook.
const WEBHOOK: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// Pauses in strict order; the last one repeats.
const STEADY: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
];

/// A schedule of pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    steps: &'static [Duration],
    gives_up: bool,
    scale: f64,
}

impl Backoff {
    /// The schedule of Standard Webhooks: ten attempts, then given up. Every pause is multiplied by `scale`.
    pub(crate) fn webhook(scale: f64) -> Self {
        Self { steps: &WEBHOOK, gives_up: true, scale }
    }

    /// The schedule in strict order: never given up.
    pub(crate) fn steady(scale: f64) -> Self {
        Self { steps: &STEADY, gives_up: false, scale }
    }

    /// How long to wait after the `attempts`-th attempt (1 is the first) of `delivery` has failed; `None`: give up.
    pub(crate) fn pause(&self, delivery: &str, attempts: i64) -> Option<Duration> {
        let index = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
        let step = match self.steps.get(index) {
            Some(step) => *step,
            None if self.gives_up => return None,
            None => *self.steps.last()?,
        };
        Some(step.mul_f64(self.scale * (1.0 + stretch(delivery, attempts) / 5.0)))
    }
}

/// A number in `[0, 1)` that belongs to one attempt of one delivery.
fn stretch(delivery: &str, attempts: i64) -> f64 {
    let hash = Sha256::new().chain_update(attempts.to_be_bytes()).chain_update(delivery).finalize();
    let number = hash.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}
