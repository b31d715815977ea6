"""Connections that hang, and how fast /healthz is beside them. Arguments: address, drippers, idle ones, seconds. Prints one JSON object."""
import json, resource, selectors, socket, sys, time

host, port = sys.argv[1].rsplit(":", 1)
drippers, idle, seconds = (int(word) for word in sys.argv[2:])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def connect():
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.setblocking(False)
    return connection


began = time.monotonic()
dripping = [connect() for _ in range(drippers)]
for connection in dripping:
    connection.send(b"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
silent = [connect() for _ in range(idle)]
opened = time.monotonic() - began
times, next_drip = [], time.monotonic() + 10
while time.monotonic() - began < seconds:
    asked = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200"), answer
    times.append(time.monotonic() - asked)
    if time.monotonic() > next_drip:
        next_drip += 10
        for connection in dripping:
            try:
                connection.send(b"x")
            except OSError:
                pass
    time.sleep(0.02)


def is_cut(connection):
    try:
        # an answer that says why may come first
        while piece := connection.recv(4096):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


cut = sum(map(is_cut, dripping + silent))
times.sort()
print(json.dumps({"opened_s": opened, "asked": len(times), "p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[len(times) * 99 // 100] * 1e3, "cut": cut, "all": drippers + idle}))
