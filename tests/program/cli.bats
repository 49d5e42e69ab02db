#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Options, exit codes and messages of all programs; no test here runs k6.

load helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

# one_line STATUS PATTERN COMMAND...: the command exits with the status and prints one line, which matches, on stderr.
one_line() {
	local want=$1 pattern=$2
	shift 2
	run --separate-stderr timeout 20 "$@"
	# shellcheck disable=SC2154
	if [ "$status" -ne "$want" ] || [ "$(wc -l <<<"$stderr")" -ne 1 ] || ! grep -qE -e "$pattern" <<<"$stderr"; then
		echo "status $status, stderr: $stderr"
		return 1
	fi
}

bats_require_minimum_version 1.5.0

@test "every program prints its version and its help" {
	for p in k6fleetd k6fleetctl k6fleet-dashboard; do
		run "$top_builddir/$p" --version
		[ "$status" -eq 0 ] && [[ $output == "$p "[0-9]* ]]
		run "$top_builddir/$p" --help
		[ "$status" -eq 0 ] && [[ $output == usage:* ]]
		run "$top_builddir/$p" --no-such-option
		[ "$status" -eq 2 ]
	done
	run "$top_builddir/k6fleet-supervisor"
	[ "$status" -eq 2 ] && [[ $output == *"started by k6fleetd"* ]]
}

@test "k6fleetctl: usage errors are 2, no daemon is 3 and says how to start it" {
	run "$top_builddir/k6fleetctl"
	[ "$status" -eq 2 ]
	run ctl frobnicate
	[ "$status" -eq 2 ] && [[ $output == *'no verb "frobnicate"'* ]]
	run ctl sclae 3
	[ "$status" -eq 2 ] && [[ $output == *'did you mean "scale"?'* ]]
	run ctl scale
	[ "$status" -eq 2 ]
	run ctl scale many
	[ "$status" -eq 2 ]
	run ctl status extra
	[ "$status" -eq 2 ]
	run ctl status
	[ "$status" -eq 3 ] && [[ $output == *"systemctl start k6fleetd"* ]]
}

@test "k6fleetctl: not being allowed is 4" {
	[ "$(id -u)" = 0 ] || skip "needs root to become somebody else"
	write_conf <<<'workers = 0'
	start_fleet
	copy_programs
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$T/bin/k6fleetctl" -s "$SOCKET" status
	[ "$status" -eq 4 ] && [[ $output == *"not allowed"* ]]
}

@test "k6fleetd -t prints a configuration that reads back to itself" {
	write_conf <<<"target 'A' { url = 'http://127.0.0.1/a\"b' thresholds = {'http_reqs: count>1'} }"
	"$top_builddir/k6fleetd" -t -c "$T/k6fleetd.conf" >"$T/first"
	"$top_builddir/k6fleetd" -t -c "$T/first" >"$T/second"
	diff "$T/first" "$T/second"
	"$top_builddir/k6fleet-dashboard" -t >"$T/first"
	"$top_builddir/k6fleet-dashboard" -t -c "$T/first" >"$T/second"
	diff "$T/first" "$T/second"
}

@test "the packaged files are valid, also with every line uncommented" {
	"$top_builddir/k6fleetd" -t -c "$top_srcdir/etc/k6fleetd.conf" >/dev/null
	"$top_builddir/k6fleet-dashboard" -t -c "$top_srcdir/etc/dashboard.conf" >/dev/null
	grep -v 'script_file' "$top_srcdir/etc/k6fleetd.conf" | sed -n 's/^#\( [a-z}].*\|\t.*\)/\1/p' |
		grep -E '^[[:space:]]*(#|[a-z_]+ = |[a-z0-9]+ \{|target |\})' | sed 's/^[[:space:]]*# \([a-z_]* =\)/\1/' >"$T/all.conf"
	"$top_builddir/k6fleetd" -t -c "$T/all.conf" >/dev/null
	[ "$(wc -l <"$T/all.conf")" -gt 60 ]
	"$top_builddir/k6fleetd" -t -c /dev/null >"$T/defaults"
	for k in $(sed -n 's/^[[:space:]]*\([a-z_]*\) =.*/\1/p' "$T/defaults"); do
		grep -q "^[[:space:]]*$k = " "$T/all.conf" || { echo "etc/k6fleetd.conf lacks $k"; return 1; }
	done
}

