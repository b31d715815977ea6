#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn spiffe_parts_need_the_whole_form() {
    assert_eq!(spiffe_part("spiffe://cluster.local/ns/bank/sa/pay", 2), Some("bank"));
    assert_eq!(spiffe_part("cluster.local/ns/bank/sa/pay", 4), Some("pay"));
    for malformed in [
        "",
        "cluster.local",
        "cluster.local/ns//sa/pay",
        "cluster.local/sa/pay/ns/bank",
        "cluster.local/ns/bank/sa/pay/more",
    ] {
        assert_eq!(spiffe_part(malformed, 0), None, "{malformed}");
    }
}

#[test]
fn a_block_holds_addresses_however_they_are_spelled() {
    for (cidr, address, holds) in [
        ("10.0.0.0/8", "10.255.0.1", Some(true)),
        ("10.0.0.0/8", "10.255.0.1:8080", Some(true)),
        ("10.0.0.0/8", "11.0.0.1", Some(false)),
        ("10.0.0.0/8", "::ffff:10.0.0.1", Some(true)),
        ("0.0.0.0/0", "203.0.113.9", Some(true)),
        ("fd00::/8", "[fd12::1]:443", Some(true)),
        ("fd00::/8", "10.0.0.1", Some(false)),
        ("192.0.2.1", "192.0.2.1", Some(true)),
        ("10.0.0.0/33", "10.0.0.1", None),
        ("10.0.0.0/8", "envoy://internal_client_address/", None),
        ("nonsense", "10.0.0.1", None),
    ] {
        assert_eq!(cidr_contains(cidr, address), holds, "{cidr} {address}");
    }
}

#[test]
fn flags_are_a_set() {
    assert!(has_flag("URX,UF", "UF") && has_flag("UF,URX", "UF") && !has_flag("UFX", "UF") && !has_flag("-", "UF"));
}

#[test]
fn paths_decode_once_and_lose_their_ids() {
    assert_eq!(url_decode("/a%2e%2e%2Fb%252f%zz%"), "/a../b%2f%zz%");
    assert_eq!(url_decode("%ff"), "\u{fffd}");
    assert_eq!(path_template("/orders/17/items/3f2504e0-4f89-11d3-9a0c-0305e82c3301?x=1"), "/orders/{id}/items/{id}");
    assert_eq!(path_template("/v1/deadbeef/facade"), "/v1/deadbeef/facade");
    assert_eq!(path_template("/v1/deadbee7"), "/v1/{id}");
    assert_eq!(path_template("/accounts/DE89370400440532013000/%31%37"), "/accounts/{id}/{id}");
    assert_eq!(path_template("/oauth2/s3/v1beta1"), "/oauth2/s3/v1beta1");
}

