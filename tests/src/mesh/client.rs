//! The callers: programs behind sidecars, machines outside the mesh, customers on the internet.
//!
//! A program's connections go to its sidecar's `virtualOutbound` and begin with a PROXY protocol line that says where
//! they wanted to go: `PROXY TCP4 <pod> <wanted address> <port> <wanted port>`. That is the loopback stand-in for
//! the iptables redirect of a cluster. All others connect directly, from an address of their own.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::error::{Doing, MeshError};

const PATIENCE: Duration = Duration::from_secs(20);

/// A way from a caller to what it calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    from: Ipv4Addr,
    to: SocketAddrV4,
    wanted: Option<SocketAddrV4>,
}

impl Way {
    /// Straight to an address.
    pub(crate) fn direct(from: Ipv4Addr, to: SocketAddrV4) -> Self {
        Self { from, to, wanted: None }
    }

    /// Through the sidecar that listens at `sidecar`, which is on the caller's own address.
    pub(crate) fn through(sidecar: SocketAddrV4, wanted: SocketAddrV4) -> Self {
        Self { from: *sidecar.ip(), to: sidecar, wanted: Some(wanted) }
    }

    async fn open(self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((self.from, 0)))?;
        let mut stream = socket.connect(SocketAddr::from(self.to)).await?;
        stream.set_nodelay(true)?;
        if let Some(wanted) = self.wanted {
            let own = stream.local_addr()?;
            let line = format!("PROXY TCP4 {} {} {} {}\r\n", own.ip(), wanted.ip(), own.port(), wanted.port());
            stream.write_all(line.as_bytes()).await?;
        }
        Ok(stream)
    }
}

/// An HTTP/1.1 request, byte by byte as the caller wants it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// `GET`.
    pub(crate) fn get(host: &str, path: &str) -> Self {
        Self::new("GET", host, path)
    }

    /// Any method; `host` goes into the Host header.
    pub(crate) fn new(method: &str, host: &str, path: &str) -> Self {
        Self { bytes: format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n").into_bytes() }
    }

    /// Adds a header; the value may hold bytes that are not text.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value.as_ref());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// The user agent.
    pub(crate) fn agent(self, value: impl AsRef<[u8]>) -> Self {
        self.header("user-agent", value)
    }

    /// Something after the headers that makes the request invalid.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A body of `length` bytes.
    pub(crate) fn body(self, length: usize) -> Body {
        Body { request: self.header("content-length", length.to_string()), length }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes
    }
}

/// A request with a body.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    request: Request,
    length: usize,
}

impl From<Request> for Vec<u8> {
    fn from(request: Request) -> Self {
        request.finish()
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        let mut bytes = body.request.finish();
        bytes.resize(bytes.len() + body.length, b'x');
        bytes
    }
}

/// Sends a request and returns the status, 0 if the other side hung up without one.
pub(crate) async fn http(way: Way, request: impl Into<Vec<u8>>) -> Result<u16, MeshError> {
    let request = request.into();
    patiently(way, async { exchange(way.open().await?, &request).await }).await
}

/// Like [`http()`] under TLS.
pub(crate) async fn https(
    way: Way,
    tls: &Arc<rustls::ClientConfig>,
    name: &'static str,
    request: impl Into<Vec<u8>>,
) -> Result<u16, MeshError> {
    let request = request.into();
    let connect = async {
        let name = rustls::pki_types::ServerName::try_from(name).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, way.open().await?).await?;
        exchange(stream, &request).await
    };
    patiently(way, connect).await
}

/// Starts TLS and expects the other side to hang up.
pub(crate) async fn refused_tls(
    way: Way,
    tls: &Arc<rustls::ClientConfig>,
    name: &'static str,
) -> Result<(), MeshError> {
    let connect = async {
        let name = rustls::pki_types::ServerName::try_from(name).map_err(std::io::Error::other)?;
        let stream = way.open().await?;
        Ok(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.is_err())
    };
    expect(way, "a TLS handshake", "an answer", "a closed connection", patiently(way, connect).await?)
}

