"""Runs a command and says how long it took and how much memory it had at most: python3 -c ... '{"command": [...], "feed": [...]}'."""

import json
import os
import subprocess
import sys
import time

asked = json.loads(sys.argv[1])
feed = asked["feed"] and subprocess.Popen(asked["feed"], stdout=subprocess.PIPE)
begun = time.perf_counter()
command = subprocess.Popen(
    asked["command"],
    stdin=feed.stdout if feed else subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
)
if feed:
    # only the command holds the reading end: the feed ends with it
    feed.stdout.close()
# what it says on stderr is a screen or two, and fits the pipe
out = command.stdout.read()
_, status, usage = os.wait4(command.pid, 0)
seconds = time.perf_counter() - begun
if status != 0:
    sys.exit(f"{asked['command'][0]} ended with {os.waitstatus_to_exitcode(status)}: {command.stderr.read()}")
if feed and feed.wait() != 0:
    sys.exit(f"{asked['feed'][0]} ended with {feed.returncode}")
json.dump({"seconds": seconds, "memory": usage.ru_maxrss * 1024, "out": out}, sys.stdout)
