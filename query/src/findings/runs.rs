//! The findings of one version of a detection, brought up to date window after window in memory: a pure function.
//!
//! ```text
//!  held before ─▶ Runs ◀─take─ hits of a window, of the next one, …       ─▶ places of those that changed, each with what happened to it
//!                  ├─ windows   which findings a window has
//!                  └─ entities  the findings of an entity by window: the runs that incidents are numbered over
//! ```
//! What [`renumber`](super::reconcile::renumber) finds by numbering an entity's whole history, this finds by walking right from the place that
//! changed, as far as numbers change. So of an entity whose runs change it must hold every finding from the last one before the first window on.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::reconcile::{Known, compare};
use crate::finding::{ChangeKind, Entity, Finding, Status};
use crate::window::Window;

/// A finding and how often it was written; 0 is not yet.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) known: Known,
    pub(crate) revision: i64,
}

/// The findings of one version of a detection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    held: Vec<Held>,
    places: HashMap<String, usize>,
    windows: HashMap<Window, Vec<usize>>,
    entities: HashMap<Entity, BTreeMap<Window, usize>>,
}

impl Runs {
    /// Adds a finding as it was written; one that is there already stays.
    pub(crate) fn hold(&mut self, known: Known, revision: i64) {
        if !self.places.contains_key(&known.finding.id) {
            self.put(known, revision);
        }
    }

    /// The entities whose runs these hits of a window would change.
    pub(crate) fn moved(&self, window: Window, fresh: &[Finding]) -> Vec<Entity> {
        let stands = |finding: &Finding| finding.status != Status::Retracted;
        let known = self.windows.get(&window).into_iter().flatten().filter_map(|place| self.get(*place));
        let known: HashMap<&str, &Finding> =
            known.map(|held| (held.known.finding.id.as_str(), &held.known.finding)).collect();
        let hit: HashSet<&str> = fresh.iter().map(|finding| finding.id.as_str()).collect();
        let appear = fresh.iter().filter(|fresh| !known.get(fresh.id.as_str()).is_some_and(|known| stands(known)));
        let leave = known.values().filter(|known| stands(known) && !hit.contains(known.id.as_str())).copied();
        appear.chain(leave).map(|finding| finding.entity.clone()).collect()
    }

    /// Takes the hits of a window in. Answers the places of findings that changed, and how.
    pub(crate) fn take(&mut self, window: Window, fresh: Vec<Finding>) -> Vec<(usize, ChangeKind)> {
        let known = self.windows.get(&window).into_iter().flatten().filter_map(|place| self.get(*place));
        let known: Vec<Known> = known.map(|held| held.known.clone()).collect();
        let mut moved = Vec::new();
        let mut changes: Vec<(usize, ChangeKind)> = Vec::new();
        for (known, kind) in compare(known, fresh) {
            if matches!(kind, ChangeKind::Opened | ChangeKind::Retracted | ChangeKind::Reopened) {
                moved.push(known.finding.entity.clone());
            }
            changes.push((self.write(known), kind));
        }
        let mut changed: HashSet<usize> = changes.iter().map(|(place, _)| *place).collect();
        for entity in moved {
            for place in self.renumber(&entity, window) {
                if changed.insert(place) {
                    changes.push((place, ChangeKind::Updated));
                }
            }
        }
        changes
    }

    /// The finding at a place.
    pub(crate) fn get(&self, place: usize) -> Option<&Held> {
        self.held.get(place)
    }

    /// All findings.
    pub(crate) fn into_findings(self) -> impl Iterator<Item = Finding> {
        self.held.into_iter().map(|held| held.known.finding)
    }

    fn put(&mut self, known: Known, revision: i64) -> usize {
        let (place, finding) = (self.held.len(), &known.finding);
        self.places.insert(finding.id.clone(), place);
        self.windows.entry(finding.window).or_default().push(place);
        self.entities.entry(finding.entity.clone()).or_default().insert(finding.window, place);
        self.held.push(Held { known, revision });
        place
    }

    fn write(&mut self, known: Known) -> usize {
        let place = self.places.get(&known.finding.id).copied();
        match place.and_then(|place| Some((place, self.held.get_mut(place)?))) {
            Some((place, held)) => {
                *held = Held { known, revision: held.revision + 1 };
                place
            }
            None => self.put(known, 1),
        }
    }

    /// Numbers the run of an entity anew from the finding of `window` on. Answers the places of those whose incident changed.
    fn renumber(&mut self, entity: &Entity, window: Window) -> Vec<usize> {
        let Some(windows) = self.entities.get(entity) else { return Vec::new() };
        let mut before = windows
            .range(..window)
            .rev()
            .filter_map(|(_, place)| self.held.get(*place))
            .map(|held| &held.known.finding)
            .find(|finding| finding.status != Status::Retracted)
            .map(|finding| (finding.window, finding.incident.clone()));
        let mut changed = Vec::new();
        for (at, place) in windows.range(window..) {
            let Some(held) = self.held.get_mut(*place) else { continue };
            let finding = &mut held.known.finding;
            if finding.status == Status::Retracted {
                continue;
            }
            let incident = match before {
                Some((before, incident)) if before.end() == finding.window.start() => incident,
                _ => finding.id.clone(),
            };
            if finding.incident != incident {
                finding.incident.clone_from(&incident);
                held.revision += 1;
                changed.push(*place);
            } else if *at != window {
                // what comes after depends on this one alone
                break;
            }
            before = Some((*at, incident));
        }
        changed
    }
}
