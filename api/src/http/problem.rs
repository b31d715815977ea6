//! What a caller is told when it does not get what it asked for: `application/problem+json`, RFC 9457.
//!
//! ```json
//! {"type":"urn:meshwarden:problem:not-found","title":"…","status":404,"detail":"…","instance":"/api/v1/findings/…"}
//! ```
//! `title` belongs to the type, `detail` to the case: the offending value, the likely cause, what to do. Internals are logged here and
//! not returned. `instance` is the request's path, which the outermost layer ([`super::edge`]) fills in.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use query::with_causes;
use serde::Serialize;
use utoipa::ToSchema;

/// What kind of problem it is; type, title and status follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    SlowBody,
    TooLarge,
    UnsupportedEncoding,
    Unprocessable,
    KeyReused,
    Internal,
    Unavailable,
    Full,
    TookTooLong,
}

impl Kind {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => {
                (StatusCode::BAD_REQUEST, "urn:meshwarden:problem:bad-request", "The request is not right")
            }
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "urn:meshwarden:problem:unauthorized", "A token is needed")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "urn:meshwarden:problem:forbidden", "The request is refused"),
            Self::NotFound => (StatusCode::NOT_FOUND, "urn:meshwarden:problem:not-found", "There is nothing here"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "urn:meshwarden:problem:method-not-allowed",
                "This cannot be done here",
            ),
            Self::SlowBody => {
                (StatusCode::REQUEST_TIMEOUT, "urn:meshwarden:problem:slow-body", "The body did not come in time")
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "urn:meshwarden:problem:too-large", "The body is too large")
            }
            Self::UnsupportedEncoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "urn:meshwarden:problem:unsupported-encoding",
                "The body's encoding is not known",
            ),
            Self::Unprocessable => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "urn:meshwarden:problem:unprocessable",
                "The body holds a wrong value",
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "urn:meshwarden:problem:idempotency-key-reused",
                "The key stands for something else",
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "urn:meshwarden:problem:internal", "Something broke here")
            }
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "urn:meshwarden:problem:unavailable", "Not now"),
            Self::Full => {
                (StatusCode::INSUFFICIENT_STORAGE, "urn:meshwarden:problem:full", "There is no room for it now")
            }
            Self::TookTooLong => {
                (StatusCode::GATEWAY_TIMEOUT, "urn:meshwarden:problem:took-too-long", "It took too long")
            }
        }
    }
}

/// A request that was not answered as asked.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this kind.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), header: None }
    }

    /// Something of the caller's is wrong.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// Something of ours is wrong: logged with its cause under a word that the caller can quote.
    pub(crate) fn internal(doing: &'static str, cause: &(dyn std::error::Error + 'static)) -> Self {
        let reference = uuid::Uuid::new_v4().simple().to_string();
        tracing::error!(reference, doing, error = %with_causes(cause), "a request failed");
        Self::new(Kind::Internal, format!("{doing} failed; the server's log says more under {reference}"))
    }

    /// There is no room at the moment.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail).with(header::RETRY_AFTER, HeaderValue::from_static("5"))
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// What is said about the case.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// When to try again, in seconds: as its header says, or soon.
    pub(crate) fn retry_after(&self) -> HeaderValue {
        let header = self.header.as_ref().filter(|(name, _)| *name == header::RETRY_AFTER);
        header.map_or(HeaderValue::from_static("5"), |(_, value)| value.clone())
    }

    /// The HTTP status that goes with its kind.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind.parts().0
    }

    /// The answer to a request for this path.
    pub(crate) fn response(self, instance: &str) -> Response {
        let (status, kind, title) = self.kind.parts();
        let body = ProblemJson {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response("")
    }
}

/// A problem on the wire.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemJson {
    /// What kind of problem it is, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:meshwarden:problem:bad-request")]
    kind: String,
    /// What kind of problem it is, for people.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong in this case, and what to do.
    detail: String,
    /// Path of the request.
    instance: String,
}
