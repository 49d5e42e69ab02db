#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures the dashboard with many stored runs on this machine.

usage: dashboard.py BUILDDIR [--runs 2000000] [--dir DIR]    run by hand or by `make bench-dashboard`

Fills a database over 30 days (20 targets, 50 agents on 2 hosts, a tenth of the runs failed), then measures a dashboard
of its own on loopback: ingest, heartbeats, pages of runs with every filter, overview, series, requests a second.
The times are those of a client with keep-alive; each line shows the goal beside the time.
"""
import argparse
import base64
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

DAY_MS = 86400000
SECRET, ADMIN = "bench-secret", "admin:bench"


class Client:
    def __init__(self, port):
        self.c = http.client.HTTPConnection("127.0.0.1", port)

    def call(self, method, path, body=None, headers=None):
        h = {"Authorization": "Bearer " + SECRET, "Content-Type": "application/json", **(headers or {})}
        begin = time.perf_counter()
        self.c.request(method, path, body, h)
        r = self.c.getresponse()
        data = r.read()
        took = (time.perf_counter() - begin) * 1000
        assert r.status in (200, 201), (path, r.status, data[:300])
        return took, data


def start(build, db, port, log):
    env = {**os.environ, "DASHBOARD_SECRET": SECRET, "ADMIN_BASIC_AUTH": ADMIN,
           "K6FLEET_WWW_DIR": os.path.abspath(build + "/src/dashboard/www.out")}
    p = subprocess.Popen([build + "/k6fleet-dashboard", "-l", "127.0.0.1:%d" % port, "-d", db], env=env, stderr=log)
    for _ in range(600):
        try:
            Client(port).call("GET", "/healthz")
            return p
        except OSError:
            if p.poll() is not None:
                sys.exit("the dashboard did not start")
            time.sleep(0.1)
    sys.exit("the dashboard does not answer")


def stop(p):
    p.terminate()
    p.wait()


def rss_kib(p):
    for line in open("/proc/%d/status" % p.pid):
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def cpu_s(p):
    f = open("/proc/%d/stat" % p.pid).read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def stamp(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) + ".%03dZ" % (ms % 1000)


def make_run(i, started, with_quantiles=True):
    rnd = random.Random(i)
    base = rnd.uniform(1, 50)
    # Numbers have seven digits, as k6fleetd sends them.
    q = sorted(float("%.7g" % rnd.expovariate(1 / base)) for _ in range(101))
    status = rnd.choices(["success", "failed", "error"], [90, 8, 2])[0]
    agent = i % 50
    run = {"id": "0190%028x" % i, "agent": "k6agent-%d" % (agent // 2), "host": "web%d" % (agent % 2),
           "targetId": "target-%d" % (i // 50 % 20), "targetLabel": "Target %d" % (i // 50 % 20), "status": status,
           "reason": {"success": None, "failed": "thresholds", "error": "timeout"}[status], "plannedMs": 10000,
           "scheduledAt": stamp(started), "startedAt": stamp(started), "finishedAt": stamp(started + 10000), "lagMs": rnd.randrange(100),
           "errorMessage": None,
           "metrics": {"p50_ms": q[50], "p95_ms": q[95], "p99_ms": q[99], "avg_ms": base, "error_rate": rnd.choice([0, 0, 0, 0.1]),
                       "rps": 10.0, "data_received_bytes": 1000, "iterations": 100, "http_reqs": 100, "http_reqs_answered": 100,
                       "checks_passed": None, "checks_failed": None, "vus": 1},
           "thresholds": [], "resources": {"cpuMs": 900, "maxRssBytes": 71000000, "tmpBytes": 8192}, "exitCode": 0}
    if with_quantiles:
        run["latencyQuantiles"] = q
    return run, q


def seed(db, count, now):
    con = sqlite3.connect(db)
    con.executemany("INSERT INTO k6_names (no, kind, host, name) VALUES (?,?,?,?)",
                    [(1 + i, 0, "", "target-%d" % i) for i in range(20)] + [(21 + i, 1, "web%d" % (i % 2), "k6agent-%d" % (i // 2)) for i in range(50)])
    con.commit()
    con.execute("PRAGMA synchronous = OFF")
    con.execute("PRAGMA cache_size = -200000")
    indices = con.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'k6_runs' AND sql IS NOT NULL").fetchall()
    for name, _ in indices:
        con.execute("DROP INDEX " + name)
    # A thousand different runs, used repeatedly: only their number matters.
    samples = [make_run(i, now) for i in range(1000)]
    rows, begin, span = [], time.time(), 30 * DAY_MS
    for i in range(count):
        # The agents are in the order of make_run().
        started = now - span + span * i // count
        run, q = samples[i % 1000]
        run = dict(run, id="0190%028x" % i, targetId="target-%d" % (i // 50 % 20), targetLabel="Target %d" % (i // 50 % 20), startedAt=stamp(started),
                   scheduledAt=stamp(started), startedAtMs=started)
        run.pop("latencyQuantiles", None)
        m = run["metrics"]
        rows.append((run["id"], run["agent"], run["host"], run["targetId"], run["status"], run["reason"], started, 10000, m["p95_ms"],
                     m["error_rate"], run["lagMs"], None, json.dumps(run, separators=(",", ":")), struct.pack("101d", *q), None, 100, 100, 10.0, 1 + i // 50 % 20,
                     21 + i % 50))
        if len(rows) == 50000 or i == count - 1:
            con.executemany("INSERT INTO k6_runs (id, agent, host, target_id, status, reason, started_at, planned_ms, p95_ms, error_rate, lag_ms,"
                            " error_message, json, quantiles, log, http_reqs, answered, rps, target_no, agent_no)"
                            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
            con.commit()
            rows = []
    for _, sql in indices:
        con.execute(sql)
    con.execute("INSERT OR IGNORE INTO k6_rollup_dirty SELECT DISTINCT started_at / 3600000, target_id FROM k6_runs")
    con.commit()
    con.close()
    os.sync()
    print("seeded %d runs in %.0f s, %d MiB" % (count, time.time() - begin, os.path.getsize(db) >> 20))


def p99(times):
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def report(what, value, unit, aim, ok):
    print("%-58s %10.2f %-6s aim %-10s %s" % (what, value, unit, aim, "ok" if ok else "MISSED"))


def measure_pages(c, now, rounds=400):
    rnd = random.Random(5)
    times, worst = [], (0, "")
    for _ in range(rounds):
        q = {"page": rnd.choice([1, 1, 2, 10, 100, 500, 1000])}
        if rnd.random() < 0.5:
            q["targetId"] = "target-%d" % rnd.randrange(20)
        if rnd.random() < 0.4:
            q["agent"] = "k6agent-%d" % rnd.randrange(25)
        if rnd.random() < 0.3:
            q["host"] = "web%d" % rnd.randrange(2)
        if rnd.random() < 0.4:
            q["status"] = rnd.choice(["success", "failed", "error"])
        if rnd.random() < 0.3:
            q["from"] = stamp(now - rnd.randrange(30 * DAY_MS))
        if rnd.random() < 0.2:
            q["to"] = stamp(now - rnd.randrange(DAY_MS))
        path = "/api/dashboard/k6/runs?" + "&".join("%s=%s" % kv for kv in q.items())
        took, _ = c.call("GET", path)
        times.append(took)
        worst = max(worst, (took, path))
    return p99(times), sorted(times)[len(times) // 2], worst


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("build")
    ap.add_argument("--runs", type=int, default=2000000)
    ap.add_argument("--dir")
    a = ap.parse_args()
    own = a.dir or tempfile.mkdtemp(prefix="k6fleet-bench.")
    os.makedirs(own, exist_ok=True)
    # As root, the dashboard becomes its own user; the directory must belong to that user.
    os.chmod(own, 0o755)
    db, log = own + "/state/dashboard.db", open(own + "/log", "a")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    now = int(time.time() * 1000)
    if not os.path.exists(db):
        stop(start(a.build, db, port, log))
        seed(db, a.runs, now)
    p = start(a.build, db, port, log)
    try:
        c = Client(port)
        con = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
        begin, stalls = time.time(), []
        while con.execute("SELECT count(*) FROM k6_rollup_dirty WHERE hour < ?", (int(time.time()) // 3600,)).fetchone()[0]:
            stalls.append(c.call("GET", "/healthz")[0])
            time.sleep(0.02)
        if stalls:
            report("longest request while all hours are rolled up (%.0f s)" % (time.time() - begin), max(stalls), "ms", "<= 50", max(stalls) <= 50)
        p99_ms, median, worst = measure_pages(c, now)
        report("pages of runs, random filters and pages: p99", p99_ms, "ms", "<= 20", p99_ms <= 20)
        print("  median %.2f ms; slowest %.1f ms: %s" % (median, worst[0], worst[1]))
        times = [c.call("GET", "/api/dashboard/k6/overview")[0] for _ in range(100)]
        report("overview: p99", p99(times), "ms", "<= 10", p99(times) <= 10)
        span = "from=%s&to=%s" % (stamp(now - 30 * DAY_MS), stamp(now))
        times = [c.call("GET", "/api/dashboard/k6/targets/target-%d/series?%s&step=%d" % (i % 20, span, s))[0]
                 for i in range(40) for s in (3600, 21600, 86400)]
        report("series over 30 days: p99", p99(times), "ms", "<= 50", p99(times) <= 50)
        agents = [{"name": "k6agent-%d" % i, "slot": i} for i in range(1000)]
        c.call("POST", "/api/k6/agents/register", json.dumps({"host": "big", "managed": True, "maxAgents": 1000, "agents": agents}))
        beat = [{"name": "k6agent-%d" % i, "status": "idle", "restarts": 0} for i in range(1000)]
        body = json.dumps({"host": "big", "agents": beat})
        times = [c.call("POST", "/api/k6/agents/heartbeat", body)[0] for _ in range(50)]
        report("heartbeat of 1,000 agents: median", sorted(times)[25], "ms", "<= 5", sorted(times)[25] <= 5)
        before, begin = cpu_s(p), time.time()
        for _ in range(100):
            c.call("POST", "/api/k6/agents/heartbeat", body)
        each = (cpu_s(p) - before) / 100
        report("10,000 agents every 30 s: share of a core", each * 10 / 30 * 100, "%", "<= 3", each * 10 / 30 <= 0.03)
        n, batches = 0, []
        for b in range(100):
            batches.append(json.dumps({"runs": [make_run(10 ** 9 + int(now) % 10 ** 8 * 100000 + b * 100 + i, now)[0] for i in range(100)]}))
        begin = time.time()
        for body in batches:
            c.call("POST", "/api/k6/runs", body)
            n += 100
        rate = n / (time.time() - begin)
        report("ingest in batches of 100", rate, "runs/s", ">= 10000", rate >= 10000)
        if shutil.which("wrk"):
            for path, aim in (("/healthz", 20000), ("/api/dashboard/k6/runs", 5000)):
                out = subprocess.run(["wrk", "-t1", "-c32", "-d5s", "http://127.0.0.1:%d%s" % (port, path)], capture_output=True, text=True).stdout
                rate = float([line.split()[1] for line in out.splitlines() if line.startswith("Requests/sec")][0])
                report("requests a second: " + path, rate, "1/s", ">= %d" % aim, rate >= aim)
        report("largest resident memory", rss_kib(p) / 1024, "MiB", "<= 32", rss_kib(p) <= 32 * 1024)
    finally:
        stop(p)
        if not a.dir:
            shutil.rmtree(own)


main()
