//! Windows on which a detection failed: kept, and tried again a bounded number of times, further and further apart.
//!
//! ```text
//!  failed ─▶ 10 s ─▶ again ─▶ 20 s ─▶ … ─▶ sixth failure: given up, until new rows touch the window
//! ```
//! Time is the caller's: what is due is asked with `now`. A detection can fail for a moment (no memory, too slow beside heavier work) or for
//! good (its SQL cannot stand a value of that window); the second kind must not be evaluated for ever.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::window::Window;

/// Failures after which a window is given up.
pub(crate) const TRIES: u32 = 6;
/// Wait after the first failure, seconds; doubled with each further one.
const FIRST_WAIT: i64 = 10;

/// One detection's window.
pub(crate) type Place = (String, Window);

/// How often a window failed, and when it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) times: u32,
    pub(crate) again_at: DateTime<Utc>,
}

/// The windows that wait to be tried again, by detection id and window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overdue(BTreeMap<Place, Failed>);

impl Overdue {
    pub(crate) fn from_parts(parts: impl IntoIterator<Item = (Place, Failed)>) -> Self {
        Self(parts.into_iter().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &Failed)> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets the windows of detections that are no longer loaded.
    pub(crate) fn keep(&mut self, loaded: impl Fn(&str) -> bool) {
        self.0.retain(|(id, _), _| loaded(id));
    }

    /// The windows to try at `now`.
    pub(crate) fn due(&self, now: DateTime<Utc>) -> Vec<Place> {
        self.0.iter().filter(|(_, failed)| failed.again_at <= now).map(|(place, _)| place.clone()).collect()
    }

    /// A detection failed on a window. Whether it will be tried again. A failure before its time, because new rows touched the window, is no
    /// try: a busy window would have used all of them up within a second.
    pub(crate) fn failed(&mut self, place: Place, now: DateTime<Utc>) -> bool {
        if self.0.get(&place).is_some_and(|failed| failed.again_at > now) {
            return true;
        }
        let times = self.0.get(&place).map_or(0, |failed| failed.times) + 1;
        if times >= TRIES {
            self.0.remove(&place);
            return false;
        }
        let wait = TimeDelta::seconds(FIRST_WAIT << (times - 1));
        let again_at = now.checked_add_signed(wait).unwrap_or(now);
        self.0.insert(place, Failed { times, again_at });
        true
    }

    /// A detection was run over a window, or has no row to look at in it.
    pub(crate) fn settled(&mut self, place: &Place) {
        self.0.remove(place);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn tried_again_later_and_later_and_then_given_up() {
        let place = ("slow".to_owned(), Window::new(0, 300).unwrap());
        let mut overdue = Overdue::default();
        let mut now = DateTime::<Utc>::UNIX_EPOCH;
        let mut waits = Vec::new();
        while overdue.failed(place.clone(), now) {
            let wait = (1..).find(|wait| !overdue.due(now + TimeDelta::seconds(*wait)).is_empty()).unwrap();
            waits.push(wait);
            for second in 0..wait {
                assert!(overdue.failed(place.clone(), now + TimeDelta::seconds(second)), "new rows cost no try");
            }
            now += TimeDelta::seconds(wait);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160]);
        assert!(overdue.is_empty());
        assert!(overdue.failed(place.clone(), now), "new rows begin a new count");
        overdue.settled(&place);
        assert!(overdue.is_empty());
    }
}
