//! The programs behind the sidecars and the hosts of the internet: small servers in this process.
//!
//! | asked for | answer |
//! |---|---|
//! | HTTP/1.1 `/forbidden-by-app/...` | the program's own 403 |
//! | HTTP/1.1 `/slow` | 200 after two seconds |
//! | HTTP/1.1 anything else | 200 |
//! | HTTP/2 (h2c), method of a gRPC service ending in `Forbidden` | grpc-status 7 |
//! | HTTP/2 anything else | grpc-status 0 |
//! | TCP | the same bytes |

use std::{net::SocketAddrV4, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::error::{Doing, MeshError};

/// What a server speaks.
#[derive(Clone)]
pub(crate) enum Speaks {
    /// HTTP/1.1 or HTTP/2 in the clear.
    Http,
    /// HTTP/1.1 under TLS.
    Https(Arc<rustls::ServerConfig>),
    /// Echo.
    Tcp,
}

/// Starts a server that ends with `tasks`.
pub(crate) async fn serve(at: SocketAddrV4, speaks: Speaks, tasks: &mut JoinSet<()>) -> Result<(), MeshError> {
    let listener = TcpListener::bind(at).await.doing(|| format!("listen on {at}"))?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(connection(stream, speaks.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(())
}

/// Serves one connection until either side ends it; a caller that breaks off is no error here.
async fn connection(stream: TcpStream, speaks: Speaks) {
    let served = match speaks {
        Speaks::Tcp => echo(stream).await,
        Speaks::Https(config) => match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => http1(stream).await,
            Err(why) => Err(why),
        },
        Speaks::Http => match is_http2(&stream).await {
            Ok(true) => grpc(stream).await.map_err(std::io::Error::other),
            Ok(false) => http1(stream).await,
            Err(why) => Err(why),
        },
    };
    drop(served);
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut read, mut write) = stream.split();
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}

async fn is_http2(stream: &TcpStream) -> std::io::Result<bool> {
    let mut start = [0; 4];
    loop {
        let got = stream.peek(&mut start).await?;
        if got == 0 || got == start.len() {
            return Ok(&start == b"PRI ");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut pending = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut pending).await? {
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while pending.len() < length {
            if stream.read_buf(&mut pending).await? == 0 {
                return Ok(());
            }
        }
        pending.drain(..length);
        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
        if path.starts_with("/slow") {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let (status, body) = if path.starts_with("/forbidden-by-app/") {
            ("403 Forbidden", r#"{"error":"not yours"}"#)
        } else {
            ("200 OK", r#"{"ok":true}"#)
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        if header(&head, "connection") == Some("close") {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The next request's head, or `None` at the end of the connection.
async fn read_head(stream: &mut (impl AsyncRead + Unpin), pending: &mut Vec<u8>) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = pending.windows(4).position(|part| part == b"\r\n\r\n") {
            return Ok(Some(pending.drain(..end + 4).collect()));
        }
        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    }
}

fn header<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

async fn grpc(stream: TcpStream) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut calls = JoinSet::new();
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        calls.spawn(grpc_call(request, respond));
    }
    Ok(())
}

/// Reads the message first: an answer before its end would reset the stream.
async fn grpc_call(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let refused = request.uri().path().ends_with("Forbidden");
    let mut message = request.into_body();
    while let Some(data) = message.data().await {
        message.flow_control().release_capacity(data?.len())?;
    }
    let mut answer = http::Response::new(());
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
    let mut body = respond.send_response(answer, false)?;
    body.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false)?;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static(if refused { "7" } else { "0" }));
    body.send_trailers(trailers)
}
