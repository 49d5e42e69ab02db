#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Limits of a hostile script, tried by a program in k6's place that attempts everything, and by real k6.

load helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

# probe MODE [CONFIG LINES]: runs the probe once, under the label Probe; its log is in $LOG.
probe_conf() {
	local mode=$1
	cp "$top_builddir/tests/program/probe" "$T/probe"
	chmod 755 "$T/probe"
	export K6_BINARY=$T/probe
	write_conf <<CONF
${2:-workers = 1}
k6 { env = {'PROBE_MODE=$mode', 'PROBE_STATE=$T/state/supervisor.db', 'PROBE_CONFIG=$T/k6fleetd.conf',
  'PROBE_SOCKET=$SOCKET', 'PROBE_ABSTRACT=k6fleet-test-$$', 'PROBE_SLEEP=98$$'} }
target 'Probe' { url = 'http://127.0.0.1:1/' duration = 1s interval = ${INTERVAL:-1h} max_agents = 1 }
CONF
}

run_probe() {
	probe_conf "$@"
	start_fleet
	retry 40 has_finished Probe
	RUN=$(finished Probe)
	LOG=$(log_of "$RUN")
}

log_of() {
	ctl show "$(jq -r .id <<<"$1")" --json | jq -r .log
}

abstract_server() {
	python3 -c "
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind('\0k6fleet-test-$$'); s.listen(); open('$T/abstract', 'w').write('x')
time.sleep(60)" 3>&- &
	PIDS+=($!)
	retry 10 test -s "$T/abstract"
}

layer() {
	ctl status --json | jq -e ".sandboxLayers.$1" >/dev/null
}

# Prints every attempt in $LOG that succeeded.
successes() {
	sed -n 's/ ok$//p' <<<"$LOG" | sort | tr '\n' ' '
}

# Everything that an honest program needs has worked, and nothing else.
check_attempts() {
	grep -q '^finished$' <<<"$LOG"
	local expected="devnull home socket_tcp tmp "
	# Only Landlock's scopes close abstract sockets; they came with Linux 6.12.
	if ! layer landlock || [ "$(printf '6.12\n%s\n' "$(uname -r)" | sort -V | head -1)" != 6.12 ]; then
		expected="abstract_socket $expected"
	fi
	[ "$(successes)" = "$expected" ] || {
		echo "worked: $(successes), wanted: $expected"
		echo "$LOG"
		return 1
	}
	grep -q '^hostname k6agent-0$' <<<"$LOG"
	grep -q '^HOME /home/k6agent$' <<<"$LOG"
	[ "$(grep -c '^Cap....*0000000000000000$' <<<"$LOG")" = 5 ]
	grep -q 'NoNewPrivs:.1' <<<"$LOG"
	grep -q 'Seccomp:.2' <<<"$LOG"
	# Only stdin, stdout and stderr are open.
	[ "$(grep -c '^fd ' <<<"$LOG")" = 3 ]
	grep -q '^fd 0 /dev/null$' <<<"$LOG"
	# No other process is visible, not even the worker.
	refute grep -q '^sees-pid' <<<"$LOG"
}

@test "the probe gets nowhere, as root" {
	[ "$(id -u)" = 0 ] || skip "runs as an ordinary user below"
	abstract_server
	run_probe attempts
	layer seccomp
	check_attempts
	# The attacked worker lives, and is the same process.
	[ "$(ctl status --json | jq '.agents[0].restarts')" = 0 ]
	for call in mount bind umount pivot_root chroot unshare_user unshare_mnt clone_user ptrace setuid bpf perf userfaultfd \
		io_uring keyctl module kexec prlimit_init priority_init affinity_init; do
		grep -q "^$call EPERM$" <<<"$LOG" || { echo "$call: $(grep "^$call " <<<"$LOG")"; return 1; }
	done
}

@test "the probe gets nowhere, as an ordinary user" {
	if [ "$(id -u)" = 0 ]; then
		as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	else
		as_nobody=(env)
	fi
	"${as_nobody[@]}" unshare -U true 2>/dev/null || skip "this kernel forbids user namespaces"
	abstract_server
	copy_programs
	probe_conf attempts
	[ "$(id -u)" != 0 ] || chown 65534:65534 "$T"
	"${as_nobody[@]}" "$T/bin/k6fleetd" -c "$T/k6fleetd.conf" >"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
	retry 20 fleet_is_up
	retry 40 has_finished Probe
	LOG=$(log_of "$(finished Probe)")
	[ "$(ctl status --json | jq -r .sandbox)" = user-namespace ]
	check_attempts
	[ "$(ctl status --json | jq '.agents[0].restarts')" = 0 ]
}

