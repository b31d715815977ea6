//! Access-log format strings: the text format of any mesh, compiled into a parser of its lines.
//!
//! ```text
//! [%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)%" %RESPONSE_CODE%      format
//! ├┘            ├─┘             ├┘            ├─┘
//! literals[0]   [1]             [2]           [3]  [4] = ""         literals.len() == operators.len() + 1
//!
//! line ─▶ read (format_string/fast.rs) ── sure ──────────▶ one span per operator, or no line of the format
//!              └─ not sure ─▶ read_plain (judge.rs) ─▶ the one reading, or a misfit
//! ```
//!
//! Envoy escapes nothing in a text line: a header may hold the quote that ends it. So a line is read only if there is
//! exactly one way in which the literals stand where they must and every value is of its operator's class; then that way
//! is what Envoy wrote. If there are more, the line is a misfit, and never a row with shifted fields.
//! [`TextFormat::ambiguities`] says beforehand where a format invites that.

mod ambiguity;
mod fast;
mod judge;
pub mod known;
mod words;

use std::collections::HashSet;
use std::ops::Range;

use thiserror::Error;

use crate::key::{Key, KeySet};
use crate::line_format::PathSource;
use crate::operator::{Operator, OperatorError, Piece, ValueClass, pieces};
use crate::reject::{Refusal, RejectReason};

pub use ambiguity::{Ambiguity, AmbiguityKind};

/// Longest format, bytes.
const LONGEST: usize = 64 << 10;

/// Most operators of a format.
const MOST_OPERATORS: usize = 512;

/// A compiled text format.
#[derive(Debug, Clone)]
pub struct TextFormat {
    operators: Vec<Operator>,
    /// One before each operator and one after the last.
    literals: Vec<String>,
    targets: Vec<Target>,
    /// What Envoy writes for a value that it does not have.
    absent: Absent,
    path: PathSource,
    plan: fast::Plan,
}

/// All else follows from these.
impl PartialEq for TextFormat {
    fn eq(&self, other: &Self) -> bool {
        (&self.operators, &self.literals, self.absent) == (&other.operators, &other.literals, other.absent)
    }
}

impl Eq for TextFormat {}

/// What Envoy writes for a value that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Dash,
    /// With `omit_empty_values`; some operators write `-` all the same.
    Nothing,
}

/// What an operator's value is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Columns are derived from it.
    Key(Key),
    /// `extra` keeps it under that name, which no other operator of the format has.
    Extra(String),
}

/// Why a format was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// A `%` that begins no operator, or a start time that is not understood.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// It says nothing about a request.
    #[error("the format has no command operator such as %START_TIME%; is it a file's name, or a line of the log?")]
    NoOperators,
    /// A request would take several lines.
    #[error("the format has a line break inside, so that a request takes several lines; only its end may have one")]
    LineBreak,
    /// More than anybody writes by hand.
    #[error("the format has {found} {what}; the most is {most}")]
    TooLarge {
        /// `bytes` or `operators`.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        most: usize,
    },
}

/// What a fast look at a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// It was read, and there is no other reading.
    Sure,
    /// It is of another format.
    Other,
    /// The judge must look at it.
    Unsure,
}

/// Why a line was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Misfit {
    /// No reading: the line is of another format.
    #[error("not of the configured format: {stuck} does not fit at byte {at}")]
    NoReading {
        /// The operator or literal that nothing in the line fits.
        stuck: String,
        /// How far the line could be read, in bytes.
        at: usize,
    },
    /// More than one reading, or more than are looked at.
    #[error("{operator} can be read in more than one way: quotes or separators inside a value make the line ambiguous")]
    Ambiguous {
        /// The first operator whose value is in doubt.
        operator: String,
    },
}

impl From<Misfit> for Refusal {
    fn from(misfit: Misfit) -> Refusal {
        Refusal::new(RejectReason::BadTextFormat, misfit.to_string())
    }
}

impl TextFormat {
    /// Compiles a format as it stands in a mesh's configuration. Line breaks at its end are dropped.
    pub fn compile(format: &str) -> Result<TextFormat, FormatError> {
        let format = format.trim_end_matches(['\n', '\r']);
        if format.contains(['\n', '\r']) {
            return Err(FormatError::LineBreak);
        }
        at_most("bytes", format.len(), LONGEST)?;
        let (mut operators, mut literals) = (Vec::new(), vec![String::new()]);
        for piece in pieces(format)? {
            match piece {
                Piece::Literal(text) => literals.last_mut().into_iter().for_each(|literal| literal.push_str(&text)),
                Piece::Operator(operator) => {
                    operators.push(operator);
                    literals.push(String::new());
                }
            }
        }
        if operators.is_empty() {
            return Err(FormatError::NoOperators);
        }
        at_most("operators", operators.len(), MOST_OPERATORS)?;
        if literals.iter().any(|literal| literal.contains('|')) {
            operators = operators.into_iter().map(Operator::between_pipes).collect();
        }
        let targets = targets(&operators);
        let mut paths = operators.iter().zip(&targets).filter(|(_, target)| **target == Target::Key(Key::Path));
        let path = PathSource {
            original_first: Some(paths.any(|(operator, _)| operator.prefers_original_path())),
            without_query: !operators.iter().any(Operator::logs_query),
        };
        let plan = fast::Plan::new(&operators, &literals, &targets);
        Ok(TextFormat { targets, operators, literals, absent: Absent::Dash, path, plan })
    }

    /// The same format where the configuration says `omit_empty_values` (Istio: `omitEmptyValues`): what Envoy does not
    /// have is then nothing instead of `-`.
    #[must_use]
    pub fn with_omit_empty_values(mut self, omit: bool) -> TextFormat {
        self.absent = if omit { Absent::Nothing } else { Absent::Dash };
        self
    }