@test "k6fleetd refuses bad configuration with file, line and what is allowed" {
	printf 'workers = 1\n\nworkers = lots\n' >"$T/bad.conf"
	one_line 1 "bad.conf:3: workers: \"lots\" is not a whole number \(allowed: 0..10000\)" \
		"$top_builddir/k6fleetd" -c "$T/bad.conf"
	printf 'colour = red\n' >"$T/bad.conf"
	one_line 1 "bad.conf:1: no such option 'colour'" "$top_builddir/k6fleetd" -t -c "$T/bad.conf"
	one_line 1 "cannot read the configuration .*No such file" "$top_builddir/k6fleetd" -c "$T/none.conf"
	write_conf </dev/null
	one_line 2 "-n: .*allowed: 0..10000" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf" -n many
	one_line 1 "POLL_INTERVAL_MS.*soon" env POLL_INTERVAL_MS=soon "$top_builddir/k6fleetd" -t -c "$T/k6fleetd.conf"
}

@test "k6fleetd: no k6, a k6 that cannot run, no secret, unwritable state: one line, exit 1" {
	write_conf </dev/null
	one_line 1 "there is no k6 at /nonexistent/k6" env K6_BINARY=/nonexistent/k6 "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	printf 'not a program' >"$T/k6"
	chmod 755 "$T/k6"
	one_line 1 "cannot be executed: Exec format error" env K6_BINARY="$T/k6" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	one_line 1 "there is no secret" env -u DASHBOARD_SECRET DASHBOARD_URL=http://127.0.0.1:1 \
		"$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	echo s3cret >"$T/secret"
	chmod 644 "$T/secret"
	write_conf <<<"dashboard { url = 'http://127.0.0.1:1' secret_file = '$T/secret' }"
	one_line 1 "can be read by others; run: chmod 600" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	write_conf </dev/null
	rm -rf "$T/state"
	touch "$T/state"
	one_line 1 "state" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
}

@test "k6fleetd as root: a state directory that its user may not write to" {
	[ "$(id -u)" = 0 ] || skip "only root changes user"
	write_conf </dev/null
	mkdir "$T/state"
	one_line 1 "^k6fleet-supervisor: state_dir .*must belong to user" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
}

@test "a second daemon on the socket is exit 3, on the state directory exit 1; the first goes on" {
	write_conf <<<'workers = 1'
	start_fleet
	one_line 3 "in use.*stop that k6fleetd first" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	one_line 1 "another k6fleetd uses the state directory" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf" -s "$T/other.sock"
	run ctl ping
	[ "$status" -eq 0 ] && [ "$output" = pong ]
}

@test "a file where the socket belongs is never removed" {
	write_conf </dev/null
	mkdir -p "$T/run"
	echo precious >"$SOCKET"
	one_line 1 "is not a socket" "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$(cat "$SOCKET")" = precious ]
}

@test "a socket path of over 108 bytes works" {
	SOCKET=$T/$(printf 'x%.0s' {1..120})/control.sock
	write_conf <<<'workers = 1'
	start_fleet
	run ctl ping
	[ "$output" = pong ]
}

@test "the dashboard: no secret, port taken, bad address, unwritable database: one line, exit 1" {
	local d=$top_builddir/k6fleet-dashboard
	one_line 1 "there is no secret_file: run .*--make-secrets" env -u DASHBOARD_SECRET -u ADMIN_BASIC_AUTH "$d" -d "$T/x.db"
	export DASHBOARD_SECRET=x
	one_line 1 "there is no admin_file" env -u ADMIN_BASIC_AUTH "$d" -d "$T/x.db"
	export ADMIN_BASIC_AUTH=a:b
	one_line 1 "user:password" env ADMIN_BASIC_AUTH=ab "$d" -d "$T/x.db"
	one_line 2 "-l: .*ADDRESS:PORT" "$d" -l nowhere -d "$T/x.db"
	start_server
	one_line 1 "the port is taken" "$d" -l "127.0.0.1:$PORT" -d "$T/x.db"
	mkdir "$T/dir.db"
	one_line 1 "database" "$d" -l "127.0.0.1:$(free_port)" -d "$T/dir.db"
}

