//! The SQLite file behind the findings, `findings.db`.
//!
//! ```text
//!  findings  id PK · detection · version · entity · window_start/end (µs) · status · set_by_person · severity 0–4 · last_seen (µs) · revision · json
//!  feed      seq PK autoincrement · change_id unique · kind · at (µs) · json
//!  touched   second PK (since the epoch) · signals          what a stopped process had not looked at yet
//!  overdue   detection · window_start/end PK · times · again_at (µs)   windows on which a detection failed, to be tried again
//! ```
//! `json` is [`FindingJson`]. The columns beside it exist for filters and for the incident run of one entity.

mod apply;

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqliteConnection};
use tokio::sync::{Mutex, watch};

use super::error::FindingsError;
use super::reconcile::Known;
use crate::detect::Touched;
use crate::detect::overdue::{Failed, Overdue};
use crate::finding::json::FindingJson;
use crate::finding::{Change, ChangeKind, Finding, Severity, Status};
use crate::window::Window;

const FORMAT: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS findings (
  id TEXT PRIMARY KEY, detection TEXT NOT NULL, version INTEGER NOT NULL, entity TEXT NOT NULL,
  window_start INTEGER NOT NULL, window_end INTEGER NOT NULL, status TEXT NOT NULL, set_by_person TEXT NOT NULL,
  severity INTEGER NOT NULL, last_seen INTEGER NOT NULL, revision INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS findings_by_window ON findings (detection, version, window_start);
CREATE INDEX IF NOT EXISTS findings_by_entity ON findings (detection, version, entity, window_start);
CREATE INDEX IF NOT EXISTS findings_by_time ON findings (last_seen DESC, id);
CREATE TABLE IF NOT EXISTS feed (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, change_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS touched (second INTEGER PRIMARY KEY, signals INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS overdue (
  detection TEXT NOT NULL, window_start INTEGER NOT NULL, window_end INTEGER NOT NULL, times INTEGER NOT NULL, again_at INTEGER NOT NULL,
  PRIMARY KEY (detection, window_start, window_end)) STRICT;";

/// The findings' state.
#[derive(Debug)]
pub struct FindingsState {
    pool: SqlitePool,
    /// One writer at a time: SQLite would make the second wait anyway, and fail it after a while.
    writer: Mutex<()>,
    newest: watch::Sender<i64>,
}

/// Which findings to list; an absent part filters nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this status; without it all but retracted ones.
    pub status: Option<Status>,
    /// This severity or worse.
    pub severity: Option<Severity>,
    /// This detection.
    pub detection: Option<String>,
    /// Last seen at or after this instant of event time.
    pub since: Option<DateTime<Utc>>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Findings a page, 1–1000.
    pub limit: usize,
}

/// A page of findings, the latest seen first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// What a person changes about a finding.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// `Open`, `Acknowledged` or `Closed`.
    pub status: Option<Status>,
    /// A note; an empty one takes it away.
    pub note: Option<String>,
}

impl FindingsState {
    /// Opens or makes `findings.db` in `folder`.
    ///
    /// # Errors
    /// If SQLite cannot use the file, or a newer meshwarden wrote it.
    pub async fn open(folder: &Path) -> Result<Self, FindingsError> {
        private(&folder.join("findings.db"));
        let options = SqliteConnectOptions::new()
            .filename(folder.join("findings.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self::with(SqlitePoolOptions::new().max_connections(4).connect_with(options).await?).await
    }

    /// A state that lives as long as this value: for scans and tests.
    ///
    /// # Errors
    /// If SQLite has no memory left.
    pub async fn in_memory() -> Result<Self, FindingsError> {
        // one connection, never closed: every connection of an in-memory database is a database of its own
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(SqliteConnectOptions::new().in_memory(true))
            .await?;
        Self::with(pool).await
    }

    async fn with(pool: SqlitePool) -> Result<Self, FindingsError> {
        let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&pool).await?;
        if found > FORMAT {
            return Err(FindingsError::Newer { found, known: FORMAT });
        }
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&pool).await?;
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM feed").fetch_one(&pool).await?;
        Ok(Self { pool, writer: Mutex::new(()), newest: watch::channel(newest).0 })
    }

    /// The newest `seq` of the feed, as it grows.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// Changes status or note of one finding; `None` if there is none of that id.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub async fn patch(&self, id: &str, patch: &Patch, now: DateTime<Utc>) -> Result<Option<Finding>, FindingsError> {
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let row = sqlx::query("SELECT json, set_by_person FROM findings WHERE id = ?")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let before = known(&row)?;
        let mut after = before.clone();
        if let Some(note) = &patch.note {
            after.finding.note = Some(note.clone()).filter(|note| !note.is_empty());
        }
        let mut kind = ChangeKind::Updated;
        if let Some(status) = patch.status.filter(|status| *status != Status::Retracted) {
            after.set_by_person = status;
            if after.finding.status != Status::Retracted {
                after.finding.status = status;
            }
            if status != before.set_by_person {
                kind = match status {
                    Status::Acknowledged => ChangeKind::Acknowledged,
                    Status::Closed => ChangeKind::Closed,
                    Status::Open | Status::Retracted => ChangeKind::Reopened,
                };
            }
        }
        let finding = after.finding.clone();
        if after != before {
            write(&mut tx, &after).await?;
            let newest = self.feed(&mut tx, &[(after, kind)], now).await?;
            tx.commit().await?;
            self.announce(newest);
        }
        Ok(Some(finding))
    }

    /// One finding.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Finding>, FindingsError> {
        let row = sqlx::query("SELECT json FROM findings WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| finding(&row)).transpose()
    }

    /// A page of findings, the latest seen first.
    ///
    /// # Errors
    /// If the state cannot be read or the cursor is none of ours.
    pub async fn list(&self, filter: &Filter) -> Result<Page, FindingsError> {
        let limit = filter.limit.clamp(1, 1000);
        let (seen_before, id_after) = match &filter.after {
            None => (i64::MAX, String::new()),
            Some(cursor) => cursor
                .split_once('~')
                .and_then(|(seen, id)| Some((seen.parse::<i64>().ok()?, id.to_owned())))
                .ok_or_else(|| FindingsError::Cursor(cursor.clone()))?,
        };
        let rows = sqlx::query(
            "SELECT id, last_seen, json FROM findings
             WHERE (status = ?1 OR (?1 IS NULL AND status <> 'retracted')) AND (?2 IS NULL OR severity >= ?2) AND (?3 IS NULL OR detection = ?3)
               AND (?4 IS NULL OR last_seen >= ?4) AND (last_seen < ?5 OR (last_seen = ?5 AND id > ?6))
             ORDER BY last_seen DESC, id LIMIT ?7",
        )
        .bind(filter.status.map(Status::as_str))
        .bind(filter.severity.map(rank))
        .bind(filter.detection.as_deref())
        .bind(filter.since.map(|since| since.timestamp_micros()))
        .bind(seen_before)
        .bind(id_after)
        .bind(i64::try_from(limit).unwrap_or(1000).saturating_add(1))
        .fetch_all(&self.pool)
        .await?;
        let next = match rows.get(limit.saturating_sub(1)) {
            Some(last) if rows.len() > limit => {
                Some(format!("{}~{}", last.try_get::<i64, _>("last_seen")?, last.try_get::<String, _>("id")?))
            }
            _ => None,
        };
        let findings = rows.iter().take(limit).map(finding).collect::<Result<_, _>>()?;
        Ok(Page { findings, next })
    }

    /// Up to `limit` changes after `seq`, the oldest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn changes_after(&self, seq: i64, limit: i64) -> Result<Vec<Change>, FindingsError> {
        let rows = sqlx::query("SELECT seq, change_id, kind, at, json FROM feed WHERE seq > ? ORDER BY seq LIMIT ?")
            .bind(seq)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let kind: String = row.try_get("kind")?;
                Ok(Change {
                    seq: row.try_get("seq")?,
                    id: row.try_get("change_id")?,
                    kind: ChangeKind::from_name(&kind).unwrap_or(ChangeKind::Updated),
                    at: DateTime::from_timestamp_micros(row.try_get("at")?).unwrap_or_default(),
                    finding: finding(row)?,
                })
            })
            .collect()
    }

    /// How many findings there are of each detection, severity and status.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn counts(&self) -> Result<Vec<(String, String, i64)>, FindingsError> {
        let rows = sqlx::query("SELECT detection, status, count(*) AS n FROM findings GROUP BY 1, 2 ORDER BY 1, 2")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
    }

    /// Remembers what was not looked at yet, instead of what was remembered before.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(crate) async fn remember(&self, touched: &Touched, overdue: &Overdue) -> Result<(), FindingsError> {
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        sqlx::query("DELETE FROM touched").execute(&mut *tx).await?;
        for (second, signals) in touched.cells() {
            sqlx::query("INSERT INTO touched (second, signals) VALUES (?, ?)")
                .bind(second)
                .bind(signals)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("DELETE FROM overdue").execute(&mut *tx).await?;
        for ((detection, window), failed) in overdue.iter() {
            sqlx::query(
                "INSERT INTO overdue (detection, window_start, window_end, times, again_at) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(detection)
            .bind(window.start())
            .bind(window.end())
            .bind(failed.times)
            .bind(failed.again_at.timestamp_micros())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What a stopped process had not looked at yet, and what it was to try again.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) async fn remembered(&self) -> Result<(Touched, Overdue), FindingsError> {
        let rows = sqlx::query("SELECT second, signals FROM touched").fetch_all(&self.pool).await?;
        let cells = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let touched = Touched::from_cells(cells.collect::<Result<Vec<_>, sqlx::Error>>()?);
        let rows = sqlx::query("SELECT detection, window_start, window_end, times, again_at FROM overdue")
            .fetch_all(&self.pool)
            .await?;
        let mut overdue = Vec::with_capacity(rows.len());
        for row in &rows {
            let again_at = DateTime::from_timestamp_micros(row.try_get(4)?).unwrap_or(DateTime::UNIX_EPOCH);
            // a window is never stored empty; one that was edited to be so is nothing to look at
            if let Ok(window) = Window::new(row.try_get(1)?, row.try_get(2)?) {
                overdue.push(((row.try_get(0)?, window), Failed { times: row.try_get(3)?, again_at }));
            }
        }
        Ok((touched, Overdue::from_parts(overdue)))
    }

    /// Closes the file; everything written is in it.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn feed(
        &self,
        tx: &mut SqliteConnection,
        changes: &[(Known, ChangeKind)],
        now: DateTime<Utc>,
    ) -> Result<i64, FindingsError> {
        let mut newest = *self.newest.borrow();
        for (known, kind) in changes {
            let revision: i64 = sqlx::query_scalar("SELECT revision FROM findings WHERE id = ?")
                .bind(&known.finding.id)
                .fetch_one(&mut *tx)
                .await?;
            newest = sqlx::query("INSERT INTO feed (change_id, kind, at, json) VALUES (?, ?, ?, ?)")
                .bind(format!("{}-{revision}", known.finding.id))
                .bind(kind.as_str())
                .bind(now.timestamp_micros())
                .bind(serde_json::to_string(&FindingJson::from(&known.finding))?)
                .execute(&mut *tx)
                .await?
                .last_insert_rowid();
        }
        Ok(newest)
    }

    fn announce(&self, newest: i64) {
        self.newest.send_replace(newest);
    }
}

