"""DuckDB reads all columns of a file, on one thread."""

import json
import sys
import time

import duckdb

asked = json.loads(sys.argv[1])
types = {"int": "BIGINT", "bool": "BOOLEAN", "time": "TIMESTAMP", "json": "JSON", "text": "VARCHAR"}
columns = ", ".join(f"'{name}': '{types[kind]}'" for name, kind in asked["columns"].items())
typed = f"read_json('{asked['file']}', format = 'newline_delimited', columns = {{{columns}}})"
inferred = f"read_json('{asked['file']}', format = 'newline_delimited')"

connection = duckdb.connect(config={"threads": 1})
# it would be written to stdout, where the numbers go
connection.execute("SET enable_progress_bar = false")
begun = time.perf_counter()
match asked["way"]:
    case "arrow":
        rows = connection.sql(f"SELECT * FROM {typed}").to_arrow_table().num_rows
    case "arrow, batches":
        rows = sum(batch.num_rows for batch in connection.sql(f"SELECT * FROM {typed}").to_arrow_reader())
    case way:
        source = inferred if way == "table, inferred types" else typed
        connection.execute(f"CREATE TABLE logs AS SELECT * FROM {source}")
        rows = None
seconds = time.perf_counter() - begun
rows = rows or connection.sql("SELECT count(*) FROM logs").fetchall()[0][0]
print(json.dumps({"seconds": seconds, "rows": rows}))
