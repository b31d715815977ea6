//! gRPC over the HTTP/2 that this server speaks anyway: messages in frames, a status in the trailers.
//!
//! ```text
//! request   ─▶ frames: 1 byte flag, 4 bytes length, message ─▶ Frames::next ─▶ inflated, within `limit`
//! answer    ◀─ the same, and the trailers grpc-status, grpc-message
//! refusal   ◀─ no body: the status among the headers ("Trailers-Only")
//! ```
//! Source: the gRPC specification, "gRPC over HTTP2". What a server of gRPC's own crates would do besides, nobody who sends logs asks for; and messages are
//! inflated where everything is, in bounded memory.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use ingest::inflate::{Encoding, InflateError};

use crate::http::body::Plain;
use crate::http::problem::Problem;

/// Bytes before a message.
const HEAD: usize = 5;
/// Bytes of a compressed message that are inflated at once.
const INFLATED_AT_ONCE: usize = 16 << 10;

/// How a call ended. The numbers are gRPC's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    code: u8,
    message: String,
}

impl Status {
    pub(super) const OK: Status = Status { code: 0, message: String::new() };

    pub(super) fn invalid_argument(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }

    fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self { code: 4, message: message.into() }
    }

    /// Too large: nobody should send it again.
    fn resource_exhausted(message: impl Into<String>) -> Self {
        Self { code: 8, message: message.into() }
    }

    fn unimplemented(message: impl Into<String>) -> Self {
        Self { code: 12, message: message.into() }
    }

    /// Not now: whoever can should send it again.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self { code: 14, message: message.into() }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The trailers that say it.
    fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(u16::from(self.code)));
        if !self.message.is_empty() {
            // percent-encoded, as the specification has it
            let mut text = String::new();
            for byte in self.message.bytes() {
                match byte {
                    b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
                    other => text.push_str(&format!("%{other:02X}")),
                }
            }
            if let Ok(text) = HeaderValue::from_str(&text) {
                trailers.insert("grpc-message", text);
            }
        }
        trailers
    }

    /// The whole answer to a call that came to nothing.
    pub(super) fn answer(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.trailers();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let message = problem.detail().to_owned();
        match problem.status() {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => Self::unavailable(message),
            StatusCode::REQUEST_TIMEOUT => Self::deadline_exceeded(message),
            StatusCode::PAYLOAD_TOO_LARGE => Self::resource_exhausted(message),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unimplemented(message),
            // INTERNAL would make collectors drop what was never stored
            status if status.is_server_error() => Self::unavailable(message),
            _ => Self::invalid_argument(message),
        }
    }
}

/// An answer of one message, which comes when it is there. Its headers go out at once: Envoy waits for them, and goes on sending.
pub(super) fn answer(outcome: impl Future<Output = Result<Vec<u8>, Status>> + Send + 'static) -> Response {
    let frames = futures::stream::once(outcome).flat_map(|outcome| {
        let (message, status) = match outcome {
            Ok(message) => (Some(framed(&message)), Status::OK),
            Err(status) => (None, status),
        };
        let frames = message.map(Frame::data).into_iter().chain([Frame::trailers(status.trailers())]);
        futures::stream::iter(frames.map(Ok::<_, Infallible>))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(HEAD + message.len());
    frame.push(0);
    // answers are a few bytes
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// Whether a request is a call: something else that comes to its path is told so.
pub(super) fn check(headers: &HeaderMap) -> Result<Option<Encoding>, Status> {
    let is_grpc = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind == b"application/grpc" || kind == b"application/grpc+proto" || kind.starts_with(b"application/grpc;")
    });
    if !is_grpc {
        return Err(Status::invalid_argument("this is a method of gRPC: send application/grpc over HTTP/2"));
    }
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(Encoding::Gzip)),
        Some(b"zstd") => Ok(Some(Encoding::Zstd)),
        Some(_) => Err(Status::unimplemented("grpc-encoding is identity, gzip or zstd here")),
    }
}

/// The messages of a request, in turn.
pub(super) struct Frames {
    body: BodyDataStream,
    buffer: BytesMut,
    encoding: Option<Encoding>,
    /// Most bytes of a message, before and after inflating.
    limit: u64,
    /// Longest silence within a message.
    patience: Duration,
}

/// A message that is there, as it came.
pub(super) struct Message {
    bytes: Bytes,
    encoding: Option<Encoding>,
    limit: u64,
}

impl Frames {
    pub(super) fn new(body: Body, encoding: Option<Encoding>, limit: u64, patience: Duration) -> Self {
        Self { body: body.into_data_stream(), buffer: BytesMut::new(), encoding, limit, patience }
    }

