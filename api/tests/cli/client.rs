//! A plain client over a socket, for tests in which the server may go away at any time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(super) struct Answer {
    pub(super) status: u16,
    /// Headers and body.
    pub(super) text: String,
}

/// Posts a body, with more headers, a line each. `None`: there was no answer.
pub(super) fn post(address: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
    post_bytes(address, path, headers, body.as_bytes())
}

/// The same of any bytes.
pub(super) fn post_bytes(address: &str, path: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    Some(Answer { status: text.split(' ').nth(1)?.parse().ok()?, text })
}
