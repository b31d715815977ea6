//! One command operator of an Envoy access-log format: what is written between two `%`.
//!
//! ```text
//! %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):64%
//!  ─┬─ ─────────────┬─────────────  ─┬
//!  name          argument       at most so many bytes
//! ```
//!
//! An operator knows which canonical key it feeds ([`Operator::key`]), whatever the log calls it, and which characters
//! its value can have ([`Operator::class`]): the first makes columns of any format, the second tells one value from the
//! next in a text line. `%%` is a literal `%`. The grammar and the arguments that each operator takes are those of Envoy
//! 1.40, which was asked about every name in the catalogue.

mod catalogue;
mod class;

use std::fmt;

use thiserror::Error;

use crate::key::Key;
use crate::reject::shown;
use crate::time_format::{Lacks, TimeFormat, TimeFormatError};

pub(crate) use class::ValueClass;

/// One command operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    name: Box<str>,
    argument: Option<Box<str>>,
    max_length: Option<usize>,
    class: ValueClass,
}

/// A part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Operator(Operator),
}

/// Why a `%` of a format begins no operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OperatorError {
    /// Envoy would refuse the format here, too.
    #[error(
        "`{near}` at byte {at} is no command operator; write %NAME%, %NAME(argument)% or %NAME(argument):LENGTH%, and %% for a percent sign"
    )]
    NotAnOperator {
        /// Where it starts, in bytes.
        at: usize,
        /// What stands there.
        near: String,
    },
    /// A start time whose form is not understood.
    #[error("{operator}: {source}")]
    Time {
        /// The whole operator.
        operator: String,
        /// Why.
        source: TimeFormatError,
    },
}

impl Operator {
    /// The name between `%` and argument, for example `REQ`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in its parentheses; empty without any.
    #[must_use]
    pub fn argument(&self) -> &str {
        self.argument.as_deref().unwrap_or_default()
    }

