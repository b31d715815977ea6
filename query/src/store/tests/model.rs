//! Appends, flushes, compaction, retention and reopening in any order, against a list of rows: every row is there exactly once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::rows::{MINUTE, batch, ids};
use super::{check, check_lines, open, parquet_files};
use crate::store::{Eagerness, Hold, Retention, Store, StoreOptions};
use crate::window::Window;

#[derive(Clone, Debug)]
enum Step {
    /// Times in minutes, and a number of rejects.
    Append(Vec<i64>, usize),
    Flush,
    /// Begin a flush and stop waiting for it after so many µs.
    AbandonFlush(u64),
    /// Everything that can be compacted, or one file, with rows coming meanwhile.
    Compact(Eagerness),
    /// So many days, and what is held: minutes, and perhaps a row of an append.
    Retain(u32, Option<(i64, i64, Option<usize>)>),
    Vacuum,
    Query,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let times = prop_oneof![
        prop::collection::vec(0i64..4, 0..40),
        prop::collection::vec(-90i64..90, 1..40),
        prop::collection::vec(0i64..100_000, 60..140),
    ];
    let hold = (0..100_000_i64, 1..50_000_i64, prop::option::of(0..14_usize));
    let hold = hold.prop_map(|(from, length, row)| (from - 90, from - 90 + length, row));
    prop_oneof![
        6 => (times, 0usize..3).prop_map(|(times, rejects)| Step::Append(times, rejects)),
        4 => Just(Step::Flush),
        1 => (0u64..20_000).prop_map(Step::AbandonFlush),
        2 => prop_oneof![Just(Eagerness::Steady), Just(Eagerness::Full)].prop_map(Step::Compact),
        1 => (0..70_u32, prop::option::of(hold)).prop_map(|(days, hold)| Step::Retain(days, hold)),
        1 => Just(Step::Vacuum),
        1 => Just(Step::Query),
        1 => Just(Step::Reopen),
    ]
}

/// Some time after all rows.
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(70 * 24 * 60 * MINUTE).unwrap()
}

/// A row of the model: its id, its time, whose it is.
type Row = (String, i64, Option<String>);

/// What is left of rows after a retention.
fn retained(rows: &mut Vec<Row>, days: i64, holds: &[Hold]) {
    let cutoff = (70 - days) * 24 * 60 * MINUTE;
    rows.retain(|(_, time, of)| {
        let held = |hold: &Hold| {
            let inside = hold.window.start() <= *time && *time < hold.window.end();
            inside && (of.is_none() || hold.entity.is_none() || hold.entity == *of)
        };
        *time >= cutoff || holds.iter().any(held)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_row_is_there_exactly_once(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut store = open(dir.path()).await;
            let (mut logs, mut rejects): (Vec<Row>, Vec<Row>) = (Vec::new(), Vec::new());
            let mut appends = 0;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Append(minutes, rejected) => {
                        let times: Vec<i64> = minutes.iter().map(|minute| minute * MINUTE).collect();
                        let batch = batch(&format!("s{number}"), &times, rejected);
                        let whose = (0..).map(|row: usize| Some(format!("s{number}, source_principal, row {row}")));
                        let rows = ids(&batch.rows).into_iter().zip(&times).zip(whose);
                        logs.extend(rows.map(|((id, time), whose)| (id, *time, whose)));
                        rejects.extend(ids(&batch.rejects).into_iter().zip(0..).map(|(id, time)| (id, time, None)));
                        appends += 1;
                        assert_eq!(store.append(&batch).await.unwrap(), appends);
                    }
                    Step::Flush => assert_eq!(store.flush().await.unwrap().sequence, appends),
                    Step::AbandonFlush(micros) => drop(tokio::time::timeout(Duration::from_micros(micros), store.flush()).await),
                    Step::Compact(Eagerness::Full) => while store.compact(Eagerness::Full, now()).await.unwrap().is_some() {},
                    Step::Compact(Eagerness::Steady) => {
                        let (compacted, flushed) = tokio::join!(store.compact(Eagerness::Full, now()), store.flush());
                        compacted.unwrap();
                        flushed.unwrap();
                    }
                    Step::Retain(days, hold) => {
                        let hold = hold.map(|(from, to, row)| Hold {
                            name: "case".to_owned(),
                            window: Window::new(from * MINUTE, to * MINUTE).unwrap(),
                            entity: row.map(|row| format!("s{row}, source_principal, row {row}")),
                        });
                        let holds: Vec<Hold> = hold.into_iter().collect();
                        store.flush().await.unwrap();
                        let retention = Retention { access_logs_days: Some(days), rejects_days: Some(days), edges_1m_days: Some(days), holds: holds.clone() };
                        let (before, rejects_before) = (logs.len(), rejects.len());
                        retained(&mut logs, i64::from(days), &holds);
                        retained(&mut rejects, i64::from(days), &holds);
                        let done = store.retain(&retention, now()).await.unwrap();
                        let of_lines = done.iter().filter(|done| done.table != "edges_1m");
                        let deleted: u64 = of_lines.map(|done| done.deleted_rows).sum();
                        assert_eq!(deleted as usize, before - logs.len() + rejects_before - rejects.len());
                    }
                    Step::Vacuum => {
                        store.vacuum(Duration::ZERO).await.unwrap();
                        let stats = store.stats();
                        assert_eq!(parquet_files(&dir.path().join("access_logs")), stats.cold_files);
                    }
                    Step::Query => {}
                    Step::Reopen => {
                        store.close().await.unwrap();
                        store = open(dir.path()).await;
                    }
                }
                let of = |rows: &[Row]| rows.iter().map(|(id, ..)| id.clone()).collect::<Vec<_>>();
                check(&store.snapshot(), &of(&logs), &of(&rejects)).await;
                let stats = store.stats();
                assert_eq!(stats.hot_rows + stats.cold_rows, logs.len() as u64);
                assert_eq!(stats.rejects, rejects.len() as u64);
                assert_eq!(stats.sequence, appends);
            }
            store.close().await.unwrap();
            let of = |rows: &[Row]| rows.iter().map(|(id, ..)| id.clone()).collect::<Vec<_>>();
            check(&store.snapshot(), &of(&logs), &of(&rejects)).await;
            check(&Store::open_read_only(dir.path()).await.unwrap().snapshot(), &of(&logs), &of(&rejects)).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_row_is_there_exactly_once_in_passing(steps in prop::collection::vec(step(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::in_passing(dir.path(), StoreOptions::default()).unwrap();
            let (mut logs, mut rejects) = (Vec::new(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Append(minutes, rejected) => {
                        let times: Vec<i64> = minutes.iter().map(|minute| minute * MINUTE).collect();
                        let batch = batch(&format!("s{number}"), &times, rejected);
                        logs.extend(ids(&batch.rows));
                        rejects.extend(ids(&batch.rejects));
                        store.append(&batch).await.unwrap();
                    }
                    Step::Flush => {
                        store.flush().await.unwrap();
                        assert_eq!((store.stats().hot_rows, store.stats().cold_rows), (0, logs.len() as u64));
                    }
                    Step::AbandonFlush(micros) => drop(tokio::time::timeout(Duration::from_micros(micros), store.flush()).await),
                    Step::Compact(_) | Step::Retain(..) | Step::Vacuum | Step::Query | Step::Reopen => {}
                }
                check_lines(&store.snapshot(), &logs, &rejects).await;
            }
            store.close().await.unwrap();
            check_lines(&store.snapshot(), &logs, &rejects).await;
        });
    }
}