@test "every process: capabilities, no_new_privs, seccomp; agents see a root of their own" {
	start_server
	write_conf <<CONF
workers = 2
target 'Long' { url = '$SERVER/long' duration = 30s interval = 1h max_agents = 1 }
CONF
	before=$(cat /proc/self/mountinfo)
	start_fleet
	busy() { [ "$(count_of /long)" -gt 0 ]; }
	retry 20 busy
	s=$(supervisor)
	k6=
	for w in $(workers); do k6="$k6 $(children_of "$w")"; done
	for pid in $s $(workers) $k6; do
		for field in CapInh CapPrm CapEff CapBnd CapAmb; do
			grep -q "^$field:.0000000000000000$" "/proc/$pid/status"
		done
		grep -q '^NoNewPrivs:.1$' "/proc/$pid/status"
		grep -q '^Seccomp:.2$' "/proc/$pid/status"
	done
	grep -q '^NoNewPrivs:.1$' "/proc/$FLEET/status"
	for w in $(workers); do
		for ns in mnt pid ipc uts cgroup; do
			[ "$(readlink "/proc/$w/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")" ]
		done
		[ "$(readlink "/proc/$w/ns/net")" = "$(readlink /proc/self/ns/net)" ]
		awk '$5 == "/" && $6 ~ /^ro,nosuid,nodev,noexec/ { n++ } $5 == "/usr" && $6 ~ /^ro,nosuid,nodev/ { n++ }
			$5 == "/etc" && $6 ~ /^ro,nosuid,nodev,noexec/ { n++ } $5 == "/k6" && $6 ~ /^ro,nosuid,nodev/ { n++ }
			$5 == "/tmp" && /size=262144k,nr_inodes=16384/ { n++ } $5 == "/home/k6agent" && /size=65536k,nr_inodes=16384/ { n++ }
			END { exit n != 6 }' "/proc/$w/mountinfo"
	done
	[ "$(cat /proc/self/mountinfo)" = "$before" ]
	ctl stop --now
	retry 20 is_gone "$FLEET"
	[ "$(cat /proc/self/mountinfo)" = "$before" ]
}

@test "the secret is in no byte of the keeper's, a worker's or k6's memory" {
	[ "$(id -u)" = 0 ] || skip "reads other processes' memory"
	start_server
	secret=very-$(printf 'secret-%s' "$RANDOM$RANDOM$RANDOM")
	(umask 077 && echo "$secret" >"$T/secret")
	ways=file
	# A sanitizer's runtime keeps a copy of the environment, which k6fleetd cannot wipe.
	grep -q __asan_init "$top_builddir/k6fleetd" || ways='file environment'
	for way in $ways; do
		unset DASHBOARD_SECRET
		[ $way = file ] || export DASHBOARD_SECRET=$secret
		rm -rf "$T/state"
		write_conf <<CONF
dashboard { url = 'http://127.0.0.1:1' $([ $way = environment ] || echo "secret_file = '$T/secret'") }
target 'Long' { url = '$SERVER/$way' duration = 30s interval = 1h }
CONF
		start_fleet
		busy() { [ "$(count_of "/$way")" -gt 0 ]; }
		retry 20 busy
		search_secret
		ctl stop --now
		retry 20 is_gone "$FLEET"
	done
}

search_secret() {
	local w
	w=$(workers)
	python3 - "$secret" "$(supervisor)" "$FLEET" "$w" $(children_of "$w") <<-'PY'
		import os, sys
		secret, holder, others = sys.argv[1].encode(), sys.argv[2], sys.argv[3:]
		def holds(pid):
		    with open(f"/proc/{pid}/environ", "rb") as f:
		        if secret in f.read(): return True
		    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
		        for line in maps:
		            span, perms = line.split()[:2]
		            if "r" not in perms or "[v" in line: continue
		            start, end = (int(x, 16) for x in span.split("-"))
		            try:
		                mem.seek(start); data = mem.read(min(end - start, 1 << 28))
		            except (OSError, ValueError, OverflowError): continue
		            if data and secret in data: return True
		    return False
		assert len(others) == 3, others
		assert holds(holder), "the search finds nothing where it must"
		bad = [p for p in others if holds(p)]
		assert not bad, f"the secret is in the memory of {bad}"
	PY
}

