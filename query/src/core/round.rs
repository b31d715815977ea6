//! A round of detection: the touched windows of every detection, over rows that are read once.
//!
//! ```text
//!  windows of all detections ─▶ spans of 1 h ─▶ stretches of time ─▶ suspicious rows, sorted, read once a stretch
//!                                                                       └─▶ detection × window: a slice of them ─▶ hits ─▶ findings
//! ```
//! Detections run beside each other, one detection's windows one after the other. What they find is taken in beside that, in the order of
//! stretches, then detections, then windows, whichever came first: many windows at a time, as many as have come.
//!
//! Memory grows with what is suspicious in one span and what is looked back on from it, not with the time that all windows take; and where that is
//! too much, as in a flood, each window's plan reads the store itself.
//! A window in which a detection's signals select no row has no hit and is passed over. A detection that reads every row (no `signals`) is
//! planned for each of its windows over the store itself. Windows that failed before and are due again ([`crate::detect::overdue`]) are looked at with
//! the touched ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::error::DataFusionError;
use tokio::sync::{Semaphore, mpsc};

use super::suspicious::{self, Suspicious};
use super::{Core, CoreError, Failure, Round, Stay};
use crate::detect::overdue::Place;
use crate::detect::{Detection, EvaluateError, Header, Hit, Touched};
use crate::findings::{FindingsState, Looked, Passing};
use crate::store::Snapshot;
use crate::window::Window;

/// Stretches of time read apart; more than this many are read as one.
const STRETCHES: usize = 64;
/// Windows further apart than this, µs, are in two stretches.
const GAP: i64 = 3_600_000_000;
/// Windows that start in one span of this length, µs, are looked at together.
const SPAN: i64 = 3_600_000_000;
/// Groups of spans at most: what is scattered over years is read in pieces that are so much longer.
const GROUPS: usize = 128;
/// Longest run of one detection over one window, while somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where it gives way: it may get but a tenth of the time, and what waits is not slow.
const PATIENCE_GIVING_WAY: Duration = Duration::from_secs(600);

/// Outcomes of a detection that wait to be taken in, at most.
const WAITING: usize = 64;

/// Where findings go.
pub(super) enum Into<'a> {
    /// To the findings' state: what changed is in the round.
    State(&'a FindingsState),
    /// To the caller.
    Passing(&'a mut Passing),
}

/// Where the suspicious rows of a stretch are.
enum Rows<'a> {
    /// Here.
    Read(Suspicious),
    /// In the store: they would take too much memory.
    Stored(&'a Snapshot),
}

/// What a detection said of one window.
struct Outcome {
    header: Arc<Header>,
    window: Window,
    hits: Result<Vec<Hit>, EvaluateError>,
}

/// How a run over windows ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Through,
    CutShort,
}

/// What to look at.
pub(super) struct Agenda<'a> {
    /// Where rows came in.
    pub(super) touched: &'a Touched,
    /// Windows that failed before.
    pub(super) again: &'a [Place],
    /// The latest event time known, µs.
    pub(super) latest: i64,
}

impl Agenda<'_> {
    /// A detection's windows, the earliest first.
    fn windows(&self, detection: &Detection) -> Vec<Window> {
        let mut windows = self.touched.windows(&detection.header, self.latest);
        windows.extend(self.again.iter().filter(|(id, _)| *id == detection.header.id).map(|(_, window)| *window));
        windows.sort_unstable();
        windows.dedup();
        windows
    }
}

