//! `meshwarden store`: what a service's folder holds, and what is done to it.
//!
//! ```text
//!  status   read only, beside a running service            compact, retain   the writer's lock: the service does them by itself
//!  verify   read only: every byte                          exit 1 if something is not as it was written
//! ```

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use ingest::journal::{self, Recovery};
use query::store::{Eagerness, Location, Retained, Store, StoreOptions, TableStats, Verified};
use serde::Serialize;
use serde_json::json;

use super::SharedClock;
use super::args::{DoctorOutput, StoreArgs, StoreCommand, StoreRetainArgs};
use super::error::{CliError, Exit};
use crate::config::Config;
use crate::intake;
use crate::render;

/// What the journal holds.
#[derive(Serialize)]
pub(super) struct JournalState {
    bytes: u64,
    /// Payloads that are not in the tables on disk yet.
    pub(super) waiting: u64,
    torn_bytes: u64,
    damaged: Vec<String>,
    missing: Vec<String>,
}

pub(crate) async fn run(command: StoreCommand, clock: SharedClock) -> Result<Exit, CliError> {
    match command {
        StoreCommand::Status(args) => status(&args).await,
        StoreCommand::Compact(args) => compact(&args, clock).await,
        StoreCommand::Retain(args) => retain(&args, clock).await,
        StoreCommand::Verify(args) => verify(&args).await,
    }
}

async fn status(args: &StoreArgs) -> Result<Exit, CliError> {
    let (store, journal) = look(args).await?;
    let (tables, as_of) = (store.tables(), store.as_of().map(instant));
    if args.output == DoctorOutput::Json {
        let status = json!({"tables": tables, "as_of": as_of, "flushed_sequence": store.flushed(), "journal": journal});
        render::print(&format!("{status}\n"))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for TableStats { table, files, rows, bytes, days, earliest, latest } in tables {
        let _ = write!(text, "{table:<12} {rows} rows, {files} files, {bytes} bytes, {days} days");
        if let (Some(earliest), Some(latest)) = (earliest.and_then(of_micros), latest.and_then(of_micros)) {
            let _ = write!(text, ", {earliest} to {latest}");
        }
        text.push('\n');
    }
    let as_of = as_of.unwrap_or_else(|| "never".to_owned());
    let _ = writeln!(text, "{:<12} {as_of}, up to sequence {}", "last written", store.flushed());
    let JournalState { bytes, waiting, torn_bytes, .. } = &journal;
    let _ = write!(text, "{:<12} {bytes} bytes, {waiting} payloads that the tables do not have yet", "journal");
    let _ = writeln!(text, "{}", if *torn_bytes > 0 { format!(", {torn_bytes} torn bytes") } else { String::new() });
    for flaw in journal.flaws() {
        let _ = writeln!(text, "{:<12} {flaw}", "");
    }
    render::print(&text)?;
    Ok(Exit::Done)
}

async fn compact(args: &StoreArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let store = Store::open(args.location()?, StoreOptions::default()).await?;
    let mut all = Vec::new();
    while let Some(done) = store.compact(Eagerness::Full, clock.now()).await? {
        all.push(done);
    }
    store.close().await?;
    let text = match args.output {
        DoctorOutput::Json => format!("{}\n", json!({"compacted": all, "tables": store.tables()})),
        DoctorOutput::Table => {
            let files: u64 = all.iter().map(|done| done.files).sum();
            let (before, after): (u64, u64) =
                all.iter().fold((0, 0), |(before, after), done| (before + done.bytes_before, after + done.bytes_after));
            format!(
                "{files} files became {}: {before} bytes became {after}; the old ones are removed by the service, an hour after it sees them\n",
                all.len()
            )
        }
    };
    render::print(&text)?;
    Ok(Exit::Done)
}

async fn retain(args: &StoreRetainArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let (location, output) = (args.store.location()?, args.store.output);
    let local = location.local()?;
    let config = args.config.as_deref().map(|file| Config::read(file, local)).transpose()?;
    let (config, store) = (config.unwrap_or_default(), Store::open(location, StoreOptions::default()).await?);
    let tables = store.retain(&config.retention, clock.now()).await?;
    store.close().await?;
    let text = match output {
        DoctorOutput::Json => format!("{}\n", json!({"retained": tables})),
        DoctorOutput::Table => tables.iter().map(retained).collect(),
    };
    render::print(&text)?;
    Ok(Exit::Done)
}

fn retained(done: &Retained) -> String {
    let Retained { table, before, deleted_rows, deleted_files, held_rows } = done;
    let before = instant(*before);
    format!(
        "{table:<12} before {before}: {deleted_rows} rows deleted in {deleted_files} files, {held_rows} rows held\n"
    )
}

async fn verify(args: &StoreArgs) -> Result<Exit, CliError> {
    let (store, journal) = look(args).await?;
    let tables = store.verify().await?;
    let bad = tables.iter().any(|table| !table.flaws.is_empty()) || journal.flaws().next().is_some();
    let text = match args.output {
        DoctorOutput::Json => format!("{}\n", json!({"intact": !bad, "tables": tables, "journal": journal})),
        DoctorOutput::Table => {
            let mut text = String::new();
            for Verified { table, files, rows, bytes, flaws } in &tables {
                let _ = writeln!(
                    text,
                    "{table:<12} {rows} rows read in {files} files of {bytes} bytes, {} flaws",
                    flaws.len()
                );
                for flaw in flaws {
                    let _ = writeln!(text, "  {}: {}", flaw.file.display(), flaw.reason);
                }
            }
            let _ = writeln!(text, "{:<12} {} bytes, {} flaws", "journal", journal.bytes, journal.flaws().count());
            for flaw in journal.flaws() {
                let _ = writeln!(text, "  {flaw}");
            }
            text.push_str(if bad {
                "not everything is as it was written\n"
            } else {
                "everything is as it was written\n"
            });
            text
        }
    };
    render::print(&text)?;
    Ok(if bad { Exit::FailOn } else { Exit::Done })
}

/// Tables and journal, which a service may go on writing meanwhile.
pub(super) async fn look(args: &StoreArgs) -> Result<(Store, JournalState), CliError> {
    let location = args.location()?;
    let journal = location.local().ok().map(intake::journal_folder).filter(|folder| folder.is_dir());
    let mut tries = 0;
    loop {
        let store = Store::open_read_only(location.clone()).await?;
        let (recovery, bytes) = match &journal {
            Some(folder) => journal::inspect(folder, store.flushed()).map_err(CliError::Journal)?,
            None => (Recovery::default(), 0),
        };
        tries += 1;
        // what seems to be missing may have been forgotten between the two looks, because the tables have it
        if recovery.missing.is_empty() || tries == 5 {
            return Ok((store, JournalState::of(recovery, bytes)));
        }
    }
}

impl JournalState {
    fn of(recovery: Recovery, bytes: u64) -> Self {
        let Recovery { replayed, torn_bytes, damaged, missing } = recovery;
        let damaged = damaged
            .iter()
            .map(|it| format!("{} bytes of {} from byte {} on are no frame", it.bytes, it.segment, it.offset));
        let missing = missing.iter().map(|it| format!("payloads {} to {} are not there", it.start(), it.end()));
        JournalState { bytes, waiting: replayed, torn_bytes, damaged: damaged.collect(), missing: missing.collect() }
    }

    fn flaws(&self) -> impl Iterator<Item = &String> {
        self.damaged.iter().chain(&self.missing)
    }
}

impl StoreArgs {
    fn location(&self) -> Result<Location, CliError> {
        Ok(Location::parse(&self.data, self.local.as_deref())?)
    }
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn of_micros(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(instant)
}
