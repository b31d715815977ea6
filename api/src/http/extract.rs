//! Ids in paths, query parameters and JSON bodies, with problems instead of axum's own words.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use futures::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::{Kind, Problem};

/// The one parameter of a path.
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Problem::bad_request(format!("the path is not right: {}", rejection.body_text()))),
        }
    }
}

/// Query parameters; a parameter that `T` does not know is a problem (`deny_unknown_fields`).
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
                Err(Problem::bad_request(format!("the query parameters are not right: {reason}")))
            }
        }
    }
}

/// For routes that take no parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What a JSON body becomes, and its bound.
pub(crate) trait Wire: DeserializeOwned {
    /// Most bytes of the body.
    const MAX_BYTES: usize;
}

/// A JSON body, whatever Content-Type it comes under.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: Wire, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = collect(request.into_body(), T::MAX_BYTES).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let kind = if error.classify() == Category::Data { Kind::Unprocessable } else { Kind::BadRequest };
            Problem::new(kind, format!("the body is not right: {error}"))
        })
    }
}

async fn collect(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| Problem::bad_request(format!("the body broke off: {error}")))?;
        if bytes.len() + piece.len() > most {
            return Err(Problem::new(Kind::TooLarge, format!("the body has more than {most} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
