#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Orders: run, --sync, --follow, cancel, logs, and the dashboard's commands.

load helpers

setup() {
	setup_dir
	start_server
}
teardown() { teardown_dir; }

# A disabled target: it runs by order only.
idle_target() {
	printf "target '%s' { url = '%s' duration = %s interval = 1h enabled = false vus = %s }\n" \
		"$1" "$SERVER/$2" "${3:-2s}" "${4:-1}"
}

# arrivals PATH: prints the times of all requests for the path in seconds, ascending.
arrivals() {
	curl -fsS "$SERVER/__arrivals" | jq -c --arg p "$1" '.[$p] // [] | sort'
}

@test "run TARGET on idle agents, by name, id and label; --follow shows progress and the merged result" {
	write_conf < <(
		echo 'workers = 4'
		idle_target Home home 3s 2
	)
	start_fleet
	ctl run Home --agents 3 --follow >"$T/out"
	grep -q '^k6agent-[0-9]*: .*VUs, [0-9]* iterations' "$T/out"
	grep -q '^All 3 together: 3 success' "$T/out"
	[ "$(count_of /home)" -eq "$(runs | jq '[.[].metrics.http_reqs] | add')" ]
	[ "$(runs | jq 'map(.agent) | unique | length')" -eq 3 ]
	ctl run file:Home --json | jq -e '.runs | length == 1 and (.[0].id | length == 36) and (.[0].agent | startswith("k6agent-"))'
	run ctl run Nowhere
	[ "$status" -eq 1 ]
	[[ $output == *'no target "Nowhere"'* ]]
	run ctl run Home --agents 5
	[ "$status" -eq 1 ]
	[[ $output == *"of 4 agents are idle, not 5"* ]]
	run ctl run Home --agents 0
	[ "$status" -eq 2 ]
	run ctl run
	[ "$status" -eq 2 ]
	# --follow waits for its own run, not for a run that is already going on.
	retry 10 has_finished Home
	ctl pause
	run ctl run Home
	[ "$status" -eq 1 ]
	[[ $output == *"resume"* ]]
}

@test "merged percentiles are those of all samples, counts are sums, and every run has to succeed" {
	cat >"$T/mix.js" <<-JS
		import http from 'k6/http'; import { check } from 'k6';
		export const options = { vus: 1, iterations: 20 };
		export default function () {
			const r = http.get('$SERVER/' + (__ITER % 4 ? 'quick' : 'slow'));
			check(r, { 'is 200': r => r.status === 200 });
		}
	JS
	cat >"$T/half.js" <<-JS
		import http from 'k6/http'; import { check } from 'k6';
		export const options = { vus: 1, iterations: 4 };
		export default function () { check(http.get('$SERVER/' + (__ITER % 2 ? '500' : 'fine')), { 'is 200': r => r.status === 200 }); }
	JS
	write_conf <<<'workers = 3'
	start_fleet
	ctl run --script "$T/mix.js" --agents 3 --follow --json >"$T/merged"
	jq -e '.runs | length == 3' "$T/merged"
	jq -e '.merged.metrics | .http_reqs == 60 and .http_reqs_answered == 60 and .iterations == 60
		and .checks_passed == 60 and .error_rate == 0' "$T/merged"
	# A quarter of the requests takes 200 ms: the median is fast, p80 and above are slow.
	jq -e '.merged.metrics | .p50_ms < 100 and .p95_ms >= 200' "$T/merged"
	jq -e '.merged.latencyQuantiles | length == 101 and .[70] < 100 and .[80] >= 200 and (. == sort)' "$T/merged"
	# Each run reports its 20 samples exactly: merged by hand they give the same percentiles.
	jq -e '[.runs[].latencyQuantiles[0]] | min as $least | input.merged.latencyQuantiles[0] - $least | fabs < 1e-6' \
		"$T/merged" "$T/merged"
	run ctl run --script "$T/half.js" --agents 2 --follow
	[ "$status" -eq 1 ]
	[[ $output == *"2 failed"* ]]
	[[ $output == *"checks failed"* ]]
}

