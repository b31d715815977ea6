# What other engines read in a table: rows, distinct log ids, the sum of bytes, and rows by day. The path of the table is the argument.
import json
import sys

import duckdb
import polars
from deltalake import DeltaTable

path = sys.argv[1]
table = DeltaTable(path)
said = {"version": table.version(), "partitions": table.metadata().partition_columns}


def rows(days):
    return {str(day): count for day, count in days}


rows_of = table.to_pyarrow_table(columns=["log_id", "bytes_sent", "day"])
days = rows_of.group_by("day").aggregate([([], "count_all")])
said["deltalake"] = [
    rows_of.num_rows,
    len(rows_of["log_id"].unique()),
    sum(rows_of["bytes_sent"].drop_null().to_pylist()),
    rows(zip(days["day"].to_pylist(), days["count_all"].to_pylist())),
]

frame = polars.scan_delta(path).select("log_id", "bytes_sent", "day").collect()
said["polars"] = [
    frame.height,
    frame["log_id"].n_unique(),
    frame["bytes_sent"].sum(),
    rows(frame.group_by("day").len().iter_rows()),
]

# DuckDB by the Parquet files that the log names
files = table.file_uris()
source = f"read_parquet({files!r}, hive_partitioning = true)"
total = duckdb.sql(f"SELECT count(*), count(DISTINCT log_id), sum(bytes_sent)::BIGINT FROM {source}").fetchall()[0]
said["duckdb"] = [*total, rows(duckdb.sql(f"SELECT day, count(*) FROM {source} GROUP BY 1").fetchall())]
print(json.dumps(said))