@test "a fork bomb hits its own limit; its neighbour runs on; nothing is left" {
	start_server
	cp "$top_builddir/tests/program/probe" "$T/probe"
	# The target decides: agent 0 runs the fork bomb, agent 1 an honest k6.
	cat >"$T/k6" <<-SH
		#!/bin/sh
		[ "\$1" = version ] && { echo 'k6 v2.2.0 (stand-in)'; exit 0; }
		for last; do :; done
		if grep -q bomb "\$last"; then PROBE_MODE=forkbomb exec /usr/local/bin/k6fleet-test-probe-$$ run; fi
		exec /usr/local/bin/k6fleet-test-k6-$$ "\$@"
	SH
	[ "$(id -u)" = 0 ] || skip "needs programs below /usr"
	install -m 755 "$T/probe" "/usr/local/bin/k6fleet-test-probe-$$"
	install -m 755 "$K6_BINARY" "/usr/local/bin/k6fleet-test-k6-$$"
	chmod 755 "$T/k6"
	K6_BINARY=$T/k6
	write_conf <<CONF
workers = 2
limits { processes = 60 }
target 'Bomb' { url = 'http://127.0.0.1:1/bomb' duration = 2s interval = 1h max_agents = 1 }
target 'Honest' { url = '$SERVER/honest' duration = 4s interval = 1h max_agents = 1 }
CONF
	start_fleet
	retry 40 has_finished Bomb
	RUN=$(finished Bomb)
	retry 40 has_finished Honest
	rm -f "/usr/local/bin/k6fleet-test-"*"-$$"
	expect_run Honest success -
	[ "$(metric http_reqs)" = "$(count_of /honest)" ]
	expect_run Bomb error timeout
	grep -q 'forkbomb EAGAIN' <<<"$(log_of "$RUN")"
	refute pgrep -f "k6fleet-test-probe-$$"
	[ "$(ctl status --json | jq '[.agents[].restarts] | add')" = 0 ]
}

@test "what daemonises out of its run ends with it" {
	run_probe daemon
	grep -q daemonised <<<"$LOG"
	refute pgrep -f "^sleep 98$$\$"
	jq -e '.status == "error" and .reason == "no_summary"' <<<"$RUN"
}

@test "junk on every descriptor, kill(-1), 100,000 sockets, memory without end: the worker lives" {
	for mode in junk killall sockets memory; do
		rm -rf "$T/state"
		run_probe $mode
		[ "$(ctl status --json | jq -c '[.running, .agents[0].restarts]')" = '[1,0]' ]
		jq -e '.status == "error"' <<<"$RUN"
		case $mode in
		sockets) grep -q 'EMFILE' <<<"$LOG" ;;
		memory) grep -q 'memory [0-9]* ENOMEM' <<<"$LOG" ;;
		killall) jq -e '.reason == "killed" or .reason == "no_summary"' <<<"$RUN" ;;
		esac
		ctl stop --now
		retry 20 is_gone "$FLEET"
	done
}

@test "one that is deaf to every signal is killed at its deadline, and explained" {
	run_probe deaf
	jq -e '.status == "error" and .reason == "timeout" and (.errorMessage | test("still ran after"))' <<<"$RUN"
}

@test "both file systems fill up at their limits and are empty again for the next run" {
	INTERVAL=2s
	run_probe fill $'workers = 1\nlimits { tmp_size = 2M home_size = 1M }'
	grep -q '^before 1 0$' <<<"$LOG"
	grep -q '^bytes:/tmp ENOSPC$' <<<"$LOG"
	grep -q '^bytes:/home/k6agent ENOSPC$' <<<"$LOG"
	jq -e '.status == "error" and .reason == "disk_full" and (.errorMessage | contains("limits.tmp_size"))' <<<"$RUN"
	second() { [ "$(runs | jq '[.[] | select(.status != "running")] | length')" -ge 2 ]; }
	retry 20 second
	LOG=$(log_of "$(runs | jq -c '[.[] | select(.status != "running")][0]')")
	# The directory contains the script only.
	grep -q '^before 1 0$' <<<"$LOG"
}