/// Looks at every window of the agenda.
pub(super) async fn look(
    core: &Core,
    agenda: &Agenda<'_>,
    now: DateTime<Utc>,
    round: &mut Round,
    into: &mut Into<'_>,
) -> Result<(), CoreError> {
    let snapshot = core.store.snapshot();
    let (by_signal, by_row): (Vec<_>, Vec<_>) = core
        .pack
        .detections()
        .iter()
        .map(|detection| (detection, agenda.windows(detection)))
        .partition(|(detection, _)| detection.header.signals != 0);
    let mask = by_signal.iter().fold(0, |mask, (detection, _)| mask | detection.header.signals);
    let columns = columns(by_signal.iter().map(|(detection, _)| detection.as_ref()));
    // no more at a time than there are threads: waiting for one would be taken for being slow
    let turns = Semaphore::new(core.beside.width());
    let spans = spans(&by_signal);
    for group in spans.chunks(spans.len().div_ceil(GROUPS).max(1)) {
        // those of this group, by detection
        let windows: Vec<&[Window]> = by_signal.iter().map(|(_, windows)| in_spans(windows, group)).collect();
        let reaches = by_signal
            .iter()
            .zip(&windows)
            .flat_map(|((detection, _), windows)| windows.iter().map(|window| reach(detection, *window)));
        for stretch in stretches(reaches) {
            let rows = Suspicious::read(core, &snapshot, stretch, mask, &columns, core.most_suspicious).await?;
            let rows = rows.map_or(Rows::Stored(&snapshot), Rows::Read);
            let within = |window: &&Window| stretch.start() <= window.start() && window.end() <= stretch.end();
            let (looks, mut found): (Vec<_>, Vec<_>) = by_signal
                .iter()
                .zip(&windows)
                .map(|((detection, _), windows)| {
                    let (found, queue) = mpsc::channel(WAITING);
                    let windows: Vec<Window> = windows.iter().filter(within).copied().collect();
                    (look_at(core, detection, windows, &rows, &turns, found), queue)
                })
                .unzip();
            let taking_in = async {
                let mut outcomes = Vec::new();
                for queue in &mut found {
                    while queue.recv_many(&mut outcomes, WAITING).await > 0 {
                        settle(core, std::mem::take(&mut outcomes), now, round, into).await?;
                    }
                }
                Ok::<_, CoreError>(())
            };
            let (ends, ()) = tokio::try_join!(futures::future::try_join_all(looks), taking_in)?;
            if ends.contains(&End::CutShort) {
                round.cut_short = true;
                return Ok(());
            }
        }
    }
    for (detection, windows) in by_row {
        for window in windows {
            let rows = snapshot.access_logs_between(reach(detection, window));
            let evaluation = core.engine.evaluate(detection, window, rows);
            let Some(hits) = within_patience(core, detection, window, evaluation).await else {
                round.cut_short = true;
                return Ok(());
            };
            let outcome = Outcome { header: Arc::clone(&detection.header), window, hits };
            settle(core, vec![outcome], now, round, into).await?;
        }
    }
    Ok(())
}

/// Runs one detection over its windows, the earliest first, until there are no more or nobody wants to know.
async fn look_at(
    core: &Core,
    detection: &Arc<Detection>,
    windows: Vec<Window>,
    rows: &Rows<'_>,
    turns: &Semaphore,
    found: mpsc::Sender<Outcome>,
) -> Result<End, CoreError> {
    if windows.is_empty() {
        return Ok(End::Through);
    }
    let rows = match rows {
        // each row is filtered once, and not in every window that looks back on it
        Rows::Read(all) => {
            let (all, own) = (all.clone(), Arc::clone(detection));
            let rows = core.beside.spawn(async move { all.of(&own) }).await;
            Rows::Read(rows.map_err(|error| DataFusionError::External(Box::new(error)))??)
        }
        Rows::Stored(snapshot) => Rows::Stored(snapshot),
    };
    for window in windows {
        if let Rows::Read(rows) = &rows
            && rows.slice(window).is_empty()
        {
            core.state().overdue.settled(&(detection.header.id.clone(), window));
            continue;
        }
        let turn = turns.acquire().await;
        let hits = within_patience(core, detection, window, evaluate(core, detection, window, &rows)).await;
        drop(turn);
        let Some(hits) = hits else { return Ok(End::CutShort) };
        if found.send(Outcome { header: Arc::clone(&detection.header), window, hits }).await.is_err() {
            break;
        }
    }
    Ok(End::Through)
}

async fn evaluate(
    core: &Core,
    detection: &Detection,
    window: Window,
    rows: &Rows<'_>,
) -> Result<Vec<Hit>, EvaluateError> {
    let failed = |source| failure(detection, window, source);
    let reach = reach(detection, window);
    match rows {
        Rows::Read(rows) => {
            let prepared = detection.prepared().map_err(failed)?;
            prepared.evaluate(window, rows.slice(reach)).await
        }
        Rows::Stored(snapshot) => {
            let rows = suspicious::with_signals(core, snapshot, reach, detection.header.signals);
            core.engine.evaluate(detection, window, rows.map_err(failed)?.into_view()).await
        }
    }
}

