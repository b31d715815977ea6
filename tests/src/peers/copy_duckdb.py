"""DuckDB copies all columns of a file into Parquet, on one thread, and says how large that is."""

import json
import os
import sys
import tempfile
import time

import duckdb

asked = json.loads(sys.argv[1])
types = {"int": "BIGINT", "bool": "BOOLEAN", "time": "TIMESTAMP", "json": "JSON", "text": "VARCHAR"}
columns = ", ".join(f"'{name}': '{types[kind]}'" for name, kind in asked["columns"].items())
source = f"read_json('{asked['file']}', format = 'newline_delimited', columns = {{{columns}}})"

connection = duckdb.connect(config={"threads": 1})
# it would be written to stdout, where the numbers go
connection.execute("SET enable_progress_bar = false")
# beside the file: the same disk
with tempfile.TemporaryDirectory(dir=os.path.dirname(asked["file"])) as folder:
    path = os.path.join(folder, "logs.parquet")
    begun = time.perf_counter()
    connection.execute(f"COPY (SELECT * FROM {source}) TO '{path}' (FORMAT parquet, COMPRESSION {asked['way']})")
    # meshwarden's is on stable storage when it is done
    with open(path) as file:
        os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    rows = connection.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()[0][0]
    size = os.path.getsize(path)
print(json.dumps({"seconds": seconds, "rows": rows, "bytes": size}))
