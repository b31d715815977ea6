//! SQL over the access logs: sessions, the product's functions, the fence, and running a query within limits.
//!
//! Tables of a session: `access_logs` (every row), `requests` (the rows that count: one per request and reporter, without Start and Periodic
//! lines), `rejects` (lines that could not be decoded).

mod bind;
mod fence;
pub mod functions;
mod run;

pub(crate) use bind::{bind, bind_calls};
pub use fence::{FenceError, parse_read_only};
pub use run::{Limits, QueryError, Rowset};

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    TableProvider,
};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use crate::store::Snapshot;
use crate::threads;

/// Rows that count: one line per request and reporter. A line without `access_log_type` is an End line.
/// Source: `envoy.data.accesslog.v3.AccessLogType`.
pub const COUNTED: &str =
    "access_log_type IS NULL OR access_log_type IN ('DownstreamEnd', 'TcpConnectionEnd', 'UdpSessionEnd', 'NotSet')";

/// What `requests` has beside the columns of `access_logs`: who called whom, by the best name that is no mere claim of a caller; an address where there is
/// none, so that nobody can be many, or somebody else, by writing names.
const PROVEN: &str = "
    coalesce(CASE WHEN identity_verified THEN source_principal END, source_ip, 'unknown') AS proven_source,
    coalesce(
        CASE WHEN NOT coalesce(has_flag(claims, 'destination_principal'), false) THEN destination_principal END,
        CASE WHEN NOT coalesce(has_flag(claims, 'destination_service'), false) THEN destination_service END,
        destination_ip,
        'unknown'
    ) AS proven_destination";

/// Stack of a thread that plans and runs queries, bytes of address space: planning walks a query's tree by recursion, and the fence lets trees of
/// [`fence::MAX_DEPTH`] through.
const STACK: usize = 64 << 20;

/// Rows per batch in a session over few rows: operators set memory aside for whole batches.
pub(crate) const NARROW_BATCH: usize = 1024;

/// How many rows a session is made for.
enum Size {
    Any,
    Narrow,
}

/// Where sessions come from: one set of functions and settings, a fresh catalog each.
#[derive(Clone)]
pub struct Sql {
    state: Arc<SessionState>,
    threads: Arc<Threads>,
}

/// Threads of their own for queries: one that computes for long would keep the threads that answer others busy, and their timers late.
struct Threads(Option<tokio::runtime::Runtime>);

impl Threads {
    fn new(name: &str, begin: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        // a table may be in an object store
        let threads = threads.enable_all().thread_name(name).thread_stack_size(STACK).on_thread_start(begin).build();
        Ok(Self(Some(threads.map_err(|error| DataFusionError::External(Box::new(error)))?)))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // waiting for them is not allowed inside of another runtime
            threads.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sql")
    }
}

/// Bytes of Parquet footers that are kept by a session that is not told otherwise: of the files that are read again and again.
/// (The engine's default is 50 MiB.)
const METADATA_CACHE: usize = 8 << 20;
/// The same over a table that lasts.
const METADATA_CACHE_OF_A_TABLE: usize = 64 << 20;

impl Sql {
    /// Sessions that share `memory_bytes` of working memory and never write a file.
    ///
    /// # Errors
    /// If DataFusion refuses its own settings.
    pub fn new(memory_bytes: usize) -> Result<Self> {
        Self::with_footers(memory_bytes, METADATA_CACHE)
    }

