//! The access logs that a finding stands on, looked up by `log_id` within the finding's time, so that few files are read.

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::prelude::{Expr, col, lit};
use query::Core;
use query::finding::Finding;
use query::json::rows_as_json;
use serde_json::{Map, Value};

use crate::http::problem::Problem;
use crate::http::state::AppState;

/// The rows, the earliest first, without their null columns.
pub(super) async fn rows(state: &AppState, finding: &Finding) -> Result<Vec<Map<String, Value>>, Problem> {
    if finding.evidence.is_empty() {
        return Ok(Vec::new());
    }
    let _place = state.place_to_query().await?;
    let batches =
        look_up(state.core(), finding).await.map_err(|error| Problem::internal("looking up evidence", &error))?;
    let mut rows = rows_as_json(&batches).map_err(|error| Problem::internal("writing evidence", &error))?;
    for row in &mut rows {
        row.retain(|_, value| !value.is_null());
    }
    Ok(rows)
}

async fn look_up(core: &Core, finding: &Finding) -> Result<Vec<arrow::array::RecordBatch>, DataFusionError> {
    // evidence may lie before the window, in its lookback; never before what was seen first
    let first = finding.window.start().min(finding.first_seen.timestamp_micros());
    let last = finding.window.end().max(finding.last_seen.timestamp_micros());
    let ids = finding.evidence.iter().map(lit).collect();
    let frame = core
        .session()
        .await?
        .table("access_logs")
        .await?
        .filter(col("time").between(instant(first), instant(last)))?
        .filter(col("log_id").in_list(ids, false))?
        .sort_by(vec![col("time"), col("log_id")])?;
    frame.collect().await
}

fn instant(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}
