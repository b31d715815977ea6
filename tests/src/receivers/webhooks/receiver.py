"""A webhook receiver on loopback that lets the official Standard Webhooks library judge every request.

usage: receiver.py SECRET RECEIVED PORT_FILE [STATUS...]

RECEIVED gets one line of JSON per request. Verified requests are answered with STATUS... in turn and 204 after these,
others with 400.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, received, port_file, *answers = sys.argv[1:]
webhook = Webhook(secret)
lock = Lock()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        error = None
        try:
            webhook.verify(body, headers)
        except WebhookVerificationError as refused:
            error = str(refused)
        with lock:
            answer = 400 if error else int(answers.pop(0)) if answers else 204
            with open(received, "a") as file:
                line = {
                    "id": headers.get("webhook-id"),
                    "verified": error is None,
                    "answer": answer,
                    "error": error,
                    "body": json.loads(body),
                }
                file.write(json.dumps(line) + "\n")
        self.send_response(answer)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
with open(port_file + ".new", "w") as file:
    file.write(f"{server.server_port}\n")
os.rename(port_file + ".new", port_file)
server.serve_forever()