async fn write(tx: &mut SqliteConnection, known: &Known) -> Result<(), FindingsError> {
    let finding = &known.finding;
    sqlx::query(
        "INSERT INTO findings (id, detection, version, entity, window_start, window_end, status, set_by_person, severity, last_seen, revision, json)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, set_by_person = excluded.set_by_person, severity = excluded.severity,
           last_seen = excluded.last_seen, revision = revision + 1, json = excluded.json",
    )
    .bind(&finding.id)
    .bind(&finding.detection)
    .bind(finding.version)
    .bind(entity_key(finding)?)
    .bind(finding.window.start())
    .bind(finding.window.end())
    .bind(finding.status.as_str())
    .bind(known.set_by_person.as_str())
    .bind(rank(finding.severity))
    .bind(finding.last_seen.timestamp_micros())
    .bind(serde_json::to_string(&FindingJson::from(finding))?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes a file that is not there yet, for its owner alone: findings name people. SQLite gives the files beside it the same mode. If it cannot be
/// made here, SQLite says why.
fn private(path: &Path) {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn entity_key(finding: &Finding) -> Result<String, FindingsError> {
    Ok(serde_json::to_string(&finding.entity)?)
}

fn rank(severity: Severity) -> i64 {
    severity as i64
}

fn finding(row: &SqliteRow) -> Result<Finding, FindingsError> {
    let json: String = row.try_get("json")?;
    Ok(serde_json::from_str::<FindingJson>(&json)?.try_into()?)
}

fn known(row: &SqliteRow) -> Result<Known, FindingsError> {
    let set_by_person: String = row.try_get("set_by_person")?;
    let set_by_person = set_by_person.parse().map_err(crate::finding::json::FindingJsonError::Status)?;
    Ok(Known { finding: finding(row)?, set_by_person })
}

#[cfg(test)]
mod tests;
