#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Starts dashboard, k6fleetd and agents on one machine, without systemd, with all state below ./var.  For developers and
# for a first look; in production use the packages.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$ROOT/contrib/lib.sh"

STACK=$ROOT/stack
VAR=$ROOT/var
LISTEN=${K6FLEET_DASHBOARD_LISTEN:-127.0.0.1:3000}
URL=http://$LISTEN
CTL=$STACK/bin/k6fleetctl

usage() {
	cat <<USAGE
usage: contrib/stack-up.sh COMMAND

  up            install what is missing, build, make secrets, start; quick when run again
  scale-k6 N    keep N agents (0..1000)
  restart-k6    stop and start k6fleetd and its agents; the dashboard stays up
  status        what runs, and where
  logs          follow the logs until Ctrl-C
  down          stop everything, keep the data
  destroy       stop everything and remove the data (./var)
USAGE
}

# pid_of NAME: prints the pid in the pid file, if this process lives and is the named program: the kernel reuses pids.
pid_of() {
	local pid
	pid=$(cat "$VAR/run/$1.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && grep -qa "$1" "/proc/$pid/cmdline" && echo "$pid"
}

make_env() {
	if [ ! -e "$ROOT/.env" ]; then
		say "making secrets in .env"
		(
			umask 077
			random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
			printf 'ADMIN_BASIC_AUTH=admin:%s\nDASHBOARD_SECRET=%s\n' "$(random)" "$(random)" >"$ROOT/.env"
		)
	fi
	ADMIN_BASIC_AUTH=$(sed -n 's/^ADMIN_BASIC_AUTH=//p' "$ROOT/.env")
	DASHBOARD_SECRET=$(sed -n 's/^DASHBOARD_SECRET=//p' "$ROOT/.env")
	if [ -z "$ADMIN_BASIC_AUTH" ] || [ -z "$DASHBOARD_SECRET" ]; then
		fail ".env lacks ADMIN_BASIC_AUTH= or DASHBOARD_SECRET=; add it, or remove .env to have it made anew"
	fi
}

# start NAME LOG COMMAND...: starts the command in a session of its own, so that it outlives this terminal.
start() {
	local name=$1 log=$2
	shift 2
	setsid "$@" </dev/null >>"$log" 2>&1 &
	echo $! >"$VAR/run/$name.pid"
}

# wait_for SECONDS NAME LOG COMMAND...: waits until the command succeeds.  If the process NAME has ended, prints the last
# line of its log and fails.
wait_for() {
	local end=$((SECONDS + $1)) name=$2 log=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		if ! pid_of "$name" >/dev/null; then
			tail -1 "$log" >&2
			rm -f "$VAR/run/$name.pid"
			fail "$name did not start"
		fi
		[ $SECONDS -lt $end ] || fail "$name did not become ready; see $log"
		sleep 0.1
	done
}

start_dashboard() {
	pid_of k6fleet-dashboard >/dev/null && return
	say "starting the dashboard"
	ADMIN_BASIC_AUTH=$ADMIN_BASIC_AUTH DASHBOARD_SECRET=$DASHBOARD_SECRET \
		start k6fleet-dashboard "$VAR/log/dashboard.log" "$STACK/sbin/k6fleet-dashboard" -l "$LISTEN"
	wait_for 15 k6fleet-dashboard "$VAR/log/dashboard.log" curl -fsS --max-time 2 "$URL/healthz"
}

fleet_is_up() {
	[ "$("$CTL" status --json | jq -r '.desired == .running and .dashboard.state == "connected"')" = true ]
}

start_fleet() {
	if ! pid_of k6fleetd >/dev/null; then
		say "starting k6fleetd"
		# Some machines forbid namespaces to ordinary users; `status` shows the active level.
		[ "$(id -u)" = 0 ] || export K6FLEET_SANDBOX="${K6FLEET_SANDBOX:-try}"
		DASHBOARD_URL=$URL DASHBOARD_SECRET=$DASHBOARD_SECRET \
			start k6fleetd "$VAR/log/k6fleetd.log" "$STACK/sbin/k6fleetd"
	fi
	wait_for 30 k6fleetd "$VAR/log/k6fleetd.log" fleet_is_up
}

stop_fleet() {
	local pid
	pid=$(pid_of k6fleetd) || return 0
	say "stopping k6fleetd and its agents"
	"$CTL" stop --now >/dev/null 2>&1 || kill "$pid" 2>/dev/null || true
	wait_gone "$pid" k6fleetd
}

stop_dashboard() {
	local pid
	pid=$(pid_of k6fleet-dashboard) || return 0
	say "stopping the dashboard"
	kill "$pid" 2>/dev/null || true
	wait_gone "$pid" k6fleet-dashboard
}

wait_gone() {
	local i
	for ((i = 0; i < 200; i++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	kill -0 "$1" 2>/dev/null && kill -KILL "$1" 2>/dev/null
	rm -f "$VAR/run/$2.pid"
}

need_stack() {
	[ -x "$CTL" ] || fail "nothing is built yet; run: contrib/stack-up.sh up"
}

up() {
	[ ! -d "$VAR" ] || [ -w "$VAR" ] || fail "$VAR belongs to another user; run as that user, or remove it"
	need_packages "${BUILD_PACKAGES[@]}"
	need_k6
	[ "$(id -u)" != 0 ] || need_users
	say "building"
	build "$ROOT/build/stack" --prefix="$STACK" --sysconfdir="$VAR/etc" --localstatedir="$VAR" \
		--runstatedir="$VAR/run"
	make -C "$ROOT/build/stack" install >"$ROOT/build/stack/install.log" 2>&1 ||
		fail "make install failed; see $ROOT/build/stack/install.log"
	mkdir -p "$VAR/run" "$VAR/log"
	make_env
	start_dashboard
	start_fleet
	cat <<DONE

k6fleet is up.
  dashboard   $URL/
  agents      stack/bin/k6fleetctl status
  more        stack/bin/k6fleetctl scale 3
  a target    ADMIN=\$(grep ^ADMIN_BASIC_AUTH .env | cut -d= -f2-)
              curl -u "\$ADMIN" -H 'Content-Type: application/json' \\
                -d '{"url":"$URL/healthz","label":"Example","durationS":5,"runIntervalMs":15000}' \\
                $URL/api/admin/k6/targets
  stop        contrib/stack-up.sh down
DONE
}

scale() {
	if ! [[ ${1:-} =~ ^[0-9]{1,4}$ ]] || [ "$1" -gt 1000 ]; then
		fail "scale-k6 takes a number from 0 to 1000"
	fi
	need_stack
	"$CTL" scale "$1" --wait
}

restart() {
	need_stack
	need_k6
	make_env
	[ -d "$VAR/run" ] || fail "the stack is not up; run: contrib/stack-up.sh up"
	stop_fleet
	start_dashboard
	start_fleet
	"$CTL" status
}

status() {
	need_stack
	if pid_of k6fleet-dashboard >/dev/null && curl -fsS --max-time 2 "$URL/healthz" >/dev/null; then
		echo "dashboard: $URL/ is up (pid $(pid_of k6fleet-dashboard))"
	else
		echo "dashboard: down"
	fi
	if pid_of k6fleetd >/dev/null; then
		"$CTL" status
	else
		echo "k6fleetd: down"
		exit 1
	fi
}

down() {
	stop_fleet
	stop_dashboard
}

destroy() {
	down
	rm -rf "$VAR"
	say "removed $VAR; the secrets in .env are kept"
}

case ${1:-} in
up) up ;;
scale-k6) scale "${2:-}" ;;
restart-k6) restart ;;
status) status ;;
logs)
	[ -d "$VAR/log" ] || fail "there are no logs yet; run: contrib/stack-up.sh up"
	exec tail -n 40 -F -- "$VAR"/log/*.log
	;;
down)
	down
	say "down; the data is kept in $VAR"
	;;
destroy) destroy ;;
-h | --help | help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