@test "--sync: all start together, on the server's clock; who is late is told" {
	write_conf < <(
		echo 'workers = 12'
		idle_target Together together 2s
	)
	start_fleet
	ctl run Together --agents 12 --sync --follow --json >"$T/sync"
	jq -e '.merged.statuses.success == 12' "$T/sync"
	# On two idle cores the difference is smaller; other tests run at the same time.
	arrivals /together | jq -e '(.[11] - .[0]) * 1000 < 250'
	# No request came before the common instant.
	jq -e --argjson first "$(arrivals /together | jq '.[0]')" \
		'.runs[0].scheduledAt | (.[0:19] + "Z" | fromdate) <= $first' "$T/sync"
	jq -e '[.runs[].scheduledAt] | unique | length == 1' "$T/sync"
	# rps counts the time in which virtual users ran, without the wait.
	jq -e '[.runs[].metrics | .http_reqs / .rps] | all(. > 0.9 and . < 2.3)' "$T/sync"
}

@test "--sync with a user's script: its own setup() runs after the wait, its data arrives" {
	cat >"$T/setup.js" <<-JS
		import http from 'k6/http'; import { check } from 'k6';
		export const options = { scenarios: { a: { executor: 'per-vu-iterations', vus: 1, iterations: 2, exec: 'go' } },
			setupTimeout: '5s', thresholds: { checks: ['rate==1'] } };
		export function setup() { return { at: Date.now() }; }
		export function go(data) {
			http.get('$SERVER/scenario');
			check(data, { 'set up just now': d => Date.now() - d.at < 1500 });
		}
	JS
	write_conf <<<'workers = 2'
	start_fleet
	ctl run --script "$T/setup.js" --agents 2 --sync --follow --json >"$T/sync"
	jq -e '.merged.statuses.success == 2 and .merged.metrics.checks_passed == 4' "$T/sync"
	jq -e '.runs[0].thresholds == [{"metric": "checks", "expression": "rate==1", "ok": true}]' "$T/sync"
	[ "$(count_of /scenario)" -eq 4 ]
}

@test "run --script: TypeScript, --vus, --duration, errors of the script, no file" {
	cat >"$T/typed.ts" <<-TS
		import http from 'k6/http';
		interface Place { path: string }
		export default function (): void { const p: Place = { path: 'typed' }; http.get('$SERVER/' + p.path); }
	TS
	echo 'export default function () { nonsense(' >"$T/broken.js"
	write_conf <<<'workers = 2'
	start_fleet
	ctl run --script "$T/typed.ts" --follow
	[ "$(count_of /typed)" -eq 1 ]
	ctl run --script "$T/typed.ts" --vus 2 --duration 1s --follow --json |
		jq -e '.runs[0] | .targetLabel == "typed.ts" and .metrics.vus == 2 and .plannedMs == 1000'
	run ctl run --script "$T/broken.js" --follow
	[ "$status" -eq 1 ]
	[[ $output == *"Unexpected"* ]]
	run ctl run --script "$T/none.js"
	[ "$status" -eq 1 ]
	[[ $output == *"No such file"* ]]
}

@test "cancel keeps the partial result; cancelling what has ended, or never was, says so" {
	write_conf < <(idle_target Long long 60s)
	start_fleet
	id=$(ctl run Long --json | jq -r '.runs[0].id')
	retry 20 is_requested /long
	ctl cancel "$id"
	expect_run Long error cancelled
	[ "$(jq -r .id <<<"$RUN")" = "$id" ]
	jq -e '.metrics.http_reqs >= 1 and .metrics.p95_ms > 0 and .exitCode == 105' <<<"$RUN"
	run ctl cancel "$id"
	[ "$status" -eq 1 ]
	[[ $output == *"ended already: error"* ]]
	run ctl cancel 01900000-0000-7000-8000-000000000000
	[ "$status" -eq 1 ]
	[[ $output == *"no run of that id"* ]]
	run ctl cancel nonsense
	[ "$status" -eq 2 ]
}

