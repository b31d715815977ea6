"""Polars reads all columns of a file, on one thread (POLARS_MAX_THREADS)."""

import json
import sys
import time

import polars

asked = json.loads(sys.argv[1])
# inferring the types is not part of the work
schema = polars.scan_ndjson(asked["file"], infer_schema_length=10_000).collect_schema()
begun = time.perf_counter()
if asked["way"] == "read_ndjson":
    frame = polars.read_ndjson(asked["file"], schema=schema)
else:
    frame = polars.scan_ndjson(asked["file"], schema=schema).collect()
seconds = time.perf_counter() - begun
assert frame.width == len(asked["columns"]), frame.width
print(json.dumps({"seconds": seconds, "rows": frame.height}))