#[test]
fn hosts_lose_port_dot_and_case() {
    for (authority, host) in [
        ("Shop.Example.:443", "shop.example"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("a", "a"),
    ] {
        assert_eq!(host_of(authority), host);
    }
}

#[tokio::test]
async fn functions_work_in_sql_over_constants_and_columns() {
    let context = crate::sql::Sql::new(64 << 20).unwrap().over_nothing().await.unwrap();
    let sql = "SELECT spiffe_namespace(p) AS ns, has_flag('URX,UF', f) AS uf, cidr_contains('10.0.0.0/8', a) AS internal, json_get_str(j, 'k') AS k
               FROM (VALUES ('spiffe://td/ns/n/sa/s', 'UF', '10.1.1.1:80', '{\"k\":\"v\"}'), (NULL, NULL, 'x', NULL)) AS t(p, f, a, j)";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let shown = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let rows: Vec<&str> = shown.lines().skip(3).take(2).collect();
    assert_eq!(rows[0].split_whitespace().collect::<String>(), "|n|true|true|v|");
    assert_eq!(rows[1].split_whitespace().collect::<String>(), "|||||");
}

/// The plain version: sort everything, take twenty.
const PLAIN: &str = "array_slice(array_agg(id ORDER BY t, id), 1, 20)";

#[tokio::test]
async fn evidence_is_the_start_of_the_sorted_group() {
    let context = crate::sql::Sql::new(64 << 20).unwrap().over_nothing().await.unwrap();
    for (rows, groups, times) in [(1, 1, 1), (20, 1, 3), (21, 1, 7), (5000, 1, 50), (5000, 7, 5000), (300, 400, 2)] {
        // repartitioned: partial states have to be merged
        let sql = format!(
            "SELECT g, evidence(id, t) AS fast, {PLAIN} AS plain FROM (
               SELECT v % {groups} AS g, 'log:' || CAST((v * 7919) % 104729 AS VARCHAR) AS id, to_timestamp_micros((v * 31) % {times}) AS t
               FROM unnest(range(0, {rows})) AS r(v)) GROUP BY g"
        );
        let sql = format!("SELECT count(*) AS n, count(*) FILTER (WHERE fast = plain) AS same FROM ({sql})");
        let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
        let number = |column: usize| batches[0].column(column).as_primitive::<arrow::datatypes::Int64Type>().value(0);
        assert_eq!((number(0), number(1)), (groups.min(rows), groups.min(rows)), "{rows} {groups} {times}");
    }
}

#[tokio::test]
async fn evidence_leaves_nulls_out() {
    let context = crate::sql::Sql::new(64 << 20).unwrap().over_nothing().await.unwrap();
    let sql = "SELECT evidence(id, to_timestamp_micros(t)) AS e, evidence(id, to_timestamp_micros(t)) FILTER (WHERE t > 9) AS none
               FROM (VALUES ('b', 2), (NULL, 1), ('c', NULL), ('a', 2)) AS v(id, t)";
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let shown = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let row = shown.lines().nth(3).unwrap().split_whitespace().collect::<String>();
    assert_eq!(row, "|[a,b]|[]|");
}

#[tokio::test]
async fn names_are_few_and_in_order() {
    let context = crate::sql::Sql::new(64 << 20).unwrap().over_nothing().await.unwrap();
    for (rows, groups, values) in [(1, 1, 1), (5000, 3, 20), (5000, 3, 7), (300, 400, 2)] {
        // of letters: the plain version orders numbers as text
        let sql = format!(
            "SELECT g, names(n) AS fast, array_to_string(array_agg(DISTINCT n ORDER BY n), ', ') AS plain FROM (
               SELECT v % {groups} AS g, 'n' || CAST((v * 31) % {values} AS VARCHAR) AS n FROM unnest(range(0, {rows})) AS r(v)) GROUP BY g"
        );
        let sql = format!("SELECT count(*) AS n, count(*) FILTER (WHERE fast = plain) AS same FROM ({sql})");
        let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
        let number = |column: usize| batches[0].column(column).as_primitive::<arrow::datatypes::Int64Type>().value(0);
        assert_eq!((number(0), number(1)), (groups.min(rows), groups.min(rows)), "{rows} {groups} {values}");
    }
    let one = async |sql: &str| {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let text = batches[0].column(0).as_string_view();
        (!text.is_null(0)).then(|| text.value(0).to_owned())
    };
    let of = |values: &str| format!("SELECT names(CAST(v AS VARCHAR)) FROM (VALUES {values}) AS t(v)");
    assert_eq!(one(&of("(8080), (443), (NULL), (443), (80)")).await.as_deref(), Some("80, 443, 8080"));
    assert_eq!(one(&of("('b'), ('9'), ('10'), ('a')")).await.as_deref(), Some("9, 10, a, b"));
    assert_eq!(one(&of("(NULL)")).await, None);
    let ports = (1..=21).map(|port| format!("({port})")).collect::<Vec<_>>().join(",");
    assert!(one(&of(&ports)).await.unwrap().ends_with("19, 20, …"));
}
