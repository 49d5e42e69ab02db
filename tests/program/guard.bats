#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The dashboard against hostile clients: guessed passwords, slow requests, junk, many connections; TLS; headers.

load helpers

setup() {
	setup_dir
}
teardown() { teardown_dir; }

@test "wrong credentials are slowed per address; what needs none and other addresses are not" {
	start_dashboard
	guess() { status_of -u admin:guess "$@" "$DASH/api/admin/config"; }
	for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(guess)" = 401 ]; done
	[ "$(guess)" = 429 ]
	# Right credentials are not checked either, so a correct guess gets the same response.
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" "$DASH/api/admin/config")" = 429 ]
	curl -sS -D - -o /dev/null -u admin:guess "$DASH/api/admin/config" | grep -qiE '^retry-after: [1-6]'
	[ "$(status_of "$DASH/api/dashboard/k6/agents")" = 200 ]
	[ "$(status_of "$DASH/healthz")" = 200 ]
	[ "$(status_of --interface 127.0.0.2 -u "$ADMIN_BASIC_AUTH" "$DASH/api/admin/config")" = 200 ]
	open_again() { [ "$(status_of -u "$ADMIN_BASIC_AUTH" "$DASH/api/admin/config")" = 200 ]; }
	retry 15 open_again
	refute grep -q guess "$T/dashboard.log"
}

@test "headers: a policy without inline code, nosniff, no frames, no cookies, no CORS; the page works under it" {
	start_dashboard
	curl -sS -D "$T/headers" -o "$T/page" -H 'Origin: http://evil.example' "$DASH/"
	grep -qi "^content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';" "$T/headers"
	grep -qi '^x-content-type-options: nosniff' "$T/headers"
	grep -qi '^x-frame-options: DENY' "$T/headers"
	refute grep -qiE '^(set-cookie|access-control-)' "$T/headers"
	refute grep -qE '<script>|<style>| style=| on[a-z]+=' "$T/page"
	for asset in $(grep -oE '/assets/[a-z0-9./]+' "$T/page"); do
		[ "$(status_of "$DASH$asset")" = 200 ]
		etag=$(curl -sS -D - -o /dev/null "$DASH$asset" | sed -n 's/^[Ee][Tt]ag: \([^\r]*\).*/\1/p')
		[ "$(status_of -H "If-None-Match: $etag" "$DASH$asset")" = 304 ]
	done
	[ "$(status_of "$DASH/assets/nope.js")" = 404 ]
	[ "$(status_of "$DASH/assets/..%2f..%2fstore.c")" = 404 ]
}

@test "TLS by tls_cert and tls_key; plain requests get nothing; a pair that does not fit is refused" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key.pem" -out "$T/cert.pem" -days 2 -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null
	openssl genrsa -out "$T/other.pem" 2048 2>/dev/null
	export DASHBOARD_SECRET=agent-secret-for-tests ADMIN_BASIC_AUTH=admin:pass-for-tests
	port=$(free_port)
	printf "tls_cert = '%s'\n" "$T/cert.pem" >"$T/dash.conf"
	run "$top_builddir/k6fleet-dashboard" -c "$T/dash.conf" -t
	[ "$status" -eq 1 ]
	[[ $output == *"go together"* ]]
	printf "tls_cert = '%s'\ntls_key = '%s'\n" "$T/cert.pem" "$T/other.pem" >"$T/dash.conf"
	run "$top_builddir/k6fleet-dashboard" -c "$T/dash.conf" -l "127.0.0.1:$port" -d "$T/dash/dashboard.db"
	[ "$status" -eq 1 ]
	[[ $output == *"fit together"* ]]
	printf "tls_cert = '%s'\ntls_key = '%s'\n" "$T/cert.pem" "$T/key.pem" >"$T/dash.conf"
	"$top_builddir/k6fleet-dashboard" -c "$T/dash.conf" -l "127.0.0.1:$port" -d "$T/dash/dashboard.db" >"$T/dashboard.log" 2>&1 3>&- &
	PIDS+=($!)
	retry 10 curl -fsS --max-time 2 --cacert "$T/cert.pem" -o /dev/null "https://127.0.0.1:$port/healthz"
	curl -sS --cacert "$T/cert.pem" -u "$ADMIN_BASIC_AUTH" "https://localhost:$port/api/admin/config" | jq -e '.k6DesiredAgentCount == 0'
	[ "$(curl -sS --cacert "$T/cert.pem" --max-time 2 -N "https://localhost:$port/api/events" | head -1)" = 'retry: 2000' ]
	[ "$(curl -s --max-time 3 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/healthz" || true)" != 200 ]
	refute curl -s --tls-max 1.1 --cacert "$T/cert.pem" "https://127.0.0.1:$port/healthz"
	# A real k6fleetd works with it.
	write_conf <<-CONF
		workers = 1
		dashboard { url = 'https://localhost:$port' ca_file = '$T/cert.pem' poll_interval = 200ms }
	CONF
	start_fleet
	connected() { [ "$(ctl status --json | jq -r .dashboard.state)" = connected ]; }
	retry 10 connected
}

