//! What each fuzz target does with its input: every door of `ingest` through which bytes of strangers come. A target panics if something is
//! wrong. The seeds go through the same functions in a test of `ingest`, which includes this file.
//!
//! ```text
//! decode             byte: how to cut │ lines                  fast decoder = reference
//! decode_configured  byte: how to cut │ byte: options │ lines  the same, with formats and a field map of a mesh
//! format_string      byte: how to cut │ format │ NUL │ lines   the same, with that format
//! mesh_config        a mesh's configuration                    no panic, and what it defines compiles or is refused
//! inflate            byte: how to cut │ byte: limit │ bytes    never over the limit; the same, however they are cut
//! als, otlp, …       a message, a body                         lines of which each is a row or a reject, or none; then as decode
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]
// public to the targets, not to the test
#![allow(unreachable_pub)]

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use chrono::DateTime;
use ingest::inflate::{Encoding, InflateError, Inflater, snappy_block};
use ingest::mesh_config::LogFormat;
use ingest::protocol::{Lines, als, bulk, hec, loki, otlp};
use ingest::{AccessLogBatch, DecodeOptions, Decoder, FieldMap, JsonFormat, MeshFormats, TextFormat};

/// Lines of any kind.
pub fn decode(input: &[u8]) {
    static OPTIONS: LazyLock<DecodeOptions> = LazyLock::new(DecodeOptions::default);
    let Some((cut, lines)) = input.split_first() else { return };
    compare(&OPTIONS, *cut, lines);
}

/// A message of Envoy's access log service.
pub fn als(message: &[u8]) {
    door(|lines| als::Stream::new().message(message, lines).map_err(|error| error.to_string()));
}

/// A request of OTLP in Protocol Buffers.
pub fn otlp(request: &[u8]) {
    door(|lines| otlp::from_protobuf(request, lines).map_err(|error| error.to_string()));
}

/// A request of OTLP in JSON.
pub fn otlp_json(request: &[u8]) {
    door(|lines| otlp::from_json(request, lines).map_err(|error| error.to_string()));
}

/// Events of Splunk's HTTP Event Collector.
pub fn hec(body: &[u8]) {
    door(|lines| hec::events(body, lines).map_err(|error| error.to_string()));
}

/// A body of Elasticsearch's `_bulk`.
pub fn bulk(body: &[u8]) {
    door(|lines| bulk::documents(body, lines).map(drop).map_err(|error| error.to_string()));
}

/// A push of Loki: JSON, else a block of Snappy.
pub fn loki(body: &[u8]) {
    door(|lines| {
        if body.first() == Some(&b'{') {
            return loki::from_json(body, lines).map_err(|error| error.to_string());
        }
        let plain = snappy_block(body, 1 << 20).map_err(|error| error.to_string())?;
        loki::from_protobuf(&plain, lines).map_err(|error| error.to_string())
    });
}

/// What a door reads becomes lines, one for each record, or nothing at all.
fn door(read: impl FnOnce(&mut Lines) -> Result<(), String>) {
    static OPTIONS: LazyLock<DecodeOptions> = LazyLock::new(DecodeOptions::default);
    let mut lines = Lines::new();
    if read(&mut lines).is_err() {
        assert!(lines.is_empty() && lines.bytes().is_empty(), "a body that is refused leaves lines");
        return;
    }
    let ends = lines.bytes().iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(ends, lines.count(), "a record is a line");
    compare(&OPTIONS, 0, lines.bytes());
}

/// Lines of any kind, read with the formats of a mesh's configuration.
pub fn decode_configured(input: &[u8]) {
    static OPTIONS: LazyLock<[DecodeOptions; 6]> = LazyLock::new(configured);
    let Some((cut, rest)) = input.split_first() else { return };
    let Some((which, lines)) = rest.split_first() else { return };
    compare(&OPTIONS[usize::from(*which) % OPTIONS.len()], *cut, lines);
}

/// Any format string, and lines for it.
pub fn format_string(input: &[u8]) {
    let Some((cut, rest)) = input.split_first() else { return };
    let at = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (format, lines) = rest.split_at(at);
    let Ok(format) = std::str::from_utf8(format) else { return };
    let Ok(format) = TextFormat::compile(format) else { return };
    let _ = (format.ambiguities(), format.fills());
    let omit = lines.len() % 2 == 1;
    let mut options = DecodeOptions::default();
    options.add_text_format(format.with_omit_empty_values(omit));
    compare(&options, *cut, lines.get(1..).unwrap_or_default());
}

