//! Every flag, with an example and its environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use query::finding::Severity;

use crate::receive::DoorAddress;

/// Security analytics for Envoy and Istio access logs.
#[derive(Debug, Parser)]
#[command(
    name = "meshwarden",
    version,
    about = "Security analytics for Envoy and Istio access logs",
    arg_required_else_help = true,
    after_help = "Examples:\n  meshwarden demo                                       findings in the sample logs, then the API\n  meshwarden scan /var/log/istio/*.log                  findings in your logs\n  kubectl logs deploy/orders -c istio-proxy | meshwarden scan -\n  meshwarden sql \"SELECT source_principal, count(*) FROM requests GROUP BY 1\" --from access.log\n  meshwarden serve --data /var/lib/meshwarden           the service\n\nExit codes: 0 done, 1 --fail-on hit or a flaw that store verify found, 2 bad usage or configuration, or not everything was looked at, 3 nothing readable, 130 ended by a signal"
)]
pub struct Cli {
    /// What the program says about itself on stderr, as a tracing filter [example: --log info,api=debug]
    #[arg(long, global = true, env = "MESHWARDEN_LOG", default_value = "warn", value_name = "FILTER")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what is planted in the sample logs, then serve the API over them
    #[command(after_help = "Example:\n  meshwarden demo --once")]
    Demo(DemoArgs),
    /// Find what is in files or on stdin; needs no configuration
    #[command(
        after_help = "Examples:\n  meshwarden scan access.log old.log.gz\n  meshwarden scan logs/ --output ndjson > findings.ndjson\n  meshwarden scan access.log --report report.html --fail-on high"
    )]
    Scan(ScanArgs),
    /// Run the service until SIGTERM
    #[command(
        after_help = "Examples:\n  meshwarden serve --data /var/lib/meshwarden --listen 127.0.0.1:8080 --config meshwarden.toml\n  meshwarden serve --data /var/lib/meshwarden --tail '/var/log/pods/*/istio-proxy/*.log'\n\nA listen address outside of this machine needs a token in MESHWARDEN_ADMIN_TOKEN."
    )]
    Serve(ServeArgs),
    /// Answer one SQL query over files or over a service's folder
    #[command(
        after_help = "Examples:\n  meshwarden sql \"SELECT path, count(*) FROM requests WHERE response_code = 403 GROUP BY 1\" --from a.log --from b.log.gz\n  meshwarden sql \"SELECT * FROM rejects\" --from a.log --output ndjson\n  meshwarden sql \"SELECT count(*) FROM access_logs\" --data /var/lib/meshwarden\n\nTables: access_logs (every line), requests (one row a request and reporter), rejects."
    )]
    Sql(SqlArgs),
    /// Look at a service's folder, and tidy it up
    #[command(
        after_help = "Examples:\n  meshwarden store status --data /var/lib/meshwarden\n  meshwarden store verify --data /var/lib/meshwarden --output json\n  meshwarden store retain --data /var/lib/meshwarden --config meshwarden.toml"
    )]
    Store(StoreCommands),
    /// Print the recommended log format, ready to switch on
    #[command(
        after_help = "Examples:\n  meshwarden format istio\n  meshwarden format istio --with-query\n  meshwarden format envoy\n  meshwarden format json"
    )]
    Format(FormatArgs),
    /// Say what a log or a mesh's configuration lets detections see, and what would open their eyes
    #[command(
        after_help = "Examples:\n  meshwarden doctor format access.log\n  kubectl get configmap istio -n istio-system -o yaml | meshwarden doctor format -"
    )]
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print and exit instead of serving the API [example: demo --once]
    #[arg(long, env = "MESHWARDEN_ONCE", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) once: bool,
    /// Folder with the sample logs [default: sample-logs of the checkout] [example: --logs sample-logs]
    #[arg(long, env = "MESHWARDEN_SAMPLE_LOGS", value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
    /// Where to serve the API; another free port is taken if it is in use [example: --listen 127.0.0.1:9000]
    #[arg(long, env = "MESHWARDEN_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) decode: DecodeArgs,
    #[command(flatten)]
    pub(crate) detect: DetectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Files, folders, or - for stdin; gzip and zstd are recognised [example: scan access.log old.log.gz]
    #[arg(required = true, value_name = "PATH", env = "MESHWARDEN_SCAN", value_delimiter = None)]
    pub(crate) paths: Vec<PathBuf>,
    /// Findings as a table, or as NDJSON on stdout with everything else on stderr [example: --output ndjson]
    #[arg(long, env = "MESHWARDEN_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(crate) output: FindingsOutput,
    /// Write a self-contained HTML page too [example: --report report.html]
    #[arg(long, env = "MESHWARDEN_REPORT", value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Exit with 1 if a finding is this severe or worse: info, low, medium, high, critical [example: --fail-on high]
    #[arg(long, env = "MESHWARDEN_FAIL_ON", value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
    #[command(flatten)]
    pub(crate) decode: DecodeArgs,
    #[command(flatten)]
    pub(crate) detect: DetectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder of the service, made if need be; or where in an object store its tables are (s3://, gs://, az://) [example: --data /var/lib/meshwarden]
    #[arg(long, env = "MESHWARDEN_DATA", value_name = "DIR|URL")]
    pub(crate) data: PathBuf,
    /// Folder for journal, keys and findings, which stay on local disk, where --data is an object store [example: --local /var/lib/meshwarden]
    #[arg(long, env = "MESHWARDEN_LOCAL", value_name = "DIR")]
    pub(crate) local: Option<PathBuf>,
    /// Where to listen; an address outside of this machine needs MESHWARDEN_ADMIN_TOKEN [example: --listen 0.0.0.0:8080]
    #[arg(long, env = "MESHWARDEN_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where proxies and collectors send: OTLP over gRPC, and Envoy's gRPC access log service; or off [default: 127.0.0.1:4317, if it is free] [example: --grpc 0.0.0.0:4317]
    #[arg(long, env = "MESHWARDEN_GRPC", value_name = "ADDR|off")]
    pub(crate) grpc: Option<DoorAddress>,
    /// Where collectors send OTLP over HTTP; or off [default: 127.0.0.1:4318, if it is free] [example: --otlp-http 0.0.0.0:4318]
    #[arg(long, env = "MESHWARDEN_OTLP_HTTP", value_name = "ADDR|off")]
    pub(crate) otlp_http: Option<DoorAddress>,
    /// Let whoever reaches --grpc and --otlp-http send without the token: for a mesh, whose own identities guard them [example: --proxies-without-token]
    #[arg(long, env = "MESHWARDEN_PROXIES_WITHOUT_TOKEN", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) proxies_without_token: bool,
    /// Files to follow, through rotations: * ? [a-z], ** for any folders; may be given again [example: --tail '/var/log/pods/*/istio-proxy/*.log']
    #[arg(long, env = "MESHWARDEN_TAIL", value_name = "GLOB", value_delimiter = None)]
    pub(crate) tail: Vec<String>,
    /// Configuration, TOML [example: --config meshwarden.toml]
    #[arg(long, env = "MESHWARDEN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) decode: DecodeArgs,
    #[command(flatten)]
    pub(crate) detect: DetectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// One SELECT, WITH, EXPLAIN or SHOW [example: sql "SHOW COLUMNS FROM access_logs"]
    #[arg(value_name = "QUERY", env = "MESHWARDEN_QUERY")]
    pub(crate) query: String,
    /// A file or folder to read, or - for stdin; may be given again [example: --from a.log --from b.log.gz]
    #[arg(long, env = "MESHWARDEN_FROM", value_name = "PATH", value_delimiter = None)]
    pub(crate) from: Vec<PathBuf>,
    /// A service's folder, or its tables in an object store, read only; --from goes before it [example: --data s3://bucket/mesh]
    #[arg(long, env = "MESHWARDEN_DATA", value_name = "DIR|URL")]
    pub(crate) data: Option<PathBuf>,
    /// How rows are written [example: --output csv]
    #[arg(long, env = "MESHWARDEN_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(crate) output: RowsOutput,
    /// Rows written at most; 0 = all [example: --limit 100]
    #[arg(long, env = "MESHWARDEN_LIMIT", default_value_t = 0, value_name = "ROWS")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) decode: DecodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCommands {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Say what is in it, and how fresh that is; a service may be running
    #[command(after_help = "Example:\n  meshwarden store status --data /var/lib/meshwarden")]
    Status(StoreArgs),
    /// Make few large files of many small ones; a running service does so by itself
    #[command(after_help = "Example:\n  meshwarden store compact --data /var/lib/meshwarden")]
    Compact(StoreArgs),
    /// Delete the rows whose time is over, and are not held; a running service does so by itself
    #[command(
        after_help = "Example:\n  meshwarden store retain --data /var/lib/meshwarden --config meshwarden.toml\n\nThe configuration says how long:\n  [retention]\n  access_logs_days = 400     # 0: for ever\n  rejects_days = 400\n  edges_1m_days = 400\n  [[retention.hold]]\n  name = \"case-17\"\n  from = \"2026-01-01T00:00:00Z\"\n  to = \"2026-02-01T00:00:00Z\"\n  entity = \"cluster.local/ns/bank/sa/payments\""
    )]
    Retain(StoreRetainArgs),
    /// Read every byte of it and compare with what was written; exits with 1 if something is not right; a service may be running
    #[command(after_help = "Example:\n  meshwarden store verify --data /var/lib/meshwarden")]
    Verify(StoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder of the service, or its tables in an object store [example: --data /var/lib/meshwarden]
    #[arg(long, env = "MESHWARDEN_DATA", value_name = "DIR|URL")]
    pub(crate) data: PathBuf,
    /// The service's folder on local disk, where --data is an object store; not needed to read tables alone [example: --local /var/lib/meshwarden]
    #[arg(long, env = "MESHWARDEN_LOCAL", value_name = "DIR")]
    pub(crate) local: Option<PathBuf>,
    /// Text for people, or one JSON object [example: --output json]
    #[arg(long, env = "MESHWARDEN_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(crate) output: DoctorOutput,
}

