//! The fence: which statements are answered at all.
//!
//! One statement, at most 256 KiB, and only `SELECT`/`WITH`/`VALUES`, `EXPLAIN`, `SHOW` and `DESCRIBE`. Everything that writes, sets or reads files is
//! refused here by the statement's kind, and once more by DataFusion's [`SQLOptions`] on the plan.

use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Longest SQL text, bytes.
pub(super) const MAX_SQL_BYTES: usize = 256 * 1024;

/// Operators in one statement. A chain of them is a tree as deep as it is long, and planning walks trees by recursion.
pub(super) const MAX_DEPTH: usize = 1000;

/// Why a statement is refused.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Too long.
    #[error("the SQL has {0} bytes, at most {MAX_SQL_BYTES} are taken")]
    TooLong(usize),
    /// Too deep.
    #[error("the SQL has {0} operators, at most {MAX_DEPTH} are taken: write a long OR as an IN list")]
    TooDeep(usize),
    /// Not SQL.
    #[error("the SQL does not parse: {0}")]
    Syntax(Box<DataFusionError>),
    /// None or several.
    #[error("the SQL holds {0} statements, exactly one is taken")]
    Count(usize),
    /// Another kind.
    #[error("only SELECT, WITH, EXPLAIN and SHOW are answered, not {0}")]
    Kind(String),
}

/// Parses one read-only statement.
///
/// # Errors
/// If it is too long, not SQL, several statements or one that does more than read.
pub fn parse_read_only(sql: &str) -> Result<Statement, FenceError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(FenceError::TooLong(sql.len()));
    }
    let syntax = |error| FenceError::Syntax(Box::new(error));
    let operators = operators(sql);
    if operators > MAX_DEPTH {
        return Err(FenceError::TooDeep(operators));
    }
    let mut statements =
        DFParserBuilder::new(sql).build().and_then(|mut parser| parser.parse_statements()).map_err(syntax)?;
    let count = statements.len();
    let (Some(statement), 1) = (statements.pop_front(), count) else { return Err(FenceError::Count(count)) };
    if reads_only(&statement) { Ok(statement) } else { Err(FenceError::Kind(first_words(&statement))) }
}

/// How many tokens join others to a deeper tree. A text that is not even tokens has none: parsing says what is wrong.
fn operators(sql: &str) -> usize {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let joins = |token: &Token| match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::LIKE
                | Keyword::IS
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::AT
        ),
        Token::Whitespace(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon
        | Token::EOF => false,
        _ => true,
    };
    tokens.iter().filter(|token| joins(token)).count()
}

fn reads_only(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explain) => reads_only(&explain.statement),
        Statement::Statement(inner) => match inner.as_ref() {
            // a bare VALUES or TABLE is a query for SQL's grammar, too
            ast::Statement::Query(query) if is_bare(query) => false,
            ast::Statement::Query(query) => !writes(query),
            ast::Statement::Explain { statement, .. } => {
                matches!(statement.as_ref(), ast::Statement::Query(query) if !writes(query))
            }
            ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. }
            | ast::Statement::ExplainTable { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

/// `VALUES (…)` or `TABLE t`, neither of which is a SELECT.
fn is_bare(query: &ast::Query) -> bool {
    matches!(query.body.as_ref(), ast::SetExpr::Values(_) | ast::SetExpr::Table(_))
}

/// A query whose body is, for SQL's grammar, an INSERT, UPDATE or DELETE, or that selects INTO a table.
fn writes(query: &ast::Query) -> bool {
    fn body_writes(body: &ast::SetExpr) -> bool {
        match body {
            ast::SetExpr::Select(select) => select.into.is_some(),
            ast::SetExpr::Query(query) => writes(query),
            ast::SetExpr::SetOperation { left, right, .. } => body_writes(left) || body_writes(right),
            ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => false,
            _ => true,
        }
    }
    body_writes(&query.body)
}

/// The first word or two of a statement, for the error.
fn first_words(statement: &Statement) -> String {
    statement.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Holds a plan against DataFusion's own options: no DDL, no DML, no SET or transaction.
pub(super) fn verify(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(plan)
}

#[cfg(test)]
mod tests;
