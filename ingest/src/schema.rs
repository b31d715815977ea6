//! The two tables that decoding yields, `access_logs` and `rejects`, and the one that sums rows up, `edges_1m`: every column, typed once, here.
//!
//! ```text
//! line ─▶ canonical keys ─▶ columns of access_logs   (ACCESS_LOGS says which keys feed which column)
//!    └──▶ rejects                                    (REJECTS)
//!                            access_logs ─▶ edges_1m (edges.rs)
//! ```
//!
//! Signed integers only (Delta has no unsigned ones), text as `Utf8View`, times as microseconds since 1970 in UTC.
//! `null` always means "the line does not say"; what exactly, each column says in [`Column::null_means`].

mod columns;
mod edges;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::key::{Key, KeySet};
pub use columns::{ACCESS_LOGS, REJECTS};
pub(crate) use columns::{COLUMN_COUNT, Col};
pub use edges::{EDGE_NAMES, edges_1m};

/// One column of a table, with all that a reader of a row needs to know about it.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name in SQL.
    pub name: &'static str,
    /// The type in Arrow and Parquet.
    pub data_type: ColumnType,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// The unit of a number, or the form of a text.
    pub unit: &'static str,
    /// What on a line feeds it.
    pub fed_by: FedBy,
    /// What `null` says about the request. "never" for a column that is not nullable.
    pub null_means: &'static str,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy)]
pub struct FedBy {
    /// The keys of the recommended format and of Istio's default JSON format. An OTLP record carries them as attributes
    /// of the same names. Empty: not from the line (its position, the receiver) or from other columns.
    pub keys: &'static [&'static str],
    /// Envoy's command operator of the first key, or how the value is derived.
    pub operator: &'static str,
    /// The field of Envoy's `HTTPAccessLogEntry` / `TCPAccessLogEntry` (gRPC ALS); empty where ALS does not carry it.
    pub als: &'static str,
}

/// The Arrow types that the tables use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `Utf8View`
    Text,
    /// `BinaryView`
    Binary,
    /// `Int64`
    Int64,
    /// `Int32`
    Int32,
    /// `Boolean`
    Boolean,
    /// `Timestamp(Microsecond, "UTC")`
    Timestamp,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8View,
            ColumnType::Binary => DataType::BinaryView,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// The bits of the column `signals`: which few rows the row detections could want. 0 on lines that do not count
/// (`access_log_type` other than an end, see `log_type`).
pub mod signals {
    /// `rbac_decision` is deny and the line is not a client's (reporter source, or ztunnel outbound): the judge's own.
    pub const DENIED: i64 = 1;
    /// The application itself answered 403 (`via_upstream`), seen by destination or waypoint. At a waypoint the 403 may
    /// also be that of a sidecar behind it.
    pub const APP_403: i64 = 2;
    /// Plaintext reached a destination: accepted, or turned away by its listener.
    pub const PLAINTEXT: i64 = 4;
    /// A client called a host that the mesh does not know: `egress` passthrough or blackhole, reporter source or ztunnel.
    pub const EGRESS_UNKNOWN: i64 = 8;
    /// The line can be read in more than one way, or says one thing twice: a caller's quotes broke its text, or wrote keys into JSON that a text
    /// template imitates. What else the row says may be less than what happened.
    pub const AMBIGUOUS: i64 = 16;

    /// The bit of a signal's name, as detections write it: `denied`, `app_403`, `plaintext`, `egress_unknown`, `ambiguous`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<i64> {
        match name {
            "denied" => Some(DENIED),
            "app_403" => Some(APP_403),
            "plaintext" => Some(PLAINTEXT),
            "egress_unknown" => Some(EGRESS_UNKNOWN),
            "ambiguous" => Some(AMBIGUOUS),
            _ => None,
        }
    }
}

/// The Arrow schema of `access_logs`.
#[must_use]
pub fn access_logs() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(ACCESS_LOGS));
    Arc::clone(&SCHEMA)
}

/// The Arrow schema of `rejects`.
#[must_use]
pub fn rejects() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(REJECTS));
    Arc::clone(&SCHEMA)
}

/// The position of a column of `access_logs`.
#[must_use]
pub fn index(name: &str) -> Option<usize> {
    static INDEX: LazyLock<HashMap<&'static str, usize>> =
        LazyLock::new(|| ACCESS_LOGS.iter().enumerate().map(|(at, column)| (column.name, at)).collect());
    INDEX.get(name).copied()
}

/// The keys that feed each column, in the order of the columns.
pub(crate) fn feeding_keys() -> &'static [KeySet] {
    static KEYS: LazyLock<Vec<KeySet>> = LazyLock::new(|| {
        ACCESS_LOGS
            .iter()
            .map(|column| {
                let keys = column.fed_by.keys.iter().filter_map(|name| Key::from_name(name));
                keys.fold(KeySet::EMPTY, KeySet::with)
            })
            .collect()
    });
    &KEYS
}

fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| Field::new(column.name, column.data_type.arrow(), column.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
