#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# k6fleetd and the dashboard together, with real k6, from the target to the stored run.

load helpers

setup() {
	setup_dir
	start_server
}
teardown() { teardown_dir; }

fleet_with_dashboard() {
	write_conf <<CONF
workers = ${1:-2}
dashboard { url = '$DASH' poll_interval = 200ms heartbeat_interval = 300ms timeout = 2s }
CONF
	start_fleet
}

is_connected() {
	[ "$(ctl status --json | jq -r .dashboard.state)" = "${1:-connected}" ]
}

dash_runs() {
	curl -sS "$DASH/api/dashboard/k6/runs?pageSize=500&$1"
}

outbox_is_empty() {
	[ "$(ctl status --json | jq .dashboard.outbox)" = 0 ]
}

@test "a target made in the dashboard is run by every agent; the results stand there" {
	start_dashboard
	fleet_with_dashboard 3
	admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/e2e\",\"label\":\"E2E\",\"durationS\":2,\"runIntervalMs\":4000,\"vus\":2}" >"$T/target"
	three_agents() { [ "$(dash_runs status=success | jq '[.items[].agent] | unique | length')" = 3 ]; }
	retry 20 three_agents
	dash_runs status=success | jq -e 'all(.items[]; .metrics.p95_ms > 0 and .metrics.error_rate == 0 and .targetLabel == "E2E" and .lagMs < 3000)'
	id=$(dash_runs status=success | jq -r '.items[0].id')
	curl -sS "$DASH/api/dashboard/k6/runs/$id" | jq -e '.latencyQuantiles | length == 101'
	# The local history and the dashboard have the same runs.
	diff <(ctl show "$id" --json | jq -S '.metrics') <(curl -sS "$DASH/api/dashboard/k6/runs/$id" | jq -S '.metrics')
	curl -sS "$DASH/api/dashboard/k6/agents" | jq -e '.items | length == 3 and all(.k6Version | startswith("v"))'
	ctl targets --json | jq -e '.[0] | .label == "E2E" and .source == "dashboard" and .nextDueAt'
	# The target is disabled: no new run starts.
	admin PATCH "/api/admin/k6/targets/$(jq -r .id "$T/target")" '{"enabled":false}' >/dev/null
	nothing_runs() { [ "$(ctl status --json | jq .busy)" = 0 ] && [ "$(ctl targets --json | jq length)" = 0 ]; }
	retry 15 nothing_runs
	n=$(count_of /e2e)
	sleep 4.5
	[ "$(count_of /e2e)" = "$n" ]
	[ "$(dash_runs '' | jq '[.items[].metrics.http_reqs] | add')" = "$n" ]
}

@test "a run that failed takes its log and its reason to the dashboard" {
	start_dashboard
	fleet_with_dashboard 1
	admin POST /api/admin/k6/targets '{"script":"throw new Error(\"boom \\u00e9\"); export default function () {}","label":"Boom","runIntervalMs":3600000}' >/dev/null
	arrived() { [ "$(dash_runs status=error | jq .total)" = 1 ]; }
	retry 20 arrived
	dash_runs status=error | jq -e '.items[0] | .reason == "script_error" and .exitCode == 107 and (has("log") | not)'
	id=$(dash_runs status=error | jq -r '.items[0].id')
	curl -sS "$DASH/api/dashboard/k6/runs/$id" | jq -e '.log | contains("boom é")'
}

@test "scaling up and down at once leaves nobody behind" {
	start_dashboard
	fleet_with_dashboard 0
	for _ in 1 2 3 4 5; do
		ctl scale 40
		ctl scale 0
	done
	none() { [ "$(ctl status --json | jq -c '[.running, (.agents | length)]')" = '[0,0]' ]; }
	retry 20 none
	[ "$(children_of "$FLEET" | wc -w)" = 1 ]
}

@test "the desired count works both ways" {
	start_dashboard
	fleet_with_dashboard 2
	retry 15 is_connected
	[ "$(admin GET /api/admin/config | jq .k6DesiredAgentCount)" = 2 ]
	ctl scale 5 --wait
	dashboard_says() { [ "$(admin GET /api/admin/config | jq .k6DesiredAgentCount)" = "$1" ]; }
	retry 15 dashboard_says 5
	admin PUT /api/admin/config '{"k6DesiredAgentCount":8}' >/dev/null
	fleet_has() { [ "$(ctl status --json | jq -c '[.desired, .running]')" = "[$1,$1]" ]; }
	retry 15 fleet_has 8
	# A dashboard that has lost its database does not scale the fleet to 0.
	stop_dashboard
	rm -rf "$T/dash"
	ctl scale 6 --wait
	start_dashboard
	retry 20 is_connected
	retry 15 dashboard_says 6
	fleet_has 6
}

