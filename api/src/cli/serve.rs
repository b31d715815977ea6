//! `meshwarden serve`: the service, until SIGTERM. Wires core, detection, deliveries and HTTP together.
//!
//! ```text
//!  SIGTERM ─▶ HTTP drains, files are not followed any more ─▶ rows are written ─▶ last round of detection, bounded ─▶ deliveries under way end ─▶ exit 0
//! ```
//! What the last round has no time for is looked at after the next start.
//! A second signal ends at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::DecodeOptions;
use ingest::journal::{Damaged, Recovery};
use query::store::Location;
use query::{Core, CoreOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::SharedClock;
use super::args::ServeArgs;
use super::error::{CliError, Exit};
use super::leave::leave;
use super::limits;
use super::signals::{ENDED, Signals};
use crate::config::Config;
use crate::deliver::Deliverer;
use crate::detect_loop::{Detector, FLUSH_EVERY};
use crate::feed::CoreFeed;
use crate::housekeeping::{self, KEEP_OLD_FILES};
use crate::http::{self, AppState, DeliveryCount, HttpConfig, Metrics, Phase, TOKEN_VARIABLE, Token};
use crate::intake::{Intake, IntakeError};
use crate::receive::{Doors, Opened, TailSettings, Tailing};
use crate::render;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Longest last round of detection.
const LAST_ROUND: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: ServeArgs, clock: SharedClock) -> Result<Exit, CliError> {
    let location = Location::parse(&args.data, args.local.as_deref())?;
    let local = location.local()?.to_owned();
    let config = args.config.as_deref().map(|file| Config::read(file, &local)).transpose()?.unwrap_or_default();
    let decode = args.decode.options_with(&config.fields)?;
    let tail = TailSettings::new(if args.tail.is_empty() { &config.tail } else { &args.tail })?;
    let doors = Doors {
        grpc: args.grpc.or(config.proxies.grpc),
        http: args.otlp_http.or(config.proxies.http),
        without_token: args.proxies_without_token || config.proxies.without_token,
    };
    let mut http = HttpConfig::new(args.listen.or(config.listen).unwrap_or(DEFAULT_LISTEN));
    http.token = token()?;
    http.connections = limits::connections();
    http.max_body_bytes = config.max_body_bytes.unwrap_or(http.max_body_bytes);
    http.sql.rows = config.max_rows.unwrap_or(http.sql.rows);
    http.sql.time = config.max_seconds.map_or(http.sql.time, Duration::from_secs);
    // everything that can be wrong is found before the folder is touched
    http::check_listen(&http)?;
    let listener = bind(http.listen).await?;
    let listening =
        Listening { proxies: doors.open(http.token.as_ref()).await?, guarded: !doors.without_token, listener };
    let options = CoreOptions { detections: args.detect.detections.clone(), ..CoreOptions::default() };
    let core = Arc::new(Core::open(location, options).await?);
    for refused in core.pack().refused() {
        render::say(format_args!("meshwarden: detection {} is not loaded: {}", refused.file, refused.reason));
    }
    let deliverer = match config.deliver {
        None => None,
        Some(deliver) => {
            let feed = Arc::new(CoreFeed(core.clone()));
            Some(Arc::new(Deliverer::start(deliver, &local.join("outbox.db"), feed, clock.clone()).await?))
        }
    };
    render::say(format_args!("meshwarden: data in {}", args.data.display()));
    let (intake, recovery) = Intake::open(core.clone(), decode, &local, config.min_free_bytes).await?;
    say_recovered(&recovery);
    let keep_old_files = config.keep_old_files.unwrap_or(KEEP_OLD_FILES);
    let tidying = tokio::spawn(housekeeping::run(core.clone(), config.retention, keep_old_files, clock.clone()));
    let flush_every = config.flush_every.unwrap_or(FLUSH_EVERY);
    serve(intake.clone(), clock, http, listening, deliverer.clone(), flush_every, tail).await?;
    tidying.abort();
    if let Some(deliverer) = deliverer {
        deliverer.stop().await;
    }
    core.close().await?;
    intake.forget(core.store().flushed()).await.map_err(IntakeError::from)?;
    render::say("meshwarden: stopped, everything is written");
    Ok(Exit::Done)
}

/// Serves an in-memory core for `demo`; an address that is in use is replaced by another port.
pub(super) async fn demo(
    core: Arc<Core>,
    clock: SharedClock,
    decode: Arc<DecodeOptions>,
    listen: SocketAddr,
) -> Result<(), CliError> {
    let mut http = HttpConfig::new(listen);
    http.token = token()?;
    http::check_listen(&http)?;
    let listener = match bind(listen).await {
        Ok(listener) => listener,
        Err(_) => bind(SocketAddr::new(listen.ip(), 0)).await?,
    };
    let listening = Listening { listener, proxies: Vec::new(), guarded: true };
    serve(Intake::in_memory(core, decode).await?, clock, http, listening, None, FLUSH_EVERY, TailSettings::default())
        .await
}