@test "real k6: a script reads nothing, writes nothing outside, and learns no secret" {
	start_server
	mkdir -p "$T/precious"
	echo s3cret-file >"$T/precious/file"
	chmod -R 777 "$T/precious"
	paths="'/etc/shadow','/etc/k6fleet/k6fleetd.conf','/proc/1/environ','/proc/self/environ','$T/state/supervisor.db','$T/k6fleetd.conf','$T/precious/file','/root/.bashrc','/proc/$PPID/environ','/proc/sys/kernel/hostname'"
	{
		echo 'workers = 4'
		script_target Read "import http from 'k6/http'; const got = {}; for (const p of [$paths]) { try { got[p] = open(p); } catch (e) { got[p] = null; } }
			export const options = { iterations: 1 }; export default function () { http.post('$SERVER/got', JSON.stringify(got)); http.post('$SERVER/echo', JSON.stringify(got)); }"
		script_target Write "export const options = { iterations: 1 }; export default function () {}
			export function handleSummary(d) { return { '/etc/evil': 'x', '/usr/evil': 'x', '$T/precious/file': 'x', '/evil': 'x', '/proc/sysrq-trigger': 'b', '/home/k6agent/fine': 'x' }; }"
		script_target Extension "import x from 'k6/x/exec'; export default function () { x.command('id'); }"
		script_target Forge "export const options = { iterations: 1 }; export default function () {}
			export function handleSummary(d) { d.metrics.http_req_duration = { type: 'trend', contains: 'time', values: { 'p(95)': 'Infinity' } }; return {}; }"
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	export DASHBOARD_SECRET=hide-me-1
	start_fleet
	expect_run Read success -
	curl -fsS "$SERVER/__counts" | jq -r .seen.body >"$T/got"
	refute grep -q 'hide-me\|s3cret\|root:' "$T/got"
	jq -e 'to_entries | all(.value == null or (.key == "/proc/self/environ"))' "$T/got"
	expect_run Write error disk_full || expect_run Write success -
	[ "$(cat "$T/precious/file")" = s3cret-file ]
	[ ! -e /etc/evil ] && [ ! -e /usr/evil ] && [ ! -e /evil ]
	expect_run Extension error script_error
	retry 40 has_finished Forge
	[ "$(ctl status --json | jq '[.agents[].restarts] | add')" = 0 ]
}

@test "layers: shown, demanded, refused when missing" {
	write_conf <<<"require_layers = {'seccomp'}"
	start_fleet
	layer namespaces && layer seccomp
	[ "$(ctl status --json | jq -r '.agents[0].sandbox')" = "$(ctl status --json | jq -r .sandbox)" ]
	ctl stop --now
	retry 20 is_gone "$FLEET"
	write_conf <<<"require_layers = {'seccomp'} sandbox = off"
	run "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$status" -eq 1 ] && [[ $output == *"require_layers: seccomp is not there: the sandbox is off"* ]]
}

@test "where user namespaces and capabilities are forbidden: require says why, try keeps the other layers" {
	[ "$(id -u)" = 0 ] || skip "needs root to forbid them"
	forbidden() {
		unshare -U --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh \
			setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
	}
	forbidden true || skip "cannot limit namespaces here"
	start_server
	copy_programs
	export K6_BINARY=$T/bin/$(basename "$K6_BINARY")
	# Root in the namespace is the user who made it.
	write_conf <<<"target 'Example' { url = '$SERVER/x' duration = 1s interval = 1h }"
	run forbidden "$T/bin/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$status" -eq 1 ]
	[[ ${lines[-1]} == *"sandbox = require, but"*"max_user_namespaces"*"sandbox = try"* ]]
	write_conf <<<"sandbox = try
target 'Example' { url = '$SERVER/x' duration = 1s interval = 1h }"
	forbidden "$T/bin/k6fleetd" -c "$T/k6fleetd.conf" >"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
	retry 20 fleet_is_up
	# A process in between would not pass a signal on.
	PIDS+=("$(ctl status --json | jq .pid)")
	[ "$(ctl status --json | jq -r '.sandbox + " " + (.sandboxLayers.namespaces | tostring)')" = 'off false' ]
	layer seccomp
	grep -q 'going on without namespaces' "$T/k6fleetd.log"
	expect_run Example success -
}

@test "root of a container in which user namespaces are forbidden has the whole sandbox, and shared counting" {
	[ "$(id -u)" = 0 ] || skip "needs root to make one"
	abstract_server
	probe_conf attempts
	python3 "$top_srcdir/tests/program/in_userns.py" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf" \
		>"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
	retry 20 fleet_is_up
	PIDS+=("$(ctl status --json | jq .pid)")
	retry 40 has_finished Probe
	LOG=$(log_of "$(finished Probe)")
	[ "$(ctl status --json | jq -r .sandbox)" = namespaces ]
	grep -q 'limits.processes is shared by all agents' "$T/k6fleetd.log"
	check_attempts
}