    /// The name of the canonical key that the operator's value feeds; `None` if no column has room for it.
    #[must_use]
    pub fn feeds(&self) -> Option<&'static str> {
        self.key().map(Key::name)
    }

    /// Whether a peer chooses what the value says: the caller its headers, server name and certificate, an upstream
    /// its headers. Also true for operators that nobody knows here.
    #[must_use]
    pub fn caller_controlled(&self) -> bool {
        match &*self.name {
            "REQ" | "REQ_WITHOUT_QUERY" => !matches!(self.headers().0.as_str(), ":method" | ":scheme"),
            "RESP" => !matches!(self.class, ValueClass::Number),
            "DYNAMIC_METADATA" => !matches!(self.argument(), "envoy.common:access_log_hint"),
            name => catalogue::find(name).is_none_or(|entry| entry.caller),
        }
    }

    /// Whether it is a path in whose place a caller may put another: `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`, as Istio's default formats have it.
    #[must_use]
    pub fn prefers_original_path(&self) -> bool {
        if &*self.name == "PATH" {
            return matches!(self.argument().split_once(':').map(|(_, which)| which), None | Some("ORIG_OR_PATH"));
        }
        let (first, other) = self.headers();
        matches!(&*self.name, "REQ" | "REQ_WITHOUT_QUERY")
            && first == "x-envoy-original-path"
            && other.as_deref() == Some(":path")
    }

    /// Whether its value is a path with its query string.
    #[must_use]
    pub fn logs_query(&self) -> bool {
        let leaves_out = match &*self.name {
            "REQ_WITHOUT_QUERY" => true,
            "PATH" => self.argument().split(':').next() == Some("NQ"),
            _ => false,
        };
        matches!(self.key(), Some(Key::Path | Key::OriginalPath)) && !leaves_out
    }

    /// Why Envoy 1.40 refuses a configuration with this operator; `None` if it accepts it.
    #[must_use]
    pub fn refused(&self) -> Option<&'static str> {
        let reason = match &*self.name {
            "JA3_FINGERPRINT" => "Envoy has no such operator; write %TLS_JA3_FINGERPRINT%",
            "VIRTUAL_HOST_NAME" => "Envoy has no such operator; %ROUTE_NAME% and %VIRTUAL_CLUSTER_NAME% are near it",
            "UPSTREAM_LOCAL_SUBJECT" => "Envoy has no such operator; write %UPSTREAM_LOCAL_URI_SAN%",
            "UPSTREAM_PEER_SERIAL" | "UPSTREAM_PEER_FINGERPRINT_256" => {
                "Envoy has it for DOWNSTREAM_PEER only; the upstream's identity is %UPSTREAM_PEER_URI_SAN%"
            }
            name => {
                return catalogue::find(name).and_then(|entry| entry.takes.refuses(&self.argument, self.max_length));
            }
        };
        Some(reason)
    }

    /// Whether it is an operator of Envoy 1.40; what is not may come from an extension.
    #[must_use]
    pub fn is_known(&self) -> bool {
        catalogue::find(&self.name).is_some()
    }

    /// The formatter extension that Envoy needs to accept the operator; Istio adds it for top-level labels by itself.
    #[must_use]
    pub fn needs_formatter(&self) -> Option<&'static str> {
        (&*self.name == "REQ_WITHOUT_QUERY").then_some("envoy.formatter.req_without_query")
    }

    /// The name under which `extra` keeps the value of an operator that feeds no key: `req(x-tenant)`,
    /// `environment(ZONE)`, `upstream_protocol`. Names of headers are in lower case, other arguments as they are.
    #[must_use]
    pub fn extra_name(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match &self.argument {
            Some(argument) if self.names_headers() => format!("{name}({})", argument.to_ascii_lowercase()),
            Some(argument) if !argument.is_empty() => format!("{name}({argument})"),
            _ => name,
        }
    }

    /// The names of the headers, or of the query's parameter, that the operator's value is of.
    pub(crate) fn of_names(&self) -> impl Iterator<Item = &str> {
        let named = matches!(&*self.name, "REQ" | "REQ_WITHOUT_QUERY" | "RESP" | "TRAILER" | "QUERY_PARAM");
        // request.headers['authorization']: whatever is quoted may be a header
        let quoted = &*self.name == "CEL";
        let names = self.argument().split('?').filter(move |_| named);
        names.chain(self.argument().split(['\'', '"']).skip(1).step_by(2).filter(move |_| quoted))
    }

    /// Reads the operator at the start of `text`, and says how many bytes it takes. `None`: there is none.
    pub(crate) fn parse(text: &str) -> Option<Result<(Operator, usize), OperatorError>> {
        let inner = text.strip_prefix('%')?;
        let end = inner.bytes().position(|byte| !matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'))?;
        let (name, rest) = inner.split_at_checked(end)?;
        if name.is_empty() {
            return None;
        }
        let (argument, max_length, rest) = match rest.strip_prefix('(') {
            // an argument may hold `)`: it ends where length and `%` follow
            Some(inner) => inner.match_indices(')').find_map(|(at, _)| {
                let (length, rest) = length(inner.get(at + 1..)?)?;
                Some((Some(inner.get(..at)?), length, rest))
            })?,
            None => {
                let (length, rest) = length(rest)?;
                (None, length, rest)
            }
        };
        let mut operator =
            Operator { name: name.into(), argument: argument.map(Into::into), max_length, class: ValueClass::Text };
        operator.class = match class_of(&operator) {
            Ok(class) => class,
            Err(source) => return Some(Err(OperatorError::Time { operator: operator.to_string(), source })),
        };
        Some(Ok((operator, text.len() - rest.len())))
    }

    /// The canonical key that it feeds.
    pub(crate) fn key(&self) -> Option<Key> {
        match &*self.name {
            "REQ" | "REQ_WITHOUT_QUERY" => self.request_header(),
            "RESP" => match self.headers() {
                (name, None) if name == "x-envoy-upstream-service-time" => Some(Key::UpstreamServiceTime),
                (name, None) if name == "x-fapi-interaction-id" => Some(Key::ResponseFapiInteractionId),
                _ => None,
            },
            // whether with the query (WQ) or without (NQ), and which of the two headers
            "PATH" => match self.argument().split_once(':').map(|(_, which)| which) {
                None | Some("PATH" | "ORIG_OR_PATH") => Some(Key::Path),
                Some("ORIG") => Some(Key::OriginalPath),
                Some(_) => None,
            },
            "GRPC_STATUS" => (self.argument() == "NUMBER").then_some(Key::GrpcStatus),
            // SNI_FIRST and HOST_FIRST may say the host instead
            "REQUESTED_SERVER_NAME" => matches!(self.argument(), "" | "SNI_ONLY").then_some(Key::RequestedServerName),
            "ENVIRONMENT" => match self.argument() {
                "POD_NAME" => Some(Key::PodName),
                "POD_NAMESPACE" => Some(Key::PodNamespace),
                "SERVICE_ACCOUNT" => Some(Key::PodServiceAccount),
                "ISTIO_META_CLUSTER_ID" => Some(Key::ClusterId),
                _ => None,
            },
            "DYNAMIC_METADATA" => match self.argument() {
                "envoy.filters.http.rbac" => Some(Key::Rbac),
                "envoy.filters.network.rbac" => Some(Key::RbacTcp),
                "envoy.common:access_log_hint" => Some(Key::Audit),
                "envoy.filters.http.jwt_authn:payload:iss" => Some(Key::JwtIss),
                "envoy.filters.http.jwt_authn:payload:sub" => Some(Key::JwtSub),
                "envoy.filters.http.jwt_authn:payload:aud" => Some(Key::JwtAud),
                "envoy.filters.http.jwt_authn:payload:realm_access" => Some(Key::JwtRealmAccess),
                _ => None,
            },
            "CLUSTER_METADATA" => (self.argument() == "istio:services").then_some(Key::UpstreamService),
            // PLAIN of a peer's workload is `k=v,k=v`; of a principal it is the principal
            "FILTER_STATE" => match self.argument().trim_end_matches(":TYPED") {
                "io.istio.peer_principal" | "io.istio.peer_principal:PLAIN" => Some(Key::PeerPrincipal),
                "io.istio.local_principal" | "io.istio.local_principal:PLAIN" => Some(Key::LocalPrincipal),
                "downstream_peer" | "wasm.downstream_peer" => Some(Key::DownstreamPeer),
                "upstream_peer" | "wasm.upstream_peer" => Some(Key::UpstreamPeer),
                _ => None,
            },
            "DOWNSTREAM_PEER_CERT_V_END" => self.argument().is_empty().then_some(Key::DownstreamPeerCertVEnd),
            "START_TIME" => Some(Key::StartTime),
            // an argument of the addresses without port masks them
            name => catalogue::find(name).and_then(|entry| entry.key).filter(|_| self.argument().is_empty()),
        }
    }

    /// The same operator in a format that separates values by `|`, which stands in the names of clusters, too.
    pub(crate) fn between_pipes(mut self) -> Operator {
        if self.key() == Some(Key::UpstreamCluster) && self.class == ValueClass::Word {
            self.class = ValueClass::Cluster;
        }
        self
    }

    /// The same operator, as if it said a number instead of a time.
    pub(crate) fn with_number_for_time(mut self) -> Operator {
        if matches!(self.class, ValueClass::Time(_)) {
            self.class = ValueClass::Number;
        }
        self
    }

    /// Which characters its value can have.
    pub(crate) fn class(&self) -> &ValueClass {
        &self.class
    }

    /// How it writes the start time, if it is one.
    pub(crate) fn start_time(&self) -> Option<&TimeFormat> {
        match &self.class {
            ValueClass::Time(format) if &*self.name == "START_TIME" => Some(format),
            _ => None,
        }
    }

    /// Whether it is a start time that says no instant, such as `%START_TIME(%H:%M:%S)%`: lines are dated by what they come in, if that says when
    /// they were written.
    #[must_use]
    pub fn is_no_instant(&self) -> bool {
        self.start_time().is_some_and(|format| format.lacks() != Lacks::Nothing)
    }

    fn names_headers(&self) -> bool {
        matches!(&*self.name, "REQ" | "REQ_WITHOUT_QUERY" | "RESP" | "TRAILER")
    }

    /// The header and the one that is logged where it is missing, in lower case.
    fn headers(&self) -> (String, Option<String>) {
        match self.argument().split_once('?') {
            Some((name, other)) => (name.to_ascii_lowercase(), Some(other.to_ascii_lowercase())),
            None => (self.argument().to_ascii_lowercase(), None),
        }
    }

    fn request_header(&self) -> Option<Key> {
        let (name, other) = self.headers();
        match (name.as_str(), other.as_deref()) {
            // the pseudo headers are always there, so what follows them does not count
            (":method", _) => Some(Key::Method),
            (":path", _) | ("x-envoy-original-path", Some(":path")) => Some(Key::Path),
            (":authority" | "host", None | Some(":authority" | "host")) => Some(Key::Authority),
            ("x-envoy-original-host", Some(":authority" | "host")) => Some(Key::Authority),
            (name, None) => match name {
                "x-envoy-original-path" => Some(Key::OriginalPath),
                "x-envoy-original-host" => Some(Key::OriginalHost),
                "content-type" => Some(Key::ContentType),
                "x-request-id" => Some(Key::RequestId),
                "traceparent" => Some(Key::Traceparent),
                "x-forwarded-for" => Some(Key::XForwardedFor),
                "user-agent" => Some(Key::UserAgent),
                "referer" => Some(Key::Referer),
                "x-fapi-interaction-id" => Some(Key::FapiInteractionId),
                "x-fapi-customer-ip-address" => Some(Key::FapiCustomerIp),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.name)?;
        if let Some(argument) = &self.argument {
            write!(f, "({argument})")?;
        }
        if let Some(length) = self.max_length {
            write!(f, ":{length}")?;
        }
        f.write_str("%")
    }
}

/// A format's literals and operators in turn; no two literals are neighbours.
pub(crate) fn pieces(format: &str) -> Result<Vec<Piece>, OperatorError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = format;
    while let Some(at) = memchr::memchr(b'%', rest.as_bytes()) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        literal.push_str(before);
        if let Some(after) = from.strip_prefix("%%") {
            literal.push('%');
            rest = after;
            continue;
        }
        let at = format.len() - from.len();
        let (operator, length) =
            Operator::parse(from).unwrap_or_else(|| Err(OperatorError::NotAnOperator { at, near: shown(from) }))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Operator(operator));
        rest = from.get(length..).unwrap_or_default();
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// `[:LENGTH]%`, and what follows.
fn length(text: &str) -> Option<(Option<usize>, &str)> {
    if let Some(rest) = text.strip_prefix('%') {
        return Some((None, rest));
    }
    let (digits, rest) = text.strip_prefix(':')?.split_once('%')?;
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((Some(digits.parse().ok().filter(|_| number)?), rest))
}