    /// What it says about the paths of its lines.
    pub(crate) fn path_source(&self) -> PathSource {
        self.path
    }

    /// Whether it logs no start time.
    pub(crate) fn is_timeless(&self) -> bool {
        !self.carries().has(Key::StartTime)
    }

    /// The operators, in the order of the line.
    #[must_use]
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Where a value cannot be told from its surroundings for certain; what is worst comes first.
    #[must_use]
    pub fn ambiguities(&self) -> Vec<Ambiguity> {
        ambiguity::find(&self.operators, &self.literals, &self.plan)
    }

    /// The operator of Istio's clusters, and one of these with which no ordinary line of the format can be read: their names hold the `|` that separates
    /// its values. `None`: there is none.
    #[must_use]
    pub fn unreadable_cluster(&self) -> Option<(&Operator, &'static str)> {
        let of_clusters = |operator: &&Operator| *operator.class() == ValueClass::Cluster;
        let operator = self.operators.iter().find(of_clusters)?;
        let operators = self.operators.iter().cloned().map(Operator::with_number_for_time).collect();
        let format = TextFormat { operators, ..self.clone() };
        let line = |cluster: &'static str| -> String {
            let value = |operator| if of_clusters(&operator) { cluster } else { operator.class().usual() };
            let values = format.operators.iter().map(value).chain([""]);
            format.literals.iter().zip(values).flat_map(|(literal, value)| [literal.as_str(), value]).collect()
        };
        let mut clusters = ["inbound|8080||", "outbound|80||api.shop.svc.cluster.local"].into_iter();
        clusters.find(|cluster| format.read_plain(&line(cluster)).is_err()).map(|cluster| (operator, cluster))
    }

    /// The names of the canonical keys that the format fills, in the order of the line.
    #[must_use]
    pub fn fills(&self) -> Vec<&'static str> {
        let keys = self.targets.iter().filter_map(|target| match target {
            Target::Key(key) => Some(key.name()),
            Target::Extra(_) => None,
        });
        keys.collect()
    }

    /// The canonical keys that every line of the format carries.
    pub(crate) fn carries(&self) -> KeySet {
        self.targets.iter().fold(KeySet::EMPTY, |keys, target| match target {
            Target::Key(key) => keys.with(*key),
            Target::Extra(_) => keys,
        })
    }

    /// What each operator's value is for. No key comes twice: of several operators that feed one the first does.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Finds each operator's value: fast. Where it is sure, [`TextFormat::read_plain`] says the same. The values of before are gone in any
    /// case.
    pub(crate) fn read<'a>(&self, line: &'a str, values: &mut Vec<&'a str>) -> Read {
        self.plan.read::<false>(self, line, values)
    }

    /// The same, but a value of which an endpoint is made may be no address: sure is it only if each is one ([`is_endpoint`]).
    pub(crate) fn read_but_endpoints<'a>(&self, line: &'a str, values: &mut Vec<&'a str>) -> Read {
        self.plan.read::<true>(self, line, values)
    }

    /// The judge: finds the one way to read a line, slowly and obviously right. Its work is bounded by the line's length.
    pub(crate) fn read_plain(&self, line: &str) -> Result<Vec<Range<usize>>, Misfit> {
        judge::read(self, line)
    }

    /// Whether it is a template that imitates JSON, and the line begins and ends as its lines do.
    pub(crate) fn is_template_of(&self, line: &str) -> bool {
        self.literals.first().is_some_and(|first| first.starts_with('{')) && self.encloses(line)
    }

    /// Whether the line begins and ends as every line of the format does.
    fn encloses(&self, line: &str) -> bool {
        let ends = self.literals.first().zip(self.literals.last());
        ends.is_some_and(|(first, last)| line.starts_with(first.as_str()) && line.ends_with(last.as_str()))
    }

    /// Whether that can be the value of an operator of the class.
    fn accepts(&self, class: &ValueClass, value: &str) -> bool {
        (value.is_empty() && self.absent == Absent::Nothing) || class.accepts(value)
    }
}

/// Whether the value of an operator that says an endpoint can be one.
pub(crate) fn is_endpoint(value: &str) -> bool {
    ValueClass::Address.accepts(value)
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), FormatError> {
    if found > most { Err(FormatError::TooLarge { what, found, most }) } else { Ok(()) }
}

fn targets(operators: &[Operator]) -> Vec<Target> {
    let mut fed = KeySet::EMPTY;
    // where the path itself is logged, too, what a caller may put in its place is not it
    let path = operators.iter().any(|operator| operator.key() == Some(Key::Path) && !operator.prefers_original_path());
    let keys = operators.iter().map(|operator| {
        let key = operator.key().filter(|key| !(fed.has(*key) || path && operator.prefers_original_path()))?;
        fed = fed.with(key);
        Some(key)
    });
    let keys: Vec<Option<Key>> = keys.collect();
    let others = operators.iter().zip(&keys).filter(|(_, key)| key.is_none());
    let mut names = distinct(others.map(|(operator, _)| operator.extra_name())).into_iter();
    keys.into_iter()
        .map(|key| key.map_or_else(|| Target::Extra(names.next().unwrap_or_default()), Target::Key))
        .collect()
}

/// The names; those that were there before are numbered from 2: `a`, `a#2`.
pub(crate) fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = HashSet::new();
    let names = names.map(|name| {
        let mut numbered = (2..).map(|number| format!("{name}#{number}"));
        let mut free = name.clone();
        while !known.insert(free.clone()) {
            free = numbered.next().unwrap_or_default();
        }
        free
    });
    names.collect()
}

#[cfg(test)]
mod tests;