/// The columns that any of these detections reads, and those by which rows are picked.
fn columns<'d>(detections: impl Iterator<Item = &'d Detection>) -> Vec<&'static str> {
    let mut columns = BTreeSet::from(["time", "signals"]);
    for prepared in detections.filter_map(|detection| detection.prepared().ok()) {
        columns.extend(prepared.columns());
    }
    columns.into_iter().collect()
}

/// `None`: nobody wants to know any more.
async fn within_patience(
    core: &Core,
    detection: &Detection,
    window: Window,
    evaluation: impl Future<Output = Result<Vec<Hit>, EvaluateError>>,
) -> Option<Result<Vec<Hit>, EvaluateError>> {
    let patience = match core.stay {
        Stay::Kept => PATIENCE_GIVING_WAY,
        Stay::Passing => PATIENCE,
    };
    let mut stopping = core.stopping.subscribe();
    tokio::select! {
        biased;
        // the sender lives as long as the core: an error cannot be
        _ = stopping.wait_for(|stopping| *stopping) => None,
        hits = tokio::time::timeout(patience, evaluation) => Some(hits.unwrap_or_else(|_| {
            let why = DataFusionError::Execution(format!("it took longer than {patience:?}"));
            Err(failure(detection, window, why))
        })),
    }
}

fn failure(detection: &Detection, window: Window, source: DataFusionError) -> EvaluateError {
    EvaluateError::Sql { detection: detection.header.id.clone(), window, source: Box::new(source) }
}

/// Counts outcomes and takes their hits in.
async fn settle(
    core: &Core,
    outcomes: Vec<Outcome>,
    now: DateTime<Utc>,
    round: &mut Round,
    into: &mut Into<'_>,
) -> Result<(), CoreError> {
    let (mut looked, mut places) = (Vec::new(), Vec::new());
    for Outcome { header, window, hits } in outcomes {
        round.windows += 1;
        let place = (header.id.clone(), window);
        match hits {
            Ok(hits) => {
                looked.push(Looked { header, window, hits });
                places.push(place);
            }
            Err(error) => {
                let again = core.state().overdue.failed(place, now);
                round.failures.push(Failure { error, again });
            }
        }
    }
    match into {
        Into::State(findings) => round.changes.extend(findings.apply(looked, now).await?),
        Into::Passing(passing) => passing.apply(looked),
    }
    let mut state = core.state();
    for place in &places {
        state.overdue.settled(place);
    }
    Ok(())
}

/// A window and what its detection looks back on.
fn reach(detection: &Detection, window: Window) -> Window {
    Window::new(window.start().saturating_sub(detection.header.lookback_micros()), window.end()).unwrap_or(window)
}

/// The spans in which windows start, the earliest first.
fn spans(windows: &[(&Arc<Detection>, Vec<Window>)]) -> Vec<i64> {
    let starts = windows.iter().flat_map(|(_, windows)| windows.iter().map(|window| window.start().div_euclid(SPAN)));
    let mut spans: Vec<i64> = starts.collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// Of sorted windows those that start in one of some spans.
fn in_spans<'w>(windows: &'w [Window], spans: &[i64]) -> &'w [Window] {
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return &[] };
    let from = windows.partition_point(|window| window.start().div_euclid(SPAN) < *first);
    let to = windows.partition_point(|window| window.start().div_euclid(SPAN) <= *last);
    windows.get(from..to).unwrap_or_default()
}

/// Intervals put together where they touch or nearly do.
fn stretches(intervals: impl Iterator<Item = Window>) -> Vec<Window> {
    let mut sorted: Vec<Window> = intervals.collect();
    sorted.sort_unstable();
    let join = |gap: i64| {
        let mut joined: Vec<Window> = Vec::new();
        for next in &sorted {
            match joined.last_mut() {
                Some(last) if next.start().saturating_sub(gap) <= last.end() => {
                    *last = Window::new(last.start(), last.end().max(next.end())).unwrap_or(*last);
                }
                _ => joined.push(*next),
            }
        }
        joined
    };
    let joined = join(GAP);
    if joined.len() > STRETCHES { join(i64::MAX) } else { joined }
}
