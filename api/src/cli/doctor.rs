//! `meshwarden doctor format`: what a log or a mesh's configuration lets detections see, and what would open their eyes. `meshwarden doctor ingest`: what
//! arrives.

use std::path::PathBuf;

use ingest::format::Paths;
use query::detect::Pack;
use query::sql::Sql;
use query::{Core, CoreOptions, Keep};

use super::SharedClock;
use super::args::{DoctorArgs, DoctorCommand, DoctorFormatArgs, DoctorOutput, StoreArgs};
use super::decode::without_line_break;
use super::error::{CliError, Exit};
use super::store::look;
use crate::doctor::{
    Arrivals, Asked, Kind, Remedy, Report, examine_format, examine_log, examine_mesh, kind, nothing, queries, text,
};
use crate::render;

pub(crate) async fn run(args: DoctorArgs, clock: SharedClock) -> Result<Exit, CliError> {
    match args.command {
        DoctorCommand::Format(args) => format(*args, clock).await,
        DoctorCommand::Ingest(args) => ingest(args, clock).await,
    }
}

async fn ingest(args: StoreArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let (store, journal) = look(&args).await?;
    let sql = Sql::of_a_table(CoreOptions::default().sql_memory)?;
    let pack = Pack::built_in(&sql).await;
    let asked = Asked { store: &store, pack: &pack, sql: &sql, waiting: journal.waiting, now: clock.now() };
    let arrivals = Arrivals::of(&asked).await?;
    match args.output {
        DoctorOutput::Table => render::print(&arrivals.text())?,
        DoctorOutput::Json => {
            let mut json = serde_json::to_string_pretty(&arrivals).map_err(render::RowsError::from)?;
            json.push('\n');
            render::print(&json)?;
        }
    }
    match arrivals.is_empty() {
        true => Err(CliError::Nothing(
            "nothing has arrived yet: is the service running, and does anything send to it or lie under its --tail? A line to try: \
             curl --data-binary @access.log http://127.0.0.1:8080/api/v1/ingest"
                .to_owned(),
        )),
        false => Ok(Exit::Done),
    }
}

async fn format(args: DoctorFormatArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let options = CoreOptions { detections: args.detect.detections.clone(), ..CoreOptions::default() };
    let core = Core::in_memory(Keep::Suspicious, options).await?;
    let pack = core.pack();
    let (mut logs, mut texts, mut unread): (Vec<PathBuf>, _, Vec<String>) = (Vec::new(), Vec::new(), Vec::new());
    for path in &args.paths {
        match kind(path) {
            Ok(Kind::Log) => logs.push(path.clone()),
            Ok(Kind::Yaml(text)) => texts.push((path.display().to_string(), text)),
            Err(error) => unread.push(format!("{}: {error}", path.display())),
        }
    }
    let mut meshes = examine_mesh(&texts, pack);
    for (number, format) in (1..).zip(&args.decode.format_strings) {
        meshes.push(examine_format(&format!("--format-string {number}"), without_line_break(format), pack));
    }
    let log = match logs.is_empty() {
        true => None,
        false => Some(examine_log(&logs, args.decode.options()?, clock.as_ref(), pack).await?),
    };
    unread.extend(log.iter().flat_map(|log| &log.unreadable).map(|(input, reason)| format!("{input}: {reason}")));
    let nothing_at_all = log.as_ref().is_none_or(|log| log.rows == 0) && meshes.iter().all(|mesh| mesh.is_empty());
    let eyes = log.iter().flat_map(|log| &log.detections);
    let eyes = eyes.chain(meshes.iter().flat_map(|mesh| &mesh.providers).flat_map(|provider| &provider.detections));
    let paths = if args.with_query { Paths::WithQuery } else { Paths::WithoutQuery };
    let silent = meshes.iter().any(|mesh| mesh.logs_nothing);
    let remedy = Remedy::of(eyes, paths).or_else(|| silent.then(|| Remedy::whole(paths)));
    let refused = pack.refused().iter().map(|refused| format!("{}: {}", refused.file, refused.reason)).collect();
    let report = Report { log, meshes, queries: queries(pack), refused, remedy };
    match args.output {
        DoctorOutput::Table => render::print(&text(&report))?,
        DoctorOutput::Json => {
            let mut json = serde_json::to_string_pretty(&report).map_err(render::RowsError::from)?;
            json.push('\n');
            render::print(&json)?;
        }
    }
    if nothing_at_all {
        let reason = unread.first().cloned().unwrap_or_else(|| match &report.log {
            Some(log) if log.rejected > 0 => {
                format!("none of {} lines is an access log; see the reasons above", log.rejected)
            }
            Some(_) => "the input holds no line".to_owned(),
            None => nothing(),
        });
        return Err(CliError::Nothing(reason));
    }
    unread.into_iter().next().map_or(Ok(Exit::Done), |reason| Err(CliError::Unread(reason)))
}
