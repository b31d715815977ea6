//! What senders' protocols carry, as lines.
//!
//! ```text
//!  OTLP        otlp.rs  ExportLogsServiceRequest: protobuf or JSON ─┐
//!  Envoy ALS   als.rs   StreamAccessLogsMessage                    ─┤
//!  Splunk HEC  hec.rs   events, one after the other                ─┼▶ Lines ─▶ journal ─▶ Decoder
//!  _bulk       bulk.rs  an action, a document, an action, …        ─┤
//!  Loki        loki.rs  streams of values: protobuf or JSON        ─┘
//! ```
//! Every protocol ends in the lines that a file would have had, so that there is one decoder, one journal and one kind of reject. A record is a line: what
//! its fields say under the keys of the recommended format, or the text that the sender read from a file, in the envelope that shippers use.
//!
//! No function here does I/O, knows a limit of its own, or fails a message half: its lines are all there, or none.

pub mod als;
pub mod bulk;
pub mod hec;
mod lines;
pub mod loki;
pub mod otlp;
mod structs;
mod wire;
mod wrap;

pub use lines::Lines;
pub use wire::WireError;