#[derive(Debug, Args)]
pub(crate) struct StoreRetainArgs {
    /// Configuration, TOML: its section retention; without it everything is kept 400 days [example: --config meshwarden.toml]
    #[arg(long, env = "MESHWARDEN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// For Istio's MeshConfig and Telemetry, for a plain Envoy listener, or the bare keys [example: format istio]
    #[arg(value_name = "FOR", default_value = "istio", env = "MESHWARDEN_FORMAT")]
    pub(crate) target: FormatTarget,
    /// Log paths with their query strings, for detections that read payloads; whoever reads the log files then reads the secrets in them, too [example: format istio --with-query]
    #[arg(long, env = "MESHWARDEN_WITH_QUERY", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) with_query: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    pub(crate) command: DoctorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DoctorCommand {
    /// Examine the format of logs, or the formats, filters and providers of a mesh's configuration
    #[command(
        after_help = "Examples:\n  meshwarden doctor format access.log old.log.gz\n  kubectl logs deploy/orders -c istio-proxy | meshwarden doctor format -\n  meshwarden doctor format mesh-config.yaml telemetry.yaml\n  kubectl get configmap istio -n istio-system -o yaml | meshwarden doctor format -\n\nA file is a configuration if it ends in .yaml or .yml or begins like one, and a log otherwise."
    )]
    Format(Box<DoctorFormatArgs>),
    /// Say what arrived from whom in the last hour, what is silent, what is rejected and why, as far as it is on disk; a service may be running
    #[command(
        after_help = "Example:\n  meshwarden doctor ingest --data /var/lib/meshwarden\n\nExit code 3: nothing has arrived yet."
    )]
    Ingest(StoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DoctorFormatArgs {
    /// Logs as scan takes them, or YAML with MeshConfig, Telemetry or Envoy's configuration, or - for stdin [example: doctor format access.log mesh.yaml]
    #[arg(required = true, value_name = "PATH|YAML", env = "MESHWARDEN_DOCTOR", value_delimiter = None)]
    pub(crate) paths: Vec<PathBuf>,
    /// Text for people, or one JSON object [example: --output json]
    #[arg(long, env = "MESHWARDEN_OUTPUT", default_value = "table", value_name = "FORM")]
    pub(crate) output: DoctorOutput,
    /// Propose the variant of the recommended format that logs query strings, for detections that read payloads [example: --with-query]
    #[arg(long, env = "MESHWARDEN_WITH_QUERY", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) with_query: bool,
    #[command(flatten)]
    pub(crate) decode: DecodeArgs,
    #[command(flatten)]
    pub(crate) detect: DetectArgs,
}

/// How lines are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reading lines")]
pub(crate) struct DecodeArgs {
    /// A key of your JSON format and the key of the recommended format that it stands for; may be given again [example: --field status=response_code]
    #[arg(long = "field", env = "MESHWARDEN_FIELDS", value_name = "YOURS=OURS", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// The same from a TOML file: lines of `yours = "ours"` [example: --field-map fields.toml]
    #[arg(long, env = "MESHWARDEN_FIELD_MAP", value_name = "FILE")]
    pub(crate) field_map: Option<PathBuf>,
    /// An access-log format string of your mesh, whose lines are read too; may be given again [example: --format-string '%START_TIME% %REQ(:METHOD)% %RESPONSE_CODE%']
    #[arg(long = "format-string", env = "MESHWARDEN_FORMAT_STRING", value_name = "FORMAT", value_delimiter = None)]
    pub(crate) format_strings: Vec<String>,
    /// MeshConfig, Telemetry or Envoy configuration, YAML: its formats, text and JSON, are read whatever their keys are called; may be given again [example: --mesh-config istio-configmap.yaml]
    #[arg(long = "mesh-config", env = "MESHWARDEN_MESH_CONFIG", value_name = "FILE", value_delimiter = None)]
    pub(crate) mesh_configs: Vec<PathBuf>,
    /// A query parameter or JSON key whose values are redacted, beside token, code, password and their like; may be given again [example: --secret voucher]
    #[arg(long = "secret", env = "MESHWARDEN_SECRETS", value_name = "NAME", value_delimiter = ',')]
    pub(crate) secrets: Vec<String>,
    /// Redact nothing: tokens in query strings come into rows, findings and reports as they were logged [example: --keep-secrets]
    #[arg(long, env = "MESHWARDEN_KEEP_SECRETS", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) keep_secrets: bool,
    /// Longest line that is decoded, bytes; a longer one is a reject [example: --max-line-bytes 262144]
    #[arg(long, env = "MESHWARDEN_MAX_LINE_BYTES", default_value_t = 1 << 20, value_name = "BYTES", value_parser = at_least_one)]
    pub(crate) max_line_bytes: usize,
    /// Deepest JSON that is decoded; a deeper line is a reject [example: --max-nesting 32]
    #[arg(long, env = "MESHWARDEN_MAX_NESTING", default_value_t = 64, value_name = "LEVELS", value_parser = at_least_one)]
    pub(crate) max_nesting: usize,
    /// Trust domain of proxies that log no own certificate [example: --trust-domain prod.example]
    #[arg(long, env = "MESHWARDEN_TRUST_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) trust_domain: String,
    /// Domain of the cluster's Services: what ends in .svc.DOMAIN is in the mesh [example: --cluster-domain corp.local]
    #[arg(long, env = "MESHWARDEN_CLUSTER_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) cluster_domain: String,
    /// A regular expression for pods or service accounts that are gateways, instead of Istio's usual names; may be given again [example: --gateway '^edge-']
    #[arg(long = "gateway", env = "MESHWARDEN_GATEWAYS", value_name = "REGEX", value_delimiter = ',')]
    pub(crate) gateways: Vec<String>,
}

/// What is looked for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Detections")]
pub(crate) struct DetectArgs {
    /// Folder with detections of your own, run beside the product's [example: --detections ./detections]
    #[arg(long, env = "MESHWARDEN_DETECTIONS", value_name = "DIR")]
    pub(crate) detections: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsOutput {
    /// A table for people
    Table,
    /// One JSON object a line
    Ndjson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorOutput {
    /// Text for people
    Table,
    /// One JSON object
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowsOutput {
    /// A table for people
    Table,
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatTarget {
    /// MeshConfig extension provider and Telemetry
    Istio,
    /// `access_log` of an Envoy listener or HTTP connection manager
    Envoy,
    /// The keys and their operators
    Json,
}

/// A bound of zero would reject every line.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}