@test "junk, drips, huge and deep bodies, thousands of connections: answered or cut, and everybody else is served" {
	start_dashboard
	python3 - "$DASH_PORT" <<-'PY'
		import os, random, socket, sys, time
		port = int(sys.argv[1])
		def connect():
		    s = socket.create_connection(("127.0.0.1", port)); s.settimeout(15); return s
		def healthy():
		    s = connect(); begin = time.time()
		    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		    got = b""
		    while True:
		        part = s.recv(65536)
		        if not part: break
		        got += part
		    assert got.startswith(b"HTTP/1.1 200"), got
		    assert time.time() - begin < 2, time.time() - begin
		random.seed(7)
		for i in range(300):
		    s = connect()
		    try:
		        s.sendall(os.urandom(random.randrange(1, 3000)) + (b"\r\n\r\n" if i % 2 else b""))
		    except OSError: pass
		    s.close()
		healthy()
		def post(body, head=b"", path=b"/api/k6/runs"):
		    s = connect()
		    request = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer agent-secret-for-tests\r\nContent-Type: application/json\r\n" + head
		    try:
		        s.sendall(request + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
		    except OSError: pass
		    got = b""
		    try:
		        while True:
		            part = s.recv(65536)
		            if not part: break
		            got += part
		    except OSError: pass
		    return got.split(b" ", 2)[1] if got else b""
		assert post(b"[" * 100000) == b"400"
		assert post(b'{"a":1,"a":2}') == b"400"
		assert post(b'{"id":"\xff\xfe"}') == b"400"
		assert post(b'{"runs":[' + b",".join([b"1"] * 10001) + b"]}") == b"413"
		assert post(b" " * (5 << 20)) == b"413"
		assert post(b"") == b"400"
		assert post(b"{}", path=b"/api/k6/hosts/%00/scale") in (b"400", b"404")
		for text in ("'; DROP TABLE k6_runs; --", '" OR 1=1 --', "a\\u0000b", "\\r\\nSet-Cookie: x=y", "%27%3B"):
		    body = ('{"host":"%s","agents":[{"name":"%s"}]}' % (text.replace('"', '\\"'), text.replace('"', '\\"'))).encode()
		    assert post(body, path=b"/api/k6/agents/register") in (b"200", b"400"), text
		healthy()
		# One client sends a header byte by byte, beside many idle connections.
		drips = [connect() for _ in range(50)]
		idle = []
		try:
		    for _ in range(1500): idle.append(connect())
		except OSError: pass
		for s in drips: s.sendall(b"GET / HTTP/1.1\r\nX-")
		begin, cut = time.time(), 0
		while time.time() - begin < 3:
		    for s in drips:
		        try: s.sendall(b"a")
		        except OSError: cut += 1
		    healthy()
		    time.sleep(0.3)
		print("served beside", len(idle), "idle and", len(drips), "dripping connections")
	PY
	curl -fsS "$DASH/api/dashboard/k6/agents" | jq -e '.items | length >= 4'
	admin GET /api/admin/config | jq -e .revision
	# A request that never ends is cut, although its client keeps sending.
	[ "$(sed -n 's/^Seccomp:\t//p' "/proc/$DASH_PID/status")" = 2 ]
	[ "$(sed -n 's/^CapEff:\t//p' "/proc/$DASH_PID/status")" = 0000000000000000 ]
}

@test "a client that drips its request for a minute is cut" {
	start_dashboard
	python3 - "$DASH_PORT" <<-'PY'
		import socket, sys, time
		s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		s.sendall(b"GET / HTTP/1.1\r\nX-Drip: ")
		begin = time.time()
		try:
		    while time.time() - begin < 90:
		        s.sendall(b"a"); time.sleep(1)
		except OSError: pass
		took = time.time() - begin
		assert 55 < took < 75, took
	PY
}

@test "kill -9 under load loses no run that was acknowledged; a damaged database is refused, not served" {
	start_dashboard
	cat >"$T/load.py" <<-'PY'
		import json, sys, time, urllib.request
		port, out = sys.argv[1], open(sys.argv[2], "a", buffering=1)
		n = 0
		while True:
		    ids = ["k-%s-%d-%d" % (sys.argv[3], n, i) for i in range(20)]
		    body = json.dumps({"runs": [{"id": i, "host": "h", "status": "success", "startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())} for i in ids]}).encode()
		    rq = urllib.request.Request("http://127.0.0.1:%s/api/k6/runs" % port, body, {"Content-Type": "application/json", "Authorization": "Bearer agent-secret-for-tests"})
		    try:
		        if json.load(urllib.request.urlopen(rq, timeout=5))["accepted"] == 20: out.write("\n".join(ids) + "\n")
		    except Exception: break
		    n += 1
	PY
	for round in 1 2 3 4 5; do
		python3 "$T/load.py" "$DASH_PORT" "$T/acknowledged" "$round" 3>&- &
		load=$!
		sleep 0.7
		stop_dashboard KILL
		wait "$load" || true
		start_dashboard
	done
	[ "$(wc -l <"$T/acknowledged")" -gt 500 ]
	curl -fsS "$DASH/api/dashboard/k6/runs.csv" | sed -n 's/^"\(k-[^"]*\)".*/\1/p' | sort >"$T/stored"
	[ -z "$(sort "$T/acknowledged" | comm -23 - "$T/stored")" ]
	[ -z "$(uniq -d "$T/stored")" ]
	[ "$(curl -fsS "$DASH/api/dashboard/k6/runs" | jq .total)" -eq "$(wc -l <"$T/stored")" ]
	stop_dashboard
	# Pages in the middle of the database are overwritten, as by a bad disk, and the database was not closed.
	python3 - "$T/dash/dashboard.db" <<-'PY'
		import os, sys
		size = os.path.getsize(sys.argv[1])
		with open(sys.argv[1], "r+b") as f:
		    for at in range(8192, size, 8192): f.seek(at); f.write(b"\xa5" * 4096)
		open(sys.argv[1] + "-wal", "wb").write(b"x" * 100)
		owner = os.stat(sys.argv[1])
		os.chown(sys.argv[1] + "-wal", owner.st_uid, owner.st_gid)
	PY
	run "$top_builddir/k6fleet-dashboard" -l "127.0.0.1:$DASH_PORT" -d "$T/dash/dashboard.db"
	[ "$status" -eq 1 ]
	[[ $output == *"damaged"* || $output == *"malformed"* ]]
}
