#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The dashboard's calls for whole fleets: charts, overview, kill switch, hosts, import, audit, events, metrics.

load helpers

setup() {
	setup_dir
	start_dashboard
}
teardown() { teardown_dir; }

post() { status_of -u "$ADMIN_BASIC_AUTH" -X "${3:-POST}" -H 'Content-Type: application/json' ${2+-d "$2"} "$DASH$1"; }
register() { # HOST AGENTS [DESIRED REVISION]
	agent POST /api/k6/agents/register "$(jq -cn --arg h "$1" --argjson n "$2" --argjson d "${3:-$2}" --argjson r "${4:-0}" \
		'{host: $h, managed: true, maxAgents: 100, desired: {agents: $d, revision: $r}, agents: [range($n) | {name: "k6agent-\(.)", slot: .}]}')"
}

# make_runs FILE SEED BASE_MS HOURS PER_HOUR: writes a body of runs with random samples to FILE, in the form in which
# an agent posts them, and the samples of each hour to FILE.samples.
make_runs() {
	python3 - "$@" <<-'PY'
		import json, random, sys
		out, seed, base_ms, hours, per_hour = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
		random.seed(seed)
		def stamp(ms):
		    import datetime
		    return datetime.datetime.utcfromtimestamp(ms / 1000).strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ms % 1000)
		def percentile(xs, p):
		    rank = p / 100 * (len(xs) - 1); low = int(rank); high = min(low + 1, len(xs) - 1)
		    return xs[low] + (xs[high] - xs[low]) * (rank - low)
		runs, samples = [], {}
		for h in range(hours):
		    for i in range(per_hour):
		        n = random.choice([1, 7, 40, 101, 300])
		        xs = sorted(random.expovariate(1 / random.choice([5, 50, 500])) for _ in range(n))
		        started = base_ms + h * 3600000 + random.randrange(3600000)
		        samples.setdefault(h, []).extend(xs)
		        runs.append({"id": "run-%d-%d-%d" % (seed, h, i), "agent": "k6agent-%d" % (i % 5), "host": "web1", "targetId": "t1",
		            "targetLabel": "T one", "status": random.choice(["success", "success", "failed"]), "plannedMs": 1000,
		            "scheduledAt": stamp(started), "startedAt": stamp(started), "finishedAt": stamp(started + 1000), "lagMs": i,
		            "metrics": {"p50_ms": percentile(xs, 50), "p95_ms": percentile(xs, 95), "p99_ms": percentile(xs, 99), "avg_ms": sum(xs) / n,
		                "error_rate": 0.25, "rps": float(n), "http_reqs": n, "http_reqs_answered": n, "iterations": n},
		            "latencyQuantiles": [percentile(xs, p) for p in range(101)], "thresholds": [], "exitCode": 0})
		        if runs[-1]["status"] == "failed": runs[-1]["reason"] = "checks"
		json.dump({"runs": runs}, open(out, "w"))
		json.dump({"samples": samples}, open(out + ".samples", "w"))
	PY
}

@test "the fleet's last hour by the minute, and the last runs of each target" {
	admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1:9/","label":"T"}' >"$T/target"
	id=$(jq -r .id "$T/target")
	# Runs of ten minutes ago, all of one target.
	make_runs "$T/runs.json" 4 $((($(date +%s) - 1500) * 1000)) 1 1
	jq --arg id "$id" --argjson now "$(date +%s)" '.runs[0] as $r | {runs: [range(8) as $i | $r + {id: "m-\($i)", targetId: $id,
		startedAt: ($now - 600 - $i * 60 | todate)}]}' "$T/runs.json" >"$T/minutes.json"
	agent POST /api/k6/runs "@$T/minutes.json" | jq -e '.accepted == 8'
	get /api/dashboard/k6/series >"$T/series"
	jq -e '.step == 60 and (.points | length) == 60 and ([.points[].runs] | add) == 8 and ([.points[] | select(.runs > 0)] | length) == 8' "$T/series"
	# One run a minute: its percentiles are those of the minute; minutes without runs have null.
	want=$(jq '.runs[0].metrics.p95_ms' "$T/runs.json")
	jq -e --argjson want "$want" 'all(.points[] | select(.runs == 1); (.p95_ms - $want | fabs) < 1e-6 * $want and .error_rate == 0.25) and
		all(.points[] | select(.runs == 0); .p95_ms == null and .error_rate == null)' "$T/series"
	get '/api/dashboard/k6/targets?recent=5' | jq -e '.items[0].recentRuns | map(.id) == ["m-0", "m-1", "m-2", "m-3", "m-4"]'
	get /api/dashboard/k6/targets | jq -e '.items[0] | has("recentRuns") | not'
	[ "$(status_of "$DASH/api/dashboard/k6/targets?recent=61")" = 422 ]
}

