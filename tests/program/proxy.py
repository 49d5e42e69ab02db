# SPDX-License-Identifier: MIT
"""A proxy in front of the dashboard that disturbs requests and responses.

usage: proxy.py PORTFILE MODEFILE UPSTREAM_PORT [SECONDS]     ends by itself after SECONDS (300)
MODEFILE holds one word, read for each request: pass, refuse (503 with Retry-After: 2), small (413 above two
runs), cut (the request is passed on, the response cut in half), garble (bytes of the response are changed),
reset (the connection is reset after the request was passed on), delay (half a second), 401.
Each request for runs leaves a line "TIME MODE RUNS" in MODEFILE.log.
"""
import http.client
import http.server
import json
import os
import socket
import struct
import sys
import threading
import time

mode_file, upstream = sys.argv[2], int(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"{}", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with open(mode_file) as f:
            mode = f.read().strip()
        runs = 0
        if self.path == "/api/k6/runs":
            runs = len(json.loads(body)["runs"])
            with open(mode_file + ".log", "a") as f:
                f.write(f"{time.time():.3f} {mode} {runs}\n")
        if mode == "refuse":
            return self.answer(503, Retry_After="2")
        if mode == "401":
            return self.answer(401)
        if mode == "small" and runs > 2:
            return self.answer(413)
        if mode == "delay":
            time.sleep(0.5)
        c = http.client.HTTPConnection("127.0.0.1", upstream, timeout=10)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        try:
            c.request(self.command, self.path, body or None, headers)
            r = c.getresponse()
            data = r.read()
        except OSError:
            return self.answer(502)
        if mode == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        self.send_response(r.status)
        for name in ("ETag", "Content-Type"):
            if r.getheader(name):
                self.send_header(name, r.getheader(name))
        if mode == "garble":
            data = bytes(b ^ 0x55 if i % 3 == 0 else b for i, b in enumerate(data))
        if r.status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if mode == "cut":
            self.close_connection = True
            data = data[: len(data) // 2]
        self.wfile.write(data)

    do_POST = do_PUT = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.handle_error = lambda *args: None
with open(sys.argv[1] + ".tmp", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
threading.Timer(float(sys.argv[4]) if len(sys.argv) > 4 else 300, lambda: os._exit(0)).start()
server.serve_forever()
