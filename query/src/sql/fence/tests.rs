#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn reading_is_let_through() {
    for sql in [
        "SELECT 1",
        "WITH a AS (SELECT 1) SELECT * FROM a;",
        "VALUES (1)",
        "SELECT 1 UNION ALL SELECT 2",
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
