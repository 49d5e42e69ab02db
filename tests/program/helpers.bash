# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Helpers of the program tests: a private directory, daemons with sockets and ports of their
# own, and waiting by retry.  The teardown of a test ends every process that it has started, by pid.

: "${top_srcdir:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
# shellcheck source=tests/retry.bash
. "$top_srcdir/tests/retry.bash"
export K6FLEET_LIBEXECDIR=$top_builddir K6FLEET_WWW_DIR=$top_builddir/src/dashboard/www.out
# The leak checker cannot read non-dumpable workers, and the keeper ends by exit(): the unit tests look for leaks.
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1

setup_dir() {
	# The daemons change their user, so all parents of the directory must be open to everybody.
	T=$(mktemp -d /tmp/k6fleet-test.XXXXXX)
	chmod 755 "$T"
	SOCKET=$T/run/control.sock
	PIDS=()
}

teardown_dir() {
	local pid i fits=0
	if [ -d "$T/answers" ]; then
		/usr/bin/python3 "$top_srcdir/tests/program/validate.py" "$top_srcdir/docs/openapi.yaml" "$T/answers" || fits=1
	fi
	for pid in "${PIDS[@]}"; do
		kill "$pid" 2>/dev/null || continue
		kill "$pid" 2>/dev/null || true # the second one: at once
		for ((i = 0; i < 100; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
	done
	if [ -z "${BATS_TEST_COMPLETED:-}" ]; then
		for log in "$T"/*.log; do
			[ -f "$log" ] && { echo "--- $log"; tail -40 "$log"; }
		done
	fi
	rm -rf "$T"
	return $fits
}

# The port is below the range from which the kernel takes ports of outgoing connections: no other
# process gets it before the test binds it.
free_port() {
	python3 -c '
import random, socket
while True:
    with socket.socket() as s:
        port = random.randrange(10000, 32000)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(port)
        break'
}

start_server() {
	python3 "$top_srcdir/tests/program/server.py" "$T/port" 600 3>&- &
	PIDS+=($!)
	retry 10 test -s "$T/port"
	PORT=$(cat "$T/port")
	SERVER=http://127.0.0.1:$PORT
}

count_of() {
	curl -fsS "$SERVER/__counts" | jq --arg p "$1" '.[$p] // 0'
}

# Whether the server has seen a request for that path.
is_requested() {
	[ "$(count_of "$1")" -gt 0 ]
}

# script_target NAME SCRIPT [TIMEOUT]: prints a target with that script, for one agent.
script_target() {
	printf '%s\n' "$2" >"$T/$1.js"
	printf "target '%s' { script_file = '%s' interval = 1h max_agents = 1 timeout = %s }\n" "$1" "$T/$1.js" "${3:-20s}"
}

# Copies the programs to a place that every user can reach: the checkout may be below a directory
# that only its owner may enter.
copy_programs() {
	mkdir -p "$T/bin"
	cp "$top_builddir"/{k6fleetd,k6fleet-supervisor,k6fleetctl} "$K6_BINARY" "$T/bin/"
	chmod 755 "$T/bin" "$T"/bin/*
	export K6FLEET_LIBEXECDIR=$T/bin
}

ctl() {
	ASAN_OPTIONS=detect_leaks=1 "$top_builddir/k6fleetctl" -s "$SOCKET" "$@"
}

# Writes the configuration: short times, then the lines of standard input.
write_conf() {
	{
		cat <<CONF
max_workers = 50
control_socket = '$SOCKET'
state_dir = '$T/state'
run_grace = 2s
drain_timeout = 5s
CONF
		cat
	} >"$T/k6fleetd.conf"
}

# Starts the daemon from the test's own shell, so that $! and PIDS belong to the test.
launch_fleet() {
	"${FLEET_PROGRAM:-$top_builddir/k6fleetd}" -c "$T/k6fleetd.conf" "$@" >"$T/k6fleetd.log" 2>&1 3>&- &
	FLEET=$!
	PIDS+=("$FLEET")
}

# Starts the daemon and waits until all agents are up; a daemon that dies fails the test.
start_fleet() {
	launch_fleet "$@"
	retry 15 fleet_has_settled
	# fleet_is_up could fail now: a dashboard may have raised the desired count in between.
	if is_gone "$FLEET"; then
		cat "$T/k6fleetd.log"
		return 1
	fi
}

# Whether all agents are up, or the daemon is dead.
fleet_has_settled() {
	is_gone "$FLEET" || fleet_is_up
}

fleet_is_up() {
	kill -0 "$FLEET" 2>/dev/null || {
		cat "$T/k6fleetd.log"
		return 1
	}
	[ "$(ctl status --json 2>/dev/null | jq '.desired == .running')" = true ]
}

# pid_of_agent N: prints the pid of the worker of agent N.
pid_of_agent() {
	ctl status --json | jq --argjson n "$1" '.agents[$n].pid'
}

is_busy() {
	[ "$(ctl status --json | jq .busy)" -ge "${1:-1}" ]
}

runs() {
	ctl runs -n 1000 --json
}

# Prints the newest finished run of a target's label as JSON; nothing if there is none yet.
finished() {
	runs | jq -c --arg t "$1" '[.[] | select(.targetLabel == $t and .status != "running")][0] // empty'
}

has_finished() {
	[ -n "$(finished "$1")" ]
}

# expect_run LABEL STATUS REASON: waits for a finished run, leaves it in $RUN, and compares status and reason.
expect_run() {
	retry 40 has_finished "$1"
	RUN=$(finished "$1")
	if [ "$(jq -r '.status + " " + (.reason // "-")' <<<"$RUN")" != "$2 $3" ]; then
		echo "wanted $2 $3, got: $RUN"
		return 1
	fi
}

# metric NAME: prints this metric of $RUN.
metric() {
	jq ".metrics.$1" <<<"$RUN"
}

start_dashboard() {
	DASH_PORT=${DASH_PORT:-$(free_port)}
	DASH=http://127.0.0.1:$DASH_PORT
	export DASHBOARD_SECRET=agent-secret-for-tests ADMIN_BASIC_AUTH=admin:pass-for-tests
	"$top_builddir/k6fleet-dashboard" -l "127.0.0.1:$DASH_PORT" -d "$T/dash/dashboard.db" "$@" \
		>>"$T/dashboard.log" 2>&1 3>&- &
	DASH_PID=$!
	PIDS+=("$DASH_PID")
	retry 10 curl -fsS --max-time 2 -o /dev/null "$DASH/healthz"
}

# stop_dashboard [SIGNAL]: stops the dashboard and waits until its last thread has ended and the port is free.
stop_dashboard() {
	kill "-${1:-TERM}" "$DASH_PID"
	wait "$DASH_PID" || true
}

# admin METHOD PATH [BODY]: prints the body of the response; api METHOD PATH [BODY] prints "STATUS BODY".
# The teardown compares all responses with docs/openapi.yaml.
admin() {
	ask -u "$ADMIN_BASIC_AUTH" -X "$1" -H 'Content-Type: application/json' ${3+-d "$3"} "$DASH$2"
	cat "$ANSWER.body"
}
agent() {
	ask -H "Authorization: Bearer $DASHBOARD_SECRET" -X "$1" -H 'Content-Type: application/json' \
		${3+-d "$3"} "$DASH$2"
	cat "$ANSWER.body"
}
status_of() {
	ask "$@"
	cut -d' ' -f3 "$ANSWER.meta"
}
# get PATH: prints the body of the response; fails if the response is an error.
get() {
	ask "$DASH$1"
	cat "$ANSWER.body"
	[ "$(cut -d' ' -f3 "$ANSWER.meta")" -lt 400 ]
}
# ask CURL-ARGUMENTS...: leaves the response in $ANSWER.body and $ANSWER.meta.
ask() {
	mkdir -p "$T/answers"
	ANSWER=$(mktemp "$T/answers/XXXXXX")
	: >"$ANSWER.body"
	curl -sS -o "$ANSWER.body" -w '%{method} %{url_effective} %{http_code} %{content_type}' "$@" >"$ANSWER.meta"
}

# Finds processes of this test's fleet by the chain of parents, never by name.
workers() {
	ctl status --json | jq -r '.agents[].pid // empty'
}
children_of() {
	cat "/proc/$1/task/$1/children" 2>/dev/null
}
supervisor() {
	local pid
	for pid in $(children_of "$FLEET"); do
		if grep -qsa 'k6fleetd: supervisor' "/proc/$pid/cmdline"; then echo "$pid"; fi
	done
}
# A zombie counts as gone.
is_gone() {
	! grep -qs '^State:.[^ZX]' "/proc/$1/status"
}
