# What other engines read in a table: rows, distinct values of a column, the sum of another, and rows by day. Arguments: the path of the table, and
# both columns.
import json
import sys

import duckdb
import polars
from deltalake import DeltaTable

path, distinct, summed = sys.argv[1:4]
table = DeltaTable(path)
said = {"version": table.version(), "partitions": table.metadata().partition_columns}


def rows(days):
    return {str(day): count for day, count in days}


rows_of = table.to_pyarrow_table(columns=[distinct, summed, "day"])
days = rows_of.group_by("day").aggregate([([], "count_all")])
said["deltalake"] = [
    rows_of.num_rows,
    len(rows_of[distinct].unique()),
    sum(rows_of[summed].drop_null().to_pylist()),
    rows(zip(days["day"].to_pylist(), days["count_all"].to_pylist())),
]

frame = polars.scan_delta(path).select(distinct, summed, "day").collect()
said["polars"] = [
    frame.height,
    frame[distinct].n_unique(),
    frame[summed].sum(),
    rows(frame.group_by("day").len().iter_rows()),
]

# DuckDB by the Parquet files that the log names
files = table.file_uris()
source = f"read_parquet({files!r}, hive_partitioning = true)"
total = duckdb.sql(f"SELECT count(*), count(DISTINCT {distinct}), sum({summed})::BIGINT FROM {source}").fetchall()[0]
said["duckdb"] = [*total, rows(duckdb.sql(f"SELECT day, count(*) FROM {source} GROUP BY 1").fetchall())]
print(json.dumps(said))
