//! meshwarden's inbound edge: bytes from the mesh in, Arrow batches of access logs and rejects out.
//!
//! ```text
//! bytes ─▶ Inflater ─▶ Decoder ─▶ lines ─▶ envelopes ─▶ canonical keys ─▶ secrets out ─▶ row ─▶ next_batch / finish
//!                                   │                     json, text, ztunnel              └──▶ reject
//!                                   └─ bounded before memory
//! ```
//!
//! This is the core: it does no I/O and reads no clock. Decoding never fails: a line becomes a row or a reject, and a
//! value that does not fit its column stays in the column `extra`. [`schema`] says what each column means,
//! [`format`](mod@format) prints the access-log format that fills them all.

mod access_log;
mod access_log_batch;
mod address;
mod batch;
mod blocks;
mod cluster;
mod coverage;
#[doc(hidden)]
pub mod crash;
mod decoder;
mod destination_service;
mod edge;
mod egress;
mod endpoints;
mod envelope;
mod extra;
mod field_map;
mod fields;
pub mod format;
pub mod format_string;
mod identity;
pub mod inflate;
pub mod journal;
mod json;
pub mod json_format;
mod json_names;
mod jwt;
mod key;
mod line_format;
mod literal;
mod log_type;
pub mod mesh_config;
mod operator;
mod options;
mod parts;
pub mod protocol;
mod rbac;
mod redact;
mod reject;
mod reporter;
mod row;
pub mod schema;
mod shape;
mod slots;
pub mod tail;
mod text;
mod text_formats;
mod time;
mod time_format;
mod transport;
mod unchecked;
mod wanted;
mod ztunnel;

pub use access_log_batch::AccessLogBatch;
pub use coverage::{Coverage, reporters};
pub use decoder::{Carried, Decoder, Stretch, StretchDecoder, Stretches};
pub use field_map::{FieldMap, FieldMapError};
pub use format_string::TextFormat;
pub use json_format::JsonFormat;
pub use line_format::{Envelope, LineFormat, LineFormats};
pub use log_type::is_request;
pub use mesh_config::MeshFormats;
pub use operator::{Operator, OperatorError};
pub use options::{DecodeOptions, Formats, GatewayNames, GatewayNamesError};
pub use redact::Redaction;
pub use reject::{Reject, RejectReason};
pub use time_format::TimeFormatError;
pub use wanted::{UnknownColumn, Wanted};