@test "agents that were scaled away are told as stopped" {
	start_dashboard
	fleet_with_dashboard 3
	retry 15 is_connected
	ctl scale 1 --wait
	stopped() { [ "$(curl -sS "$DASH/api/dashboard/k6/agents" | jq '[.items[] | select(.status == "stopped")] | length')" = 2 ]; }
	retry 15 stopped
}

@test "with the dashboard away runs go on, are kept, and arrive once when it is back" {
	start_dashboard
	fleet_with_dashboard 2
	admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/away\",\"label\":\"Away\",\"durationS\":1,\"runIntervalMs\":2000}" >/dev/null
	retry 20 has_finished Away
	stop_dashboard
	kept() { [ "$(ctl status --json | jq .dashboard.outbox)" -ge 4 ]; }
	retry 20 kept
	is_connected unreachable
	ctl status | grep -q unreachable
	# A restart of k6fleetd loses none of the runs either.
	kill -TERM "$FLEET"
	retry 20 is_gone "$FLEET"
	start_fleet
	start_dashboard
	retry 20 is_connected
	admin GET /api/admin/k6/targets | jq -r '.items[0].id' >"$T/id"
	admin PATCH "/api/admin/k6/targets/$(cat "$T/id")" '{"enabled":false}' >/dev/null
	settled() { [ "$(ctl status --json | jq .busy)" = 0 ] && [ "$(ctl targets --json | jq length)" = 0 ] && outbox_is_empty; }
	retry 15 settled
	diff <(runs | jq -r '.[] | .id + " " + .status + " " + (.reason // "-")' | sort) \
		<(dash_runs '' | jq -r '.items[] | .id + " " + .status + " " + (.reason // "-")' | sort)
	[ "$(dash_runs '' | jq '[.items[].metrics.http_reqs // 0] | add')" -le "$(count_of /away)" ]
}

