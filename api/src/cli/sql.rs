//! `meshwarden sql`: one query over files or over a service's folder.

use std::time::Duration;

use query::sql::{Limits, Rowset, Sql};
use query::store::{Location, Store};
use query::{Core, CoreOptions, Keep};

use super::SharedClock;
use super::args::{RowsOutput, SqlArgs};
use super::error::{CliError, Exit};
use crate::render;

pub(crate) async fn run(args: SqlArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let rows = if args.limit == 0 { usize::MAX } else { args.limit };
    // on one's own machine a query may be as large as it likes
    let limits = Limits { rows, bytes: usize::MAX, time: Duration::from_secs(24 * 3600) };
    // --data from the environment, where a service runs, gives way to a --from that was typed
    let data = args.data.as_ref().filter(|_| args.from.is_empty());
    let mut unread = None;
    let rowset = match data {
        Some(folder) => {
            let store = Store::open_read_only(Location::parse(folder, None)?).await?;
            if let Some(as_of) = store.as_of() {
                let as_of = as_of.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                render::say(format_args!(
                    "rows as written to disk up to {as_of}; what came in since is asked from the service's API"
                ));
            }
            let snapshot = store.snapshot();
            let sql = Sql::of_a_table(CoreOptions::default().sql_memory)?;
            let session = sql.over(&snapshot).await?;
            Rowset::of(&sql, session, &args.query, limits).await?
        }
        None if args.from.is_empty() => return Err(CliError::NoSource),
        None => {
            let core = Core::in_memory(Keep::All, CoreOptions::default()).await?;
            let read = crate::scan::load(&core, &args.from, args.decode.options()?, clock.as_ref()).await?;
            render::say(render::left_out(&read));
            if read.lines() == 0 && read.read == 0 {
                return Err(CliError::Nothing("no file could be opened".to_owned()));
            }
            unread = read.incomplete();
            core.query(&args.query, limits).await?
        }
    };
    let text = match args.output {
        RowsOutput::Table => render::rows_table(&rowset)?,
        RowsOutput::Ndjson => render::rows_ndjson(&rowset)?,
        RowsOutput::Csv => render::rows_csv(&rowset)?,
    };
    render::print(&text)?;
    if rowset.truncated {
        render::say(format_args!("only the first {} rows are shown: raise --limit", args.limit));
    }
    // the rows are right, but not of everything that was named
    unread.map_or(Ok(Exit::Done), |reason| Err(CliError::Partial(reason)))
}
