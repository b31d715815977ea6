"""DuckDB looks for what meshwarden's four detections look for: scan_duckdb.sql over one file."""

import json
import sys
import time

import duckdb

asked = json.loads(sys.argv[1])
connection = duckdb.connect(config={"threads": asked["threads"]})
# it would be written to stdout, where the numbers go
connection.execute("SET enable_progress_bar = false")
connection.execute("SET VARIABLE file = ?", [asked["file"]])
begun = time.perf_counter()
connection.execute(asked["sql"])
seconds = time.perf_counter() - begun
findings = dict(connection.sql("SELECT detection, count(*) FROM findings GROUP BY detection").fetchall())
print(json.dumps({"seconds": seconds, "findings": findings}))
