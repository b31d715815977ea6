#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

#[test]
fn every_feeding_key_is_a_canonical_key() {
    for column in ACCESS_LOGS {
        for key in column.fed_by.keys {
            assert!(Key::from_name(key).is_some(), "{}: {key}", column.name);
        }
    }
}

#[test]
fn names_are_unique_and_indexed() {
    for (at, column) in ACCESS_LOGS.iter().enumerate() {
        assert_eq!(index(column.name), Some(at), "{}", column.name);
    }
    assert_eq!(index("no_such_column"), None);
    assert_eq!(ACCESS_LOGS.len(), COLUMN_COUNT);
}

#[test]
fn a_column_that_is_never_null_says_so() {
    for column in ACCESS_LOGS.iter().chain(REJECTS) {
        assert_eq!(column.nullable, !column.null_means.starts_with("never"), "{}", column.name);
        assert!(!column.unit.is_empty() && !column.fed_by.operator.is_empty(), "{}", column.name);
    }
}

#[test]
fn the_table_has_the_columns_of_the_design() {
    let names: Vec<&str> = ACCESS_LOGS.iter().map(|column| column.name).collect();
    insta::assert_snapshot!("access_logs_columns", names.join("\n"));
}

/// A batch writes truth values per edge, and has no way to write one per row.
#[test]
fn an_edge_decides_every_truth_value() {
    for (number, column) in ACCESS_LOGS.iter().enumerate() {
        assert!(column.data_type != ColumnType::Boolean || crate::edge::is_column(number), "{}", column.name);
    }
}
