//! Puts a detection's parameters into its syntax tree as typed literals.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions_mut};

/// Replaces `$name` by its value: `times` (µs since the epoch) become UTC timestamps, `numbers` integers. A name that is neither is an error.
pub(crate) fn bind(statement: Statement, times: &[(&str, i64)], numbers: &BTreeMap<String, i64>) -> Result<Statement> {
    let literal = |micros: &i64| format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
    replace(statement, numbers, |name| {
        times.iter().find(|(known, _)| *known == name).map(|(_, micros)| literal(micros))
    })
}

/// The same, but `$name` of a time becomes the call `name()`.
pub(crate) fn bind_calls(statement: Statement, times: &[&str], numbers: &BTreeMap<String, i64>) -> Result<Statement> {
    replace(statement, numbers, |name| times.contains(&name).then(|| format!("{name}()")))
}

fn replace(
    mut statement: Statement,
    numbers: &BTreeMap<String, i64>,
    time: impl Fn(&str) -> Option<String>,
) -> Result<Statement> {
    let Statement::Statement(inner) = &mut statement else {
        return Err(DataFusionError::Plan("only a query can have parameters".to_owned()));
    };
    let flow = visit_expressions_mut(inner.as_mut(), |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            let name = name.trim_start_matches('$');
            let Some(text) = time(name).or_else(|| numbers.get(name).map(ToString::to_string)) else {
                return ControlFlow::Break(DataFusionError::Plan(format!("nothing is bound to ${name}")));
            };
            match DFParserBuilder::new(text.as_str()).build().and_then(|mut parser| parser.parse_expr()) {
                Ok(value) => *expr = value.expr,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(statement),
    }
}
