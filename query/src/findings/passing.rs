//! The findings of a pass over logs of which nothing is kept: no file, no feed, each finding once.

use std::collections::BTreeMap;

use super::Looked;
use super::runs::Runs;
use crate::detect::Hit;
use crate::finding::{Finding, Status};

/// Findings by detection and version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passing(BTreeMap<(String, i64), Runs>);

impl Passing {
    /// Takes the hits of some windows in, in this order.
    pub(crate) fn apply(&mut self, looked: Vec<Looked>) {
        for Looked { header, window, hits } in looked {
            let runs = self.0.entry((header.id.clone(), header.version)).or_default();
            runs.take(window, hits.into_iter().map(Hit::into_finding).collect());
        }
    }

    /// The findings that stand.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let findings = self.0.into_values().flat_map(Runs::into_findings);
        findings.filter(|finding| finding.status != Status::Retracted).collect()
    }
}
