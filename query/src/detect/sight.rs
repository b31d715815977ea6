//! What a detection can see in the logs at hand: everything, less, or nothing – and the lines of YAML that would open its eyes.

use super::header::{Header, UNKNOWN, alternatives};
use ingest::Coverage;

/// A column that is missing from less than one line in so many is not reported missing.
const FEW: u64 = 100;

/// What is not seen without a required column.
const EVERYTHING: &str = "it sees nothing";

/// What a detection can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Every column it uses is carried by (almost) every line.
    Full,
    /// It works, but something stays unseen, or some lines do not carry what it needs.
    Degraded(Vec<Missing>),
    /// It cannot find anything.
    Blind(Vec<Missing>),
    /// No line has come in yet.
    NoData,
}

/// A column that the logs, or some of them, do not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The column, or whose lines.
    pub column: String,
    /// What is not seen without it.
    pub unseen: String,
    /// Lines that do not carry it.
    pub lines: u64,
    /// Lines in all.
    pub of: u64,
    /// Keys of the recommended log format that feed it, as `key: "%OPERATOR%"`.
    pub add: Vec<String>,
}

impl Sight {
    /// What the detection with this header sees in logs of this coverage.
    #[must_use]
    pub fn of(header: &Header, coverage: &Coverage) -> Self {
        if coverage.rows() == 0 {
            return Self::NoData;
        }
        let of = coverage.rows();
        let missing = |column: &String, unseen: &str| {
            let carried = alternatives(column).map(|column| coverage.get(column)).max().unwrap_or_default();
            let lines = of.saturating_sub(carried);
            // a few lines of another kind are no other format
            (lines > 0 && lines.saturating_mul(FEW) >= of).then(|| Missing {
                column: column.clone(),
                unseen: unseen.to_owned(),
                lines,
                of,
                add: alternatives(column).flat_map(labels_that_feed).collect(),
            })
        };
        let mut all: Vec<Missing> = header.requires.iter().filter_map(|column| missing(column, EVERYTHING)).collect();
        all.extend(unheard(header, coverage));
        all.extend(untold(header, coverage, Told::Never));
        if all.iter().any(|missing| missing.lines == of) {
            all.retain(|missing| missing.lines == of);
            return Self::Blind(all);
        }
        all.extend(header.degraded.iter().filter_map(|(column, unseen)| missing(column, unseen)));
        all.extend(untold(header, coverage, Told::Seldom));
        if all.is_empty() { Self::Full } else { Self::Degraded(all) }
    }

    /// The same, where no line of `of` has its query string: whoever reads that sees nothing.
    #[must_use]
    pub fn without_queries(self, header: &Header, of: u64) -> Self {
        if !header.reads_query || self == Self::NoData {
            return self;
        }
        let mut all = vec![Missing {
            column: "the query of path".to_owned(),
            unseen: "it reads query strings, which the format leaves out".to_owned(),
            lines: of,
            of,
            add: vec![r#"path: "%REQ(:PATH)%""#.to_owned()],
        }];
        all.extend_from_slice(self.missing());
        Self::Blind(all)
    }

    /// `evaluable`, `degraded`, `blind` or `no data`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Full => "evaluable",
            Self::Degraded(_) => "degraded",
            Self::Blind(_) => "blind",
            Self::NoData => "no data",
        }
    }

    /// What is missing.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::Full | Self::NoData => &[],
            Self::Degraded(missing) | Self::Blind(missing) => missing,
        }
    }
}

/// What is not seen of proxies that do not log, or do not say on which side they stand.
fn unheard(header: &Header, coverage: &Coverage) -> Option<Missing> {
    let of = coverage.rows();
    let logged_by = |reporter: &String| coverage.logged_by(Some(reporter.as_str()).filter(|name| *name != UNKNOWN));
    let read = header.reporters.iter().map(logged_by).sum::<Option<u64>>().filter(|_| !header.reporters.is_empty())?;
    let reads_unknown = header.reporters.iter().any(|name| name == UNKNOWN);
    let unknown = coverage.logged_by(None).filter(|_| !reads_unknown).unwrap_or(0);
    let (what, lines) = match read {
        0 => (EVERYTHING, of),
        _ => ("lines that do not tell on which side their proxy stands: they have no cluster of Istio's", unknown),
    };
    let named: Vec<&str> = header.reporters.iter().map(String::as_str).filter(|name| *name != UNKNOWN).collect();
    (lines > 0 && lines.saturating_mul(FEW) >= of).then(|| Missing {
        column: format!("a line of the reporter {}", named.join(" or ")),
        unseen: what.to_owned(),
        lines,
        of,
        add: Vec::new(),
    })
}

/// How often the lines of a format tell which proxy wrote them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Never,
    Seldom,
}

/// What is not seen in a format that has not logged a line yet, for its keys do not tell which proxy will: the cluster always does, others only on lines
/// that say what one kind of proxy does.
fn untold(header: &Header, coverage: &Coverage, how_often: Told) -> Option<Missing> {
    const CLUSTER: &str = "upstream_cluster";
    let carried = |column: &&str| coverage.get(column) > 0;
    let was_seen = coverage.logged_by(None).is_some();
    // the header itself may say what is not seen without it
    let said = header.requires.iter().chain(header.degraded.keys()).any(|column| column == CLUSTER);
    if was_seen
        || said
        || carried(&CLUSTER)
        || header.reporters.is_empty()
        || header.reporters.iter().any(|name| name == UNKNOWN)
    {
        return None;
    }
    let telling = |reporter: &String| -> &[&str] {
        match reporter.as_str() {
            "source" => &["route_name"],
            "destination" => &["rbac_decision"],
            "gateway" => &["rbac_decision", "node_pod", "node_service_account"],
            _ => &[],
        }
    };
    let told = header.reporters.iter().flat_map(telling).any(carried);
    let named = header.reporters.join(" or ");
    let unseen = match (told, how_often) {
        (false, Told::Never) => {
            format!("it reads lines of the reporter {named}, and no line tells which proxy wrote it")
        }
        (true, Told::Seldom) => format!(
            "ordinary lines: it reads those of the reporter {named}, and only denials, connections without a filter chain and routes to unknown hosts tell \
             which proxy wrote them"
        ),
        _ => return None,
    };
    let of = coverage.rows();
    Some(Missing { column: CLUSTER.to_owned(), unseen, lines: of, of, add: labels_that_feed(CLUSTER).collect() })
}

/// The lines of the recommended format that feed a column, such as `rbac: "%DYNAMIC_METADATA(envoy.filters.http.rbac)%"`.
fn labels_that_feed(column: &str) -> impl Iterator<Item = String> + use<> {
    let keys = ingest::schema::index(column)
        .and_then(|place| ingest::schema::ACCESS_LOGS.get(place))
        .map(|column| column.fed_by.keys);
    let format: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(ingest::format::recommended()).unwrap_or_default();
    let label = |key: &&str| format.get(*key).map(|operator| format!("{key}: {operator}"));
    let labels: Vec<String> = keys.unwrap_or_default().iter().filter_map(label).collect();
    labels.into_iter()
}