/// Any configuration.
pub fn mesh_config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let formats = MeshFormats::parse(text);
    assert_eq!(formats, MeshFormats::parse(text));
    for problem in &formats.problems {
        assert!(!problem.to_string().is_empty());
    }
    for provider in &formats.providers {
        let mut options = DecodeOptions::default();
        match &provider.format {
            LogFormat::Text(text) => {
                if let Ok(format) = TextFormat::compile(text) {
                    let _ = format.ambiguities();
                    options.add_text_format(format.with_omit_empty_values(provider.omit_empty_values));
                }
            }
            LogFormat::Json(json) => {
                if let Ok(format) = JsonFormat::compile(json) {
                    let _ = options.add_json_format(&format, false);
                }
            }
            LogFormat::Default(_) | LogFormat::Protobuf => {}
        }
    }
}

/// Any bytes, compressed or not.
pub fn inflate(input: &[u8]) {
    let [cut, told, bytes @ ..] = input else { return };
    let limit = match told >> 2 {
        0 => None,
        shift => Some(1 << (shift % 24)),
    };
    // a zstd frame of a few bytes may be a run of many megabytes
    let limit = limit.or(Some(16 << 20));
    let whole = inflated(*told, limit, bytes, bytes.len());
    assert!(limit.is_none_or(|limit| whole.0.len() as u64 <= limit));
    let pieces = inflated(*told, limit, bytes, piece(*cut));
    assert_eq!(whole.1, pieces.1);
    assert!(whole.0 == pieces.0, "{} bytes, and cut {}", whole.0.len(), pieces.0.len());
}

fn inflated(told: u8, limit: Option<u64>, bytes: &[u8], piece: usize) -> (Vec<u8>, Result<(), InflateError>) {
    let mut inflater = match told & 3 {
        0 => Inflater::with_encoding(Encoding::Gzip, limit),
        1 => Inflater::with_encoding(Encoding::Zstd, limit),
        _ => Inflater::new(limit),
    };
    let mut out = Vec::new();
    let mut each = |bytes: &[u8]| out.extend_from_slice(bytes);
    for piece in bytes.chunks(piece.max(1)) {
        if let Err(error) = inflater.push(piece, &mut each) {
            // the same error again, and nothing with it
            assert_eq!(inflater.push(bytes, &mut each), Err(error.clone()));
            return (out, Err(error));
        }
    }
    let ended = inflater.finish(&mut each);
    (out, ended)
}

/// Bytes of a piece.
fn piece(cut: u8) -> usize {
    const SIZES: [usize; 16] = [1, 2, 3, 5, 7, 16, 31, 64, 100, 333, 999, 1000, 4096, 8191, 65_536, 1 << 20];
    SIZES[usize::from(cut & 15)]
}

/// The fast decoder against the plain one: `cut` says how to cut the input, how many lines a batch has, and where the bounds are.
fn compare(options: &DecodeOptions, cut: u8, input: &[u8]) {
    let mut options = options.clone();
    options.batch_rows = [1, 8192, 8192, 8192][usize::from(cut >> 4 & 3)];
    if cut & 64 != 0 {
        (options.max_line_bytes, options.max_nesting) = (700, 5);
    }
    let options = Arc::new(options);
    let now = DateTime::from_timestamp_micros(1).unwrap();
    let fast = run(Decoder::new(options.clone(), "in", now), input, piece(cut), cut & 128 != 0);
    let plain = run(Decoder::reference(options, "in", now), input, 1 << 20, false);
    assert_eq!(fast.len(), plain.len(), "batches");
    let mut bytes = 0;
    for (fast, plain) in fast.iter().zip(&plain) {
        assert_same(&fast.rows, &plain.rows);
        assert_same(&fast.compact().rows, &plain.rows);
        assert_same(&fast.rejects, &plain.rejects);
        assert_eq!(fast.coverage, plain.coverage);
        assert_eq!((fast.lines, fast.bytes), (plain.lines, plain.bytes));
        assert_eq!(fast.lines, (fast.rows.num_rows() + fast.rejects.num_rows()) as u64);
        bytes += fast.bytes;
    }
    assert!(bytes <= input.len() as u64);
}

fn run(mut decoder: Decoder, input: &[u8], piece: usize, into_space: bool) -> Vec<AccessLogBatch> {
    let mut batches = Vec::new();
    for mut piece in input.chunks(piece) {
        while into_space && !piece.is_empty() {
            let space = decoder.space();
            let fits = space.len().min(piece.len());
            let (now, later) = piece.split_at(fits);
            space[..fits].copy_from_slice(now);
            decoder.fill(fits);
            piece = later;
        }
        decoder.push(piece);
        batches.extend(std::iter::from_fn(|| decoder.next_batch()));
    }
    batches.extend(decoder.finish());
    batches
}

