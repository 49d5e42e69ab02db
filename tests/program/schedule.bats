#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Instants of runs, measured by the arrival of requests at a server; limits of runs at a time; allowed_hosts.

load helpers

setup() {
	setup_dir
	start_server
}
teardown() { teardown_dir; }

# firsts PATH: prints the time of each run's first request in seconds since the earliest one, ascending.  A virtual
# user makes one request a second, so a run of one second makes one request.
firsts() {
	curl -fsS "$SERVER/__arrivals" | jq -c --arg p "$1" '(.[$p] // []) | sort | (.[0] // 0) as $first | map(. - $first)'
}
came() { [ "$(count_of "$1")" -ge "$2" ]; }

@test "spread: agents evenly over the interval, no drift, and a new agent moves nobody" {
	write_conf <<CONF
workers = 2
target 'Spread' { url = '$SERVER/spread' duration = 1s interval = 4s }
CONF
	start_fleet
	retry 20 came /spread 5
	# 0, 2, 4, 6 ...: a start of k6 takes about 40 ms, and longer while other tests run.
	firsts /spread | jq -e 'to_entries | all(.value - .key * 2 | fabs < 0.5)'
	# With four agents the new ones run at the odd seconds; the old ones keep their instants.
	ctl scale 4 --wait
	retry 20 came /spread 13
	firsts /spread | jq -e 'map(select(. > 12)) | length >= 4'
	firsts /spread | jq -e 'map(. - (. | round) | fabs) | all(. < 0.5)'
	jq -e -n --argjson now "$(firsts /spread)" '$now | map(round % 4) | (map(select(. == 0)) | length) >= 3 and (map(select(. == 2)) | length) >= 3'
	runs | jq -e 'map(select(.status != "running")) | all(.lagMs < 500 and .status == "success")'
	# The instants are the same after a restart of the daemon: it keeps the phase.
	kill -TERM "$FLEET" && wait "$FLEET" || true
	start_fleet
	n=$(count_of /spread)
	retry 20 came /spread $((n + 4))
	firsts /spread | jq -e 'map(. - (. | round) | fabs) | all(. < 0.5)'
}

@test "aligned: all at the same instant, run after run" {
	write_conf <<CONF
workers = 5
schedule { phase = aligned }
target 'Aligned' { url = '$SERVER/aligned' duration = 1s interval = 3s }
CONF
	start_fleet
	retry 20 came /aligned 15
	firsts /aligned | jq -e '[.[5:15] | to_entries[] | .value - (((.key / 5) | floor) + 1) * 3 | fabs] | all(. < 0.7)'
	# An instant has the same time stamp for all agents.
	runs | jq -e '[.[] | .scheduledAt] | unique | length <= 4'
}

@test "an overrunning run skips its own next instants: counted, never queued up" {
	cat >"$T/long.js" <<-JS
		import http from 'k6/http';
		export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '2500ms', gracefulStop: '0s' } } };
		export default function () { if (__ITER === 0) http.get('$SERVER/over'); for (const end = Date.now() + 200; Date.now() < end;); }
	JS
	write_conf <<CONF
workers = 1
target 'Over' { script_file = '$T/long.js' interval = 1s }
CONF
	start_fleet
	retry 20 came /over 4
	# Each run takes 2.5 s or more: the next one starts at the third instant, and two instants were missed or waited.
	firsts /over | jq -e '[.[1:] , .[:-1]] | transpose | map(select(all(. != null))) | map(.[0] - .[1]) | all(. > 2.4 and . < 4.5)'
	ctl targets --json | jq -e '.[0].missed >= 3'
	ctl metrics | grep -q '^k6fleet_runs_missed_total [1-9]'
}

