//! Which pieces and files a query can leave out, judged by their span of time and the query's filters.
//!
//! DataFusion's own pruning does the reasoning (any shape of condition on the time column, and/or/not, casts of literals); anything
//! it does not understand keeps everything.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::store::span::Span;
use crate::store::table::Shape;

/// One answer per span: whether it has to be read.
pub(super) fn keep(state: &dyn Session, shape: &Shape, spans: &[Option<Span>], filters: &[Expr]) -> Vec<bool> {
    let all = || vec![true; spans.len()];
    let Some(name) = shape.time().map(|time| time.name()) else { return all() };
    let about_time = filters.iter().filter(|filter| filter.column_refs().iter().any(|column| column.name() == name));
    match conjunction(about_time.cloned()) {
        Some(filter) if !spans.is_empty() => judge(state, shape, spans, filter).unwrap_or_else(|_| all()),
        _ => all(),
    }
}

fn judge(state: &dyn Session, shape: &Shape, spans: &[Option<Span>], filter: Expr) -> Result<Vec<bool>> {
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&shape.schema))?)?;
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
