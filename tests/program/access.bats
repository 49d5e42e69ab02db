#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Permissions on the control socket, and limits for each user.

load helpers

setup() {
	setup_dir
}
teardown() { teardown_dir; }

# as UID GID GROUPS COMMAND...: runs the command with these ids; no account with them needs to exist.
as() {
	local uid=$1 gid=$2 groups=$3
	shift 3
	setpriv --reuid="$uid" --regid="$gid" --groups="$groups" "$@"
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "only root can be somebody else"
}

@test "control_read_group: its members read, and are told why they may not change; strangers do not get in" {
	need_root
	copy_programs
	getent group daemon games >/dev/null
	control=$(getent group daemon | cut -d: -f3) read=$(getent group games | cut -d: -f3)
	write_conf <<-'CONF'
		workers = 1
		control_group = 'daemon'
		control_read_group = 'games'
		metrics_listen = ''
	CONF
	start_fleet
	[ "$(stat -c %a:%G "$SOCKET")" = 660:daemon ]
	for verb in status targets runs metrics ping version 'status --check' 'status --json' 'logs'; do
		# shellcheck disable=SC2086 # words
		as 4242 4242 "$read" "$T/bin/k6fleetctl" -s "$SOCKET" $verb >/dev/null
		# shellcheck disable=SC2086 # words
		as 4242 "$read" 4243 "$T/bin/k6fleetctl" -s "$SOCKET" $verb >/dev/null
	done
	for verb in 'scale 3' 'restart' 'drain k6agent-0' 'pause --now' 'resume' 'run nothing' 'reload' 'reload --binary' \
		'cancel 01890a5d-ac96-774b-bcce-b302099a8057' 'stop'; do
		# shellcheck disable=SC2086 # words
		run as 4242 4242 "$read" "$T/bin/k6fleetctl" -s "$SOCKET" $verb
		[ "$status" -eq 4 ] || { echo "$verb: $status $output"; false; }
		[[ $output == *"control_read_group"* ]]
	done
	run as 4242 4242 "$read,$control" "$T/bin/k6fleetctl" -s "$SOCKET" scale 2 --wait
	[ "$status" -eq 0 ]
	grep -q 'fleet: scale from=1 to=2 by=uid=4242 pid=' "$T/k6fleetd.log"
	run as 4242 4242 4243 "$T/bin/k6fleetctl" -s "$SOCKET" status
	[ "$status" -eq 4 ]
	[[ $output == *'group "daemon"'* ]]
	[ "$(ctl status --json | jq .desired)" = 2 ]
}

@test "a group that does not exist is refused with how to make it" {
	write_conf <<<"control_read_group = 'no-such-group'"
	run "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$status" -eq 1 ]
	[[ $output == *'control_read_group: there is no group "no-such-group"'*groupadd* ]]
}

@test "one user's connections and requests are limited, and the others are served" {
	need_root
	copy_programs
	write_conf <<-'CONF'
		workers = 1
		control_group = 'daemon'
		metrics_listen = ''
	CONF
	start_fleet
	group=$(getent group daemon | cut -d: -f3)
	cat >"$T/flood.py" <<-'PY'
		import os, socket, sys, time, json
		path, what = sys.argv[1:]
		def client():
		    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path); return s, s.makefile("rb")
		if what == "connections":
		    held = [client() for _ in range(70)]
		    lines = [json.loads(f.readline()) for s, f in held]
		    assert sum("k6fleet" in l for l in lines) == 64, lines
		    assert all(l["code"] == "refused" and "64 connections" in l["error"] for l in lines[64:]), lines[64:]
		    print("held", flush=True); sys.stdin.readline()
		elif what == "status":
		    # One client requests many large responses and reads late: the supervisor's memory stays bounded, and no other client waits.
		    s, f = client(); f.readline()
		    s.sendall(b'{"verb":"status"}\n' * 300)
		    print("asked", flush=True); sys.stdin.readline()
		    for _ in range(300): assert json.loads(f.readline())["ok"]
		else:
		    s, f = client(); f.readline()
		    began = time.monotonic()
		    s.sendall(b'{"verb":"ping"}\n' * 1000)
		    for _ in range(1000): assert b"pong" in f.readline()
		    took = time.monotonic() - began
		    # A burst of 400 requests passes at once, the rest at 200 a second.
		    assert 2.5 < took < 15, took
	PY
	chmod 644 "$T/flood.py"
	mkfifo "$T/end"
	as 4242 4242 "$group" /usr/bin/python3 "$T/flood.py" "$SOCKET" connections <"$T/end" >"$T/out" 3>&- &
	PIDS+=($!)
	exec 5>"$T/end"
	retry 10 grep -q held "$T/out"
	run as 4242 4242 "$group" "$T/bin/k6fleetctl" -s "$SOCKET" ping
	[ "$status" -eq 1 ]
	[[ $output == *"uid 4242 has 64 connections open"* ]]
	as 4343 4343 "$group" "$T/bin/k6fleetctl" -s "$SOCKET" ping
	ctl ping
	echo >&5
	exec 5>&-
	freed() { as 4242 4242 "$group" "$T/bin/k6fleetctl" -s "$SOCKET" ping; }
	retry 5 freed
	as 4242 4242 "$group" /usr/bin/python3 "$T/flood.py" "$SOCKET" requests 3>&- &
	flood=$!
	PIDS+=("$flood")
	began=$(date +%s%N)
	for _ in 1 2 3 4 5; do ctl ping >/dev/null; done
	[ $((($(date +%s%N) - began) / 1000000)) -lt 2000 ]
	wait "$flood"
	ctl scale 50 --wait
	as 4242 4242 "$group" /usr/bin/python3 "$T/flood.py" "$SOCKET" status <"$T/end" >"$T/out" 3>&- &
	flood=$!
	PIDS+=("$flood")
	exec 5>"$T/end"
	retry 10 grep -q asked "$T/out"
	for _ in 1 2 3 4 5; do timeout 2 "$top_builddir/k6fleetctl" -s "$SOCKET" ping >/dev/null; done
	echo >&5
	exec 5>&-
	wait "$flood"
}
