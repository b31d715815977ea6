//! Which pieces and files a query can leave out, and which filters then say nothing more, judged by their span of time and the query's filters.
//!
//! DataFusion's own pruning does the reasoning (any shape of condition on the time column, and/or/not, casts of literals); anything
//! it does not understand keeps everything.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::store::span::Span;
use crate::store::table::Shape;

/// One answer per span: whether it has to be read.
pub(super) fn keep<'f>(
    shape: &Shape,
    spans: &[Option<Span>],
    filters: impl IntoIterator<Item = &'f Expr>,
) -> Vec<bool> {
    let all = || vec![true; spans.len()];
    let Some(name) = shape.time().map(|time| time.name()) else { return all() };
    let about_time =
        filters.into_iter().filter(|filter| filter.column_refs().iter().any(|column| column.name() == name));
    let mut keep = all();
    // one by one: what is not understood of one must not spoil the others
    for filter in about_time.filter(|_| !spans.is_empty()) {
        if let Ok(judged) = judge(shape, spans, filter.clone()) {
            keep.iter_mut().zip(judged).for_each(|(keep, judged)| *keep &= judged);
        }
    }
    keep
}

/// One answer per filter: whether every row of what is kept by all of them passes it, so that no row has to be looked at for it.
pub(super) fn exact(shape: &Shape, spans: &[Option<Span>], filters: &[&Expr]) -> Vec<bool> {
    // a scan's filters do not name the table, these do
    let filters = unnormalize_cols(filters.iter().map(|filter| (*filter).clone()));
    let keep = keep(shape, spans, &filters);
    let kept = spans.iter().zip(keep).filter_map(|(span, keep)| keep.then_some(*span));
    // of what has no span nobody knows
    let kept = kept.collect::<Option<Vec<Span>>>().unwrap_or_default();
    let passes = |filter: &Expr| !kept.is_empty() && kept.iter().all(|span| passes(shape, *span, filter) == Some(true));
    filters.iter().map(passes).collect()
}

/// Whether all instants of a span pass `time ≥ instant` or the like; `None`: the filter is of another kind.
fn passes(shape: &Shape, span: Span, filter: &Expr) -> Option<bool> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    let (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(instant), zone), _)) =
        (left.as_ref(), right.as_ref())
    else {
        return None;
    };
    let time = shape.time()?;
    if column.name() != time.name() || *time.data_type() != DataType::Timestamp(TimeUnit::Microsecond, zone.clone()) {
        return None;
    }
    match op {
        Operator::GtEq => Some(span.earliest >= *instant),
        Operator::Gt => Some(span.earliest > *instant),
        Operator::LtEq => Some(span.latest <= *instant),
        Operator::Lt => Some(span.latest < *instant),
        _ => None,
    }
}

fn judge(shape: &Shape, spans: &[Option<Span>], filter: Expr) -> Result<Vec<bool>> {
    let filter = create_physical_expr(
        &filter,
        &DFSchema::try_from(Arc::clone(&shape.schema))?,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(&shape.schema))
        .try_build(filter)?
        .prune(&Spans { shape, spans })
}

/// The spans in the form in which DataFusion asks for them.
struct Spans<'a> {
    shape: &'a Shape,
    spans: &'a [Option<Span>],
}

impl Spans<'_> {
    fn side(&self, column: &Column, side: impl Fn(Span) -> i64) -> Option<ArrayRef> {
        let time = self.shape.time()?;
        let DataType::Timestamp(_, zone) = time.data_type() else { return None };
        let values = || self.spans.iter().map(|span| span.map(&side)).collect::<TimestampMicrosecondArray>();
        (column.name() == time.name()).then(|| Arc::new(values().with_timezone_opt(zone.clone())) as ArrayRef)
    }
}

impl PruningStatistics for Spans<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.side(column, |span| span.earliest)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.side(column, |span| span.latest)
    }

    fn num_containers(&self) -> usize {
        self.spans.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
