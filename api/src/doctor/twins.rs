//! Requests that were printed twice: by two providers into one file, or the same log read twice.
//!
//! ```text
//!  row ─▶ hash of (time in ms, request id, cluster, addresses, code, bytes, duration) ── seen? ─▶ twin
//! ```
//! Two formats write the start time with different precision and name different things, so only what both of Istio's defaults and the recommended
//! format carry is compared. Source and destination of one request differ in cluster and duration.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

/// Rows that are remembered: more would only cost memory.
const MOST: usize = 1 << 18;

/// Finds twins among the first rows.
#[derive(Debug, Default)]
pub(super) struct Twins {
    seen: HashSet<u64>,
    rows: u64,
    twins: u64,
}

impl Twins {
    /// Takes rows in, as long as there is room. Rows without a request id are passed over.
    pub(super) fn add(&mut self, rows: &RecordBatch) {
        let text = |name: &str| rows.column_by_name(name).and_then(|column| column.as_string_view_opt());
        let number = |name: &str| rows.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let times =
            rows.column_by_name("time").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(times), Some(ids), Some(clusters), Some(hosts)) =
            (times, text("request_id"), text("upstream_cluster"), text("upstream_host"))
        else {
            return;
        };
        let (Some(sent), Some(durations)) = (number("bytes_sent"), number("duration_ms")) else { return };
        for row in (0..rows.num_rows()).filter(|row| !ids.is_null(*row)) {
            if self.seen.len() >= MOST {
                return;
            }
            let mut hasher = DefaultHasher::new();
            times.value(row).div_euclid(1000).hash(&mut hasher);
            for column in [ids, clusters, hosts] {
                (!column.is_null(row)).then(|| column.value(row)).hash(&mut hasher);
            }
            for column in [sent, durations] {
                (!column.is_null(row)).then(|| column.value(row)).hash(&mut hasher);
            }
            self.rows += 1;
            self.twins += u64::from(!self.seen.insert(hasher.finish()));
        }
    }

    /// Twins and rows looked at, if the twins are too many for chance: a tenth.
    pub(super) fn many(&self) -> Option<(u64, u64)> {
        (self.twins > 0 && self.twins * 10 >= self.rows).then_some((self.twins, self.rows))
    }
}