/// Sends a request and breaks off before the answer.
pub(crate) async fn abort(way: Way, request: impl Into<Vec<u8>>) -> Result<(), MeshError> {
    let request = request.into();
    let send = async {
        let mut stream = way.open().await?;
        stream.write_all(&request).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    };
    patiently(way, send).await
}

/// Sends bytes over TCP and returns how many came back first. The connection is closed only then: TLS between the
/// sidecars knows no half-closed connections.
pub(crate) async fn tcp(way: Way, bytes: &[u8]) -> Result<usize, MeshError> {
    let send = async {
        let mut stream = way.open().await?;
        // A connection that is refused may be reset while it is still being used: that is no bytes, too.
        let mut answer = [0; 64];
        let sent = stream.write_all(bytes).await;
        Ok(if sent.is_ok() { stream.read(&mut answer).await.unwrap_or(0) } else { 0 })
    };
    patiently(way, send).await
}

/// Makes a unary gRPC call and returns the grpc-status.
pub(crate) async fn grpc(way: Way, host: &str, method: &str) -> Result<String, MeshError> {
    let stream = patiently(way, way.open()).await?;
    let call = async {
        let (client, connection) = h2::client::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let status = grpc_call(client, host, method).await;
        connection.abort();
        status
    };
    let called = tokio::time::timeout(PATIENCE, call).await;
    let what = || format!("{host}{method}");
    match called {
        Ok(status) => status.map_err(|source| MeshError::Http2 { what: what(), source }),
        Err(_) => {
            Err(MeshError::Unexpected { what: what(), got: "nothing".to_owned(), expected: "a grpc-status".to_owned() })
        }
    }
}

async fn grpc_call(client: h2::client::SendRequest<Bytes>, host: &str, method: &str) -> Result<String, h2::Error> {
    let mut client = client.ready().await?;
    let request = http::Request::post(format!("http://{host}{method}"))
        .header(http::header::CONTENT_TYPE, "application/grpc")
        .header(http::header::USER_AGENT, "grpc-go/1.65.0")
        .header("te", "trailers")
        .body(())
        .map_err(|_| h2::Error::from(h2::Reason::INTERNAL_ERROR))?;
    let (answer, mut body) = client.send_request(request, false)?;
    // A policy denies by the headers alone, perhaps before the message is sent: that is no error.
    drop(body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), true));
    let (head, mut body) = answer.await?.into_parts();
    let text = |status: &http::HeaderValue| status.to_str().map(str::to_owned).ok();
    if let Some(status) = head.headers.get("grpc-status").and_then(text) {
        return Ok(status);
    }
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(trailers.get("grpc-status").and_then(text).unwrap_or_else(|| "none".to_owned()))
}

/// Sends a request and reads its answer: to the end of the body if its length is known, because Envoy keeps a
/// connection open for a second after an answer of its own, else to the end of the connection.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> std::io::Result<u16> {
    let mut answer = Vec::new();
    if stream.write_all(request).await.is_ok() {
        // A reset ends the answer like a close does.
        while !is_whole(&answer) && stream.read_buf(&mut answer).await.is_ok_and(|got| got > 0) {}
    }
    let head = String::from_utf8_lossy(&answer);
    Ok(head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0))
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

async fn patiently<T>(way: Way, doing: impl Future<Output = std::io::Result<T>>) -> Result<T, MeshError> {
    let done = tokio::time::timeout(PATIENCE, doing).await;
    done.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .doing(|| format!("call {} from {}", way.to, way.from))
}

fn expect(way: Way, what: &str, got: &str, expected: &str, holds: bool) -> Result<(), MeshError> {
    if holds {
        return Ok(());
    }
    let what = format!("{what} with {} from {}", way.to, way.from);
    Err(MeshError::Unexpected { what, got: got.to_owned(), expected: expected.to_owned() })
}
