//! Takes the hits of many windows in, in one transaction and few statements.
//!
//! ```text
//!  windows, ascending, of one version of a detection
//!     1 read   the findings of these windows
//!     2 read   of entities whose runs change: the last finding before the first window, and all from there on
//!     3 [`Runs`]  window after window, in memory
//!     4 write  each changed finding once, as it is in the end; an entry of the feed for every change of every window
//! ```
//! Findings, revisions and feed come out as if each window had been a transaction of its own (a test holds it).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{FindingsError, FindingsState, entity_key, known, rank};
use crate::detect::Hit;
use crate::finding::json::FindingJson;
use crate::finding::{ChangeKind, Finding};
use crate::findings::Looked;
use crate::findings::runs::{Held, Runs};
use crate::window::Window;

/// Rows that one statement writes at most: SQLite takes 32,766 parameters, a finding has 12.
const ROWS: usize = 128;

const OF_WINDOWS: &str = "SELECT f.json, f.set_by_person, f.revision FROM json_each(?3) w CROSS JOIN findings f
 ON f.detection = ?1 AND f.version = ?2 AND f.window_start = w.value ->> 0 AND f.window_end = w.value ->> 1";

const OF_ENTITIES: &str = "SELECT f.json, f.set_by_person, f.revision FROM json_each(?3) e CROSS JOIN findings f
 ON f.detection = ?1 AND f.version = ?2 AND f.entity = e.value AND f.window_start >= coalesce((
   SELECT b.window_start FROM findings b
   WHERE b.detection = ?1 AND b.version = ?2 AND b.entity = e.value AND b.window_start < ?4 AND b.status <> 'retracted'
   ORDER BY b.window_start DESC LIMIT 1), ?4)";

/// An entry of the feed, not yet written.
struct Entry {
    change: String,
    kind: ChangeKind,
    json: Arc<str>,
}

impl FindingsState {
    /// Takes the hits of some windows in, in this order; `now` is the wall time written to the feed. Returns what changed.
    ///
    /// # Errors
    /// If the state cannot be read or written; then nothing changed.
    pub async fn apply(
        &self,
        looked: Vec<Looked>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Finding, ChangeKind)>, FindingsError> {
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let mut changes = Vec::new();
        let mut feed = Vec::new();
        let follows = |one: &Looked, next: &Looked| {
            (&one.header.id, one.header.version) == (&next.header.id, next.header.version) && one.window < next.window
        };
        let mut looked = looked.into_iter().peekable();
        while let Some(first) = looked.next() {
            let mut windows = vec![first];
            while let Some(next) = looked.next_if(|next| windows.last().is_some_and(|last| follows(last, next))) {
                windows.push(next);
            }
            take(&mut tx, windows, &mut changes, &mut feed).await?;
        }
        if feed.is_empty() {
            return Ok(changes);
        }
        let newest = enter(&mut tx, &feed, now).await?;
        tx.commit().await?;
        self.announce(newest);
        Ok(changes)
    }
}

/// Ascending windows of one version of a detection.
async fn take(
    tx: &mut SqliteConnection,
    windows: Vec<Looked>,
    changes: &mut Vec<(Finding, ChangeKind)>,
    feed: &mut Vec<Entry>,
) -> Result<(), FindingsError> {
    let Some(header) = windows.first().map(|first| Arc::clone(&first.header)) else { return Ok(()) };
    let windows: Vec<(Window, Vec<Finding>)> = windows
        .into_iter()
        .map(|Looked { window, hits, .. }| (window, hits.into_iter().map(Hit::into_finding).collect()))
        .collect();
    let mut runs = read(tx, &header.id, header.version, &windows).await?;
    // the form in which a changed finding is written, as of its last change
    let mut written: HashMap<usize, Arc<str>> = HashMap::new();
    for (window, fresh) in windows {
        for (place, kind) in runs.take(window, fresh) {
            let Some(Held { known, revision }) = runs.get(place) else { continue };
            let json: Arc<str> = serde_json::to_string(&FindingJson::from(&known.finding))?.into();
            feed.push(Entry { change: format!("{}-{revision}", known.finding.id), kind, json: Arc::clone(&json) });
            changes.push((known.finding.clone(), kind));
            written.insert(place, json);
        }
    }
    let mut places: Vec<usize> = written.keys().copied().collect();
    places.sort_unstable();
    for places in places.chunks(ROWS) {
        write(tx, &runs, places, &written).await?;
    }
    Ok(())
}

