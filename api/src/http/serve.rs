//! Serves until told to stop, then lets requests under way end.

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::config::{ListenError, check_listen};
use super::connection::{Activity, Door};
use super::state::{AppState, Phase};

/// How long a connection of a proxy or collector stays open between two of its calls: they come when there is traffic.
const PROXIES_IDLE: std::time::Duration = std::time::Duration::from_secs(600);

/// The part of the API's connections that one of the proxies' doors has besides.
const PROXIES_SHARE: usize = 6;

/// Why serving ended other than by shutdown, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is open to strangers.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The listener is none.
    #[error("the listening socket cannot be used: {0}")]
    Io(#[from] std::io::Error),
}

/// Answers requests until `shutdown`: ready from now on, draining from then on. Returns when the last answer is out, or after the drain timeout.
///
/// # Errors
/// If the listener's address is refused ([`check_listen`]) or the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let mut config = state.config().clone();
    // what was bound counts, not what was meant
    config.listen = listener.local_addr()?;
    check_listen(&config)?;
    let (tell, told) = oneshot::channel::<()>();
    let stop = {
        let state = state.clone();
        async move {
            shutdown.await;
            state.enter(Phase::Draining);
            // nobody listens when serving has ended already
            let _ = tell.send(());
        }
    };
    let door = Door::new(listener, config.connections, config.header_timeout, config.header_timeout);
    let service = super::router(state.clone()).into_make_service_with_connect_info::<Activity>();
    state.enter(Phase::Ready);
    tracing::info!(listen = %config.listen, "answering HTTP");
    let serving = async { axum::serve(door, service).with_graceful_shutdown(stop).await };
    let patience = async {
        if told.await.is_ok() {
            tokio::time::sleep(config.drain_timeout).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = serving => Ok(ended?),
        () = patience => {
            tracing::warn!(waited = ?config.drain_timeout, "requests under way did not end in time: they are cut off");
            Ok(())
        }
    }
}

/// Answers proxies and collectors until the API drains; `guarded`: only those that the API itself would let in.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve_proxies(listener: TcpListener, state: AppState, guarded: bool) -> Result<(), ServeError> {
    let config = state.config().clone();
    let door = Door::new(listener, config.connections / PROXIES_SHARE, config.header_timeout, PROXIES_IDLE);
    let service = super::proxies_router(state.clone(), guarded).into_make_service_with_connect_info::<Activity>();
    let (draining, drain_timeout) = (state.clone(), config.drain_timeout);
    let serving =
        async { axum::serve(door, service).with_graceful_shutdown(async move { draining.draining().await }).await };
    let patience = async move {
        state.draining().await;
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        ended = serving => Ok(ended?),
        () = patience => Ok(()),
    }
}
