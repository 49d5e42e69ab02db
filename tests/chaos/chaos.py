#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills, stops, scales, reloads and hands over a whole fleet at random, during runs of real k6.  Then compares the books:
local store, dashboard, and the log of the tested server.

usage: chaos.py --build DIR [--seconds 120] [--seed N] [--keep]    k6 by K6_BINARY or PATH

Prints the seed, how often each action was taken, and each difference in the books.  Exit status: 0 no difference, 1 any.
Tests a server of its own on 127.0.0.1.  Ends only processes that it has started, and their descendants: it is their
subreaper.
"""
import argparse
import collections
import ctypes
import datetime
import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
AGENTS_MAX = 10
SECRET, ADMIN = "agent-secret-for-chaos", "admin:pass-for-chaos"
# Each run makes a random number of requests, which hardly any other run makes, under a token of its own.
SCRIPT = """
import http from 'k6/http';
import { sleep } from 'k6';
const n = 3 + Math.floor(Math.random() * 150);
export const options = { scenarios: { one: { executor: 'shared-iterations', vus: 1, iterations: n, maxDuration: '8s' } } };
export function setup() { return { token: Math.random().toString(36).slice(2) }; }
export default function (data) {
  http.get('%s/' + data.token);
  if (__ITER %% 25 === 0) sleep(0.15);
}
"""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # k6 is often killed during a request


class AimedAt(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = {}
    lock = threading.Lock()

    def do_GET(self):
        now = time.time()
        with self.lock:
            group = self.seen.setdefault(self.path[1:], [now, now, 0])
            group[1] = now
            group[2] += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


def free_port():
    while True:
        with socket.socket() as s:
            port = random.SystemRandom().randrange(10000, 32000)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(p) for p in f.read().split()]
    except OSError:
        pass
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Chaos:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.counts = collections.Counter()
        self.problems = []
        self.stopped = {}  # pid -> time at which it is continued
        self.dir = tempfile.mkdtemp(prefix="k6fleet-chaos.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.server = Server(("127.0.0.1", 0), AimedAt)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = free_port()
        self.fleet = self.dashboard = None
        self.log = open(f"{self.dir}/k6fleetd.log", "wb")
        self.dashboard_log = open(f"{self.dir}/dashboard.log", "wb")
        self.env = dict(os.environ, K6FLEET_LIBEXECDIR=args.build, DASHBOARD_SECRET=SECRET,
                        ADMIN_BASIC_AUTH=ADMIN, K6FLEET_WWW_DIR=args.www, ASAN_OPTIONS="detect_leaks=0")
        if not self.env.get("K6_BINARY"):
            self.env["K6_BINARY"] = shutil.which("k6") or sys.exit("chaos.py: no k6 in PATH; set K6_BINARY")
        self.write_config()

    # --- the stack ------------------------------------------------------------------

    def write_config(self):
        aimed = f"http://127.0.0.1:{self.server.server_address[1]}"
        with open(f"{self.dir}/target.js", "w") as f:
            f.write(SCRIPT % aimed)
        with open(f"{self.dir}/k6fleetd.conf.new", "w") as f:
            f.write(f"""
