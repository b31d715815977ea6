#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn reading_is_let_through() {
    for sql in [
        "SELECT 1",
        "WITH a AS (SELECT 1) SELECT * FROM a;",
        "SELECT 1 UNION ALL SELECT 2",
        "SELECT * FROM (VALUES (1)) AS t(n)",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "SHOW TABLES",
        "SHOW COLUMNS FROM access_logs",
        "DESCRIBE access_logs",
    ] {
        parse_read_only(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[test]
fn everything_else_is_refused() {
    for sql in [
        "",
        ";",
        "SELECT 1; SELECT 2",
        "VALUES (1)",
        "TABLE access_logs",
        "COPY (SELECT 1) TO 'out.csv'",
        "EXPLAIN COPY (SELECT 1) TO 'out.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "SELECT 1 AS a INTO t",
        "SET datafusion.runtime.memory_limit = '100G'",
        "RESET datafusion.execution.batch_size",
        "INSERT INTO access_logs SELECT * FROM access_logs",
        "DELETE FROM access_logs",
        "UPDATE access_logs SET path = ''",
        "DROP TABLE access_logs",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "SELEC 1",
    ] {
        assert!(parse_read_only(sql).is_err(), "{sql}");
    }
}

#[test]
fn a_text_over_the_bound_is_refused_before_parsing() {
    let sql = format!("SELECT {}1", "1+".repeat(MAX_SQL_BYTES / 2));
    assert!(matches!(parse_read_only(&sql), Err(FenceError::TooLong(_))));
}

#[test]
fn a_chain_that_would_be_a_deep_tree_is_refused() {
    for link in ["1+", "1=1 or ", "'a'||", "- ", "not ", "select 1 union all "] {
        let sql = format!("SELECT {}1", link.repeat(MAX_DEPTH + 1));
        assert!(matches!(parse_read_only(&sql), Err(FenceError::TooDeep(_))), "{link}");
    }
    let list = format!("SELECT 1 IN ({}1)", "1,".repeat(20_000));
    parse_read_only(&list).unwrap();
}

#[tokio::test]
async fn the_deepest_tree_that_is_let_through_is_answered() {
    let sql = crate::sql::Sql::new(64 << 20).unwrap();
    for link in ["1+", "1=1 or "] {
        let query = format!("SELECT {}1=1 AS x", link.repeat(MAX_DEPTH / 2 - 2));
        let limits = crate::sql::Limits { time: std::time::Duration::from_secs(120), ..Default::default() };
        let answer = crate::sql::Rowset::of(&sql, sql.over_nothing().await.unwrap(), &query, limits).await;
        assert!(answer.is_ok(), "{link}: {}", answer.unwrap_err());
    }
}