@test "--follow outlives a supervisor that is killed" {
	write_conf < <(idle_target Home home 4s)
	start_fleet
	ctl run Home --follow --json >"$T/followed" 3>&- &
	local follower=$!
	retry 10 is_requested /home
	kill -KILL "$(supervisor)"
	wait "$follower"
	jq -e '.runs[0] | .status == "success" and .metrics.http_reqs >= 3' "$T/followed"
}

@test "logs: what k6 has said, then what it says; never all of an endless output" {
	cat >"$T/chat.js" <<-JS
		import { sleep } from 'k6';
		export const options = { vus: 1, duration: '6s' };
		export default function () { console.log('line ' + __ITER); sleep(0.1); }
	JS
	cat >"$T/flood.js" <<-JS
		export const options = { vus: 1, duration: '4s' };
		const big = 'x'.repeat(2000);
		export default function () { console.log(__ITER + big); }
	JS
	write_conf <<<'workers = 2'
	start_fleet
	ctl run --script "$T/chat.js"
	(timeout 4 "$top_builddir/k6fleetctl" -s "$SOCKET" logs k6agent-0 -f >"$T/follow.log" || true) 3>&- &
	local follower=$!
	sleep 2
	ctl logs k6agent-0 >"$T/once.log"
	grep -q 'line 1"' "$T/once.log"
	grep -q 'max duration' "$T/once.log"
	wait "$follower"
	grep -q 'line 20"' "$T/follow.log"
	retry 10 has_finished chat.js
	# After the run the end of the log is still there; without an agent's name each line has a prefix.
	ctl logs | grep -q '^k6agent-0: .*line'
	ctl run --script "$T/flood.js" --agents 2
	(timeout 3 "$top_builddir/k6fleetctl" -s "$SOCKET" logs -f | (sleep 2.5; cat) >"$T/slow.log" || true) 3>&- &
	follower=$!
	retry 10 has_finished flood.js
	wait "$follower"
	# A client that does not read delays no other client.
	[ "$(runs | jq '[.[] | select(.targetLabel == "flood.js" and .status == "success")] | length')" -ge 1 ]
	retry 10 finished_twice
	run ctl logs k6agent-77
	[ "$status" -eq 1 ]
}
finished_twice() {
	[ "$(runs | jq '[.[] | select(.targetLabel == "flood.js" and .status == "success")] | length')" -eq 2 ]
}

@test "status -w shows how far runs are" {
	write_conf < <(idle_target Home home 5s 3)
	start_fleet
	ctl run Home
	retry 10 is_requested /home
	timeout 3 "$top_builddir/k6fleetctl" -s "$SOCKET" status -w >"$T/watch" || true
	[ "$(grep -c 'agents up' "$T/watch")" -ge 2 ]
	grep -qE 'Home +[0-9]+m?s/5s' "$T/watch"
	timeout 3 "$top_builddir/k6fleetctl" -s "$SOCKET" --json status -w >"$T/watch.json" || true
	jq -se '[.[].agents[0].run | select(. != null) | select(.vus == 3 and .iterations > 0)] | length > 0' "$T/watch.json"
}

# --- from the dashboard ---------------------------------------------------------------

with_dashboard() {
	start_dashboard
	write_conf <<-CONF
		workers = ${1:-3}
		host_name = 'testhost'
		dashboard { url = '$DASH' poll_interval = 200ms heartbeat_interval = 500ms }
	CONF
	start_fleet
}
agents_known() {
	[ "$(curl -fsS "$DASH/api/dashboard/k6/agents" | jq '[.items[] | select(.status == "idle")] | length')" -eq "$1" ]
}
dash_runs() {
	curl -fsS "$DASH/api/dashboard/k6/runs?pageSize=500$1"
}
ended_at_dashboard() {
	[ "$(dash_runs "&status=$1" | jq .total)" -ge "$2" ]
}
commands_of() {
	agent GET "/api/k6/targets?host=$1" | jq -c .commands
}