max_workers = 50
control_socket = '{self.dir}/run/control.sock'
state_dir = '{self.dir}/state'
metrics_listen = ''
worker_heartbeat = 500ms
worker_timeout = 3s
run_grace = {self.random.choice([2, 3, 4])}s
drain_timeout = {self.random.choice([2, 3, 5])}s
restart {{ min_delay = 20ms max_delay = 500ms stable_after = 2s }}
limits {{ open_files = {self.random.choice([1000, 2000])} }}
dashboard {{
	url = 'http://127.0.0.1:{self.port}'
	poll_interval = {self.random.choice([300, 500])}ms
	heartbeat_interval = 1s
	timeout = 2s
}}
target 'a' {{ script_file = '{self.dir}/target.js' interval = 2s timeout = 8s }}
target 'b' {{ script_file = '{self.dir}/target.js' interval = 5s timeout = 8s }}
""")
        os.rename(f"{self.dir}/k6fleetd.conf.new", f"{self.dir}/k6fleetd.conf")

    def start_fleet(self):
        self.fleet = subprocess.Popen(
            [f"{self.args.build}/k6fleetd", "-c", f"{self.dir}/k6fleetd.conf"], env=self.env,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def start_dashboard(self):
        self.dashboard = subprocess.Popen(
            [f"{self.args.build}/k6fleet-dashboard", "-l", f"127.0.0.1:{self.port}", "-d",
             f"{self.dir}/dash/dashboard.db"], env=self.env, stdin=subprocess.DEVNULL,
            stdout=self.dashboard_log, stderr=self.dashboard_log)

    def ctl(self, *args, timeout=20):
        return subprocess.run([f"{self.args.build}/k6fleetctl", "-s", f"{self.dir}/run/control.sock",
                               *args], env=self.env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)

    def status(self):
        answer = self.ctl("--json", "status")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def wait(self, seconds, what, test):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.keep_up()
            if test():
                return True
            time.sleep(0.1)
        self.problems.append(f"{what}: not within {seconds} s")
        return False

    # --- mischief ---------------------------------------------------------------------

    def supervisor(self):
        return [p for p in children(self.fleet.pid) if title(p).startswith("k6fleetd: supervisor")]

    def workers(self):
        return [p for p in children(self.fleet.pid) if title(p).startswith("k6fleetd: k6agent")]

    def k6s(self):
        return [p for w in self.workers() for p in children(w)]

    def hit(self, what, pids, signals):
        if not pids:
            return
        pid = self.random.choice(pids)
        sig = self.random.choice(signals)
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        self.counts[f"{what} {sig.name}"] += 1
        if sig == signal.SIGSTOP:
            self.stopped[pid] = time.monotonic() + self.random.choice([0.2, 1, 7])

    def scale(self):
        self.ctl("scale", str(self.random.randrange(0, AGENTS_MAX + 1)),
                 *(["--now"] if self.random.random() < 0.3 else []))
        self.counts["scale"] += 1

    def verb(self, *args):
        self.ctl(*args)
        self.counts[" ".join(args)] += 1

    def reload(self):
        self.write_config()
        if self.random.random() < 0.5:
            self.verb("reload")
        else:
            self.hit("keeper", [self.fleet.pid], [signal.SIGHUP])

    def step(self):
        term, kill, stop = signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP
        dice = self.random.random() * 100
        if dice < 28:
            self.hit("worker", self.workers(), [kill, kill, kill, term, stop])
        elif dice < 45:
            self.hit("k6", self.k6s(), [kill, kill, kill, term, stop])
        elif dice < 68:
            self.hit("supervisor", self.supervisor(), [kill] * 9 + [stop])
        elif dice < 70:
            self.hit("keeper", [self.fleet.pid], [kill])
        elif dice < 76:
            self.hit("dashboard", [self.dashboard.pid], [kill, term, stop])
        elif dice < 88:
            self.scale()
        elif dice < 91:
            self.verb("restart", *(["--rolling"] if self.random.random() < 0.5 else []))
        elif dice < 93:
            self.verb("drain", f"k6agent-{self.random.randrange(AGENTS_MAX)}")
        elif dice < 96:
            self.reload()
        elif dice < 99:
            self.hit("keeper", [self.fleet.pid], [signal.SIGUSR2])
        else:
            self.verb("pause", *(["--now"] if self.random.random() < 0.5 else []))
            self.verb("resume")

    def keep_up(self):
        """Restarts dead daemons, as a service manager does, and continues processes that were stopped long enough."""
        if self.fleet.poll() is not None:
            self.start_fleet()
        if self.dashboard.poll() is not None:
            self.start_dashboard()
        for pid, until in list(self.stopped.items()):
            if time.monotonic() >= until:
                del self.stopped[pid]
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass

    # --- the books ----------------------------------------------------------------------

    def fetch(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("GET", path)
        r = c.getresponse()
        body = r.read()
        return json.loads(body) if r.status == 200 else None

    def check_end(self):
        self.ctl("resume")
        self.ctl("scale", "5")
        self.wait(40, "5 agents after it all", lambda: (s := self.status()) and s["running"] == 5
                  and s["desired"] == 5)
        self.ctl("pause")
        self.wait(40, "no run goes on", lambda: (s := self.status()) and s["busy"] == 0)
        self.wait(40, "the outbox is empty", lambda: (s := self.status()) and
                  s["dashboard"]["outbox"] == 0 and s["dashboard"]["state"] == "connected")
        self.fleet.terminate()
        try:
            rc = self.fleet.wait(30)
            if rc != 0:
                self.problems.append(f"k6fleetd ended with {rc}")
        except subprocess.TimeoutExpired:
            self.problems.append("k6fleetd does not stop")
        # Orphans are now children of this process.
        own = [self.dashboard.pid, self.fleet.pid]
        left = [p for p in children(os.getpid()) if p not in own and alive(p)]
        if left:
            self.problems.append(f"left over: {[(p, title(p)) for p in left]}")

    def check_books(self):
        db = sqlite3.connect(f"{self.dir}/state/supervisor.db")
        rows = db.execute("SELECT id, status, json FROM runs").fetchall()
        runs = {}
        for run_id, status, text in rows:
            run = json.loads(text)
            runs[run_id] = run
            if status == "running":
                self.problems.append(f"run {run_id} is still running in the local store")
            there = self.fetch(f"/api/dashboard/k6/runs/{run_id}")
            if not there:
                self.problems.append(f"run {run_id} ({status}) is not at the dashboard")
                continue
            for key in ("status", "reason", "agent", "targetId", "startedAt", "finishedAt",
                        "errorMessage", "metrics", "exitCode", "latencyQuantiles"):
                if there.get(key) != run.get(key):
                    self.problems.append(f"run {run_id}: {key} is {run.get(key)!r} here, "
                                         f"{there.get(key)!r} at the dashboard")
        total = self.fetch("/api/dashboard/k6/runs?pageSize=1")["total"]
        if total != len(runs):
            self.problems.append(f"{len(runs)} runs here, {total} at the dashboard")
        self.check_server(runs)
        return runs

    def check_server(self, runs):
        """Each successful run has its own group of requests at the server, with the number that it reports and within
        its time.  Each other group belongs to a run that can have made it."""
        def seconds(text):
            return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

        free = dict(AimedAt.seen)
        spans = [(seconds(r["startedAt"]) - 0.05, seconds(r["finishedAt"]) + 0.05, r)
                 for r in runs.values()]
        for start, end, run in sorted(spans, key=lambda s: s[0]):
            if run["status"] != "success":
                continue
            n = run["metrics"]["http_reqs"]
            fits = [t for t, (first, last, count) in free.items()
                    if count == n and start <= first and last <= end]
            if not fits:
                self.problems.append(f"run {run['id']} counts {n} requests; the server saw no such run")
            else:
                del free[min(fits, key=lambda t: free[t][0])]
        others = [s for s in spans if s[2]["status"] != "success"]
        for token, (first, last, count) in free.items():
            # The run of a killed worker ends when the supervisor notices the death, so its requests may be earlier.
            if not any(start <= first <= end + 10 for start, end, _ in others):
                self.problems.append(f"{count} requests of {token} at {first}: no run was going on")
        if len(free) > len(others):
            self.problems.append(f"{len(free)} groups of requests for {len(others)} runs")

    # --- all of it --------------------------------------------------------------------------

    def run(self):
        self.start_dashboard()
        self.start_fleet()
        if not self.wait(20, "the first start", self.status):
            return
        self.ctl("scale", str(AGENTS_MAX), "--wait")
        end = time.monotonic() + self.args.seconds
        while time.monotonic() < end:
            self.keep_up()
            # Six seconds in ten, so that some runs succeed and some are hit.
            if time.monotonic() % 10 < 6:
                self.step()
            time.sleep(self.random.random() * 0.3)
        for pid in self.stopped:
            self.stopped[pid] = 0
        self.keep_up()
        self.check_end()
        runs = self.check_books()
        for what, n in sorted(self.counts.items()):
            print(f"{n:6} {what}")
        by = collections.Counter(r["status"] + (" " + r["reason"] if r["reason"] else "")
                                 for r in runs.values())
        print(f"{len(runs)} runs: " + ", ".join(f"{n} {s}" for s, n in by.most_common()))
        if by["success"] < self.args.seconds / 5:
            self.problems.append("hardly a run succeeded: nothing was tested")

    def clean_up(self):
        for p in (self.fleet, self.dashboard):
            if p and p.poll() is None:
                p.kill()
                p.wait()
        for pid in list(self.stopped) + children(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.problems and not self.args.keep:
            for name in ("k6fleetd.log", "dashboard.log"):
                with open(f"{self.dir}/{name}", errors="replace") as f:
                    print(f"--- {name}\n" + "".join(f.readlines()[-150:]))
        if not self.args.keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", required=True)
    p.add_argument("--seconds", type=float, default=120)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    p.add_argument("--keep", action="store_true", help="leave directory and logs")
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    args.www = os.path.join(args.build, "src/dashboard/www.out")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    print(f"seed {args.seed} (--seed {args.seed} makes the same choices)", flush=True)
    chaos = Chaos(args)
    try:
        chaos.run()
    finally:
        chaos.clean_up()
    for problem in chaos.problems[:50]:
        print(f"PROBLEM: {problem}")
    print("not ok" if chaos.problems else "ok")
    return 1 if chaos.problems else 0


if __name__ == "__main__":
    sys.exit(main())