/// Every socket.
struct Listening {
    listener: TcpListener,
    proxies: Vec<Opened>,
    /// Who sends to those of the proxies is asked for the token, as at the API.
    guarded: bool,
}

/// What a crash left behind.
fn say_recovered(recovery: &Recovery) {
    let Recovery { replayed, torn_bytes, damaged, missing } = recovery;
    if *replayed > 0 || *torn_bytes > 0 {
        tracing::info!(replayed, torn_bytes, "the journal was read again: what was acknowledged is in the tables");
    }
    for Damaged { segment, offset, bytes, kept_in } in damaged {
        render::say(format_args!(
            "meshwarden: the journal is damaged: {bytes} bytes of {segment} from byte {offset} on are no frame; they are kept in {kept_in}"
        ));
    }
    for sequences in missing {
        render::say(format_args!(
            "meshwarden: lines that were acknowledged are lost: the journal lacks {} to {}",
            sequences.start(),
            sequences.end()
        ));
    }
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(listen).await.map_err(|source| CliError::Listen { listen, source })
}

fn token() -> Result<Option<Token>, CliError> {
    match std::env::var(TOKEN_VARIABLE) {
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(CliError::Token(http::TokenError::Characters)),
        Ok(text) => Ok(Some(Token::new(&text)?)),
    }
}

async fn serve(
    intake: Intake,
    clock: SharedClock,
    config: HttpConfig,
    listening: Listening,
    deliverer: Option<Arc<Deliverer>>,
    flush_every: Duration,
    tail: TailSettings,
) -> Result<(), CliError> {
    let (stop, stopped) = watch::channel(false);
    // before anybody is told that it runs: who was told may end it at once
    tokio::spawn(signals(Signals::caught(), stop));
    let core = intake.core().clone();
    let detector = Detector::new(intake, clock.clone(), Arc::new(Metrics::new()));
    let drained = Arc::new(tokio::sync::Notify::new());
    let detecting = {
        let drained = drained.clone();
        tokio::spawn(detector.clone().run(flush_every, async move { drained.notified().await }))
    };
    let Listening { listener, proxies, guarded: ask } = listening;
    let address = listener.local_addr().map_err(|source| CliError::Listen { listen: config.listen, source })?;
    let guarded = if config.token.is_some() { ", with the token" } else { "" };
    render::say(format_args!(
        "meshwarden: API on http://{address}{guarded} – try http://{address}/api/v1/findings; Ctrl-C ends it"
    ));
    for door in &proxies {
        let guarded = if ask { guarded } else { ", without the token" };
        render::say(format_args!("meshwarden: {} on {}{guarded}", door.what, door.address));
    }
    let tailing = Tailing::start(tail, detector.clone(), clock).await?;
    let finishing = detector.clone();
    let state =
        AppState::new(detector, config).with_deliveries(move || deliverer.as_deref().map(counts).unwrap_or_default());
    let serving_proxies: Vec<_> =
        proxies.into_iter().map(|door| tokio::spawn(http::serve_proxies(door.listener, state.clone(), ask))).collect();
    let served = http::serve(listener, state.clone(), wait(stopped)).await;
    // also where serving ended for another reason
    state.enter(Phase::Draining);
    for serving in serving_proxies {
        match serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a door of the proxies was shut early"),
            Err(error) => tracing::error!(%error, "a door of the proxies was shut early"),
        }
    }
    if let Some(tailing) = tailing {
        tailing.end().await;
    }
    // only now can no more rows come in: the last round sees them all, but the rows themselves come first
    finishing.flush().await;
    drained.notify_one();
    let mut detecting = detecting;
    let outcome = match tokio::time::timeout(LAST_ROUND, &mut detecting).await {
        Ok(outcome) => outcome,
        Err(_) => {
            core.stop_detecting();
            detecting.await
        }
    };
    if let Err(error) = outcome {
        tracing::error!(%error, "detection ended early");
    }
    Ok(served?)
}

fn counts(deliverer: &Deliverer) -> Vec<DeliveryCount> {
    let sinks = deliverer.stats().sinks.into_iter();
    sinks
        .flat_map(|sink| {
            let of =
                |outcome: &str, count| DeliveryCount { sink: sink.name.clone(), outcome: outcome.to_owned(), count };
            [
                of("delivered", sink.delivered),
                of("retried", sink.retried),
                of("rejected", sink.rejected),
                of("filtered", sink.filtered),
            ]
        })
        .collect()
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // the sender lives as long as the process: an error cannot be
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The first SIGTERM or Ctrl-C drains, the second ends at once.
async fn signals(caught: std::io::Result<Signals>, stop: watch::Sender<bool>) {
    let mut signals = match caught {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught: they will end the service without draining");
            return;
        }
    };
    signals.next().await;
    stop.send_replace(true);
    signals.next().await;
    leave(ENDED);
}
