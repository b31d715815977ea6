//! The schedules, and where their stretch comes from.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::Backoff;

#[test]
fn a_webhook_is_tried_ten_times_over_three_days_and_given_up() {
    let backoff = Backoff::webhook(1.0);
    let pauses: Vec<Duration> = (1..=9).map(|attempts| backoff.pause("a-1", attempts).unwrap()).collect();
    let least = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map(Duration::from_secs);
    for (pause, least) in pauses.iter().zip(least) {
        assert!(*pause >= least && *pause < least.mul_f64(1.2), "{pause:?} for {least:?}");
    }
    assert_eq!(backoff.pause("a-1", 10), None);
}

#[test]
fn strict_order_never_gives_up() {
    let backoff = Backoff::steady(1.0);
    assert!(backoff.pause("a-1", 1).unwrap() < Duration::from_secs(2));
    for attempts in [5, 10, 1_000_000, i64::MAX] {
        let pause = backoff.pause("a-1", attempts).unwrap();
        assert!(pause >= Duration::from_secs(300) && pause < Duration::from_secs(360), "{pause:?}");
    }
}

#[test]
fn the_stretch_belongs_to_delivery_and_attempt() {
    let backoff = Backoff::webhook(1.0);
    assert_eq!(backoff.pause("a-1", 3), backoff.pause("a-1", 3));
    assert_ne!(backoff.pause("a-1", 3), backoff.pause("b-1", 3));
    let half = Backoff::webhook(0.5).pause("a-1", 3).unwrap().as_secs_f64();
    assert!((half * 2.0 - backoff.pause("a-1", 3).unwrap().as_secs_f64()).abs() < 1e-6);
}
