//! Webhooks as Standard Webhooks 1.0.0 wants them.
//!
//! ```text
//! POST url
//! content-type: application/json
//! webhook-id: <change id>              the same over all retries and restarts: the receiver's key against repeats
//! webhook-timestamp: <unix seconds>    of this attempt
//! webhook-signature: v1,… v1,…         one per secret, see `sign`
//!
//! {"type":"finding.opened","timestamp":"<when it happened>","data":{finding}}          see `body`
//! ```
//!
//! | answer | verdict |
//! |---|---|
//! | 2xx | delivered |
//! | 410 | rejected, and the sink stops until the next start: the receiver wants no more |
//! | 429, 502, 503, 504 | again later, the whole sink pauses for `Retry-After` (at most an hour) or 5 s |
//! | 3xx | again later; not followed, a redirect could lead past the SSRF guard |
//! | any other, none within 20 s | again later: a receiver's mistake may be mended within the schedule's three days |

mod body;
mod sign;
#[cfg(test)]
mod tests;

pub(crate) use sign::Secret;
pub use sign::SecretError;

use std::time::Duration;

use chrono::{DateTime, Utc};
use query::finding::Change;
use reqwest::{Response, StatusCode, header};

use super::egress::{EgressError, Endpoint, Http};
use super::sink::Verdict;

/// Attempts at once: a receiver that takes its time does not hold up the next finding.
pub(crate) const LANES: usize = 4;
/// Longest time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pause of an overloaded receiver that does not say for how long.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How much of an answer's body goes into the reason, bytes.
const ANSWER: usize = 200;

/// Checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) secrets: Vec<Secret>,
}

/// An open webhook.
pub(crate) struct Sink {
    http: Http,
    secrets: Vec<Secret>,
}

impl Sink {
    /// Builds the client; nothing is connected.
    pub(crate) fn open(settings: &Settings) -> Result<Self, EgressError> {
        let http = Http::new(settings.endpoint.clone(), TIMEOUT)?;
        Ok(Self { http, secrets: settings.secrets.clone() })
    }

    /// One attempt.
    pub(crate) async fn deliver(&self, change: &Change, now: DateTime<Utc>) -> Verdict {
        let body = match body::of(change) {
            Ok(body) => body,
            Err(error) => return rejected(format!("the finding could not be written as JSON: {error}")),
        };
        // a '.' would let the signed text be read in two ways; everything else must fit into a header
        if !change.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.') {
            return rejected("the change's id does not fit into 'webhook-id'".to_owned());
        }
        let timestamp = now.timestamp();
        let request = self
            .http
            .post()
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &change.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign::signatures(&self.secrets, &change.id, timestamp, &body))
            .body(body);
        match request.send().await {
            Ok(response) => verdict(response, now).await,
            Err(error) => Verdict::retry(chain(&error.without_url())),
        }
    }

    /// Idle connections close by themselves.
    pub(crate) async fn close(&self) {}
}

fn rejected(reason: String) -> Verdict {
    Verdict::Rejected { reason, disable: false }
}

/// What an answer means.
async fn verdict(response: Response, now: DateTime<Utc>) -> Verdict {
    let status = response.status();
    if status.is_success() {
        return Verdict::Delivered;
    }
    let retry_after = retry_after(&response, now);
    let reason = reason(response).await;
    match status {
        StatusCode::GONE => Verdict::Rejected { reason, disable: true },
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Retry { after: Some(retry_after.unwrap_or(PAUSE)), reason },
        _ => Verdict::Retry { after: None, reason },
    }
}

/// `Retry-After` in seconds or as a date, at most [`LONGEST_PAUSE`].
fn retry_after(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            (date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// Status and the beginning of the body, escaped: the receiver's words end up in our log.
async fn reason(mut response: Response) -> String {
    let status = response.status();
    if status.is_redirection() {
        return format!("answered {status}: redirects are not followed, configure the final URL");
    }
    let mut said = Vec::new();
    while said.len() < ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    said.truncate(ANSWER);
    match String::from_utf8_lossy(&said).trim() {
        "" => format!("answered {status}"),
        text => format!("answered {status}: \"{}\"", text.escape_debug()),
    }
}

/// An error with its causes; the URL is left out, its path or query may be a secret.
fn chain(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