fn class_of(operator: &Operator) -> Result<ValueClass, TimeFormatError> {
    let argument = operator.argument();
    let class = match &*operator.name {
        "START_TIME" => ValueClass::Time(TimeFormat::compile(argument)?),
        "REQ" | "REQ_WITHOUT_QUERY" if matches!(operator.headers().0.as_str(), ":method" | ":scheme") => {
            ValueClass::Word
        }
        // Envoy sets the one, and overwrites the other
        "RESP" if matches!(operator.headers().0.as_str(), ":status" | "x-envoy-upstream-service-time") => {
            ValueClass::Number
        }
        "RESPONSE_CODE_DETAILS" if !argument.is_empty() => ValueClass::Text,
        "ENVIRONMENT" if operator.key().is_some() => ValueClass::Word,
        "DYNAMIC_METADATA" => match operator.key() {
            Some(Key::Rbac | Key::RbacTcp | Key::JwtRealmAccess) => ValueClass::Json,
            Some(Key::Audit) => ValueClass::Word,
            _ => ValueClass::Text,
        },
        "CLUSTER_METADATA" if operator.key().is_some() => ValueClass::Json,
        // cut off anywhere, or masked
        name => match catalogue::find(name).map(|entry| entry.class.clone()) {
            Some(ValueClass::Address) if !argument.is_empty() => ValueClass::Word,
            // other times: their form is the argument's
            Some(ValueClass::Word) if name.contains("TIME") || name.contains("CERT_V_") => {
                const WORDY: &str = "%YmdHMSFTRDsfzZjEb0123456789:-/.*";
                let word = argument.chars().all(|char| WORDY.contains(char));
                if word { ValueClass::Word } else { ValueClass::Text }
            }
            Some(class) => class,
            None => ValueClass::Text,
        },
    };
    // the length cuts numbers and words, too, but these stay what they are
    Ok(match class {
        ValueClass::Json | ValueClass::Details | ValueClass::Address if operator.max_length.is_some() => {
            ValueClass::Text
        }
        class => class,
    })
}

#[cfg(test)]
mod tests;
