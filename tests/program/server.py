# SPDX-License-Identifier: MIT
"""The server that test runs request: it counts every request by its path, and misbehaves on demand.

usage: server.py PORTFILE [SECONDS]    ends by itself after SECONDS (600)
GET /__counts returns {path: requests}.  A path with /500, /hang, /slow or /half in it gets such a response.
"""
import http.server
import json
import os
import socketserver
import sys
import threading
import time

counts = {}
arrivals = {}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path in ("/__counts", "/__arrivals"):
            with lock:
                body = json.dumps(counts if self.path == "/__counts" else arrivals).encode()
            self.answer(200, body)
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        with lock:
            counts[self.path] = counts.get(self.path, 0) + 1
            n = counts[self.path]
            arrivals.setdefault(self.path, []).append(time.time())
        if "/hang" in self.path:
            time.sleep(60)
        if "/slow" in self.path:
            time.sleep(0.2)
        if "/echo" in self.path:
            seen = {"method": self.command, "headers": dict(self.headers), "body": body.decode()}
            with lock:
                counts["seen"] = seen
        status = 500 if "/500" in self.path or ("/half" in self.path and n % 2) else 200
        self.answer(status, b"ok")

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".tmp", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
threading.Timer(float(sys.argv[2]) if len(sys.argv) > 2 else 600, lambda: os._exit(0)).start()
server.serve_forever()
