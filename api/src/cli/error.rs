//! How a command ends: the exit code, and the one sentence that goes with a bad one.

use std::path::PathBuf;

/// A command that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// A finding was as severe as `--fail-on` says, or something is not as it was written.
    FailOn,
}

/// A command that could not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// No input could be read, or none held a line that is an access log.
    #[error("nothing readable: {0}")]
    Nothing(String),
    /// `scan` did not look at everything that it was asked to.
    #[error("the scan is incomplete: {0}")]
    Incomplete(String),
    /// `sql` answered over less than was named.
    #[error("the rows are not of everything that was named: {0}")]
    Partial(String),
    /// `doctor` read less than was named.
    #[error("not all that was named could be read: {0}")]
    Unread(String),
    /// `sql` was not told what to ask.
    #[error(
        "name what to ask: files with --from PATH (again for more, - for stdin), or a service's folder with --data DIR"
    )]
    NoSource,
    /// The sample logs are not there.
    #[error(
        "there are no sample logs in {0}: run it in a checkout of meshwarden, or name their folder with --logs DIR"
    )]
    NoSamples(PathBuf),
    /// A field map is not right.
    #[error("{0}")]
    Fields(String),
    /// A name of gateways is no regular expression.
    #[error("{0}")]
    Gateways(String),
    /// An access-log format cannot be read.
    #[error("{0}")]
    Format(String),
    /// The configuration is not right.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The core could not be opened or written.
    #[error(transparent)]
    Core(#[from] query::CoreError),
    /// What the journal keeps could not be taken in.
    #[error(transparent)]
    Intake(#[from] crate::intake::IntakeError),
    /// A door of the proxies' cannot be opened.
    #[error(transparent)]
    Door(#[from] crate::receive::DoorError),
    /// A pattern of files to follow is none.
    #[error(transparent)]
    Tail(#[from] crate::receive::PatternError),
    /// The positions of files could not be read.
    #[error(transparent)]
    Keys(#[from] crate::intake::KeysError),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(ingest::journal::JournalError),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] query::store::StoreError),
    /// The findings could not be read.
    #[error(transparent)]
    Findings(#[from] query::findings::FindingsError),
    /// The query was not answered.
    #[error(transparent)]
    Query(#[from] query::sql::QueryError),
    /// The SQL engine could not be set up.
    #[error("the SQL engine cannot be used: {0}")]
    Sql(#[from] datafusion::error::DataFusionError),
    /// The API could not be served.
    #[error(transparent)]
    Http(#[from] crate::http::ServeError),
    /// The address is open to strangers.
    #[error(transparent)]
    Strangers(#[from] crate::http::ListenError),
    /// The token is none.
    #[error("{0}")]
    Token(#[from] crate::http::TokenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {source}; name another address with --listen")]
    Listen {
        /// The address.
        listen: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A scan could not go on.
    #[error(transparent)]
    Scan(#[from] crate::scan::ScanError),
    /// Deliveries could not be started.
    #[error(transparent)]
    Deliver(#[from] crate::deliver::DeliverError),
    /// Rows could not be written in the form asked for.
    #[error("rows cannot be written: {0}")]
    Rows(#[from] crate::render::RowsError),
    /// Something could not be written.
    #[error("{what} cannot be written: {source}")]
    Write {
        /// What.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        if matches!(self, Self::Nothing(_)) { 3 } else { 2 }
    }
}
