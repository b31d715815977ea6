//! One transaction for each window, and an entity's whole history numbered anew: the slow, obvious way.

use super::*;
use crate::findings::reconcile::{reconcile, renumber};

impl FindingsState {
    /// Takes the hits of one detection and window in; `now` is the wall time written to the feed. Returns what changed.
    ///
    /// # Errors
    /// If the state cannot be read or written; then nothing changed.
    pub(super) async fn apply_plainly(
        &self,
        detection: &str,
        version: i64,
        window: Window,
        hits: Vec<Hit>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Finding, ChangeKind)>, FindingsError> {
        let _one_writer = self.writer.lock().await;
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT json, set_by_person FROM findings WHERE detection = ? AND version = ? AND window_start = ? AND window_end = ?",
        )
        .bind(detection)
        .bind(version)
        .bind(window.start())
        .bind(window.end())
        .fetch_all(&mut *tx)
        .await?;
        let known = rows.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        if known.is_empty() && hits.is_empty() {
            return Ok(Vec::new());
        }
        let mut changes = reconcile(known, hits);
        let mut entities: Vec<String> = Vec::new();
        for (known, kind) in &changes {
            write(&mut tx, known).await?;
            if matches!(kind, ChangeKind::Opened | ChangeKind::Retracted | ChangeKind::Reopened) {
                entities.push(entity_key(&known.finding)?);
            }
        }
        for entity in entities {
            for renumbered in incidents(&mut tx, detection, version, &entity).await? {
                match changes.iter_mut().find(|(known, _)| known.finding.id == renumbered.finding.id) {
                    Some((known, _)) => *known = renumbered,
                    None => changes.push((renumbered, ChangeKind::Updated)),
                }
            }
        }
        let newest = self.feed(&mut tx, &changes, now).await?;
        tx.commit().await?;
        self.announce(newest);
        Ok(changes.into_iter().map(|(known, kind)| (known.finding, kind)).collect())
    }
}

/// Findings of one entity whose incident is another one. All windows of the
/// entity are read.
async fn incidents(
    tx: &mut SqliteConnection,
    detection: &str,
    version: i64,
    entity: &str,
) -> Result<Vec<Known>, FindingsError> {
    let rows = sqlx::query(
        "SELECT json, set_by_person FROM findings WHERE detection = ? AND version = ? AND entity = ? ORDER BY window_start",
    )
    .bind(detection)
    .bind(version)
    .bind(entity)
    .fetch_all(&mut *tx)
    .await?;
    let known = rows.iter().map(known).collect::<Result<Vec<_>, _>>()?;
    let mut findings: Vec<Finding> = known.iter().map(|known| known.finding.clone()).collect();
    let mut changed = Vec::new();
    for place in renumber(&mut findings) {
        if let (Some(finding), Some(known)) = (findings.get(place), known.get(place)) {
            let renumbered = Known { finding: finding.clone(), set_by_person: known.set_by_person };
            write(tx, &renumbered).await?;
            changed.push(renumbered);
        }
    }
    Ok(changed)
}
