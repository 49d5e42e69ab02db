#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Changes of a running fleet: restart, drain, reload, and hand-over to new binaries.

load helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

states() {
	ctl status --json | jq -r '[.agents[].state] | join(" ")'
}

# Whether no worker has a pid of the list $1 (one pid a line).
all_are_new() {
	fleet_is_up && [ -n "$(workers)" ] && [ -z "$(comm -12 <(sort <<<"$1") <(workers | sort))" ]
}

# Replaces a binary as packages do: by rename, so that the running image keeps its file.
install_program() {
	cp "$1" "$T/bin/$2.new"
	chmod 755 "$T/bin/$2.new"
	mv "$T/bin/$2.new" "$T/bin/$2"
}

start_copy() {
	FLEET_PROGRAM=$T/bin/k6fleetd start_fleet
}

@test "restart: one agent, all, rolling with runs that finish" {
	start_server
	write_conf <<CONF
workers = 6
target 'Example' { url = '$SERVER/x' duration = 3s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 is_busy
	before=$(workers)
	n=$(ctl status --json | jq '[.agents[].run == null] | index(true)')
	ctl restart "k6agent-$n" --wait
	[ "$(comm -12 <(sort <<<"$before") <(workers | sort) | wc -l)" = 5 ]
	# A rolling restart waits for the run and counts no failure.
	ctl restart --rolling --wait
	all_are_new "$before"
	expect_run Example success -
	refute grep -q 'worker died' "$T/k6fleetd.log"
	before=$(workers)
	ctl restart --wait
	all_are_new "$before"
	run ctl restart k6agent-77
	[ "$status" -eq 1 ] && [[ $output == *'no agent "k6agent-77"'* ]]
}

@test "restart without rolling cancels the run and keeps what it has" {
	start_server
	write_conf <<<"target 'Long' { url = '$SERVER/x' duration = 60s interval = 1h }"
	start_fleet
	retry 20 is_requested /x
	ctl restart --wait
	expect_run Long error cancelled
	jq -e '.metrics.http_reqs >= 1' <<<"$RUN"
	[ "$(ctl status --json | jq '.agents[0].restarts')" = 1 ]
}

@test "drain: the run finishes, the agent stays stopped, also for a new supervisor and a new keeper" {
	start_server
	write_conf <<CONF
workers = 3
target 'Example' { url = '$SERVER/x' duration = 3s interval = 1h }
schedule { phase = aligned }
CONF
	start_fleet
	retry 20 is_busy 3
	ctl drain k6agent-1
	[ "$(states)" = 'running draining running' ]
	is_drained() { [[ "$(states)" == *' stopped '* ]]; }
	retry 20 is_drained
	all_succeeded() { [ "$(runs | jq '[.[] | select(.status == "success")] | length')" = 3 ]; }
	retry 20 all_succeeded
	kill -KILL "$(supervisor)"
	[[ "$(states)" == *' stopped '* ]]
	ctl stop
	retry 20 is_gone "$FLEET"
	launch_fleet
	two_up() { [ "$(ctl status --json 2>/dev/null | jq -c '[.desired, .running]')" = '[3,2]' ]; }
	retry 15 two_up
	[ "$(ctl status --json | jq '.agents[1].drained')" = true ]
	ctl restart k6agent-1 --wait
	[ "$(ctl status --json | jq -c '[.running, .agents[1].drained]')" = '[3,false]' ]
	ctl drain k6agent-0
	ctl scale 2 --wait
	[ "$(ctl status --json | jq .running)" = 2 ]
}

@test "the last wish wins: scale while a restart, a drain and another scale are going on" {
	write_conf <<<'workers = 20'
	start_fleet
	ctl restart --rolling
	ctl scale 40
	ctl restart
	ctl drain k6agent-3
	ctl scale 5
	ctl reload
	ctl scale 33 --wait
	[ "$(ctl status --json | jq -c '[.desired, .running]')" = '[33,33]' ]
	[ "$(children_of "$FLEET" | wc -w)" = 34 ]
}

@test "reload: the difference is applied and named; workers that need no change keep their pids" {
	start_server
	write_conf <<CONF
workers = 3
drain_timeout = 7s
target 'Old' { url = '$SERVER/old' duration = 1s interval = 1h }
CONF
	start_fleet
	expect_run Old success -
	before=$(workers | sort)
	write_conf <<CONF
workers = 3
max_workers = 60
drain_timeout = 8s
state_dir = '$T/elsewhere'
target 'New' { url = '$SERVER/new' duration = 1s interval = 1h }
CONF
	sed -i '1d; /^state_dir.*\/state/d' "$T/k6fleetd.conf"
	ctl reload --json >"$T/answer"
	jq -e '[.changed[] | select(.effect == "now") | .key] | sort ==
		["drain_timeout", "max_workers", "target '\''New'\''", "target '\''Old'\''"]' "$T/answer"
	jq -e '.needRestart == ["state_dir"]' "$T/answer"
	expect_run New success -
	[ "$(workers | sort)" = "$before" ]
	ctl scale 60 --wait
	# HUP also hands over.
	sed -i 's/max_workers = 60/max_workers = 30/; s/^workers = 3/workers = 4/' "$T/k6fleetd.conf"
	kill -HUP "$FLEET"
	four() { [ "$(ctl status --json | jq -c '[.desired, .running]')" = '[4,4]' ]; }
	retry 15 four
	run ctl scale 31
	[ "$status" -eq 1 ]
	run ctl reload
	[ "$status" -eq 0 ] && [[ $output == *'Nothing has changed'* ]]
}

@test "reload: a bad file changes nothing and says where" {
	write_conf <<<'workers = 2'
	start_fleet
	before=$(workers | sort)
	printf 'workers = 5\ndrain_timeout = soon\n' >>"$T/k6fleetd.conf"
	run ctl reload
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"$T/k6fleetd.conf:8"* && $output == *drain_timeout* && $output == *soon* ]]
	kill -HUP "$FLEET"
	said() { [ "$(grep -c 'reload: refused, nothing has changed' "$T/k6fleetd.log")" = 2 ]; }
	retry 10 said
	rm "$T/k6fleetd.conf"
	run ctl reload
	[ "$status" -eq 1 ] && [[ $output == *"cannot read the configuration $T/k6fleetd.conf"* ]]
	[ "$(workers | sort)" = "$before" ]
	[ "$(ctl status --json | jq .desired)" = 2 ]
}