@test "a wrong secret is said, without the secret; runs wait" {
	start_dashboard
	DASHBOARD_SECRET=not-the-secret
	export DASHBOARD_SECRET
	write_conf <<CONF
dashboard { url = '$DASH' poll_interval = 200ms }
target 'Local' { url = '$SERVER/local' duration = 1s interval = 1h }
CONF
	start_fleet
	retry 15 is_connected refused
	ctl status | grep -q 'does not accept the secret'
	expect_run Local success -
	[ "$(ctl status --json | jq .dashboard.outbox)" -ge 1 ]
	refute grep -q not-the-secret "$T"/*.log
}

# A dashboard that sends invalid responses.
bad_dashboard() {
	python3 - "$T/badport" "$1" 3>&- <<-'PY' &
		import http.server, os, sys
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.rfile.read(int(self.headers.get("Content-Length") or 0))
		        kind = sys.argv[2]
		        body = {"garbage": b"\x00\xff{{{", "html": b"<html>", "wrong": b'{"targets":5,"desired":{"agents":-1,"revision":"x"},"unknown":7,"rejected":{}}',
		                "huge": b'{"desired":{"agents":999999,"revision":9}, "targets":[{"id":1},{"id":"a","vus":-1},{"id":"b"},7]}'}.get(kind, b"{}")
		        self.send_response({"500": 500, "429": 429}.get(kind, 200))
		        if kind == "429": self.send_header("Retry-After", "1")
		        self.send_header("Content-Length", str(len(body) + (50 if kind == "half" else 0)))
		        self.end_headers(); self.wfile.write(body)
		    do_POST = do_GET
		    def log_message(self, *a): pass
		s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
		open(sys.argv[1] + ".t", "w").write(str(s.server_address[1])); os.rename(sys.argv[1] + ".t", sys.argv[1])
		s.timeout = 60
		import threading; threading.Timer(60, lambda: os._exit(0)).start()
		s.serve_forever()
	PY
	PIDS+=($!)
	retry 20 test -s "$T/badport"
	DASH=http://127.0.0.1:$(cat "$T/badport")
	rm "$T/badport"
}

@test "a dashboard that answers nonsense harms nothing" {
	export DASHBOARD_SECRET=x
	for kind in garbage html wrong huge 500 429 half; do
		bad_dashboard $kind
		rm -rf "$T/state"
		write_conf <<CONF
dashboard { url = '$DASH' poll_interval = 100ms heartbeat_interval = 100ms timeout = 1s }
target 'Local' { url = '$SERVER/$kind' duration = 1s interval = 1h max_agents = 1 }
CONF
		start_fleet
		s=$(supervisor)
		expect_run Local success -
		[ "$(supervisor)" = "$s" ]
		[ "$(ctl ping)" = pong ]
		kill "$FLEET"
		kill "$FLEET" || true
		retry 15 is_gone "$FLEET"
	done
}

@test "a name server that does not answer does not stop the fleet" {
	export DASHBOARD_SECRET=x
	write_conf <<CONF
dashboard { url = 'http://black-hole.example.test:9' timeout = 1s poll_interval = 100ms }
target 'Local' { url = '$SERVER/local' duration = 1s interval = 2s }
CONF
	start_fleet
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		timeout 3 "$top_builddir/k6fleetctl" -s "$SOCKET" ping
		sleep 0.3
	done
	expect_run Local success -
	[ "$(ctl status --json | jq .supervisorRestarts)" = 0 ]
}

@test "https with a certificate, a CA and a key that only their owner may read" {
	export DASHBOARD_SECRET=x
	(umask 077 && openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/key.pem" -out "$T/cert.pem" -days 2 \
		-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null)
	python3 - "$T" 3>&- <<-'PY' &
		import http.server, os, ssl, sys, threading
		class H(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        self.rfile.read(int(self.headers.get("Content-Length") or 0))
		        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
		    do_POST = do_GET
		    def log_message(self, *a): pass
		s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
		port = s.server_address[1]
		c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		c.load_cert_chain(sys.argv[1] + "/cert.pem", sys.argv[1] + "/key.pem")
		c.load_verify_locations(sys.argv[1] + "/cert.pem"); c.verify_mode = ssl.CERT_REQUIRED
		s.socket = c.wrap_socket(s.socket, server_side=True)
		with open(sys.argv[1] + "/tlsport.t", "w") as f: f.write(str(port))
		os.rename(sys.argv[1] + "/tlsport.t", sys.argv[1] + "/tlsport")
		threading.Timer(60, lambda: os._exit(0)).start()
		s.serve_forever()
	PY
	PIDS+=($!)
	retry 20 test -s "$T/tlsport"
	url=https://127.0.0.1:$(cat "$T/tlsport")
	write_conf <<<"dashboard { url = '$url' poll_interval = 200ms timeout = 2s
  ca_file = '$T/cert.pem' client_cert = '$T/cert.pem' client_key = '$T/key.pem' }"
	start_fleet
	retry 20 is_connected
	ctl stop
	retry 20 is_gone "$FLEET"
	# No certificate authority of the file has signed the certificate.
	write_conf <<<"dashboard { url = '$url' poll_interval = 200ms timeout = 2s }"
	start_fleet
	retry 20 is_connected unreachable
	grep -q 'certificate' <<<"$(ctl status)"
}

@test "a proxy that refuses, cuts, garbles, resets and delays: every run arrives once, oldest first" {
	start_dashboard
	echo pass >"$T/mode"
	python3 "$top_srcdir/tests/program/proxy.py" "$T/proxyport" "$T/mode" "$DASH_PORT" 3>&- &
	PIDS+=($!)
	retry 10 test -s "$T/proxyport"
	write_conf <<CONF
workers = 3
dashboard { url = 'http://127.0.0.1:$(cat "$T/proxyport")' poll_interval = 300ms heartbeat_interval = 500ms timeout = 2s }
target 'Local' { url = '$SERVER/local' duration = 1s interval = 2s }
CONF
	start_fleet
	retry 20 has_finished Local
	for mode in cut garble reset delay small 401 refuse; do
		echo "$mode" >"$T/mode"
		sleep 3
	done
	# The supervisor obeys Retry-After: 2.
	retry 10 eval '[ "$(grep -c " refuse " "$T/mode.log")" -ge 2 ]'
	awk '$2 == "refuse" { if (n && $1 - n < 1.9) exit 1; n = $1 }' "$T/mode.log"
	ctl pause
	no_k6() { [ "$(ctl status --json | jq .busy)" = 0 ]; }
	retry 15 no_k6
	[ "$(ctl status --json | jq .dashboard.outbox)" -ge 1 ]
	echo pass >"$T/mode"
	retry 25 outbox_is_empty
	# The supervisor sends several runs per request.
	awk '$3 > 1 { many = 1 } END { exit !many }' "$T/mode.log"
	n=$(runs | jq length)
	[ "$n" -ge 9 ]
	[ "$(dash_runs '' | jq .total)" = "$n" ]
	diff <(runs | jq -r '.[] | .id + " " + .status + " " + (.metrics.http_reqs | tostring)' | sort) \
		<(dash_runs '' | jq -r '.items[] | .id + " " + .status + " " + (.metrics.http_reqs | tostring)' | sort)
	[ "$(ctl status --json | jq .supervisorRestarts)" = 0 ]
}
