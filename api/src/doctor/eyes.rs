//! What detections see: for a log, or for a format that has not logged a line yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use ingest::Coverage;
use ingest::format::{Paths, istio_yaml};
use query::detect::{Detection, Missing, Pack, Sight};
use serde::Serialize;

/// What one detection sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Eye {
    /// Its id.
    pub(crate) detection: String,
    /// `evaluable`, `degraded`, `blind` or `no data`.
    pub(crate) state: &'static str,
    /// What it does not see, and for lack of what.
    pub(crate) unseen: Vec<Unseen>,
}

/// What a detection does not see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Unseen {
    /// The column that is missing; of query strings the column that has none; or a line of whom.
    pub(crate) without: String,
    /// What is not seen.
    pub(crate) what: String,
    /// On how many lines.
    pub(crate) lines: u64,
    /// Lines in all.
    pub(crate) of: u64,
    /// Labels of the recommended format that would show it.
    pub(crate) add: Vec<String>,
}

/// Whether paths are logged with their query strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queries {
    /// On some lines at least, or nobody can tell.
    Logged,
    /// On no line.
    LeftOut,
}

/// What would let detections see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remedy {
    /// Labels that are missing, `key: "operator"`, sorted.
    pub(crate) labels: Vec<String>,
    /// `MeshConfig` provider and Telemetry, complete.
    pub(crate) yaml: String,
}

/// What each detection sees.
pub(crate) fn eyes(pack: &Pack, coverage: &Coverage, queries: Queries) -> Vec<Eye> {
    let rows = coverage.rows();
    let eye = |(detection, sight): (Arc<Detection>, Sight)| {
        let sight = match queries {
            Queries::LeftOut => sight.without_queries(&detection.header, rows),
            Queries::Logged => sight,
        };
        let unseen = sight.missing().iter().map(Unseen::of).collect();
        Eye { detection: detection.header.id.clone(), state: sight.as_str(), unseen }
    };
    pack.sights(coverage).into_iter().map(eye).collect()
}

impl Unseen {
    fn of(missing: &Missing) -> Self {
        let Missing { column, unseen, lines, of, add } = missing.clone();
        Unseen { without: column, what: unseen, lines, of, add }
    }
}

impl Remedy {
    /// What helps these eyes; `None` if they see everything.
    pub(crate) fn of<'e>(eyes: impl IntoIterator<Item = &'e Eye>, paths: Paths) -> Option<Remedy> {
        let unseen: Vec<&Unseen> = eyes.into_iter().flat_map(|eye| &eye.unseen).collect();
        if unseen.is_empty() {
            return None;
        }
        let labels: BTreeSet<String> = unseen.iter().flat_map(|unseen| unseen.add.iter().cloned()).collect();
        Some(Remedy { labels: labels.into_iter().collect(), ..Remedy::whole(paths) })
    }

    /// The whole format, for who logs nothing yet.
    pub(crate) fn whole(paths: Paths) -> Remedy {
        Remedy { labels: Vec::new(), yaml: istio_yaml(paths) }
    }
}

/// Which detections the difference between the two variants of the recommended format blinds, in one sentence.
pub(crate) fn queries(pack: &Pack) -> String {
    let readers: Vec<&str> = pack.reading_queries().map(|detection| detection.header.id.as_str()).collect();
    match readers.as_slice() {
        [] => "none of the loaded detections reads query strings: the recommended format, which leaves them out, blinds none"
            .to_owned(),
        readers => format!(
            "the recommended format leaves query strings out, which blinds {}: 'meshwarden format istio --with-query' logs them, and the secrets in them",
            readers.join(", ")
        ),
    }
}
