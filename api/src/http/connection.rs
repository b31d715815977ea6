//! Connections that hang: bounded in number, and closed when nothing comes of them.
//!
//! ```text
//!  accept ── a place among `connections` ──▶ Guarded
//!                    no request under way: headers must be complete within `timeout` of the start, within `kept` of the last byte answered
//!                    an answer under way:  the reader must take some of it within `timeout`
//! ```
//! A sender that drips one header byte a minute is cut by the first rule, however busy it looks; a body that drips is the handler's to cut.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection is silent before its other end is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A listener whose connections are guarded.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    timeout: Duration,
    kept: Duration,
}

impl Door {
    /// Up to `connections` at once; none hangs longer than `timeout`, and none that was answered once stays without another request for longer than
    /// `kept`.
    pub(crate) fn new(listener: TcpListener, connections: usize, timeout: Duration, kept: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections.max(1))), timeout, kept }
    }
}

impl Listener for Door {
    type Io = Guarded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guarded, SocketAddr) {
        // the semaphore is never closed; if it were, connections would be unbounded rather than refused
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // answers go out at once; a failure costs latency only
        let _ = stream.set_nodelay(true);
        // a stream may be silent for hours: so nobody sees that its other end is gone, unless it is asked
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        (Guarded::new(stream, place, (self.timeout, self.kept)), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a connection is doing.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<State>);

#[derive(Debug)]
struct State {
    under_way: AtomicUsize,
    /// A request was begun once.
    used: AtomicBool,
    /// Start of the connection, end of a request, or last byte answered.
    last: Mutex<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self(Arc::new(State {
            under_way: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            last: Mutex::new(Instant::now()),
        }))
    }

    /// A request is under way until the guard is dropped.
    pub(crate) fn begin(&self) -> Busy {
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
        self.0.used.store(true, Ordering::Release);
        Busy(self.clone())
    }

    fn progress(&self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_since(&self) -> Option<Instant> {
        let idle = self.0.under_way.load(Ordering::Acquire) == 0;
        idle.then(|| *self.0.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connected<IncomingStream<'_, Door>> for Activity {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().activity.clone()
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.progress();
        self.0.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that is closed when it hangs.
#[derive(Debug)]
pub(crate) struct Guarded {
    stream: TcpStream,
    activity: Activity,
    timeout: Duration,
    kept: Duration,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    stalled: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl Guarded {
    fn new(stream: TcpStream, place: Option<OwnedSemaphorePermit>, (timeout, kept): (Duration, Duration)) -> Self {
        let far = Instant::now() + timeout;
        Self {
            stream,
            activity: Activity::new(),
            timeout,
            kept,
            reading: Box::pin(sleep_until(far)),
            writing: Box::pin(sleep_until(far)),
            stalled: false,
            _place: place,
        }
    }

    /// Notes progress or a standstill of writing.
    fn wrote(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stalled = false;
            self.activity.progress();
            return outcome;
        }
        if !std::mem::replace(&mut self.stalled, true) {
            self.writing.as_mut().reset(Instant::now() + self.timeout);
        }
        if self.writing.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")));
        }
        Poll::Pending
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(since) = this.activity.idle_since() {
            let used = this.activity.0.used.load(Ordering::Acquire);
            let until = since + if used { this.kept } else { this.timeout };
            if this.reading.deadline() != until {
                this.reading.as_mut().reset(until);
            }
            if this.reading.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request came")));
            }
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