/// Equal values, whatever the buffers behind them; and each text is UTF-8, which a view does not promise.
fn assert_same(fast: &RecordBatch, plain: &RecordBatch) {
    assert_eq!(fast.schema(), plain.schema());
    for ((fast, plain), field) in fast.columns().iter().zip(plain.columns()).zip(fast.schema().fields()) {
        fast.to_data().validate_full().unwrap();
        if let (Some(fast), Some(plain)) = (fast.as_string_view_opt(), plain.as_string_view_opt()) {
            for (row, (fast, plain)) in fast.iter().zip(plain.iter()).enumerate() {
                assert_eq!(fast, plain, "{} of row {row}", field.name());
            }
        }
        assert_eq!(fast.as_ref(), plain.as_ref(), "{}", field.name());
    }
}

/// Labels that say several things.
const SEVERAL: &str = r#"{"t":"%START_TIME%","req":"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%","session":"%CONNECTION_ID%","tls.x":"%REQ(X-A)%",
    "tls":{"v":"%DOWNSTREAM_TLS_VERSION%","who":["%DOWNSTREAM_PEER_URI_SAN%","%REQ(X-TENANT)%"],"x":"a","in":{"auth":"%DYNAMIC_METADATA(envoy.filters.http.rbac)%"}},
    "why":"%RESPONSE_CODE_DETAILS%:%REQ(X-B)%|%RESPONSE_CODE%"}"#;

/// What meshes are configured with: text formats; labels of JSON; other names of keys; all of these.
fn configured() -> [DecodeOptions; 6] {
    const FORMATS: [&str; 8] = [
        r#"%START_TIME(%d/%b/%Y:%H:%M:%S %z)%|%REQ(:METHOD)%|%REQ(:PATH)%|"%REQ(USER-AGENT)%"|%RESPONSE_CODE%|%UPSTREAM_CLUSTER%|%DYNAMIC_METADATA(my.filter)%"#,
        r#"{"t":"%START_TIME%","p":"%REQ(:PATH)%","a":"%REQ(:AUTHORITY)%","c":%RESPONSE_CODE%,"d":%DURATION%}"#,
        "%START_TIME(%s.%3f)% %REQ(X-FORWARDED-FOR)% %RESPONSE_FLAGS% %DOWNSTREAM_REMOTE_ADDRESS%%UPSTREAM_CLUSTER% %PROTOCOL%",
        // what these read others would read, too
        r#"[%START_TIME%] "%REQ(A)%, %REQ(B)%; %REQ(C)%"#,
        "%START_TIME% %RESPONSE_CODE%",
        // what says no instant
        r#"(%START_TIME(%b %d %T.%3f)%) "%REQ(:METHOD)%" %DURATION%"#,
        "%RESPONSE_CODE% %DURATION% %RESPONSE_FLAGS%",
        "%START_TIME% %REQ(X-B)%",
    ];
    const LABELS: &str = r#"{"ts":"%START_TIME(%s.%6f)%","status":"%RESPONSE_CODE%","path":"%REQ(X-PATH)%","who":"%DOWNSTREAM_PEER_URI_SAN%","route":"%UPSTREAM_CLUSTER%","mixed":"%PROTOCOL% %DURATION%","tls":{"v":"%DOWNSTREAM_TLS_VERSION%"},"authz":"%DYNAMIC_METADATA(envoy.filters.http.rbac)%"}"#;
    let text = |omit: bool| {
        let mut options = DecodeOptions::default();
        for format in FORMATS {
            options.add_text_format(TextFormat::compile(format).unwrap().with_omit_empty_values(omit));
        }
        options
    };
    let labels = JsonFormat::compile(&serde_json::from_str(LABELS).unwrap()).unwrap();
    let mut json = DecodeOptions::default();
    json.add_json_format(&labels, false).unwrap();
    let pairs =
        [("code", "response_code"), ("\"", "method"), ("é", "path"), ("verb", "method"), ("@timestamp", "start_time")];
    let pairs = pairs.map(|(logged, canonical)| (logged.to_owned(), canonical.to_owned()));
    let mapped = DecodeOptions { fields: FieldMap::from_pairs(pairs).unwrap(), ..DecodeOptions::default() };
    let mut all = text(true);
    all.fields = mapped.fields.clone();
    all.add_json_format(&labels, false).unwrap();
    let several = |omits_empty| {
        let format = JsonFormat::compile(&serde_json::from_str(SEVERAL).unwrap()).unwrap();
        let mut options = DecodeOptions::default();
        options.add_json_format(&format, omits_empty).unwrap();
        options
    };
    [text(false), json, mapped, all, several(false), several(true)]
}