@test "series: percentiles of all samples of a step, from runs and from rollups, also after the runs have gone" {
	# Runs in three whole hours of yesterday.
	base=$((($(date +%s) / 3600 - 30) * 3600000))
	make_runs "$T/runs.json" 1 "$base" 3 40
	agent POST /api/k6/runs "@$T/runs.json" | jq -e '.accepted == 120 and .ignored == 0'
	from=$(date -u -d "@$((base / 1000))" +%FT%TZ) to=$(date -u -d "@$((base / 1000 + 3 * 3600))" +%FT%TZ)
	compare() { # STEP
		get "/api/dashboard/k6/targets/t1/series?from=$from&to=$to&step=$1" >"$T/series"
		python3 - "$T/series" "$T/runs.json" "$1" "$base" <<-'PY'
			import json, sys, datetime
			series, step, base = json.load(open(sys.argv[1])), int(sys.argv[3]), int(sys.argv[4])
			runs, samples = json.load(open(sys.argv[2]))["runs"], json.load(open(sys.argv[2] + ".samples"))["samples"]
			assert series["step"] == step and len(series["points"]) == (3 * 3600 + step - 1) // step, series
			def at(xs, p):
			    rank = max(0, min(100, p)) / 100 * (len(xs) - 1); low = int(rank); high = min(low + 1, len(xs) - 1)
			    return xs[low] + (xs[high] - xs[low]) * (rank - low)
			assert sum(p["runs"] for p in series["points"]) == 120
			assert sum(p["http_reqs"] or 0 for p in series["points"]) == sum(r["metrics"]["http_reqs"] for r in runs)
			for i, p in enumerate(series["points"]):
			    if not p["runs"]:
			        assert p["p95_ms"] is None and p["rps"] is None and p["error_rate"] is None, p
			        continue
			    assert abs(p["error_rate"] - 0.25) < 1e-6 and p["worst_p95_ms"] >= p["p95_ms"] * 0.999, p
			    if step < 3600: continue
			    xs = sorted(x for h, v in samples.items() if int(h) * 3600 // step == i for x in v)
			    for name, want in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
			        assert at(xs, want - 1) - 1e-3 <= p[name] <= at(xs, want + 1) + 1e-3, (i, name, p[name], at(xs, want))
		PY
	}
	compare 3600
	compare 600
	compare 10800
	# The figures are the same after the reaper has made the rollups, and also from the rollups alone.
	stop_dashboard
	printf 'reaper { interval = 200ms }\n' >"$T/dash.conf"
	start_dashboard -c "$T/dash.conf"
	rolled() { [ "$(sqlite3 "$T/dash/dashboard.db" 'SELECT count(*) FROM k6_rollup_dirty')" = 0 ]; }
	retry 20 rolled
	[ "$(sqlite3 "$T/dash/dashboard.db" 'SELECT count(*) FROM k6_rollups')" = 3 ]
	compare 3600
	compare 10800
	stop_dashboard
	printf 'retention = 24h\nreaper { interval = 200ms }\n' >"$T/dash.conf"
	start_dashboard -c "$T/dash.conf"
	gone() { [ "$(get /api/dashboard/k6/runs | jq .total)" = 0 ]; }
	retry 20 gone
	compare 3600
	compare 10800
	# A run that arrives late is added to its hour, once.
	jq '{runs: [.runs[0] | .id = "late-1"]}' "$T/runs.json" >"$T/late.json"
	agent POST /api/k6/runs "@$T/late.json" | jq -e '.accepted == 1'
	get "/api/dashboard/k6/targets/t1/series?from=$from&to=$to&step=10800" | jq -e '.points[0].runs == 121'
}

@test "series and overview: their refusals, empty ones, the last hour" {
	get /api/dashboard/k6/overview | jq -e '.desired == 0 and .running == 0 and .hosts == 0 and .agents == {} and .targets == 0 and .paused == false
		and .lastHour == {"runs": 0, "success": 0, "failed": 0, "error": 0, "error_rate": null, "p50_ms": null, "p95_ms": null, "p99_ms": null}'
	[ "$(status_of "$DASH/api/dashboard/k6/targets/nope/series")" = 404 ]
	id=$(admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1/"}' | jq -r .id)
	series=/api/dashboard/k6/targets/$id/series
	get "$series" | jq -e '.step == 300 and (.points | length >= 288) and all(.points[]; .runs == 0 and .p95_ms == null)'
	[ "$(status_of "$DASH$series?step=59")" = 422 ]
	[ "$(status_of "$DASH$series?step=x")" = 400 ]
	[ "$(status_of "$DASH$series?from=yesterday")" = 400 ]
	[ "$(status_of "$DASH$series?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z")" = 422 ]
	[ "$(status_of "$DASH$series?from=2020-01-01T00:00:00Z&step=60")" = 422 ]
	make_runs "$T/now.json" 2 $((($(date +%s) - 600) * 1000)) 1 30
	jq --argjson now "$(date +%s)" '.runs |= map(.startedAt = (($now - 300) | todate) | .status = "success" | .reason = null)' "$T/now.json" >"$T/post.json"
	agent POST /api/k6/runs "@$T/post.json" | jq -e '.accepted == 30'
	register web1 4
	agent POST /api/k6/agents/heartbeat '{"host":"web1","agents":[{"name":"k6agent-0","status":"running","currentRunId":"x"},{"name":"k6agent-1","status":"idle"},{"name":"k6agent-2","status":"draining"},{"name":"k6agent-3","status":"backoff"}]}'
	overview() { get /api/dashboard/k6/overview | jq -e '.desired == 4 and .running == 3 and .busy == 2 and .hosts == 1 and .targets == 1
		and .agents == {"running": 1, "idle": 1, "draining": 1, "backoff": 1} and (.lastHour | .runs == 30 and .success == 30 and .p95_ms > 0 and .error_rate == 0.25)'; }
	overview
	p95=$(get /api/dashboard/k6/overview | jq .lastHour.p95_ms)
	# A run that is posted again counts once; a restarted dashboard knows the last hour.
	agent POST /api/k6/runs "@$T/post.json" | jq -e '.accepted == 30'
	overview
	stop_dashboard KILL
	start_dashboard
	overview
	jq -en --argjson a "$p95" --argjson b "$(get /api/dashboard/k6/overview | jq .lastHour.p95_ms)" '($a - $b | fabs) / $a < 0.05'
}

@test "the kill switch reaches every host, those that were away as well, and is undone everywhere" {
	register web1 1
	register web2 1
	commands() { agent GET "/api/k6/targets?host=$1" | jq -c '[.commands[] | {type, now}]'; }
	done_all() { agent POST /api/k6/agents/heartbeat "$(agent GET "/api/k6/targets?host=$1" | jq -c --arg h "$1" '{host: $h, agents: [], commandsDone: [.commands[].id]}')"; }
	[ "$(post /api/admin/k6/pause '{"now":true}')" = 202 ]
	get /api/dashboard/k6/overview | jq -e .paused
	[ "$(commands web1)" = '[{"type":"pause","now":true}]' ]
	done_all web1
	[ "$(commands web1)" = '[]' ]
	# web2 was away for longer than a command is kept; a new host registers.
	sqlite3 "$T/dash/dashboard.db" 'UPDATE k6_commands SET created_at = created_at - 400000'
	[ "$(commands web2)" = '[{"type":"pause","now":true}]' ]
	register web3 1
	[ "$(commands web3)" = '[{"type":"pause","now":true}]' ]
	done_all web3
	[ "$(post /api/admin/k6/resume)" = 202 ]
	get /api/dashboard/k6/overview | jq -e '.paused | not'
	# The latest command applies: web2 never hears of the pause.
	for h in web1 web2 web3; do [ "$(commands $h)" = '[{"type":"resume","now":null}]' ]; done
	register web4 1
	[ "$(post /api/admin/k6/pause '{"now":1}')" = 400 ]
	[ "$(post /api/admin/k6/pause '{"later":true}')" = 400 ]
	[ "$(status_of -X POST -H 'Content-Type: application/json' "$DASH/api/admin/k6/pause")" = 401 ]
}

@test "a paused fleet starts nothing until it is resumed, with a real k6fleetd" {
	start_server
	write_conf <<-CONF
		workers = 2
		host_name = 'real'
		dashboard { url = '$DASH' poll_interval = 200ms heartbeat_interval = 300ms }
	CONF
	start_fleet
	admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/often\",\"durationS\":1,\"runIntervalMs\":2000}"
	retry 10 is_requested /often
	[ "$(post /api/admin/k6/pause '{"now":true}')" = 202 ]
	is_paused() { [ "$(ctl status --json | jq .paused)" = true ]; }
	retry 10 is_paused
	sleep 0.5
	n=$(count_of /often)
	sleep 3
	[ "$(count_of /often)" -eq "$n" ]
	[ "$(post /api/admin/k6/resume)" = 202 ]
	more() { [ "$(count_of /often)" -gt "$n" ]; }
	retry 10 more
}

@test "one host's count, reconcile, revisions that never go back" {
	register web1 3
	register web2 3
	admin PUT /api/admin/config '{"k6DesiredAgentCount":10}' | jq -e '.k6DesiredAgentCount == 10'
	get /api/dashboard/k6/hosts | jq -e '[.items[].desired] == [5, 5]'
	rev=$(get /api/dashboard/k6/overview | jq .revision)
	admin PUT /api/admin/k6/hosts/web1 '{"desiredAgents":9}' | jq -e '.host == "web1" and .desired == 9'
	admin GET /api/admin/config | jq -e '.k6DesiredAgentCount == 14'
	[ "$(post /api/admin/k6/reconcile)" = 202 ]
	get /api/dashboard/k6/hosts | jq -e '[.items[].desired] == [7, 7]'
	get /api/dashboard/k6/overview | jq -e --argjson rev "$rev" '.revision > $rev and .desired == 14'
	[ "$(post /api/admin/k6/hosts/nope '{"desiredAgents":1}' PUT)" = 404 ]
	[ "$(post /api/admin/k6/hosts/web1 '{"desiredAgents":101}' PUT)" = 422 ]
	[ "$(post /api/admin/k6/hosts/web1 '{"desiredAgents":"1"}' PUT)" = 400 ]
	[ "$(post /api/admin/k6/hosts/web1 '{}' PUT)" = 400 ]
	[ "$(post /api/admin/k6/hosts/web1 '{"desiredAgents":1,"x":1}' PUT)" = 400 ]
}

@test "export and import: by label, dry run, a bad one spoils no others; the audit trail" {
	admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1/a","label":"A","headers":{"X-Key":"secret-value"}}'
	admin POST /api/admin/k6/targets '{"script":"export default function () {}","label":"B","tags":{"team":"web"}}'
	admin GET /api/admin/k6/targets/export >"$T/export"
	jq -e '.targets | length == 2 and (.[0] | .label == "A" and .headers["X-Key"] == "secret-value" and (has("id") | not) and (has("createdAt") | not))' "$T/export"
	admin POST '/api/admin/k6/targets/import' "@$T/export" | jq -e '. == {"dryRun": false, "created": 0, "updated": 0, "unchanged": 2, "rejected": []}'
	jq '.targets[0].vus = 7 | .targets[1].label = "C" | .targets += [{"label": "D", "url": "ftp://x"}, {"label": "A", "url": "http://127.0.0.1/"}, {"url": "http://127.0.0.1/"}, 5]' \
		"$T/export" >"$T/changed"
	admin POST '/api/admin/k6/targets/import?dryRun=true' "@$T/changed" >"$T/dry"
	jq -e '.dryRun and .created == 1 and .updated == 1 and .unchanged == 0 and ([.rejected[].index] == [2, 3, 4, 5])' "$T/dry"
	admin GET /api/admin/k6/targets | jq -e '[.items[].label] == ["A", "B"] and .items[0].vus == 1'
	admin POST '/api/admin/k6/targets/import?dryRun=false' "@$T/changed" | jq -e '.created == 1 and .updated == 1'
	admin GET /api/admin/k6/targets | jq -e '[.items[].label] == ["A", "B", "C"] and .items[0].vus == 7'
	[ "$(post '/api/admin/k6/targets/import?dryRun=perhaps' '{"targets":[]}')" = 400 ]
	[ "$(post /api/admin/k6/targets/import '{"targets":{}}')" = 400 ]
	id=$(admin GET /api/admin/k6/targets | jq -r '.items[2].id')
	admin PATCH "/api/admin/k6/targets/$id" '{"enabled":false}'
	[ "$(post "/api/admin/k6/targets/$id" '' DELETE)" = 204 ]
	admin PUT /api/admin/config '{"k6DesiredAgentCount":3}'
	admin GET /api/admin/audit >"$T/audit"
	jq -e '[.items[].action] == ["config.scale", "target.delete", "target.update", "targets.import", "targets.import", "target.create", "target.create"]' "$T/audit"
	jq -e '.total == 7 and (.items[0] | .who == "admin" and .address == "127.0.0.1" and .detail == {"k6DesiredAgentCount": 3}) and .items[2].detail == {"fields": ["enabled"]}' "$T/audit"
	refute grep -q secret-value "$T/audit"
	# A request that failed is not in the audit trail.
	[ "$(post "/api/admin/k6/targets/$id" '' DELETE)" = 404 ]
	admin GET '/api/admin/audit?pageSize=1&page=7' | jq -e '.total == 7 and .items[0].action == "target.create"'
	[ "$(status_of "$DASH/api/admin/audit")" = 401 ]
}

@test "runs.csv: all runs of the filter, streamed; cells that a spreadsheet would run are defused" {
	make_runs "$T/runs.json" 3 $((($(date +%s) - 7200) * 1000)) 1 700
	jq '.runs[0].targetLabel = "=cmd|x" | .runs[0].errorMessage = "say \"hi\", twice" | .runs[1].agent = "@sum"' "$T/runs.json" >"$T/post.json"
	agent POST /api/k6/runs "@$T/post.json" | jq -e '.accepted == 700'
	get '/api/dashboard/k6/runs.csv' >"$T/csv"
	python3 - "$T/csv" "$T/post.json" <<-'PY'
		import csv, json, sys
		rows = list(csv.DictReader(open(sys.argv[1], newline="")))
		runs = {r["id"]: r for r in json.load(open(sys.argv[2]))["runs"]}
		assert len(rows) == 700 and {r["id"] for r in rows} == set(runs)
		assert [r["startedAt"] for r in rows] == sorted((r["startedAt"] for r in rows), reverse=True)
		for r in rows:
		    run = runs[r["id"]]
		    assert r["status"] == run["status"] and abs(float(r["p95_ms"]) - run["metrics"]["p95_ms"]) < 1e-3 * run["metrics"]["p95_ms"]
		    assert r["checks_passed"] == ""
		by_id = {r["id"]: r for r in rows}
		assert by_id["run-3-0-0"]["targetLabel"] == "'=cmd|x" and by_id["run-3-0-0"]["errorMessage"] == 'say "hi", twice'
		assert by_id["run-3-0-1"]["agent"] == "'@sum"
	PY
	get '/api/dashboard/k6/runs.csv?agent=k6agent-2&status=failed' | tail -n +2 | awk -F, '$4 != "\"k6agent-2\"" || $8 != "\"failed\"" { exit 1 }'
	[ "$(get '/api/dashboard/k6/runs.csv?agent=nobody' | wc -l)" = 1 ]
	[ "$(status_of "$DASH/api/dashboard/k6/runs.csv?status=odd")" = 422 ]
}

@test "events: agent, run, target and config as they change, resumed by Last-Event-ID" {
	curl -sN --max-time 20 "$DASH/api/events" >"$T/events" 3>&- &
	reader=$!
	connected() { grep -q connected "$T/events"; }
	retry 5 connected
	register web1 1
	agent POST /api/k6/agents/heartbeat '{"host":"web1","agents":[{"name":"k6agent-0","status":"running","currentRunId":"r1","progress":{"elapsedMs":5,"durationMs":10,"vus":1,"iterations":2}}]}'
	# The same state again makes no event.
	agent POST /api/k6/agents/heartbeat '{"host":"web1","agents":[{"name":"k6agent-0","status":"running","currentRunId":"r1","progress":{"elapsedMs":5,"durationMs":10,"vus":1,"iterations":2}}]}'
	agent POST /api/k6/runs '{"id":"r1","agent":"k6agent-0","host":"web1","targetId":"t","status":"success","startedAt":"2026-01-01T00:00:00Z","log":"x"}'
	id=$(admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1/","label":"L","headers":{"X-Key":"secret-value"}}' | jq -r .id)
	admin PUT /api/admin/config '{"k6DesiredAgentCount":3}'
	admin DELETE "/api/admin/k6/targets/$id"
	all() { [ "$(grep -c '^event: ' "$T/events")" -ge 6 ]; }
	retry 5 all
	[ "$(sed -n 's/^event: //p' "$T/events" | tr '\n' ' ')" = 'agent agent run target config target ' ]
	sed -n 's/^data: //p' "$T/events" >"$T/data"
	sed -n 2p "$T/data" | jq -e '.name == "k6agent-0" and .status == "running" and .progress.iterations == 2 and .currentRunId == "r1"'
	sed -n 3p "$T/data" | jq -e '.id == "r1" and .status == "success" and (has("log") | not) and (has("latencyQuantiles") | not)'
	sed -n 4p "$T/data" | jq -e '.label == "L" and .headers["X-Key"] == "…"'
	sed -n 5p "$T/data" | jq -e '.k6DesiredAgentCount == 3'
	sed -n 6p "$T/data" | jq -e '.deleted'
	kill "$reader"
	last=$(sed -n 's/^id: //p' "$T/events" | sed -n 3p)
	curl -sN --max-time 1 -H "Last-Event-ID: $last" "$DASH/api/events" >"$T/resumed" || true
	[ "$(sed -n 's/^event: //p' "$T/resumed" | tr '\n' ' ')" = 'target config target ' ]
	curl -sN --max-time 1 -H "Last-Event-ID: 1-1" "$DASH/api/events" >"$T/late" || true
	[ "$(sed -n 's/^event: //p' "$T/late")" = reset ]
}

@test "events: three hundred readers at once, and one that does not read holds up nobody" {
	python3 - "$DASH_PORT" "$DASHBOARD_SECRET" <<-'PY'
		import json, socket, sys, time, urllib.request
		port, secret = int(sys.argv[1]), sys.argv[2]
		def reader():
		    s = socket.create_connection(("127.0.0.1", port)); s.settimeout(10)
		    s.sendall(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
		    return s
		readers = [reader() for _ in range(300)]
		deaf = reader()
		deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
		for s in readers:
		    got = b""
		    while b": connected" not in got: got += s.recv(65536)
		def post(n):
		    body = json.dumps({"runs": [{"id": "e-%d-%d" % (n, i), "host": "h", "status": "error", "reason": "killed", "startedAt": "2026-01-01T00:00:00Z",
		        "errorMessage": "m" * 1000} for i in range(100)]}).encode()
		    rq = urllib.request.Request("http://127.0.0.1:%d/api/k6/runs" % port, body, {"Content-Type": "application/json", "Authorization": "Bearer " + secret})
		    assert json.load(urllib.request.urlopen(rq))["accepted"] == 100
		begin = time.time()
		for n in range(5): post(n)
		for s in readers:
		    got = b""
		    while got.count(b"event: run") < 500: got += s.recv(1 << 20)
		print("500 events to 300 readers in %.2f s" % (time.time() - begin))
		for n in range(5, 100): post(n)
		begin = time.time()
		urllib.request.urlopen("http://127.0.0.1:%d/healthz" % port).read()
		assert time.time() - begin < 1
	PY
	# The memory is bounded: the dashboard keeps nothing for a reader that does not read.
	[ "$(awk '/VmRSS/ { print $2 }' "/proc/$DASH_PID/status")" -lt 65536 ] || [ -n "$(ldd "$top_builddir/k6fleet-dashboard" | grep -s asan)" ]
}

@test "a reader that leaves is noticed, and the dashboard ends well while others listen" {
	curl -sN --max-time 20 "$DASH/api/events" >"$T/one" 3>&- &
	one=$!
	curl -sN --max-time 20 "$DASH/api/events" >"$T/two" 3>&- &
	readers() { get /api/metrics | grep -qx "k6fleet_dashboard_event_readers $1"; }
	retry 5 readers 2
	kill "$one"
	retry 10 readers 1
	kill -TERM "$DASH_PID"
	wait "$DASH_PID"
}

@test "metrics: what promtool accepts but for the name of one, with counters that count" {
	id=$(admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1/","label":"say \"hi\"\\"}' | jq -r .id)
	register web1 2
	agent POST /api/k6/runs "{\"runs\":[{\"id\":\"m1\",\"host\":\"web1\",\"agent\":\"k6agent-0\",\"targetId\":\"$id\",\"status\":\"success\",\"startedAt\":\"$(date -u +%FT%TZ)\",\"metrics\":{\"p95_ms\":12.5,\"error_rate\":0.5,\"http_reqs\":4}},{\"id\":\"m2\",\"status\":\"error\",\"reason\":\"oom\",\"startedAt\":\"$(date -u +%FT%TZ)\"}]}"
	get /api/metrics >"$T/metrics"
	# The fixed name k6_run_p95_ms has an abbreviated unit; promtool finds nothing else.
	promtool check metrics <"$T/metrics" >"$T/said" 2>&1 || true
	refute grep -v 'k6_run_p95_ms metric names should not contain abbreviated units' "$T/said"
	grep -qx 'k6_agents{status="idle"} 2' "$T/metrics"
	grep -qx 'k6_runs_total{status="success"} 1' "$T/metrics"
	grep -qx 'k6_runs_total{status="error"} 1' "$T/metrics"
	grep -qF "k6_run_p95_ms{target=\"say \\\"hi\\\"\\\\\",id=\"$id\"} 12.5" "$T/metrics"
	grep -q 'k6_run_error_rate{.*} 0.5' "$T/metrics"
	grep -qx 'k6_desired_agents 2' "$T/metrics"
	grep -qx 'reaper_k6runs_timed_out_total 0' "$T/metrics"
}

@test "three hosts: an even share each, a host that goes and comes back, a scale on one of them" {
	local h
	printf 'reaper { interval = 200ms offline_after = 2s }\n' >"$T/dash.conf"
	stop_dashboard
	start_dashboard -c "$T/dash.conf"
	# start_host NAME: starts a k6fleetd with a socket and a state directory of its own.
	start_host() {
		mkdir -p "$T/$1"
		chmod 755 "$T/$1"
		cat >"$T/$1/k6fleetd.conf" <<-CONF
			host_name = '$1'
			workers = 1
			max_workers = $([ "$1" = small ] && echo 2 || echo 50)
			control_socket = '$T/$1/run/control.sock'
			state_dir = '$T/$1/state'
			metrics_listen = ''
			drain_timeout = 2s
			dashboard { url = '$DASH' poll_interval = 200ms heartbeat_interval = 300ms }
		CONF
		"$top_builddir/k6fleetd" -c "$T/$1/k6fleetd.conf" >>"$T/$1.log" 2>&1 3>&- &
		eval "PID_$1=$!"
		PIDS+=($!)
	}
	host_ctl() { "$top_builddir/k6fleetctl" -s "$T/$1/run/control.sock" "${@:2}"; }
	desired() { get /api/dashboard/k6/hosts | jq -c '[.items[] | {(.host): .desired}] | add'; }
	running() { [ "$(host_ctl "$1" status --json 2>/dev/null | jq .running)" = "$2" ]; }
	for h in web1 web2 small; do start_host $h; done
	three() { [ "$(get /api/dashboard/k6/hosts | jq '[.items[] | select(.online and .agents > 0)] | length')" = 3 ]; }
	retry 15 three
	# Nobody has set a total: it is the sum of the counts of all hosts.
	admin GET /api/admin/config | jq -e '.k6DesiredAgentCount == 3'
	# The host "small" takes two agents at most.
	admin PUT /api/admin/config '{"k6DesiredAgentCount":10}'
	[ "$(desired)" = '{"small":2,"web1":4,"web2":4}' ]
	for h in 'web1 4' 'web2 4' 'small 2'; do retry 10 running $h; done
	# One host is scaled by hand: the total follows, the other hosts stay.
	host_ctl web1 scale 6 --wait
	total() { [ "$(admin GET /api/admin/config | jq .k6DesiredAgentCount)" = "$1" ]; }
	retry 10 total 12
	[ "$(desired)" = '{"small":2,"web1":6,"web2":4}' ]
	# One host goes away: after a reconcile the others take its share, and give it back later.
	kill -KILL "$PID_web2"
	offline() { get /api/dashboard/k6/hosts | jq -e '.items[] | select(.host == "web2") | .online == false'; }
	retry 10 offline
	rev=$(get /api/dashboard/k6/overview | jq .revision)
	[ "$(post /api/admin/k6/reconcile)" = 202 ]
	retry 10 running web1 10
	start_host web2
	online() { get /api/dashboard/k6/hosts | jq -e '.items[] | select(.host == "web2") | .online'; }
	retry 15 online
	[ "$(post /api/admin/k6/reconcile)" = 202 ]
	for h in 'web1 5' 'web2 5' 'small 2'; do retry 15 running $h; done
	get /api/dashboard/k6/overview | jq -e --argjson rev "$rev" '.revision >= $rev + 2 and .desired == 12'
	# An agent of another make counts as an agent, and its host gets no desired count.
	agent POST /api/k6/agents/register '{"name":"pod-1","host":"pods","k6Version":"v2"}'
	admin PUT /api/admin/config '{"k6DesiredAgentCount":6}'
	[ "$(desired)" = '{"pods":0,"small":2,"web1":2,"web2":2}' ]
	get /api/dashboard/k6/hosts | jq -e '.items[] | select(.host == "pods") | .managed == false and .agents == 1'
}
