//! Where a finding is in its life.
//!
//! `open → acknowledged → closed` are a person's words (`PATCH`); `retracted` is the data's: the rows that made the
//! finding no longer do, because late data raised the baseline. A retracted finding that stands again takes up its old status.

use std::fmt;
use std::str::FromStr;

/// Where a finding is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody has looked yet.
    Open,
    /// A person has seen it.
    Acknowledged,
    /// A person is done with it.
    Closed,
    /// Late data contradicts it.
    Retracted,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Open, Self::Acknowledged, Self::Closed, Self::Retracted];

    /// The name used in JSON and filters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
            Self::Retracted => "retracted",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no status: use open, acknowledged, closed or retracted")]
pub struct ParseStatusError(String);

impl FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| ParseStatusError(word.to_owned()))
    }
}
