#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The processes: users, replacement after a death, nothing left behind.

load helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

status_field() {
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

title_of() {
	tr '\0' '\n' <"/proc/$1/cmdline" | head -1
}

agent_has_new_pid() {
	local now
	now=$(pid_of_agent "$1")
	[ "$now" != null ] && [ "$now" != "$2" ] && [ "$(ctl status --json | jq -r ".agents[$1].state")" != starting ]
}

@test "titles, users, capabilities and namespaces of every process" {
	start_server
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 20s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	w=$(workers)
	s=$(supervisor)
	[ "$(title_of "$FLEET")" = 'k6fleetd: keeper' ]
	[ "$(title_of "$s")" = 'k6fleetd: supervisor' ]
	[ "$(title_of "$w")" = 'k6fleetd: k6agent-0 running Example' ]
	for pid in $s $w $(children_of "$w"); do
		[ "$(status_field "$pid" CapPrm)" = 0000000000000000 ]
		[ "$(status_field "$pid" CapEff)" = 0000000000000000 ]
		[ "$(status_field "$pid" CapBnd)" = 0000000000000000 ]
		[ "$(status_field "$pid" NoNewPrivs)" = 1 ]
	done
	[ "$(readlink "/proc/$w/ns/pid")" != "$(readlink "/proc/$FLEET/ns/pid")" ]
	[ "$(readlink "/proc/$w/ns/mnt")" != "$(readlink "/proc/$FLEET/ns/mnt")" ]
	grep -q ' /tmp .* tmpfs ' "/proc/$w/mountinfo"
	# The host's mount table does not change.
	refute grep -q 'nr_inodes=16384' /proc/self/mountinfo
	if [ "$(id -u)" = 0 ]; then
		[ "$(stat -c %U "/proc/$s")" = k6fleet ]
		[ "$(status_field "$w" Uid | cut -f1)" = "$(id -u k6agent)" ]
		# SYS_ADMIN, SETUID, SETGID, SETPCAP, KILL only.
		[ "$(status_field "$FLEET" CapBnd)" = 00000000002001e0 ]
	fi
}

@test "the limits of k6 are set, and its memory limit is RLIMIT_DATA" {
	start_server
	write_conf <<CONF
limits { memory = 300M open_files = 777 file_size = 5M cpu_time = 90s }
target 'Example' { url = '$SERVER/x' duration = 20s interval = 1h }
CONF
	start_fleet
	retry 20 is_requested /x
	k6=$(children_of "$(workers)" | tr -d ' ')
	limit() { awk -v n="$1" 'index($0, n) == 1 { sub(n, ""); print $1 }' "/proc/$k6/limits"; }
	[ "$(limit 'Max data size')" = 314572800 ]
	[ "$(limit 'Max open files')" = 777 ]
	[ "$(limit 'Max file size')" = 5242880 ]
	[ "$(limit 'Max cpu time')" = 90 ]
	[ "$(limit 'Max core file size')" = 0 ]
	[ "$(limit 'Max address space')" = unlimited ]
}

@test "a killed worker is replaced within a second; its run is lost, its k6 is gone" {
	start_server
	write_conf <<CONF
workers = 3
target 'Example' { url = '$SERVER/x' duration = 20s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 is_busy
	n=$(ctl status --json | jq '[.agents[].run != null] | index(true)')
	old=$(pid_of_agent "$n")
	k6=$(children_of "$old")
	kill -KILL "$old"
	retry 20 agent_has_new_pid "$n" "$old"
	is_gone "${k6% }"
	expect_run Example error lost
	jq -e '.errorMessage | contains("signal 9")' <<<"$RUN"
	[ "$(ctl status --json | jq ".agents[$n].restarts")" = 1 ]
	grep -q "worker died signal 9" "$T/k6fleetd.log"
}

@test "all workers killed at once are all back" {
	write_conf <<<'workers = 30'
	start_fleet
	for n in 30 60; do
		# The workers are stable, so their deaths count as a storm and not as failures of their own.
		sleep 1.2
		# shellcheck disable=SC2046
		kill -KILL $(workers)
		all_back() { [ "$(ctl status --json | jq -c '[.running, ([.agents[].restarts] | add)]')" = "[30,$n]" ]; }
		retry 15 all_back
		[ "$(grep -c 'not a crash loop' "$T/k6fleetd.log")" = $((n / 30)) ]
	done
}

@test "a killed supervisor is replaced; workers keep their pids, runs go on and are counted once" {
	start_server
	write_conf <<CONF
workers = 4
target 'Example' { url = '$SERVER/x' duration = 4s interval = 1h }
schedule { phase = aligned }
CONF
	start_fleet
	retry 20 is_busy 4
	before=$(workers | sort)
	for _ in 1 2 3; do
		old=$(supervisor)
		kill -KILL "$old"
		# The keeper owns the socket, so no client is refused.
		[ "$(ctl ping)" = pong ]
		[ "$(supervisor)" != "$old" ]
	done
	[ "$(workers | sort)" = "$before" ]
	all_finished() { [ "$(runs | jq '[.[] | select(.status != "running")] | length')" = 4 ]; }
	retry 20 all_finished
	runs | jq -e 'length == 4 and all(.status == "success") and ([.[].id] | unique | length == 4)'
	[ "$(runs | jq '[.[].metrics.http_reqs] | add')" -eq "$(count_of /x)" ]
	[ "$(ctl status --json | jq .supervisorRestarts)" = 3 ]
	kill -KILL "$(supervisor)"
	remembers() { [ "$(ctl status --json | jq -c '[.agents[].lastResult] | unique')" = '["success"]' ]; }
	retry 10 remembers
}

@test "clients that ask while supervisors are killed get their answers" {
	write_conf <<<'workers = 2'
	start_fleet
	(for _ in 1 2 3 4 5 6 7 8; do
		kill -KILL "$(supervisor)" 2>/dev/null
		sleep 0.25
	done) &
	killer=$!
	n=0
	while kill -0 "$killer" 2>/dev/null; do
		ctl status --json | jq -e '.desired == 2' >/dev/null
		ctl scale 2
		n=$((n + 1))
	done
	[ "$n" -ge 10 ]
}

@test "a run that ended while there was no supervisor is not lost" {
	start_server
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 1s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	s=$(supervisor)
	kill -STOP "$s"
	sleep 1.5
	kill -KILL "$s"
	expect_run Example success -
	[ "$(runs | jq length)" = 1 ]
}

@test "a supervisor that hangs is noticed and replaced" {
	write_conf <<<'workers = 2'
	start_fleet
	before=$(workers | sort)
	old=$(supervisor)
	kill -STOP "$old"
	replaced() { s=$(supervisor) && [ -n "$s" ] && [ "$s" != "$old" ]; }
	retry 15 replaced
	retry 15 fleet_is_up
	[ "$(workers | sort)" = "$before" ]
}

@test "a killed keeper takes everything with it; the next start records the run as lost, once" {
	start_server
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 20s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	s=$(supervisor)
	w=$(workers)
	k6=$(children_of "$w" | tr -d ' ')
	kill -KILL "$FLEET"
	for pid in $s $w $k6; do retry 15 is_gone "$pid"; done
	start_fleet
	expect_run Example error lost
	[ "$(runs | jq '[.[] | select(.status == "error")] | length')" = 1 ]
	[ "$(runs | jq '[.[].id] | length == (unique | length)')" = true ]
}

@test "scale: up, down, by --wait, over the ceiling, kept across restarts; a changed file wins" {
	write_conf <<<'workers = 1'
	start_fleet
	ctl scale 20 --wait
	[ "$(ctl status --json | jq -c '[.desired, .running]')" = '[20,20]' ]
	ctl scale 5 --wait
	[ "$(workers | wc -l)" = 5 ]
	run ctl scale 51
	[ "$status" -eq 1 ] && [[ $output == *"max_workers is 50"* ]]
	ctl stop
	retry 20 is_gone "$FLEET"
	start_fleet
	[ "$(ctl status --json | jq .desired)" = 5 ]
	ctl stop
	retry 20 is_gone "$FLEET"
	write_conf <<<'workers = 2'
	start_fleet
	[ "$(ctl status --json | jq .desired)" = 2 ]
	ctl stop
	retry 20 is_gone "$FLEET"
	start_fleet -n 7
	[ "$(ctl status --json | jq .desired)" = 7 ]
	# The option applies to the start only, not to later supervisors.
	ctl scale 3 --wait
	kill -KILL "$(supervisor)"
	[ "$(ctl status --json | jq .desired)" = 3 ]
	ctl reload --binary
	[ "$(ctl status --json | jq .desired)" = 3 ]
}

@test "scaling down lets a run finish; --now cancels it and keeps what it has" {
	start_server
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 3s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	ctl scale 0
	[ "$(ctl status --json | jq -r '.agents[0].state')" = draining ]
	grep -q 'k6agent-0: draining run=' "$T/k6fleetd.log"
	expect_run Example success -
	retry 15 fleet_is_up
	write_conf <<<"target 'Other' { url = '$SERVER/y' duration = 30s interval = 1h }"
	ctl stop
	retry 20 is_gone "$FLEET"
	start_fleet -n 1
	retry 20 is_requested /y
	ctl scale 0 --now
	expect_run Other error cancelled
	jq -e '.metrics.http_reqs >= 1' <<<"$RUN"
}

@test "pause starts nothing new, --now stops what runs, both outlive restarts; resume goes on" {
	start_server
	write_conf <<CONF
workers = 2
target 'Often' { url = '$SERVER/often' duration = 1s interval = 2s }
target 'Long' { url = '$SERVER/long' duration = 60s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 is_requested /often
	retry 20 is_requested /long
	ctl pause
	[ "$(ctl status --json | jq .paused)" = true ]
	grep -q PAUSED <<<"$(ctl status)"
	# The long run goes on.
	only_long() { [ "$(ctl status --json | jq .busy)" = 1 ]; }
	retry 15 only_long
	ctl pause --now
	expect_run Long error cancelled
	jq -e '.metrics.http_reqs >= 1' <<<"$RUN"
	n=$(runs | jq length)
	kill -KILL "$(supervisor)"
	[ "$(ctl status --json | jq .paused)" = true ]
	ctl stop
	retry 20 is_gone "$FLEET"
	start_fleet
	[ "$(ctl status --json | jq .paused)" = true ]
	sleep 4.5
	[ "$(runs | jq length)" = "$n" ]
	ctl resume
	[ "$(ctl status --json | jq .paused)" = false ]
	more() { [ "$(runs | jq length)" -gt "$n" ]; }
	retry 15 more
}

@test "TERM drains and exits 0 with nothing left; a second TERM does not wait" {
	start_server
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 2s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	w=$(workers)
	kill -TERM "$FLEET"
	rc=0
	wait "$FLEET" || rc=$?
	[ "$rc" -eq 0 ]
	is_gone "$w"
	[ ! -e "$SOCKET" ]
	write_conf <<<"target 'Long' { url = '$SERVER/long' duration = 60s interval = 1h }"
	start_fleet
	retry 20 is_requested /long
	w=$(workers)
	kill -TERM "$FLEET"
	sleep 0.3
	kill -TERM "$FLEET"
	rc=0
	wait "$FLEET" || rc=$?
	[ "$rc" -eq 0 ]
	is_gone "$w"
	start_fleet
	expect_run Long error cancelled
}

@test "a worker that falls silent is killed and replaced" {
	write_conf <<CONF
workers = 2
worker_heartbeat = 200ms
worker_timeout = 3s
CONF
	start_fleet
	sleep 3.2
	old=$(pid_of_agent 1)
	other=$(pid_of_agent 0)
	kill -STOP "$old"
	retry 20 agent_has_new_pid 1 "$old"
	[ "$(pid_of_agent 0)" = "$other" ]
	grep -q 'silent for' "$T/k6fleetd.log"
}

@test "as an ordinary user: the same sandbox through a user namespace" {
	[ "$(id -u)" = 0 ] || skip "the other tests ran as an ordinary user already"
	setpriv --reuid=65534 --regid=65534 --clear-groups unshare -U true 2>/dev/null ||
		skip "this kernel forbids user namespaces"
	start_server
	chown 65534:65534 "$T"
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 1s interval = 1h }"
	copy_programs
	K6_BINARY=$T/bin/$(basename "$K6_BINARY") setpriv --reuid=65534 --regid=65534 --clear-groups "$T/bin/k6fleetd" \
		-c "$T/k6fleetd.conf" >"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
	retry 15 fleet_is_up
	[ "$(ctl status --json | jq -r .sandbox)" = user-namespace ]
	expect_run Example success -
	w=$(workers)
	[ "$(status_field "$w" CapEff)" = 0000000000000000 ]
	[ "$(readlink "/proc/$w/ns/pid")" != "$(readlink "/proc/self/ns/pid")" ]
}

@test "where namespaces are forbidden: require fails with advice, try goes on and says so" {
	[ "$(id -u)" = 0 ] || skip "needs root to forbid them"
	write_conf <<<'workers = 1'
	chown 65534:65534 "$T"
	forbidden() {
		unshare -U --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh \
			setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
	}
	forbidden true || skip "cannot limit namespaces here"
	copy_programs
	K6_BINARY=$T/bin/$(basename "$K6_BINARY")
	export K6_BINARY
	# Root of its namespace, without any capability, as in a hardened container.
	run forbidden "$T/bin/k6fleetd" -c "$T/k6fleetd.conf"
	echo "$output"
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
}

metric_of() {
	curl -fsS "http://127.0.0.1:$METRICS/metrics" | awk -v n="$1" '$1 == n { print $2 }'
}

@test "metrics: the endpoint, the verb and status say the same; a new supervisor goes on serving" {
	METRICS=$(free_port)
	start_server
	write_conf <<CONF
workers = 3
metrics_listen = '127.0.0.1:$METRICS'
target 'Example' { url = '$SERVER/x' duration = 1s interval = 1h max_agents = 1 }
CONF
	start_fleet
	expect_run Example success -
	[ "$(metric_of 'k6fleet_workers{state="idle"}')" = 3 ]
	[ "$(metric_of k6fleet_workers_desired)" = 3 ]
	[ "$(metric_of 'k6fleet_runs_total{status="success"}')" = 1 ]
	[ "$(metric_of k6fleet_run_lag_seconds_count)" = 1 ]
	[ "$(metric_of k6fleet_outbox_runs)" = 0 ]
	[ "$(metric_of 'k6fleet_dashboard_requests_total{code="none"}')" = 0 ]
	kill -KILL "$(pid_of_agent 1)"
	counted() { [ "$(metric_of 'k6fleet_worker_restarts_total{reason="signal"}')" = 1 ]; }
	retry 10 counted
	ctl restart k6agent-0 --wait
	[ "$(ctl status --json | jq -c .counters.restarts)" = '{"exit":0,"signal":1,"killed":0,"requested":1}' ]
	diff <(ctl metrics | grep '^# ') <(curl -fsS "http://127.0.0.1:$METRICS/metrics" | grep '^# ')
	[ "$(status_of "http://127.0.0.1:$METRICS/other")" = 404 ]
	[ "$(status_of -X POST -d x "http://127.0.0.1:$METRICS/metrics")" = 405 ]
	kill -KILL "$(supervisor)"
	[ "$(metric_of k6fleet_supervisor_restarts_total)" = 1 ]
	# If the port is taken, the fleet runs without the endpoint.
	sed "s#$T/run/#$T/run2/#; s#$T/state#$T/state2#" "$T/k6fleetd.conf" >"$T/second.conf"
	"$top_builddir/k6fleetd" -c "$T/second.conf" >"$T/second.log" 2>&1 3>&- &
	PIDS+=($!)
	second_is_up() { "$top_builddir/k6fleetctl" -s "$T/run2/control.sock" status --check; }
	retry 15 second_is_up
	grep -q "metrics: metrics_listen: cannot listen on 127.0.0.1:$METRICS" "$T/second.log"
}

@test "status --check: exit 1 and one line while agents are missing" {
	write_conf <<<'workers = 2'
	start_fleet
	run ctl status --check
	[ "$status" -eq 0 ] && [ "$output" = 'ok: 2 agents run' ]
	ctl drain k6agent-1
	one_left() { [ "$(ctl status --json | jq .running)" = 1 ]; }
	retry 10 one_left
	run ctl status --check
	[ "$status" -eq 1 ] && [ "$output" = 'not ok: 1 of 2 agents run' ]
	run ctl --json status --check
	[ "$status" -eq 1 ] && jq -e '.ok == false' <<<"$output"
}

@test "a supervisor that dies again and again is backed off; workers and their runs stay" {
	start_server
	write_conf <<CONF
workers = 3
target 'Example' { url = '$SERVER/x' duration = 5s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 is_busy
	before=$(workers | sort)
	has_one() { [ -n "$(supervisor)" ]; }
	for n in 1 2 3 4 5; do
		retry 10 has_one
		kill -ABRT "$(supervisor)"
		died() { [ "$(grep -c 'supervisor: died' "$T/k6fleetd.log")" = "$n" ]; }
		retry 10 died
	done
	delays() { sed -n 's/.*supervisor: died.*next_start_ms=\([0-9]*\).*/\1/p' "$T/k6fleetd.log" | xargs; }
	[ "$(delays)" = '0 100 200 400 800' ]
	[ "$(ctl ping)" = pong ]
	[ "$(workers | sort)" = "$before" ]
	expect_run Example success -
	[ "$(runs | jq length)" = 1 ]
	# KILL by an operator is no crash: the next supervisor starts at once.
	sleep 0.3
	for _ in 1 2; do
		kill -KILL "$(supervisor)"
		[ "$(ctl ping)" = pong ]
		sleep 0.3
	done
	[[ "$(delays)" == *' 800 0 0' ]]
}
