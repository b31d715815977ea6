//! From the wire to a complete, plain body in memory, or to nothing: of every request that brings lines.
//!
//! ```text
//!  async: chunks, each within the idle timeout ──(4 of them)──▶ blocking: Inflater ─▶ pieces, ≤ limit in all
//! ```
//! Inflating runs on a thread of its own: one chunk may become a thousand times its size.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use futures::StreamExt;
use ingest::inflate::{Encoding, InflateError, Inflater};
use tokio::sync::mpsc;

use super::config::HttpConfig;
use super::problem::{Kind, Problem};

/// Chunks between the wire and the inflater.
const AHEAD: usize = 4;

/// Bytes of a piece.
const PIECE: usize = 1 << 20;

/// Bytes of a refused body that are read all the same, at least.
const LINGER_BYTES: u64 = 64 << 20;

/// Longest time that the rest of a refused body is read for, and the longest silence in it.
const LINGER: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(1);

/// What the caller says about the body's encoding; `None`: nothing, the first bytes tell.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Problem> {
    let mut named = headers.get_all(header::CONTENT_ENCODING).iter();
    let (Some(name), None) = (named.next(), named.next()) else {
        return if headers.contains_key(header::CONTENT_ENCODING) {
            Err(unknown_encoding("several"))
        } else {
            Ok(None)
        };
    };
    let name = String::from_utf8_lossy(name.as_bytes()).trim().to_ascii_lowercase();
    match name.as_str() {
        "" => Ok(None),
        "identity" => Ok(Some(Encoding::Plain)),
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "zstd" => Ok(Some(Encoding::Zstd)),
        _ => Err(unknown_encoding(&name)),
    }
}

/// Refuses a body that says that it is too long: compressed bytes do not become fewer.
pub(crate) fn announced(headers: &HeaderMap, limit: u64) -> Result<Option<u64>, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) { Err(too_large(limit)) } else { Ok(length) }
}

/// The whole body, inflated.
pub(crate) async fn receive(
    body: &mut BodyDataStream,
    encoding: Option<Encoding>,
    config: &HttpConfig,
) -> Result<Vec<Vec<u8>>, Problem> {
    let limit = config.max_body_bytes;
    let (sender, chunks) = mpsc::channel::<Bytes>(AHEAD);
    let inflating = tokio::task::spawn_blocking(move || inflate(chunks, encoding, limit));
    loop {
        match tokio::time::timeout(config.idle_timeout, body.next()).await {
            Err(_) => return Err(too_slow(config.idle_timeout)),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                return Err(Problem::bad_request(format!(
                    "the body broke off ({error}): nothing was accepted, send it again"
                )));
            }
            Ok(Some(Ok(chunk))) => {
                if sender.send(chunk).await.is_err() {
                    // the inflater has given up, and says below why
                    break;
                }
            }
        }
    }
    drop(sender);
    let inflated = inflating.await.map_err(|error| Problem::internal("inflating", &error))?;
    inflated.map_err(|error| match error {
        InflateError::TooLarge { .. } => too_large(limit),
        _ => Problem::bad_request(format!("the body cannot be inflated ({error}): nothing was accepted")),
    })
}

fn inflate(
    mut chunks: mpsc::Receiver<Bytes>,
    encoding: Option<Encoding>,
    limit: u64,
) -> Result<Vec<Vec<u8>>, InflateError> {
    let mut plain = Plain::new(encoding, limit);
    while let Some(chunk) = chunks.blocking_recv() {
        plain.push(chunk)?;
    }
    plain.finish()
}

/// Bytes after which a body that grows fiftyfold and more is only counted.
const SUSPECT: u64 = 8 << 20;
/// What hardly any log does when it is inflated.
const GROWS: u64 = 50;

/// A body, being inflated into memory. One that becomes so much more than it was that it will hardly be let through is only counted, while what came is kept,
/// which is little then: if it stays within the limit after all, it is inflated again. So what is refused never took much memory.
pub(crate) struct Plain {
    encoding: Option<Encoding>,
    limit: u64,
    inflater: Inflater,
    pieces: Vec<Vec<u8>>,
    inflated: u64,
    /// What came, as long as it is so little that it might have to be inflated again.
    came: Option<Vec<Bytes>>,
    bytes: u64,
    counts_only: bool,
}

