"""DuckDB answers queries over the Parquet files of a table, on so many threads: seconds of each run, and how many rows."""

import json
import sys
import time

import duckdb

asked = json.loads(sys.argv[1])
connection = duckdb.connect(config={"threads": asked["threads"]})
# it would be written to stdout, where the numbers go
connection.execute("SET enable_progress_bar = false")
connection.execute("SET TimeZone = 'UTC'")
# what it read of the files' ends is kept, as meshwarden does
connection.execute("SET parquet_metadata_cache = true")
files = f"{asked['folder']}/access_logs/day=*/*.parquet"
connection.execute(f"CREATE VIEW access_logs AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)")
said = []
for query in asked["queries"]:
    seconds, rows = [], 0
    # the first is not counted
    for _ in range(asked["runs"] + 1):
        begun = time.perf_counter()
        rows = len(connection.execute(query).fetchall())
        seconds.append(time.perf_counter() - begun)
    said.append({"seconds": seconds[1:], "rows": rows})
print(json.dumps(said))