/// The findings that these hits may change.
async fn read(
    tx: &mut SqliteConnection,
    detection: &str,
    version: i64,
    windows: &[(Window, Vec<Finding>)],
) -> Result<Runs, FindingsError> {
    let mut runs = Runs::default();
    let bounds: Vec<(i64, i64)> = windows.iter().map(|(window, _)| (window.start(), window.end())).collect();
    let of_windows = sqlx::query(OF_WINDOWS).bind(detection).bind(version).bind(serde_json::to_string(&bounds)?);
    for row in of_windows.fetch_all(&mut *tx).await? {
        hold(&mut runs, &row)?;
    }
    let mut entities = BTreeSet::new();
    for (window, fresh) in windows {
        for entity in runs.moved(*window, fresh) {
            entities.insert(serde_json::to_string(&entity)?);
        }
    }
    let Some((first, _)) = bounds.first().filter(|_| !entities.is_empty()) else { return Ok(runs) };
    let of_entities =
        sqlx::query(OF_ENTITIES).bind(detection).bind(version).bind(serde_json::to_string(&entities)?).bind(*first);
    for row in of_entities.fetch_all(&mut *tx).await? {
        hold(&mut runs, &row)?;
    }
    Ok(runs)
}

fn hold(runs: &mut Runs, row: &SqliteRow) -> Result<(), FindingsError> {
    runs.hold(known(row)?, row.try_get("revision")?);
    Ok(())
}

async fn write(
    tx: &mut SqliteConnection,
    runs: &Runs,
    places: &[usize],
    written: &HashMap<usize, Arc<str>>,
) -> Result<(), FindingsError> {
    let mut rows = Vec::with_capacity(places.len());
    for place in places {
        if let (Some(Held { known, revision }), Some(json)) = (runs.get(*place), written.get(place)) {
            rows.push((known, *revision, entity_key(&known.finding)?, json));
        }
    }
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO findings (id, detection, version, entity, window_start, window_end, status, set_by_person, severity, last_seen, revision, json) ",
    );
    insert.push_values(rows, |mut row, (known, revision, entity, json)| {
        let finding = &known.finding;
        row.push_bind(finding.id.clone())
            .push_bind(finding.detection.clone())
            .push_bind(finding.version)
            .push_bind(entity)
            .push_bind(finding.window.start())
            .push_bind(finding.window.end())
            .push_bind(finding.status.as_str())
            .push_bind(known.set_by_person.as_str())
            .push_bind(rank(finding.severity))
            .push_bind(finding.last_seen.timestamp_micros())
            .push_bind(revision)
            .push_bind(json.to_string());
    });
    insert.push(
        " ON CONFLICT (id) DO UPDATE SET status = excluded.status, set_by_person = excluded.set_by_person,
           severity = excluded.severity, last_seen = excluded.last_seen, revision = excluded.revision, json = excluded.json",
    );
    insert.build().persistent(false).execute(&mut *tx).await?;
    Ok(())
}

/// Writes entries of the feed. Answers the `seq` of the last.
async fn enter(tx: &mut SqliteConnection, feed: &[Entry], now: DateTime<Utc>) -> Result<i64, FindingsError> {
    let mut newest = 0;
    for entries in feed.chunks(ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO feed (change_id, kind, at, json) ");
        insert.push_values(entries, |mut row, entry| {
            row.push_bind(entry.change.clone())
                .push_bind(entry.kind.as_str())
                .push_bind(now.timestamp_micros())
                .push_bind(entry.json.to_string());
        });
        newest = insert.build().persistent(false).execute(&mut *tx).await?.last_insert_rowid();
    }
    Ok(newest)
}
