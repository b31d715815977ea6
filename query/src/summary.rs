//! The summary of what came in: per edge the counts and a latency histogram, and the mesh-wide numbers.
//!
//! An edge is (source, destination) as the detections name them. A request is logged by both of its sides: the summary keeps them apart and
//! shows the server's side where there is one, else the client's (calls that leave the mesh). Latency is `duration_ms`.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use hdrhistogram::Histogram;

const MINUTE: i64 = 60_000_000;
const COUNTED: [&str; 4] = ["DownstreamEnd", "TcpConnectionEnd", "UdpSessionEnd", "NotSet"];

/// What came in, grouped by edge and minute.
#[derive(Debug, Default)]
pub struct Summary {
    requests: u64,
    server: BTreeMap<Edge, EdgeStats>,
    client: BTreeMap<Edge, EdgeStats>,
    minutes: BTreeMap<i64, Minute>,
    transport: BTreeMap<String, u64>,
    times: Option<(i64, i64)>,
}

/// Who called whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Principal, else address, else `unknown`.
    pub source: String,
    /// Principal, else service, else egress host, else address, else `unknown`.
    pub destination: String,
}

/// Numbers of one edge.
#[derive(Clone, Debug)]
pub struct EdgeStats {
    /// Requests and connections.
    pub requests: u64,
    /// Denied by RBAC.
    pub denied: u64,
    /// Answered 5xx.
    pub errors: u64,
    /// Over mutual TLS.
    pub mutual_tls: u64,
    /// Durations, ms, two significant digits.
    pub latency: Histogram<u64>,
}

/// Numbers of one minute of event time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Lines that count.
    pub lines: u64,
    /// Of them denied by RBAC.
    pub denied: u64,
    /// Of them egress that the mesh does not know.
    pub unknown_egress: u64,
    /// Of them plaintext on the server's side.
    pub plaintext: u64,
}

impl EdgeStats {
    fn new() -> Option<Self> {
        let mut latency = Histogram::new(2).ok()?;
        latency.auto(true);
        Some(Self { requests: 0, denied: 0, errors: 0, mutual_tls: 0, latency })
    }

    /// Latency at a quantile, ms.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.latency.value_at_quantile(quantile)
    }
}

impl Summary {
    /// Takes in a batch of `access_logs`. Lines that do not count (Start, Periodic, per try) are passed over.
    pub fn add(&mut self, rows: &RecordBatch) {
        let Some(columns) = Columns::of(rows) else { return };
        for row in 0..rows.num_rows() {
            self.add_row(&columns, row);
        }
    }

    fn add_row(&mut self, columns: &Columns<'_>, row: usize) {
        let text = |column: &'_ StringViewArray| (!column.is_null(row)).then(|| column.value(row).to_owned());
        if text(columns.access_log_type).is_some_and(|kind| !COUNTED.contains(&kind.as_str())) {
            return;
        }
        self.requests += 1;
        let time = columns.time.value(row);
        self.times = Some(self.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let signals = columns.signals.value(row);
        let signal = |bit: i64| u64::from(signals & bit != 0);
        let minute = self.minutes.entry(time.div_euclid(MINUTE) * MINUTE).or_default();
        minute.lines += 1;
        minute.denied += signal(ingest::schema::signals::DENIED);
        minute.unknown_egress += signal(ingest::schema::signals::EGRESS_UNKNOWN);
        minute.plaintext += signal(ingest::schema::signals::PLAINTEXT);
        let reporter = text(columns.reporter);
        let side = match reporter.as_deref() {
            Some("source") => &mut self.client,
            Some("destination" | "waypoint" | "ztunnel") => {
                *self
                    .transport
                    .entry(text(columns.transport_security).unwrap_or_else(|| "unknown".to_owned()))
                    .or_default() += 1;
                &mut self.server
            }
            // a gateway is the client of the next hop, whose own line counts the request
            _ => &mut self.client,
        };
        let edge = Edge {
            source: text(columns.source_principal)
                .or_else(|| text(columns.source_ip))
                .unwrap_or_else(|| "unknown".to_owned()),
            destination: text(columns.destination_principal)
                .or_else(|| text(columns.destination_service))
                .or_else(|| text(columns.egress_host))
                .or_else(|| text(columns.destination_ip))
                .unwrap_or_else(|| "unknown".to_owned()),
        };
        let stats = match side.entry(edge) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(fresh) => match EdgeStats::new() {
                Some(stats) => fresh.insert(stats),
                None => return,
            },
        };
        stats.requests += 1;
        stats.denied += signal(ingest::schema::signals::DENIED);
        stats.errors += u64::from(!columns.response_code.is_null(row) && columns.response_code.value(row) >= 500);
        stats.mutual_tls += u64::from(text(columns.transport_security).as_deref() == Some("mutual_tls"));
        if !columns.duration_ms.is_null(row) {
            stats.latency.saturating_record(u64::try_from(columns.duration_ms.value(row)).unwrap_or(0));
        }
    }

    /// Lines that count.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// First and last event time, µs since the epoch.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    /// Lines a minute, by the minute's start in µs since the epoch.
    #[must_use]
    pub fn minutes(&self) -> &BTreeMap<i64, Minute> {
        &self.minutes
    }

    /// Edges, the busiest first: the server's numbers where it logged the edge, else the client's.
    #[must_use]
    pub fn edges(&self) -> Vec<(&Edge, &EdgeStats)> {
        let client = self.client.iter().filter(|(edge, _)| !self.server.contains_key(edge));
        let mut edges: Vec<_> = self.server.iter().chain(client).collect();
        edges.sort_by(|(one, a), (other, b)| b.requests.cmp(&a.requests).then(one.cmp(other)));
        edges
    }

    /// Requests over mutual TLS and requests whose transport is known, on the server's side.
    #[must_use]
    pub fn mutual_tls(&self) -> (u64, u64) {
        let count = |name: &str| self.transport.get(name).copied().unwrap_or(0);
        let known = self.transport.iter().filter(|(name, _)| name.as_str() != "unknown").map(|(_, count)| count).sum();
        (count("mutual_tls"), known)
    }
}

struct Columns<'a> {
    time: &'a arrow::array::PrimitiveArray<TimestampMicrosecondType>,
    signals: &'a arrow::array::PrimitiveArray<Int64Type>,
    duration_ms: &'a arrow::array::PrimitiveArray<Int64Type>,
    response_code: &'a arrow::array::PrimitiveArray<Int32Type>,
    access_log_type: &'a StringViewArray,
    reporter: &'a StringViewArray,
    transport_security: &'a StringViewArray,
    source_principal: &'a StringViewArray,
    source_ip: &'a StringViewArray,
    destination_principal: &'a StringViewArray,
    destination_service: &'a StringViewArray,
    destination_ip: &'a StringViewArray,
    egress_host: &'a StringViewArray,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| rows.column_by_name(name)?.as_string_view_opt();
        Some(Self {
            time: rows.column_by_name("time")?.as_primitive_opt()?,
            signals: rows.column_by_name("signals")?.as_primitive_opt()?,
            duration_ms: rows.column_by_name("duration_ms")?.as_primitive_opt()?,
            response_code: rows.column_by_name("response_code")?.as_primitive_opt()?,
            access_log_type: text("access_log_type")?,
            reporter: text("reporter")?,
            transport_security: text("transport_security")?,
            source_principal: text("source_principal")?,
            source_ip: text("source_ip")?,
            destination_principal: text("destination_principal")?,
            destination_service: text("destination_service")?,
            destination_ip: text("destination_ip")?,
            egress_host: text("egress_host")?,
        })
    }
}