@test "--make-secrets makes two files of mode 0600, never over what is there, and they work" {
	"$top_builddir/k6fleet-dashboard" --make-secrets "$T/secrets" >"$T/out"
	[ "$(stat -c %a "$T/secrets/dashboard-secret" "$T/secrets/admin-auth" | sort -u)" = 600 ]
	refute grep -q "$(cat "$T/secrets/dashboard-secret")" "$T/out"
	cp "$T/secrets/admin-auth" "$T/before"
	"$top_builddir/k6fleet-dashboard" --make-secrets "$T/secrets"
	cmp "$T/before" "$T/secrets/admin-auth"
	printf "secret_file = '%s'\nadmin_file = '%s'\n" "$T/secrets/dashboard-secret" "$T/secrets/admin-auth" >"$T/d.conf"
	start_dashboard_without_env
	[ "$(status_of -u "$(cat "$T/secrets/admin-auth")" "$DASH/api/admin/config")" = 200 ]
	[ "$(status_of -H "Authorization: Bearer $(cat "$T/secrets/dashboard-secret")" "$DASH/api/k6/targets")" = 200 ]
}

start_dashboard_without_env() {
	local port
	port=$(free_port)
	DASH=http://127.0.0.1:$port
	env -u DASHBOARD_SECRET -u ADMIN_BASIC_AUTH "$top_builddir/k6fleet-dashboard" -c "$T/d.conf" -l "127.0.0.1:$port" \
		-d "$T/dash/d.db" >"$T/dashboard.log" 2>&1 3>&- &
	PIDS+=($!)
	retry 10 curl -fsS -o /dev/null "$DASH/healthz"
}

@test "junk on the control socket closes that client only" {
	write_conf <<<'workers = 1'
	start_fleet
	python3 - "$SOCKET" <<-'PY'
		import os, socket, sys
		def client():
		    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]); return s
		for junk in (b"\x00\xff\n", b"[]\n", b"{\n", os.urandom(5000) + b"\n", b'{"verb":5}\n', b'{"verb":"scale","agents":-1}\n',
		             b'{"verb":"scale","agents":1e99}\n', b'{"verb":"show","run":"../../x"}\n', b'{"a":1,"a":2}\n'):
		    s = client(); s.sendall(junk)
		    answer = b""
		    while answer.count(b"\n") < 2:
		        got = s.recv(65536)
		        if not got: break
		        answer += got
		    assert b'"ok":false' in answer, (junk, answer)
		    s.close()
		s = client()
		try:
		    for _ in range(100): s.sendall(b"x" * 65536)
		    s.recv(1)
		    while s.recv(65536): pass
		except (BrokenPipeError, ConnectionResetError): pass
		idle = [client() for _ in range(100)]
	PY
	run ctl ping
	[ "$output" = pong ]
	fleet_is_up
}

@test "the man pages name every option, verb and key, and no key that is unknown" {
	man=$top_srcdir/man
	for o in $("$top_builddir/k6fleetd" --help | grep -oE -e '--[a-z-]+' | sort -u); do
		grep -q -e "Fl -${o#--}" "$man/k6fleetd.8" || { echo "k6fleetd.8 lacks $o"; return 1; }
	done
	for o in $("$top_builddir/k6fleet-dashboard" --help | grep -oE -e '--[a-z-]+' | sort -u); do
		grep -q -e "Fl -${o#--}" "$man/k6fleet-dashboard.8" || { echo "k6fleet-dashboard.8 lacks $o"; return 1; }
	done
	for o in $(sed -n 's/^\t\t{"\([a-z-]*\)", [a-z]*_argument,.*/\1/p' "$top_srcdir/src/supervisor/main.c"); do
		grep -q -e "Fl -$o" "$man/k6fleet-supervisor.8" || { echo "k6fleet-supervisor.8 lacks --$o"; return 1; }
	done
	for k in $("$top_builddir/k6fleet-dashboard" -t -c /dev/null | sed -n 's/^[[:space:]]*\([a-z_]*\) [={].*/\1/p'); do
		grep -qw "$k" <(sed -n '/^\.Ss Keys/,/^\.Sh EXIT/p' "$man/k6fleet-dashboard.8") || { echo "k6fleet-dashboard.8 lacks $k"; return 1; }
	done
	for v in $("$top_builddir/k6fleetctl" --help | sed -n '/^Verbs/,/^Exit/s/^  \([a-z]\+\).*/\1/p'); do
		grep -q "Cm $v" "$man/k6fleetctl.1" || { echo "k6fleetctl.1 lacks $v"; return 1; }
	done
	# Every key of the effective configuration is in the manual page with its section, and every key there exists.
	"$top_builddir/k6fleetd" -t -c /dev/null |
		awk '/ \{$/ { s = $1 "."; next } /^\}/ { s = ""; next } { print s $1 }' | sort >"$T/keys"
	sed -n 's/^\.It Ic \([a-z0-9_.]*\).*/\1/p' "$man/k6fleetd.conf.5" | sort >"$T/documented"
	diff "$T/keys" "$T/documented"
}