    /// Waits for the next message's head: its length, and whether it is compressed. `None`: the sender is done.
    pub(super) async fn head(&mut self) -> Result<Option<Head>, Status> {
        while self.buffer.len() < HEAD {
            // between messages a stream may be silent for hours
            let chunk = match self.buffer.is_empty() {
                true => self.body.next().await,
                false => self.patiently().await?,
            };
            match chunk {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(Status::unavailable(format!("the request broke off: {error}"))),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Status::invalid_argument("the request ends within a message's head")),
            }
        }
        let flag = self.buffer.get_u8();
        let length = u64::from(self.buffer.get_u32());
        if length > self.limit {
            let limit = self.limit;
            return Err(Status::resource_exhausted(format!("a message has {length} bytes, the limit is {limit}")));
        }
        let encoding = match (flag, self.encoding) {
            (0, _) => None,
            (1, Some(encoding)) => Some(encoding),
            (1, None) => return Err(Status::invalid_argument("a message is compressed, and nothing says how")),
            _ => return Err(Status::invalid_argument("a message's first byte is neither 0 nor 1")),
        };
        Ok(Some(Head { length, encoding }))
    }

    /// Waits for the rest of the message.
    pub(super) async fn message(&mut self, head: Head) -> Result<Message, Status> {
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        while self.buffer.len() < length {
            match self.patiently().await? {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(Status::unavailable(format!("the request broke off: {error}"))),
                None => return Err(Status::invalid_argument("the request ends within a message")),
            }
        }
        let bytes = self.buffer.split_to(length).freeze();
        Ok(Message { bytes, encoding: head.encoding, limit: self.limit })
    }

    async fn patiently(&mut self) -> Result<Option<Result<Bytes, axum::Error>>, Status> {
        let chunk = tokio::time::timeout(self.patience, self.body.next()).await;
        chunk.map_err(|_| Status::deadline_exceeded(format!("nothing came for {:?} within a message", self.patience)))
    }
}

/// What is known of a message before it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) length: u64,
    encoding: Option<Encoding>,
}

impl Head {
    /// Bytes that it may become; `None`: nobody knows, for it is compressed.
    pub(super) fn becomes(self) -> Option<u64> {
        self.encoding.is_none().then_some(self.length)
    }
}

impl Message {
    /// The message, inflated.
    pub(super) fn inflated(self) -> Result<Bytes, Status> {
        let Some(encoding) = self.encoding else { return Ok(self.bytes) };
        let mut plain = Plain::new(Some(encoding), self.limit);
        // a little at a time, so that a bomb is seen for what it is
        let mut rest = self.bytes;
        let mut pushed = Ok(());
        while pushed.is_ok() && !rest.is_empty() {
            pushed = plain.push(rest.split_to(rest.len().min(INFLATED_AT_ONCE)));
        }
        match pushed.and_then(|()| plain.finish()) {
            Ok(pieces) => Ok(pieces.concat().into()),
            Err(error @ InflateError::TooLarge { .. }) => Err(Status::resource_exhausted(error.to_string())),
            Err(error) => Err(Status::invalid_argument(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn frames(chunks: Vec<Vec<u8>>, encoding: Option<Encoding>) -> Frames {
        let chunks = futures::stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
        Frames::new(Body::from_stream(chunks), encoding, 1000, Duration::from_secs(5))
    }

    async fn all(mut frames: Frames) -> Result<Vec<Vec<u8>>, Status> {
        let mut all = Vec::new();
        while let Some(head) = frames.head().await? {
            all.push(frames.message(head).await?.inflated()?.to_vec());
        }
        Ok(all)
    }

    #[tokio::test]
    async fn messages_in_any_pieces() {
        let bytes = [framed(b"one"), framed(b""), framed(&[7; 1000])].concat();
        for size in [1, 2, 4, 5, 6, 100, 5000] {
            let chunks = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            let expected = vec![b"one".to_vec(), vec![], vec![7; 1000]];
            assert_eq!(all(frames(chunks, None)).await, Ok(expected), "{size}");
        }
        assert_eq!(all(frames(vec![], None)).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn compressed_messages_stay_within_the_limit() {
        let zipped = |plain: &[u8]| {
            use std::io::Write;
            let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            zip.write_all(plain).unwrap();
            let mut frame = framed(&zip.finish().unwrap()).to_vec();
            frame.splice(0..1, [1]);
            frame
        };
        let gzip = Some(Encoding::Gzip);
        assert_eq!(all(frames(vec![zipped(&[7; 1000])], gzip)).await, Ok(vec![vec![7; 1000]]));
        assert_eq!(all(frames(vec![zipped(&[7; 1001])], gzip)).await.unwrap_err().code, 8);
        assert_eq!(all(frames(vec![zipped(b"x")], None)).await.unwrap_err().code, 3);
        let mut cut = zipped(&[7; 1000]);
        cut.truncate(cut.len() - 3);
        assert_eq!(all(frames(vec![cut], gzip)).await.unwrap_err().code, 3);
    }

    #[tokio::test]
    async fn what_is_no_message() {
        for (bytes, code) in [
            (vec![0, 0, 0], 3),
            (vec![0, 0, 0, 0, 9, 1], 3),
            (vec![2, 0, 0, 0, 0], 3),
            (vec![0, 0, 0, 3, 233], 8),
            (vec![0, 255, 255, 255, 255], 8),
        ] {
            assert_eq!(all(frames(vec![bytes.clone()], None)).await.unwrap_err().code, code, "{bytes:?}");
        }
    }

    #[test]
    fn statuses_fit_a_header() {
        let status = Status::invalid_argument("50 % of «it»\nis wrong");
        let trailers = status.trailers();
        assert_eq!(trailers.get("grpc-status").unwrap(), "3");
        assert_eq!(trailers.get("grpc-message").unwrap(), "50 %25 of %C2%ABit%C2%BB%0Ais wrong");
        assert!(Status::OK.trailers().get("grpc-message").is_none());
    }
}
