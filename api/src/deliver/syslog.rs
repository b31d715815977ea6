//! Syslog: RFC 5424 messages over TCP, framed as in RFC 6587.
//!
//! ```text
//! octet-counting   <length> SP <message>        default; rsyslog, syslog-ng and every SIEM take it
//! newline          <message> LF                 for receivers that cannot count
//! ```
//! The message itself is drawn in `message`.
//!
//! TCP syslog has no acknowledgement: `Delivered` means written to the connection and flushed. What a dying receiver had not
//! read yet is lost without a word, so the messages written in the last ten seconds (at most 256) are remembered and written
//! again when the connection turns out to be broken. That is at least once as far as the protocol lets anybody promise it;
//! repeats carry the same `change` id. What is remembered does not survive a restart of meshwarden.
//!
//! | happening | verdict |
//! |---|---|
//! | written and flushed | delivered |
//! | no connection, broken while writing, stuck for 20 s | again later (in strict order, never given up) |

mod message;
#[cfg(test)]
mod tests;

pub(crate) use message::Facility;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use query::finding::Change;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::egress::{self, Allow, EgressError};
use super::sink::Verdict;

/// Longest time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for the end of a connection.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long and how many messages are remembered after they were written.
const REMEMBERED: TimeDelta = TimeDelta::seconds(10);
const MOST_REMEMBERED: usize = 256;

/// How messages are told apart on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The length in front.
    OctetCounting,
    /// A line feed behind.
    Newline,
}

/// Checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) allow: Allow,
    pub(crate) facility: Facility,
    pub(crate) framing: Framing,
    pub(crate) hostname: Option<String>,
}

/// A syslog receiver, connected with the first delivery.
pub(crate) struct Sink {
    settings: Settings,
    hostname: String,
    line: Mutex<Line>,
}

/// The connection and what may have been lost on it.
#[derive(Default)]
struct Line {
    stream: Option<TcpStream>,
    recent: VecDeque<(DateTime<Utc>, Vec<u8>)>,
}

/// An attempt that failed.
#[derive(Debug, thiserror::Error)]
enum SyslogError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

impl Sink {
    /// Nothing is connected yet.
    pub(crate) fn open(settings: &Settings) -> Self {
        let hostname = settings.hostname.clone().unwrap_or_else(machine_name);
        Self { settings: settings.clone(), hostname, line: Mutex::new(Line::default()) }
    }

    /// One attempt.
    pub(crate) async fn deliver(&self, change: &Change, now: DateTime<Utc>) -> Verdict {
        let message = match message::of(change, self.settings.facility, &self.hostname) {
            Ok(message) => message,
            Err(error) => {
                let reason = format!("the finding could not be written as JSON: {error}");
                return Verdict::Rejected { reason, disable: false };
            }
        };
        let frame = framed(message, self.settings.framing);
        let mut line = self.line.lock().await;
        // taken out of its place: an attempt that fails or is cancelled leaves no half-written connection behind
        let stream = line.stream.take();
        match tokio::time::timeout(TIMEOUT, self.write(stream, &line.recent, &frame, now)).await {
            Ok(Ok(stream)) => {
                line.stream = Some(stream);
                line.remember(frame, now);
                Verdict::Delivered
            }
            Ok(Err(error)) => Verdict::retry(error.to_string()),
            Err(_) => Verdict::retry(format!("the receiver took nothing within {} s", TIMEOUT.as_secs())),
        }
    }

    /// Says goodbye on the connection.
    pub(crate) async fn close(&self) {
        if let Some(mut stream) = self.line.lock().await.stream.take() {
            // the receiver reads up to the end before it sees this; that it is gone already is no new loss
            let _ = tokio::time::timeout(GOODBYE, stream.shutdown()).await;
        }
    }

    /// Writes one frame, on a new connection after the frames that may have been lost on the old one.
    async fn write(
        &self,
        stream: Option<TcpStream>,
        recent: &VecDeque<(DateTime<Utc>, Vec<u8>)>,
        frame: &[u8],
        now: DateTime<Utc>,
    ) -> Result<TcpStream, SyslogError> {
        let mut stream = match stream.filter(is_open) {
            Some(stream) => stream,
            None => {
                let mut stream = egress::connect(&self.settings.host, self.settings.port, &self.settings.allow).await?;
                for (_, frame) in recent.iter().filter(|(at, _)| now - *at <= REMEMBERED) {
                    stream.write_all(frame).await?;
                }
                stream
            }
        };
        stream.write_all(frame).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

impl Line {
    fn remember(&mut self, frame: Vec<u8>, now: DateTime<Utc>) {
        self.recent.push_back((now, frame));
        while self.recent.len() > MOST_REMEMBERED || self.recent.front().is_some_and(|(at, _)| now - *at > REMEMBERED) {
            self.recent.pop_front();
        }
    }
}

/// Whether the receiver has not closed its side. What a receiver says is read and thrown away: syslog has no answers.
fn is_open(stream: &TcpStream) -> bool {
    let mut said = [0; 1024];
    loop {
        match stream.try_read(&mut said) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

fn framed(message: Vec<u8>, framing: Framing) -> Vec<u8> {
    match framing {
        Framing::OctetCounting => [format!("{} ", message.len()).into_bytes(), message].concat(),
        // a message holds no control character, so no line feed either
        Framing::Newline => [message, b"\n".to_vec()].concat(),
    }
}

/// This machine's name; `-`, syslog's nil, where it cannot be told.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        name if !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            name.to_owned()
        }
        _ => "-".to_owned(),
    }
}