    /// The same over a table that lasts, whose files are asked again and again: what stands at their ends is kept, up to 64 MiB.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_a_table(memory_bytes: usize) -> Result<Self> {
        Self::with_footers(memory_bytes, METADATA_CACHE_OF_A_TABLE)
    }

    fn with_footers(memory_bytes: usize, footers: usize) -> Result<Self> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
            .with_metadata_cache_limit(footers)
            .with_disk_manager_builder(
                datafusion::execution::disk_manager::DiskManagerBuilder::default()
                    .with_mode(datafusion::execution::disk_manager::DiskManagerMode::Disabled),
            )
            .build_arc()?;
        let config = SessionConfig::new()
            .with_information_schema(true)
            .set_bool("datafusion.execution.parquet.pushdown_filters", true)
            .set_str("datafusion.execution.time_zone", "UTC");
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context)?;
        Ok(Self { state: Arc::new(context.state()), threads: Arc::new(Threads::new("sql", || {})?) })
    }

    /// The same sessions, whose work runs on threads that give way to those of this one: for detections, see [`threads`].
    ///
    /// # Errors
    /// If there are no threads to be had.
    pub(crate) fn giving_way(&self) -> Result<Self> {
        let threads = Threads::new("detect", threads::give_way)?;
        Ok(Self { state: Arc::clone(&self.state), threads: Arc::new(threads) })
    }

    /// Runs work on the threads for queries.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match &self.threads.0 {
            Some(threads) => threads.spawn(work),
            None => tokio::spawn(work),
        }
    }

    /// How many pieces of work run at the same time.
    pub(crate) fn width(&self) -> usize {
        self.threads.0.as_ref().map_or(1, |threads| threads.metrics().num_workers())
    }

    fn fresh(&self, size: Size) -> Result<SessionContext> {
        let options = &self.state.config().options().catalog;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(&options.default_schema, Arc::new(MemorySchemaProvider::new()))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(options.default_catalog.clone(), Arc::new(catalog));
        let mut builder =
            SessionStateBuilder::new_from_existing(self.state.as_ref().clone()).with_catalog_list(Arc::new(catalogs));
        if let Size::Narrow = size {
            let config = self.state.config().clone().with_target_partitions(1).with_batch_size(NARROW_BATCH);
            builder = builder.with_config(config);
        }
        let state = builder.build();
        Ok(SessionContext::new_with_state(state))
    }

    /// A session over all tables of a snapshot.
    ///
    /// # Errors
    /// If `access_logs` has not the columns of the table.
    pub async fn over(&self, snapshot: &Snapshot) -> Result<SessionContext> {
        let context = self.fresh(Size::Any)?;
        context.register_table("rejects", snapshot.rejects())?;
        context.register_table("edges_1m", snapshot.edges_1m())?;
        self.requests(context, snapshot.access_logs()).await
    }

    /// All rows of a table, to be narrowed down.
    pub(crate) fn read(&self, table: Arc<dyn TableProvider>) -> Result<DataFrame> {
        self.fresh(Size::Any)?.read_table(table)
    }

    /// A session over these access logs: what detections read.
    pub(crate) async fn over_logs(&self, access_logs: Arc<dyn TableProvider>) -> Result<SessionContext> {
        self.logs(self.fresh(Size::Any)?, access_logs).await
    }

    /// The same over few rows: one partition, no threads handing rows to each other.
    pub(crate) async fn over_narrow(&self, access_logs: Arc<dyn TableProvider>) -> Result<SessionContext> {
        self.logs(self.fresh(Size::Narrow)?, access_logs).await
    }

    /// A session over empty tables, to plan with.
    pub(crate) async fn over_nothing(&self) -> Result<SessionContext> {
        self.over_logs(empty(ingest::schema::access_logs())).await
    }

    async fn logs(&self, context: SessionContext, access_logs: Arc<dyn TableProvider>) -> Result<SessionContext> {
        context.register_table("rejects", empty(ingest::schema::rejects()))?;
        self.requests(context, access_logs).await
    }

    async fn requests(&self, context: SessionContext, access_logs: Arc<dyn TableProvider>) -> Result<SessionContext> {
        context.register_table("access_logs", access_logs)?;
        let counted = context.sql(&format!("SELECT *, {PROVEN} FROM access_logs WHERE {COUNTED}")).await?.into_view();
        context.register_table("requests", counted)?;
        Ok(context)
    }
}

fn empty(schema: SchemaRef) -> Arc<dyn TableProvider> {
    Arc::new(EmptyTable::new(schema))
}
