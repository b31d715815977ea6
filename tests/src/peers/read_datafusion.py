"""DataFusion reads all columns of a file, in one partition."""

import json
import sys
import time

from datafusion import SessionConfig, SessionContext

asked = json.loads(sys.argv[1])
context = SessionContext(SessionConfig().with_target_partitions(1))
# inferring the types is not part of the work
context.register_json("logs", asked["file"], schema_infer_max_records=10_000, file_extension=".jsonl")
frame = context.table("logs")
begun = time.perf_counter()
if asked["way"] == "collect":
    rows = sum(batch.num_rows for batch in frame.collect())
else:
    rows = sum(batch.to_pyarrow().num_rows for batch in frame.execute_stream())
seconds = time.perf_counter() - begun
assert len(frame.schema()) == len(asked["columns"]), len(frame.schema())
print(json.dumps({"seconds": seconds, "rows": rows}))
