"""chDB (ClickHouse in the process) reads all columns of a file, on one thread."""

import json
import sys
import time

from chdb.session import Session

asked = json.loads(sys.argv[1])
# objects and lists become texts, as they do by default
types = {"int": "Nullable(Int64)", "bool": "Nullable(Bool)", "time": "Nullable(DateTime64(6))"}
columns = ", ".join(f"{name} {types.get(kind, 'Nullable(String)')}" for name, kind in asked["columns"].items())
engine = asked["way"].split()[0]
session = Session()
session.query(f"CREATE DATABASE peers; CREATE TABLE peers.logs ({columns}) ENGINE = {engine}")
begun = time.perf_counter()
done = session.query(
    f"INSERT INTO peers.logs SELECT * FROM file('{asked['file']}', JSONEachRow, '{columns}') "
    "SETTINGS max_threads = 1, max_insert_threads = 1, input_format_parallel_parsing = 0, date_time_input_format = 'best_effort'"
)
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "rows": done.rows_written()}))
