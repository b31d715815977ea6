//! The summary of what came in: per edge the counts and a latency histogram, and the mesh-wide numbers.
//!
//! An edge is (source, destination) as the detections name them. A request is logged by both of its sides: the summary keeps them apart and
//! shows the server's side where there is one, else the client's (calls that leave the mesh). Latency is `duration_ms`.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use hdrhistogram::Histogram;

use crate::sql::functions::has_flag;

const MINUTE: i64 = 60_000_000;
/// Values of the column `edge` that are remembered: a caller can invent hosts.
const KNOWN: usize = 65_536;
/// Edges that are told apart; what comes after them is one edge from and to [`OTHERS`].
const EDGES: usize = 100_000;
const OTHERS: &str = "others";
/// Durations of an edge that are kept as they are.
const FEW: usize = 16;
/// Longest duration that is told from longer ones, ms: 50 days. A line may say anything, and a histogram grows with its longest.
const LONGEST: u64 = 1 << 32;
const COUNTED: [&str; 4] = ["DownstreamEnd", "TcpConnectionEnd", "UdpSessionEnd", "NotSet"];

/// What came in, grouped by edge and minute.
#[derive(Debug, Default)]
pub struct Summary {
    requests: u64,
    server: Side,
    client: Side,
    /// Numbers of all edges of both sides.
    stats: Vec<EdgeStats>,
    /// By the column `edge`: the numbers that a row counts for, where that does not depend on the row's addresses.
    known: HashMap<i64, usize>,
    minutes: BTreeMap<i64, Minute>,
    transport: BTreeMap<String, u64>,
    times: Option<(i64, i64)>,
}

/// Edges that one side logged: source → destination → place of the numbers. In two steps, so that a known edge is found without a copy of its names.
type Side = HashMap<String, HashMap<String, usize>>;

/// Who called whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Principal, if it is more than a claim, else address, else `unknown`.
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
    /// Durations, ms.
    latency: Latency,
}

/// Durations of one edge, ms. A histogram takes kilobytes, and a caller can invent sources: the first few stand for themselves.
#[derive(Clone, Debug)]
enum Latency {
    Few(Vec<u64>),
    Many(Box<Histogram<u64>>),
}

impl Latency {
    fn record(&mut self, duration: u64) {
        match self {
            Self::Few(few) if few.len() < FEW => few.push(duration),
            Self::Few(few) => {
                if let Some(mut all) = histogram(few) {
                    count(&mut all, duration);
                    *self = Self::Many(Box::new(all));
                }
            }
            Self::Many(all) => count(all, duration),
        }
    }

    fn quantile(&self, quantile: f64) -> u64 {
        match self {
            Self::Few(few) => histogram(few).map_or(0, |all| all.value_at_quantile(quantile)),
            Self::Many(all) => all.value_at_quantile(quantile),
        }
    }
}

/// A histogram of two significant digits, that grows with its values.
fn histogram(durations: &[u64]) -> Option<Histogram<u64>> {
    let mut all = Histogram::new(2).ok()?;
    all.auto(true);
    durations.iter().for_each(|duration| count(&mut all, *duration));
    Some(all)
}

/// Counts a duration; one beyond the bound as the longest. (`saturating_record` would cut at what the histogram holds so far, and never grow.)
fn count(all: &mut Histogram<u64>, duration: u64) {
    // it grows up to the bound, so that nothing is refused
    let _ = all.record(duration.min(LONGEST));
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
    fn new() -> Self {
        Self { requests: 0, denied: 0, errors: 0, mutual_tls: 0, latency: Latency::Few(Vec::new()) }
    }

    /// Latency at a quantile, ms.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.latency.quantile(quantile)
    }
}

impl Summary {
    /// The columns of `access_logs` that [`Self::add`] reads.
    pub const COLUMNS: [&'static str; 16] = [
        "time",
        "signals",
        "edge",
        "duration_ms",
        "response_code",
        "access_log_type",
        "reporter",
        "direction",
        "transport_security",
        "source_principal",
        "claims",
        "source_ip",
        "destination_principal",
        "destination_service",
        "destination_ip",
        "egress_host",
    ];

    /// Takes in a batch of `access_logs`. Lines that do not count (Start, Periodic, per try) are passed over. `tells_transport` says whether the
    /// lines' format tells how a connection was secured: without it, only what was turned away would be counted.
    pub fn add(&mut self, rows: &RecordBatch, tells_transport: bool) {
        let Some(columns) = Columns::of(rows) else { return };
        for row in 0..rows.num_rows() {
            self.add_row(&columns, row, tells_transport);
        }
    }