@test "max_concurrent_runs and max_per_target: what is due waits its turn, nobody is left out" {
	write_conf <<CONF
workers = 6
schedule { phase = aligned max_concurrent_runs = 3 max_per_target = 2 }
target 'A' { url = '$SERVER/a' duration = 1s interval = 30s }
target 'B' { url = 'http://localhost:$PORT/b' duration = 1s interval = 30s }
CONF
	start_fleet
	retry 10 is_busy 3
	ctl status --json | jq -e '.load | .active <= 3 and .waiting > 0 and (.blockedBy | . == "max_concurrent_runs" or . == "max_per_target")'
	ctl metrics | grep -q '^k6fleet_saturation_ratio 1$'
	retry 30 came /a 6
	retry 30 came /b 6
	# Prints the largest number of runs at a time, from the stored runs.
	ended_all() { [ "$(runs | jq 'map(select(.status == "success")) | length')" -eq 12 ]; }
	retry 10 ended_all
	runs | jq -e '
		def at: (.[0:19] + "Z" | fromdate) + (.[20:23] | tonumber) / 1000;
		map({t: .targetLabel, s: (.startedAt | at), e: (.finishedAt | at)}) as $r
		| ($r | map(. as $x | [$r[] | select(.s <= $x.s and .e > $x.s)] | length) | max) <= 3
		and ($r | map(. as $x | [$r[] | select(.t == $x.t and .s <= $x.s and .e > $x.s)] | length) | max) <= 2'
	runs | jq -e '[.[] | .agent] | group_by(.) | map(length) | unique == [2]'
	# lagMs contains the wait in the queue; scheduledAt stays the computed instant.
	runs | jq -e 'map(.lagMs) | max > 1000'
}

@test "memory_budget: forty agents due at once queue instead of meeting the OOM killer" {
	write_conf <<CONF
workers = 40
schedule { phase = aligned memory_budget = 200M }
target 'Home' { url = '$SERVER/budget' duration = 1s interval = 1h }
CONF
	start_fleet
	local most=0 n
	while [ "$(count_of /budget)" -lt 40 ]; do
		n=$(ctl status --json | jq '[.agents[].k6RssBytes // 0] | add')
		[ "$n" -le "$most" ] || most=$n
		[ "$SECONDS" -lt 100 ] || return 1
	done
	echo "most at a time: $((most >> 20)) MiB"
	[ "$most" -le $((200 << 20)) ]
	ended_all() { [ "$(runs | jq 'map(select(.status == "success")) | length')" -eq 40 ]; }
	retry 10 ended_all
	runs | jq -e '[.[] | .agent] | unique | length == 40'
	# A run that needs more than the whole budget runs alone.
	ctl status --json | jq -e '.load | .memoryBudgetBytes == 209715200 and .queued == 0'
}

@test "allowed_hosts: what may not be aimed at is refused before k6 starts, and inside it" {
	local other
	other=$(free_port)
	python3 "$top_srcdir/tests/program/server.py" "$T/port2" 300 3>&- &
	PIDS+=($!)
	retry 10 test -s "$T/port2"
	other=$(cat "$T/port2")
	cat >"$T/stray.js" <<-JS
		import http from 'k6/http';
		export const options = { vus: 1, iterations: 1 };
		export default function () {
			http.get('$SERVER/allowed');
			http.get('http://127.0.0.2:$other/by-address');
			http.get('http://localhost.localdomain:$other/by-name');
			http.get('http://[::1]:$other/by-v6');
		}
	JS
	echo "import { x } from 'http://127.0.0.2:$other/module.js'; export default function () {}" >"$T/import.js"
	write_conf <<CONF
workers = 4
allowed_hosts = {'127.0.0.1', '*.example.org'}
target 'Good' { url = '$SERVER/good' duration = 1s interval = 1h max_agents = 1 }
target 'Bad' { url = 'http://127.0.0.2:$other/bad' duration = 1s interval = 1h max_agents = 1 }
target 'Sly' { url = 'http://127.0.0.1@127.0.0.2:$other/sly' duration = 1s interval = 1h max_agents = 1 }
$(script_target stray "$(cat "$T/stray.js")")
$(script_target import "$(cat "$T/import.js")")
CONF
	start_fleet
	expect_run Good success -
	expect_run Bad error forbidden_target
	jq -e '.errorMessage | contains("allowed_hosts")' <<<"$RUN"
	jq -e '.resources == null and .exitCode == null' <<<"$RUN"
	expect_run Sly error forbidden_target
	expect_run import error forbidden_target
	expect_run stray success -
	jq -e '.metrics | .http_reqs >= 1 and .error_rate > 0' <<<"$RUN"
	[ "$(count_of /allowed)" -eq 1 ]
	# No request reached the other server, and none reached this server by another address.
	SERVER=http://127.0.0.2:$other
	curl -fsS "http://127.0.0.1:$other/__counts" | jq -e '. == {}'
	run ctl run Bad
	[ "$status" -eq 1 ]
	[[ $output == *"allowed_hosts"* ]]
}
