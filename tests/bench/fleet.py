#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures how long the whole daemon takes to start, refill, scale and stop a fleet, beside the least time of the same
machine in the same minute (tests/bench/start).  Run it as root, on a machine that does nothing else: make bench.

k6 is the one that K6_BINARY names, else the one in PATH.

usage: fleet.py BUILDDIR SRCDIR [AGENTS]
"""
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5


class Control:
    """Uses one connection, so that the time is the daemon's and not that of starting a client."""

    def __init__(self, path):
        self.path = path
        self.connect()

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)
        self.file = self.sock.makefile("rwb")
        self.file.readline()

    def call(self, verb, **members):
        self.file.write(json.dumps(dict(verb=verb, **members)).encode() + b"\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "progress" not in answer:
                assert answer["ok"], answer
                return answer["data"]

    def metric(self, pattern):
        text = self.call("metrics")["text"]
        return sum(float(v) for v in re.findall(rf"^{pattern} (\S+)$", text, re.M))


def find_k6():
    k6 = os.environ.get("K6_BINARY") or shutil.which("k6")
    if not k6 or not os.access(k6, os.X_OK):
        sys.exit(f"bench: there is no k6 {'at ' + k6 if k6 else 'in PATH'}: set K6_BINARY to where it is")
    return os.path.abspath(k6)


class Bench:
    def __init__(self, build, src, agents):
        self.build, self.src, self.agents = os.path.abspath(build), src, agents
        self.dir = tempfile.mkdtemp(prefix="k6fleet-bench.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.socket = f"{self.dir}/run/control.sock"
        self.env = dict(os.environ, K6FLEET_LIBEXECDIR=self.build, K6_BINARY=find_k6())
        with open(f"{self.dir}/k6fleetd.conf", "w") as f:
            f.write(f"workers = 0\nmax_workers = {agents + 100}\nmetrics_listen = ''\n"
                    f"control_socket = '{self.socket}'\nstate_dir = '{self.dir}/state'\n")
        self.daemon = None

    def floor_ms(self):
        out = subprocess.run([f"{self.build}/tests/bench/start", f"{self.src}/etc/k6fleetd.conf",
                              str(self.agents), "5"], env=self.env, check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        print(out)
        return float(re.search(r"^floor.*?(\d+\.\d+)$", out, re.M)[1]) * self.agents / 1000

    def start(self):
        with open(f"{self.dir}/log", "ab") as log:
            self.daemon = subprocess.Popen([f"{self.build}/k6fleetd", "-c",
                                            f"{self.dir}/k6fleetd.conf"], env=self.env, stdout=log,
                                           stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.control = Control(self.socket)
                self.control.call("ping")
                return
            except (OSError, ValueError):
                time.sleep(0.05)
        sys.exit("k6fleetd did not start: see " + self.dir)

    def timed(self, act):
        start = time.monotonic()
        act()
        return (time.monotonic() - start) * 1000

    def scale(self, n):
        return self.timed(lambda: self.control.call("scale", agents=n, wait=True, now=True))

    def pids(self):
        return [a["pid"] for a in self.control.call("status")["agents"] if a["pid"]]

    def refill(self, pids):
        """Measures from the kill of these workers to the first message of the last replacement."""
        restarts = r'k6fleet_worker_restarts_total\{reason="\w+"\}'
        before = self.control.metric(restarts)
        want = len(self.pids())

        def kill_and_wait():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            while True:
                self.control.call("scale", agents=want, wait=True)
                if self.control.metric(restarts) == before + len(pids):
                    return
        return self.timed(kill_and_wait)

    def supervisor(self):
        with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children") as f:
            for pid in f.read().split():
                with open(f"/proc/{pid}/cmdline") as c:
                    if c.read().startswith("k6fleetd: supervisor"):
                        return int(pid)
        return 0

    def replaced(self):
        """Measures from kill -9 of the supervisor to the first response of the next one to a new client."""
        def kill_and_ask():
            os.kill(self.supervisor(), signal.SIGKILL)
            self.control = Control(self.socket)
            self.control.call("ping")
        ms = self.timed(kill_and_ask)
        self.control.call("scale", agents=self.agents, wait=True)
        return ms

    def cpu_ms_per_s(self, pid, seconds):
        def used():
            total = 0
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
            return total / 1e6
        before = used()
        time.sleep(seconds)
        return (used() - before) / seconds

    def ctl_status(self):
        return self.timed(lambda: subprocess.run(
            [f"{self.build}/k6fleetctl", "-s", self.socket, "status", "--json"], check=True,
            stdout=subprocess.DEVNULL))

    def stop(self):
        def term():
            self.daemon.terminate()
            self.daemon.wait()
        return self.timed(term)

    def run(self):
        n, rows = self.agents, []
        floor = self.floor_ms()
        self.start()
        self.scale(n)
        up, small, refill = [], [], []
        for _ in range(ROUNDS):
            self.scale(0)
            up.append(self.scale(n))
            time.sleep(1.2)  # a younger worker's death would count as a failure of its own
            refill.append(self.refill(self.pids()))
        one = []
        time.sleep(1.5)
        for pid in self.pids()[:40:2]:
            one.append(self.refill([pid]))
        for _ in range(ROUNDS):
            self.scale(100)
            small.append(self.scale(150))
        self.scale(n)
        asked = [self.ctl_status() for _ in range(20)]
        replaced = []
        for _ in range(ROUNDS):
            time.sleep(0.5)
            replaced.append(self.replaced())
        time.sleep(3)
        cpu = self.cpu_ms_per_s(self.supervisor(), 15)
        stops = [self.stop()]
        for _ in range(ROUNDS - 1):
            self.start()
            self.control.call("scale", agents=n, wait=True)
            stops.append(self.stop())
        rows = [
            (f"{n} workers up", up, f"<= 2 x floor = {2 * floor:.0f} ms"),
            (f"{n} killed at once, all back", refill, f"<= 2.5 x floor = {2.5 * floor:.0f} ms"),
            ("one killed, back", one, "<= 2 ms"),
            ("scale 100 -> 150", small, "<= 15 ms"),
            (f"supervisor killed with {n} workers, answers", replaced, "<= 100 ms"),
            (f"k6fleetctl status --json with {n}", asked, "<= 10 ms"),
            (f"stop of {n} idle", stops, "<= 250 ms"),
        ]
        print(f"{n} agents, floor {floor:.0f} ms for all; ms")
        print(f"{'':46}{'median':>8}{'max':>8}{'x floor':>9}  aim (median)")
        for name, values, aim in rows:
            m = statistics.median(values)
            print(f"{name:46}{m:8.1f}{max(values):8.1f}{m / floor:9.2f}  {aim}")
        print(f"{f'supervisor idle with {n} workers, ms/s':46}{cpu:8.2f}{'':17}  <= 1 ms/s")

    def clean_up(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    bench = Bench(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1000)
    try:
        bench.run()
    finally:
        bench.clean_up()


if __name__ == "__main__":
    main()
