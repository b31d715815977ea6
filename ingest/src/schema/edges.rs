//! The table `edges_1m`: who called whom and how it ended, a row for each minute and edge. Rows of one minute and edge may be several (late lines
//! add one): whoever reads sums them up.
//!
//! | column | type | is |
//! |---|---|---|
//! | `time` | `Timestamp(µs, UTC)` | the start of the minute that the requests began in |
//! | `edge` | `Int64` | the column of `access_logs` |
//! | those of [`EDGE_NAMES`] | as in `access_logs` | what names the edge |
//! | `requests` | `Int64` | lines of `access_logs` that stand for a request or connection ([`crate::is_request`]), each reporter's own |
//! | `bytes_received`, `bytes_sent` | `Int64` | sums, bytes; null: none of the lines says |
//! | `duration_ms`, `duration_ms_max` | `Int64` | sum and maximum, ms; null: none of the lines says |
//! | `latency` | `List<Struct<bucket: Int64, count: Int64>>` | durations, sparse: buckets of an hdrhistogram of two significant digits, each named by its lowest value in ms, rising; null: none of the lines says |

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::{ACCESS_LOGS, ColumnType};
use crate::edge;

/// The columns of `access_logs` that name an edge, in their order.
pub static EDGE_NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    edge::NAMES.iter().filter_map(|column| ACCESS_LOGS.get(*column as usize)).map(|column| column.name).collect()
});

/// The Arrow schema of `edges_1m`.
#[must_use]
pub fn edges_1m() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let number = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
        let names = edge::NAMES.iter().filter_map(|column| ACCESS_LOGS.get(*column as usize));
        let names = names.map(|column| Field::new(column.name, column.data_type.arrow(), column.nullable));
        let mut fields = vec![Field::new("time", ColumnType::Timestamp.arrow(), false), number("edge", false)];
        fields.extend(names);
        fields.extend([
            number("requests", false),
            number("bytes_received", true),
            number("bytes_sent", true),
            number("duration_ms", true),
            number("duration_ms_max", true),
            Field::new("latency", DataType::List(Arc::new(latency_item())), true),
        ]);
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// An item of the column `latency`.
fn latency_item() -> Field {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    // the item's name is Delta's, and Parquet's
    Field::new("element", DataType::Struct(Fields::from(vec![number("bucket"), number("count")])), true)
}