@test "the dashboard's run reaches the host with its next poll, also of a disabled target, and is made once" {
	with_dashboard 3
	retry 10 agents_known 3
	id=$(admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/ordered\",\"durationS\":1,\"enabled\":false}" | jq -r .id)
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -X POST -H 'Content-Type: application/json' -d '{"agents":2,"sync":true}' \
		"$DASH/api/admin/k6/targets/$id/run")" = 202 ]
	retry 20 ended_at_dashboard success 2
	[ "$(dash_runs '' | jq .total)" -eq 2 ]
	dash_runs '' | jq -e '[.items[].agent] | unique | length == 2'
	# A heartbeat has acknowledged the command: the dashboard no longer offers it.
	commands_gone() { [ "$(commands_of testhost)" = '[]' ]; }
	retry 10 commands_gone
	# Neither a new supervisor nor a new poll carries it out again.
	kill -KILL "$(supervisor)"
	retry 10 fleet_is_up
	sleep 1
	[ "$(dash_runs '' | jq .total)" -eq 2 ]
}

@test "an order that finds no idle agent waits; one that is handed out twice is carried out once" {
	with_dashboard 1
	retry 10 agents_known 1
	long=$(admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/long\",\"durationS\":3,\"enabled\":false}" | jq -r .id)
	short=$(admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/short\",\"durationS\":1,\"enabled\":false}" | jq -r .id)
	admin POST "/api/admin/k6/targets/$long/run" '{}'
	retry 10 is_requested /long
	admin POST "/api/admin/k6/targets/$short/run" '{"agents":1}'
	admin POST "/api/admin/k6/targets/$short/run"
	sleep 1
	[ "$(count_of /short)" -eq 0 ]
	retry 20 ended_at_dashboard success 3
	sleep 1
	[ "$(dash_runs '' | jq .total)" -eq 3 ]
}

@test "the dashboard's cancel, and its refusals" {
	with_dashboard 1
	retry 10 agents_known 1
	id=$(admin POST /api/admin/k6/targets "{\"url\":\"$SERVER/cancelled\",\"durationS\":60,\"enabled\":false}" | jq -r .id)
	admin POST "/api/admin/k6/targets/$id/run" '{"agents":1}' | jq -e '.commands | length == 1 and .[0].host == "testhost"'
	retry 20 is_requested /cancelled
	retry 10 ended_at_dashboard running 1
	run_id=$(dash_runs '' | jq -r '.items[0].id')
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -X POST -H 'Content-Type: application/json' "$DASH/api/admin/k6/runs/$run_id/cancel")" = 202 ]
	retry 20 ended_at_dashboard error 1
	curl -fsS "$DASH/api/dashboard/k6/runs/$run_id" | jq -e '.reason == "cancelled" and .metrics.http_reqs >= 1'
	post() { status_of -u "$ADMIN_BASIC_AUTH" -X POST -H 'Content-Type: application/json' ${2+-d "$2"} "$DASH$1"; }
	[ "$(post "/api/admin/k6/runs/$run_id/cancel")" = 409 ]
	[ "$(post /api/admin/k6/runs/nope/cancel)" = 404 ]
	[ "$(post /api/admin/k6/targets/nope/run '{}')" = 404 ]
	[ "$(post "/api/admin/k6/targets/$id/run" '{"agents":0}')" = 422 ]
	[ "$(post "/api/admin/k6/targets/$id/run" '{"agents":"x"}')" = 400 ]
	[ "$(post "/api/admin/k6/targets/$id/run" '{"more":1}')" = 400 ]
	[ "$(status_of -X POST -H 'Content-Type: application/json' "$DASH/api/admin/k6/targets/$id/run")" = 401 ]
}
