//! A sender of gRPC: one connection, calls one after the other. Only what the doors are tested with; real senders are Envoys.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{Request, Version};
use tokio::net::TcpStream;

/// OTLP's method.
pub const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Envoy's method.
pub const STREAM: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// How a call went wrong.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// gRPC's status; -1, where there is none.
    pub status: i32,
    /// What it says.
    pub message: String,
    /// The answer's messages, with their frames.
    pub body: Vec<u8>,
}

/// A connection.
pub struct Grpc {
    sender: SendRequest<Bytes>,
    headers: Vec<(&'static str, String)>,
}

impl Grpc {
    /// Connects; each call has these headers.
    ///
    /// # Errors
    /// If nobody answers, or not in HTTP/2.
    pub async fn connect(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, Broken> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut settings = h2::client::Builder::new();
        settings.initial_window_size(4 << 20).initial_connection_window_size(16 << 20);
        let (sender, connection) = settings.handshake(stream).await?;
        tokio::spawn(connection);
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Ok(Self { sender, headers })
    }

    /// Calls a method with messages, one after the other, and waits for how it ends.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn call(&mut self, method: &str, messages: &[Vec<u8>]) -> Result<Ended, Broken> {
        let frames: Vec<Bytes> = messages.iter().map(|message| framed(message, false)).collect();
        self.call_raw(method, frames).await
    }

    /// The same with frames as they are.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn call_raw(&mut self, method: &str, frames: Vec<Bytes>) -> Result<Ended, Broken> {
        let mut request = Request::post(format!("http://mesh-logs{method}"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut body) = sender.send_request(request.body(())?, false)?;
        let sending = async move {
            for frame in frames {
                send(&mut body, frame).await?;
            }
            body.send_data(Bytes::new(), true)?;
            Ok::<_, Broken>(())
        };
        let receiving = async move {
            let mut response = response.await?;
            let refused = !response.status().is_success();
            let mut ended = Ended { status: -1, message: String::new(), body: Vec::new() };
            ended.read(response.headers());
            let body = response.body_mut();
            while let Some(chunk) = body.data().await {
                let chunk = chunk?;
                body.flow_control().release_capacity(chunk.len())?;
                ended.body.extend_from_slice(&chunk);
            }
            if let Some(trailers) = body.trailers().await? {
                ended.read(&trailers);
            }
            Ok::<_, Broken>((ended, refused))
        };
        // a refusal may come before everything is sent
        let (sent, ended) = tokio::join!(sending, receiving);
        let (ended, refused) = ended?;
        if ended.status == -1 && !refused {
            sent?;
        }
        Ok(ended)
    }
}

impl Ended {
    fn read(&mut self, headers: &http::HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(status) = text("grpc-status").and_then(|status| status.parse().ok()) {
            self.status = status;
        }
        if let Some(message) = text("grpc-message") {
            message.clone_into(&mut self.message);
        }
    }
}

async fn send(body: &mut h2::SendStream<Bytes>, mut frame: Bytes) -> Result<(), Broken> {
    while !frame.is_empty() {
        body.reserve_capacity(frame.len());
        let room =
            std::future::poll_fn(|context| body.poll_capacity(context)).await.ok_or("the stream is closed")??;
        let now = frame.split_to(room.min(frame.len()));
        body.send_data(now, false)?;
    }
    Ok(())
}

/// A message in its frame.
pub fn framed(message: &[u8], compressed: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.extend_from_slice(&[u8::from(compressed)]);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}

/// Protocol Buffers, as far as senders of a test need them.
pub mod protobuf {
    /// A field of bytes: a string, or a message.
    pub fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
        let mut all = Vec::with_capacity(value.len() + 4);
        varint(&mut all, u64::from(field) << 3 | 2);
        varint(&mut all, value.len() as u64);
        all.extend_from_slice(value);
        all
    }

    /// A field that is a number.
    pub fn number(field: u8, value: u64) -> Vec<u8> {
        let mut all = Vec::new();
        varint(&mut all, u64::from(field) << 3);
        varint(&mut all, value);
        all
    }

    fn varint(all: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            all.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        all.push(value as u8);
    }

    /// A `LogsService/Export` whose records have these lines as their text.
    pub fn export<'l>(lines: impl Iterator<Item = &'l str>) -> Vec<u8> {
        let records: Vec<u8> = lines.flat_map(|line| bytes(2, &bytes(5, &bytes(1, line.as_bytes())))).collect();
        bytes(1, &bytes(2, &records))
    }

    /// A `StreamAccessLogsMessage` of denied requests: `(request id, bytes sent)`.
    pub fn access_logs<'l>(requests: impl Iterator<Item = (&'l str, u64)>) -> Vec<u8> {
        let entries: Vec<u8> = requests.flat_map(|(id, sent)| bytes(1, &access_log(id, sent))).collect();
        [
            bytes(
                1,
                &[
                    bytes(1, &bytes(1, b"sidecar~10.0.0.2~web-1.shop~shop.svc.cluster.local")),
                    bytes(2, b"http_envoy_accesslog"),
                ]
                .concat(),
            ),
            bytes(2, &entries),
        ]
        .concat()
    }

    fn access_log(id: &str, sent: u64) -> Vec<u8> {
        let address = |ip: &[u8], port| bytes(1, &[bytes(2, ip), number(3, port)].concat());
        let common = [
            bytes(2, &address(b"10.0.0.1", 4000)),
            bytes(3, &address(b"10.0.0.2", 8080)),
            bytes(5, &number(1, 1_795_435_200)),
            bytes(15, b"inbound|8080||"),
        ];
        let request =
            [number(1, 1), bytes(3, b"api"), bytes(5, format!("/{id}").as_bytes()), bytes(9, id.as_bytes())].concat();
        let details = b"rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[0]]";
        let response = [bytes(1, &number(1, 403)), number(3, sent), bytes(6, details)].concat();
        [bytes(1, &common.concat()), number(2, 2), bytes(3, &request), bytes(4, &response)].concat()
    }
}
