#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The local store: full disk, bounded history, jumps of the wall clock.

load helpers

setup() { setup_dir; }
teardown() {
	# A lazy unmount, because the daemons end later, in teardown_dir.
	for dir in "$T/state" "$T/dash"; do
		if mountpoint -q "$dir"; then umount -l "$dir"; fi
	done
	teardown_dir
}

storage_is() {
	[ "$(ctl status --json | jq -r .storage.state)" = "$1" ]
}

# small_disk DIR USER: mounts a tmpfs of 4 MiB for the user.
small_disk() {
	mkdir "$T/$1"
	mount -t tmpfs -o size=4m tmpfs "$T/$1" 2>/dev/null || skip "may not mount a tmpfs"
	chown "$2:" "$T/$1"
}

fill_disk() {
	dd if=/dev/zero of="$T/$1/ballast" bs=4k 2>/dev/null || true
}

succeeded() {
	[ "$(runs | jq --arg t "$1" '[.[] | select(.targetLabel == $t and .status == "success")] | length')" -ge "${2:-1}" ]
}

@test "full disk: what runs goes on, nothing new is started, nothing is lost, and it says so" {
	small_disk state k6fleet
	start_server
	write_conf <<CONF
workers = 2
target 'Often' { url = '$SERVER/often' duration = 1s interval = 2s max_agents = 1 }
target 'Long' { url = '$SERVER/long' duration = 6s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 20 succeeded Often
	retry 20 is_requested /long
	fill_disk state
	retry 20 storage_is 'storage full'
	ctl status | grep -q '^storage full: no new runs are started'
	[ "$(grep -c 'store: storage full: .*no new runs' "$T/k6fleetd.log")" = 1 ]
	# One run may just have been given out; no further run starts.
	sleep 2
	n=$(count_of /often)
	sleep 4.5
	[ "$(count_of /often)" = "$n" ]
	runs | jq -e 'length >= 2'
	[ "$(ctl targets --json | jq '[.[] | select(.label == "Often")][0].missed')" -ge 2 ]
	# A new supervisor that finds the disk full starts no run either.
	kill -KILL "$(supervisor)"
	[ "$(ctl ping)" = pong ]
	retry 20 storage_is 'storage full'
	[ "$(count_of /often)" = "$n" ]
	rm "$T/state/ballast"
	retry 20 storage_is ok
	expect_run Long success -
	[ "$(runs | jq '[.[] | select(.targetLabel == "Long")] | length')" = 1 ]
	more() { [ "$(count_of /often)" -gt "$n" ]; }
	retry 20 more
	no_run_is_open() { [ "$(runs | jq '[.[] | select(.status == "running")] | length')" -le 1 ]; }
	retry 20 no_run_is_open
	[ "$(runs | jq '[.[] | select(.reason == "lost")] | length')" = 0 ]
}

@test "history: what is older, or more than history_size, goes in small steps; the newest stays" {
	write_conf <<CONF
workers = 0
history = 1h
history_size = 1M
CONF
	start_fleet
	ctl stop
	retry 20 is_gone "$FLEET"
	# The store has runs of two hours ago, and 3 MiB of new ones.
	python3 - "$T/state/supervisor.db" <<'PY'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
now = int(time.time() * 1000)
for i in range(5000):
    at = now - 7200000 if i < 1500 else now - 60000 + i
    db.execute("INSERT INTO runs (id, rev, acked_rev, status, agent, target_id, target_label, at_ms, json, log)"
               " VALUES (?, 1, 1, 'success', 'a', 't', 't', ?, ?, NULL)",
               ("%08d" % i, at, '{"id":"%08d","pad":"%s"}' % (i, "x" * 800)))
db.commit()
PY
	write_conf <<CONF
workers = 0
history = 1h
history_size = 1M
CONF
	start_fleet
	bounded() {
		[ "$(ctl runs -n 10000 --json | jq 'length < 1500 and length > 300')" = true ]
	}
	retry 30 bounded
	[ "$(ctl runs -n 1 --json | jq -r '.[0].id')" = 00004999 ]
}

@test "the wall clock jumps, forth and back: no run is early, late or twice, no worker is silent" {
	# CC may be words, as "ccache gcc".
	# shellcheck disable=SC2086
	${CC:-cc} -shared -fPIC -O1 -o "$T/clock.so" "$top_srcdir/tests/program/clock.c"
	start_server
	# The sandbox is off, so that the new supervisor finds the library, too.
	write_conf <<CONF
workers = 2
sandbox = off
worker_heartbeat = 200ms
worker_timeout = 2s
target 'Beat' { url = '$SERVER/beat' duration = 1s interval = 4s max_agents = 1 }
CONF
	now=$(cut -d. -f1 /proc/uptime)
	# The clock jumps three hours and half an interval forward, then back beyond the start.
	export CLOCK_JUMPS="$((now + 5)):10802,$((now + 14)):-7302" LD_PRELOAD=$T/clock.so
	export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0
	launch_fleet
	unset LD_PRELOAD CLOCK_JUMPS
	retry 15 fleet_has_settled
	before=$(workers)
	sleep 7
	# A supervisor that starts after the jump keeps the phase.
	kill -KILL "$(supervisor)"
	sleep 8
	kill -KILL "$(supervisor)"
	sleep 7
	curl -fsS "$SERVER/__arrivals" | jq -c '."/beat"' | tee "$T/arrivals"
	# The runs come every four seconds, whatever the wall clock says.
	jq -e 'length >= 5 and length <= 8' "$T/arrivals"
	jq -e '. as $a | all(range(1; length); ($a[.] - $a[. - 1]) as $d | $d > 2.6 and $d < 5.4)' "$T/arrivals"
	[ "$(workers)" = "$before" ]
	runs | jq -e 'all(.[]; .status == "running" or
		((.finishedAt | sub("\\.[0-9]+Z"; "Z") | fromdate) - (.startedAt | sub("\\.[0-9]+Z"; "Z") | fromdate)) <= 3)'
	# The clock did jump.
	[ "$(runs | jq '[.[].startedAt[11:13]] | unique | length')" -ge 2 ]
}

@test "a full disk at the dashboard: it says 503, runs wait in the outbox and arrive once" {
	small_disk dash k6fleet-dashboard
	start_server
	start_dashboard
	write_conf <<CONF
workers = 2
dashboard { url = '$DASH' poll_interval = 300ms heartbeat_interval = 500ms }
target 'Local' { url = '$SERVER/local' duration = 1s interval = 2s }
CONF
	start_fleet
	retry 20 has_finished Local
	fill_disk dash
	kept() { [ "$(ctl status --json | jq .dashboard.outbox)" -ge 4 ]; }
	retry 30 kept
	grep -q '503' "$T/k6fleetd.log"
	[ "$(ctl status --json | jq -r .storage.state)" = ok ]
	rm "$T/dash/ballast"
	ctl pause
	delivered() { [ "$(ctl status --json | jq -c '[.busy, .dashboard.outbox]')" = '[0,0]' ]; }
	retry 40 delivered
	diff <(runs | jq -r '.[] | .id + " " + .status' | sort) \
		<(curl -sS "$DASH/api/dashboard/k6/runs?pageSize=500" | jq -r '.items[] | .id + " " + .status' | sort)
}
