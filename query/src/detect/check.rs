//! What a detection's SQL may be: one query over `requests` and `access_logs` that is a pure function of their rows.
//!
//! Refused, each by name: another statement, a function that is not a pure function of its arguments (`now()`, `current_date`, `random()`,
//! `uuid()`), a missing output column, a `{name}` in the summary that is no column.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::header::Header;

/// Output columns that every detection must have beside its entity.
const REQUIRED: [&str; 4] = ["count", "first_seen", "last_seen", "evidence"];

/// Why a detection's SQL is refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It does not parse or plan.
    #[error("its SQL is not right: {0}")]
    Sql(#[from] DataFusionError),
    /// It leaves the fence.
    #[error("its SQL is refused: {0}")]
    Fence(#[from] crate::sql::FenceError),
    /// It depends on something other than the rows.
    #[error("its SQL calls {0}(), which does not depend on the rows alone: use $window_start and $window_end")]
    Impure(String),
    /// An output column is missing.
    #[error(
        "its SQL returns no column '{0}': it must return its entity columns, count, first_seen, last_seen and evidence"
    )]
    Column(String),
    /// An output column has the wrong type.
    #[error("its SQL returns '{column}' as {found}: it must be {expected}")]
    Type {
        /// The column.
        column: &'static str,
        /// What it is.
        found: DataType,
        /// What it must be.
        expected: &'static str,
    },
    /// It reads something other than the logs.
    #[error(
        "its SQL reads '{0}': a detection reads requests and access_logs (of rejects there is the summary, and the table rejects for 'sql')"
    )]
    Table(String),
    /// The summary names something that is not there.
    #[error("its summary names {{{0}}}, which its SQL does not return")]
    Summary(String),
}

/// Holds a planned detection against its header.
pub(super) fn check(header: &Header, plan: &LogicalPlan) -> Result<(), CheckError> {
    if let Some(name) = impure(plan)? {
        return Err(CheckError::Impure(name));
    }
    let schema = plan.schema();
    let has = |name: &str| schema.fields().iter().any(|field| field.name() == name);
    if let Some(missing) = header.entity.iter().map(String::as_str).chain(REQUIRED).find(|name| !has(name)) {
        return Err(CheckError::Column(missing.to_owned()));
    }
    for (column, expected, fits) in [
        ("count", "an integer", DataType::is_integer as fn(&DataType) -> bool),
        ("first_seen", "a timestamp", |kind| matches!(kind, DataType::Timestamp(..))),
        ("last_seen", "a timestamp", |kind| matches!(kind, DataType::Timestamp(..))),
        ("evidence", "a list of log_id", |kind| matches!(kind, DataType::List(item) if item.data_type().is_string())),
    ] {
        if let Some(field) = schema.fields().iter().find(|field| field.name() == column)
            && !fits(field.data_type())
        {
            return Err(CheckError::Type { column, found: field.data_type().clone(), expected });
        }
    }
    if let Some(table) = foreign(plan)? {
        return Err(CheckError::Table(table));
    }
    let mut rest = header.summary.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        if !has(name) {
            return Err(CheckError::Summary(name.to_owned()));
        }
        rest = after;
    }
    Ok(())
}

/// The first table in the plan that does not hold logs.
fn foreign(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && !["requests", "access_logs"].contains(&scan.table_name.table())
        {
            found = Some(scan.table_name.to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The first function in the plan, sub-queries included, whose value is not settled by its arguments.
fn impure(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
