"""ClickHouse (chDB) inserts the lines of a file, a body at a time, into a MergeTree on disk, and syncs what it inserts."""

import json
import os
import sys
import tempfile
import time

from chdb.session import Session

asked = json.loads(sys.argv[1])
# objects and lists become texts, as they do by default
types = {"int": "Nullable(Int64)", "bool": "Nullable(Bool)", "time": "Nullable(DateTime64(6))"}
columns = ", ".join(f"{name} {types.get(kind, 'Nullable(String)')}" for name, kind in asked["columns"].items())
with open(asked["file"], "rb") as file:
    bodies = []
    while lines := file.readlines(asked["body"]):
        bodies.append(b"".join(lines))
with tempfile.TemporaryDirectory(dir=os.path.dirname(asked["file"])) as folder:
    session = Session(folder)
    session.query(
        f"CREATE DATABASE peers; CREATE TABLE peers.logs ({columns}) ENGINE = MergeTree ORDER BY tuple() "
        "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
    )
    begun = time.perf_counter()
    for body in bodies:
        session.query("INSERT INTO peers.logs SETTINGS date_time_input_format = 'best_effort' FORMAT JSONEachRow " + body.decode())
    seconds = time.perf_counter() - begun
    rows = int(session.query("SELECT count() FROM peers.logs", "CSV").data())
    session.close()
print(json.dumps({"seconds": seconds, "rows": rows}))