impl Plain {
    pub(crate) fn new(encoding: Option<Encoding>, limit: u64) -> Self {
        let inflater = match encoding {
            None => Inflater::new(Some(limit)),
            Some(encoding) => Inflater::with_encoding(encoding, Some(limit)),
        };
        let came = Some(Vec::new());
        Self { encoding, limit, inflater, pieces: Vec::new(), inflated: 0, came, bytes: 0, counts_only: false }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<(), InflateError> {
        self.bytes += chunk.len() as u64;
        let Self { inflater, pieces, inflated, came, bytes, counts_only, limit, .. } = self;
        if *bytes > *limit / GROWS && !*counts_only {
            *came = None;
        }
        let suspects = came.is_some();
        let outcome = inflater.push(&chunk, &mut |plain| {
            *inflated += plain.len() as u64;
            if suspects && *inflated > SUSPECT && *inflated > *bytes * GROWS {
                *counts_only = true;
                *pieces = Vec::new();
            }
            if !*counts_only {
                gather(pieces, plain);
            }
        });
        if let Some(came) = came {
            came.push(chunk);
        }
        outcome
    }

    /// The whole body, if it is whole.
    pub(crate) fn finish(self) -> Result<Vec<Vec<u8>>, InflateError> {
        let Self { encoding, limit, inflater, mut pieces, came, counts_only, .. } = self;
        inflater.finish(&mut |plain| {
            if !counts_only {
                gather(&mut pieces, plain);
            }
        })?;
        if !counts_only {
            return Ok(pieces);
        }
        let mut again = Self { came: None, ..Self::new(encoding, limit) };
        for chunk in came.unwrap_or_default() {
            again.push(chunk)?;
        }
        again.finish()
    }
}

/// Adds to the last piece while it has room: a body that comes byte by byte takes no more memory than one that comes at once.
fn gather(pieces: &mut Vec<Vec<u8>>, mut plain: &[u8]) {
    while !plain.is_empty() {
        let room = pieces.last().map_or(0, |last| PIECE - last.len());
        if room == 0 {
            pieces.push(Vec::with_capacity(if pieces.is_empty() { plain.len().min(PIECE) } else { PIECE }));
            continue;
        }
        let (now, later) = plain.split_at(room.min(plain.len()));
        if let Some(last) = pieces.last_mut() {
            last.extend_from_slice(now);
        }
        plain = later;
    }
}

/// Reads what is left of a body that was refused, within bounds, so that the sender gets to read why: most read the answer only after their body is out.
/// Not of one that waits for a word before it sends anything.
pub(crate) async fn linger(body: &mut BodyDataStream, headers: &HeaderMap, config: &HttpConfig) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let most = config.max_body_bytes.saturating_mul(2).max(LINGER_BYTES);
    let rest = async {
        let mut read = 0;
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout(SILENCE, body.next()).await {
            read += chunk.len() as u64;
            if read > most {
                break;
            }
        }
    };
    // whoever is slower than this has to do with a closed connection
    let _ = tokio::time::timeout(LINGER, rest).await;
}

pub(crate) fn too_large(limit: u64) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!(
            "the body has more than {limit} bytes after inflating: nothing was accepted, send it in parts that end at a line's end"
        ),
    )
}

pub(crate) fn too_slow(limit: Duration) -> Problem {
    Problem::new(Kind::SlowBody, format!("the body did not come within {limit:?}: nothing was accepted, send it again"))
}

fn unknown_encoding(name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    Problem::new(Kind::UnsupportedEncoding, format!("Content-Encoding '{shown}' is not taken: use gzip, zstd or none"))
        .with(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(plain).unwrap();
        zip.finish().unwrap().into()
    }

    /// What becomes of a body in these chunks, and the most memory that its pieces took.
    fn run(chunks: &[Bytes], limit: u64) -> (Result<Vec<u8>, InflateError>, usize) {
        let (mut plain, mut most) = (Plain::new(None, limit), 0);
        for chunk in chunks {
            if let Err(error) = plain.push(chunk.clone()) {
                return (Err(error), most);
            }
            most = most.max(plain.pieces.len() * PIECE);
        }
        (plain.finish().map(|pieces| pieces.concat()), most)
    }

    #[test]
    fn what_grows_beyond_belief_is_counted_before_it_is_kept() {
        let zeros = vec![0; 20 << 20];
        let member = gzip(&zeros);
        // within the limit it is taken, whole
        let (whole, _) = run(std::slice::from_ref(&member), 100 << 20);
        assert!(whole.unwrap() == zeros);
        // beyond it, it took no more than what makes it suspect
        let bomb: Vec<Bytes> = (0..10).map(|_| member.clone()).collect();
        let (refused, most) = run(&bomb, 100 << 20);
        assert!(matches!(refused, Err(InflateError::TooLarge { .. })), "{refused:?}");
        assert!(most as u64 <= SUSPECT + (1 << 20), "{most}");
    }

    #[test]
    fn what_begins_like_a_bomb_may_be_none() {
        let mut random = 1_u64;
        let mut noise = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        };
        let plain: Vec<u8> =
            std::iter::repeat_n(7, 20 << 20).chain(std::iter::repeat_with(&mut noise).take(1 << 20)).collect();
        let zipped = gzip(&plain);
        for size in [1 << 12, 1 << 30] {
            let chunks: Vec<Bytes> = zipped.chunks(size).map(Bytes::copy_from_slice).collect();
            assert!(run(&chunks, 64 << 20).0.unwrap() == plain, "{size}");
        }
    }
}