    fn add_row<'a>(&mut self, columns: &Columns<'a>, row: usize, tells_transport: bool) {
        let text = |column: &'a StringViewArray| (!column.is_null(row)).then(|| column.value(row));
        if text(columns.access_log_type).is_some_and(|kind| !COUNTED.contains(&kind)) {
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
        let transport = text(columns.transport_security).filter(|_| tells_transport).unwrap_or("unknown");
        let server = match text(columns.reporter) {
            Some("destination" | "waypoint") => true,
            Some("ztunnel") => text(columns.direction) == Some("inbound"),
            _ => false,
        };
        if server {
            match self.transport.get_mut(transport) {
                Some(count) => *count += 1,
                None => {
                    self.transport.insert(transport.to_owned(), 1);
                }
            }
        }
        let edge = columns.edge.value(row);
        // a principal that no handshake proved names nobody, though the edge is that of its name
        let is_claimed = |column: &str| text(columns.claims).is_some_and(|claims| has_flag(claims, column));
        let claimed = is_claimed("source_principal");
        let place = match self.known.get(&edge).filter(|_| !claimed) {
            Some(place) => *place,
            None => {
                let source = text(columns.source_principal).filter(|_| !claimed);
                let destination = text(columns.destination_principal)
                    .filter(|_| !is_claimed("destination_principal"))
                    .or_else(|| text(columns.destination_service).filter(|_| !is_claimed("destination_service")))
                    .or_else(|| text(columns.egress_host));
                // who has no name is told by its address, which is not in the edge
                let named = source.is_some() && destination.is_some();
                let source = source.or_else(|| text(columns.source_ip)).unwrap_or("unknown");
                let destination = destination.or_else(|| text(columns.destination_ip)).unwrap_or("unknown");
                let place = self.place(server, source, destination);
                if named {
                    if self.known.len() >= KNOWN {
                        self.known.clear();
                    }
                    self.known.insert(edge, place);
                }
                place
            }
        };
        let Some(stats) = self.stats.get_mut(place) else { return };
        stats.requests += 1;
        stats.denied += signal(ingest::schema::signals::DENIED);
        stats.errors += u64::from(!columns.response_code.is_null(row) && columns.response_code.value(row) >= 500);
        stats.mutual_tls += u64::from(transport == "mutual_tls");
        if !columns.duration_ms.is_null(row) {
            stats.latency.record(u64::try_from(columns.duration_ms.value(row)).unwrap_or(0));
        }
    }

    /// Where the numbers of an edge are. A gateway is the client of the next hop, whose own line counts the request.
    fn place(&mut self, server: bool, source: &str, destination: &str) -> usize {
        let side = if server { &mut self.server } else { &mut self.client };
        let known =
            |source, destination| side.get(source).and_then(|known: &HashMap<_, _>| known.get(destination)).copied();
        if let Some(place) = known(source, destination) {
            return place;
        }
        let (source, destination) = match self.stats.len() < EDGES {
            true => (source, destination),
            false => match known(OTHERS, OTHERS) {
                Some(place) => return place,
                None => (OTHERS, OTHERS),
            },
        };
        self.stats.push(EdgeStats::new());
        let place = self.stats.len() - 1;
        side.entry(source.to_owned()).or_default().insert(destination.to_owned(), place);
        place
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
    pub fn edges(&self) -> Vec<(Edge, &EdgeStats)> {
        let unseen =
            |edge: &Edge| !self.server.get(&edge.source).is_some_and(|known| known.contains_key(&edge.destination));
        let sides = flat(&self.server).chain(flat(&self.client).filter(|(edge, _)| unseen(edge)));
        let mut edges: Vec<_> = sides.filter_map(|(edge, place)| Some((edge, self.stats.get(place)?))).collect();
        edges.sort_by(|(one, a), (other, b)| b.requests.cmp(&a.requests).then_with(|| one.cmp(other)));
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

fn flat(side: &Side) -> impl Iterator<Item = (Edge, usize)> {
    side.iter().flat_map(|(source, known)| {
        known.iter().map(move |(destination, place)| {
            (Edge { source: source.clone(), destination: destination.clone() }, *place)
        })
    })
}

struct Columns<'a> {
    time: &'a arrow::array::PrimitiveArray<TimestampMicrosecondType>,
    signals: &'a arrow::array::PrimitiveArray<Int64Type>,
    edge: &'a arrow::array::PrimitiveArray<Int64Type>,
    duration_ms: &'a arrow::array::PrimitiveArray<Int64Type>,
    response_code: &'a arrow::array::PrimitiveArray<Int32Type>,
    access_log_type: &'a StringViewArray,
    reporter: &'a StringViewArray,
    direction: &'a StringViewArray,
    transport_security: &'a StringViewArray,
    source_principal: &'a StringViewArray,
    claims: &'a StringViewArray,
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
            edge: rows.column_by_name("edge")?.as_primitive_opt()?,
            duration_ms: rows.column_by_name("duration_ms")?.as_primitive_opt()?,
            response_code: rows.column_by_name("response_code")?.as_primitive_opt()?,
            access_log_type: text("access_log_type")?,
            reporter: text("reporter")?,
            direction: text("direction")?,
            transport_security: text("transport_security")?,
            source_principal: text("source_principal")?,
            claims: text("claims")?,
            source_ip: text("source_ip")?,
            destination_principal: text("destination_principal")?,
            destination_service: text("destination_service")?,
            destination_ip: text("destination_ip")?,
            egress_host: text("egress_host")?,
        })
    }
}

#[cfg(test)]
mod tests;
