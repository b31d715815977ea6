//! What the hits of one window mean for the findings that are already known: a pure function.
//!
//! ```text
//!  known findings of (detection, window) ┐
//!                                        ├─▶ changed findings, each with what happened to it
//!  hits of (detection, window)           ┘
//! ```
//! A hit without a finding opens one; a hit whose finding says something else updates it; a finding without a hit is retracted; a
//! retracted one with a hit stands again. Incidents are then numbered over whole runs of windows ([`renumber`]), so the outcome
//! does not depend on the order in which windows were looked at: *batch = stream*.

use crate::detect::Hit;
use crate::finding::{ChangeKind, Finding, Status};
use crate::window::Window;

/// A finding and the status that a person gave it, which a retraction hides and a comeback restores.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The finding; its status is [`Status::Retracted`] while it is.
    pub finding: Finding,
    /// `Open`, `Acknowledged` or `Closed`.
    pub set_by_person: Status,
}

impl Known {
    fn fresh(finding: Finding) -> Self {
        Self { finding, set_by_person: Status::Open }
    }
}

/// The known findings of one detection and window after its hits, with what happened to each that changed.
#[must_use]
pub fn reconcile(known: Vec<Known>, hits: Vec<Hit>) -> Vec<(Known, ChangeKind)> {
    compare(known, hits.into_iter().map(Hit::into_finding).collect())
}

/// The same with what the hits stand for.
pub(super) fn compare(known: Vec<Known>, fresh: Vec<Finding>) -> Vec<(Known, ChangeKind)> {
    let mut known: std::collections::BTreeMap<String, Known> =
        known.into_iter().map(|known| (known.finding.id.clone(), known)).collect();
    let mut changed = Vec::new();
    for fresh in fresh {
        match known.remove(&fresh.id) {
            None => changed.push((Known::fresh(fresh), ChangeKind::Opened)),
            Some(old) => {
                let came_back = old.finding.status == Status::Retracted;
                let new = Finding {
                    status: old.set_by_person,
                    incident: old.finding.incident.clone(),
                    note: old.finding.note.clone(),
                    ..fresh
                };
                if came_back {
                    changed.push((Known { finding: new, ..old }, ChangeKind::Reopened));
                } else if new != old.finding {
                    changed.push((Known { finding: new, ..old }, ChangeKind::Updated));
                }
            }
        }
    }
    for (_, mut old) in known {
        if old.finding.status != Status::Retracted {
            old.finding.status = Status::Retracted;
            changed.push((old, ChangeKind::Retracted));
        }
    }
    changed
}

/// Gives every finding of one detection and entity its incident: the id of the first finding of its unbroken run of windows. Retracted findings
/// end a run and keep the incident they had. Returns the places of those whose incident changed.
pub fn renumber(findings: &mut [Finding]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by_key(|&place| findings.get(place).map(|finding| finding.window));
    let mut run: Option<(Window, String)> = None;
    let mut changed = Vec::new();
    for place in order {
        let Some(finding) = findings.get_mut(place) else { continue };
        if finding.status == Status::Retracted {
            continue;
        }
        let incident = match run.take() {
            Some((before, incident)) if before.end() == finding.window.start() => incident,
            _ => finding.id.clone(),
        };
        if finding.incident != incident {
            finding.incident.clone_from(&incident);
            changed.push(place);
        }
        run = Some((finding.window, incident));
    }
    changed
}

#[cfg(test)]
mod tests;