@test "reload: new limits come with new workers; a run that goes on is left alone" {
	start_server
	write_conf <<CONF
workers = 2
limits { open_files = 700 }
target 'Busy' { url = '$SERVER/x' duration = 4s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 is_busy
	before=$(workers | sort)
	busy=$(ctl status --json | jq '.agents[] | select(.run != null).pid')
	sed -i 's/700/800/' "$T/k6fleetd.conf"
	ctl reload | grep -q 'limits.open_files: 700 -> 800 (with new workers'
	idle_is_new() { [ "$(comm -12 <(echo "$before") <(workers | sort) | wc -l)" = 1 ]; }
	retry 10 idle_is_new
	kill -0 "$busy"
	expect_run Busy success -
	retry 10 all_are_new "$before"
	echo "target 'Next' { url = '$SERVER/next' duration = 3s interval = 1h }" >>"$T/k6fleetd.conf"
	ctl reload
	retry 20 is_requested /next
	for w in $(workers); do
		for k6 in $(children_of "$w"); do
			[ "$(awk '/^Max open files/ { print $4 }' "/proc/$k6/limits")" = 800 ]
		done
	done
}

@test "reload: dashboard, secret and poll interval are taken up" {
	start_dashboard
	admin POST /api/admin/k6/targets '{"url":"http://127.0.0.1:1/","label":"Far","durationS":1,"runIntervalMs":3600000}' >/dev/null
	secret=$DASHBOARD_SECRET
	unset DASHBOARD_SECRET
	write_conf <<<'workers = 1'
	start_fleet
	[ "$(ctl status --json | jq -r .dashboard.state)" = none ]
	before=$(workers)
	(umask 077 && echo wrong >"$T/secret")
	echo "dashboard { url = '$DASH' secret_file = '$T/secret' poll_interval = 200ms }" >>"$T/k6fleetd.conf"
	ctl reload
	refused() { [ "$(ctl status --json | jq -r .dashboard.state)" = refused ]; }
	retry 10 refused
	echo "$secret" >"$T/secret"
	ctl reload
	connected() { [ "$(ctl status --json | jq -r .dashboard.state)" = connected ]; }
	retry 10 connected
	retry 20 has_finished Far
	delivered() { [ "$(ctl status --json | jq .dashboard.outbox)" = 0 ]; }
	retry 10 delivered
	[ "$(workers)" = "$before" ]
	refute grep -q "$secret" "$T/k6fleetd.log"
}

@test "hand-over: same pid, same runs, new workers as they fall idle; HUP does it after an upgrade" {
	start_server
	copy_programs
	write_conf <<CONF
workers = 3
target 'Example' { url = '$SERVER/x' duration = 4s interval = 1h max_agents = 1 }
CONF
	start_copy
	retry 20 is_busy
	before=$(workers | sort)
	busy=$(ctl status --json | jq '.agents[] | select(.run != null).pid')
	old=$(supervisor)
	install_program "$top_builddir/k6fleetd" k6fleetd
	ctl reload --binary
	grep -q "took over version=.* pid=$FLEET workers=3" "$T/k6fleetd.log"
	[ "$(ctl status --json | jq .pid)" = "$FLEET" ]
	is_gone "$old"
	kill -0 "$busy"
	expect_run Example success -
	[ "$(runs | jq length)" = 1 ]
	[ "$(runs | jq '.[0].metrics.http_reqs')" = "$(count_of /x)" ]
	retry 10 all_are_new "$before"
	before=$(workers | sort)
	# Without a new binary on disk HUP only reads the configuration.
	kill -HUP "$FLEET"
	sleep 0.5
	[ "$(workers | sort)" = "$before" ]
	install_program "$top_builddir/k6fleet-supervisor" k6fleet-supervisor
	kill -HUP "$FLEET"
	retry 10 all_are_new "$before"
	before=$(workers | sort)
	kill -USR2 "$FLEET"
	retry 10 all_are_new "$before"
	[ "$(grep -c 'upgrade: took over' "$T/k6fleetd.log")" = 3 ]
	# The new keeper does everything that the old one did.
	kill -KILL "$(supervisor)"
	ctl scale 5 --wait
	if [ "$(id -u)" = 0 ]; then
		[ "$(sed -n 's/^CapEff:\t//p' "/proc/$FLEET/status")" = 00000000002001e0 ]
		[ "$(sed -n 's/^CapAmb:\t//p' "/proc/$FLEET/status")" = 0000000000000000 ]
		[ "$(sed -n 's/^CapInh:\t//p' "/proc/$FLEET/status")" = 0000000000000000 ]
	fi
	ctl stop
	retry 20 is_gone "$FLEET"
	for w in $(workers 2>/dev/null); do is_gone "$w"; done
	[ ! -e "$SOCKET" ]
}

@test "hand-over: a broken or incompatible binary is refused with a reason, nothing changes" {
	copy_programs
	write_conf <<<'workers = 2'
	start_copy
	before=$(workers | sort)
	printf '#!/bin/sh\necho "speaks another format" >&2; exit 1\n' >"$T/other"
	install_program "$T/other" k6fleetd
	run ctl reload --binary
	echo "$output"
	[ "$status" -eq 1 ] && [[ $output == *'speaks another format'*'goes on'* ]]
	echo 'no program at all' >"$T/other"
	install_program "$T/other" k6fleetd
	run ctl reload --binary
	[ "$status" -eq 1 ] && [[ $output == *'cannot be executed'* ]]
	rm "$T/bin/k6fleetd"
	run ctl reload --binary
	[ "$status" -eq 1 ] && [[ $output == *'cannot find'* ]]
	printf '#!/bin/sh\nexec sleep 60\n' >"$T/other"
	install_program "$T/other" k6fleetd
	run ctl reload --binary
	[ "$status" -eq 1 ] && [[ $output == *'no answer in time'* ]]
	[ "$(workers | sort)" = "$before" ]
	kill -KILL "$(supervisor)"
	ctl scale 3 --wait
}

@test "hand-over: under a service manager an incompatible binary means drain and restart" {
	start_server
	copy_programs
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 3s interval = 1h }"
	export NOTIFY_SOCKET=$T/notify
	python3 - "$T/notify" >"$T/notified" 3>&- <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
PY
	PIDS+=($!)
	retry 10 test -S "$T/notify"
	chmod 777 "$T/notify"
	start_copy
	retry 20 is_requested /x
	printf '#!/bin/sh\nexit 1\n' >"$T/other"
	install_program "$T/other" k6fleetd
	kill -USR2 "$FLEET"
	rc=0
	wait "$FLEET" || rc=$?
	[ "$rc" = 75 ]
	grep -q 'cannot take over.*draining' "$T/k6fleetd.log"
	grep -q STOPPING=1 "$T/notified"
	start_fleet
	expect_run Example success -
}

@test "hand-over as an ordinary user keeps the user namespace's capabilities" {
	[ "$(id -u)" = 0 ] || skip "the other tests ran as an ordinary user already"
	setpriv --reuid=65534 --regid=65534 --clear-groups unshare -U true 2>/dev/null ||
		skip "this kernel forbids user namespaces"
	chown 65534:65534 "$T"
	write_conf <<<'workers = 2'
	copy_programs
	K6_BINARY=$T/bin/$(basename "$K6_BINARY") setpriv --reuid=65534 --regid=65534 --clear-groups "$T/bin/k6fleetd" \
		-c "$T/k6fleetd.conf" >"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
	retry 15 fleet_is_up
	before=$(workers | sort)
	ctl reload --binary
	retry 10 all_are_new "$before"
	ctl scale 4 --wait
	[ "$(ctl status --json | jq -c '[.sandbox, .running]')" = '["user-namespace",4]' ]
}
