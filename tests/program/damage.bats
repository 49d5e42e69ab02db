#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The supervisor's database with damaged pages: nothing that was kept is forgotten, no run is started by a wrong
# setting, and everybody is told.  The dashboard's: what cannot be read is an error, never an empty list.

load helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

# objects DB: each table and index of the database, one a line.
objects() {
	/usr/bin/python3 - "$1" <<'PY'
import sqlite3, sys
for (name,) in sqlite3.connect(sys.argv[1]).execute("SELECT name FROM sqlite_master WHERE rootpage > 0 ORDER BY name"):
    print(name)
PY
}

# damage_db DB NAME...: overwrites the beginning of each one's first page, as a bad sector would.
damage_db() {
	/usr/bin/python3 - "$@" <<'PY'
import sqlite3, sys
db, *names = sys.argv[1:]
c = sqlite3.connect(db)
c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
pages = [c.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (n,)).fetchone()[0] for n in names]
size = c.execute("PRAGMA page_size").fetchone()[0]
c.close()
with open(db, "r+b") as f:
    for page in pages:
        f.seek((page - 1) * size + 8)
        f.write(b"\xff" * 16)
PY
	rm -f "$1-wal" "$1-shm"
	chown --reference="$(dirname "$1")" "$1"
}
damage() {
	damage_db "$T/state/supervisor.db" "$@"
}

# kept: what status says of what operators have asked for.
kept() {
	ctl status --json | jq -c '[.desired, .paused, [.agents[] | select(.drained) | .slot]]'
}

# A paused fleet of three, one of them drained; it was killed with a run under way, and runs wait for a dashboard that is
# not there, so that each table and index has rows.  Its database is saved.
paused_fleet() {
	start_server
	write_conf <<CONF
workers = 1
dashboard { url = 'http://127.0.0.1:1' }
target 'Often' { url = '$SERVER/often' duration = 1s interval = 2s }
target 'Long' { url = '$SERVER/long' duration = 60s interval = 1h max_agents = 1 }
CONF
	export DASHBOARD_SECRET=x
	start_fleet
	ctl scale 3 --wait
	retry 20 has_finished Often
	retry 20 is_requested /long
	ctl pause
	ctl drain "$(ctl status --json | jq -r '.agents[2].name')"
	quiet() { [ "$(runs | jq -c '[.[] | select(.status == "running") | .targetLabel] | unique')" = '["Long"]' ]; }
	retry 20 quiet
	[ "$(kept)" = '[3,true,[2]]' ]
	kill -KILL "$FLEET"
	retry 20 is_gone "$FLEET"
	sleep 0.5 # its supervisor, too
	damage    # of nothing: only the log is put in its place
	cp -p "$T/state/supervisor.db" "$T/saved.db"
	BEFORE=$(count_of /often)
}

repair() {
	rm -f "$T"/state/supervisor.db*
	cp -p "$T/saved.db" "$T/state/supervisor.db"
}

# After the repair: as before.
start_as_before() {
	launch_fleet
	as_before() { [ "$(kept)" = '[3,true,[2]]' ]; }
	retry 20 as_before
	[ "$(ctl status --json | jq -r .storage.state)" = ok ]
	[ "$(count_of /often)" = "$BEFORE" ]
}

# says_so: status says that the storage fails, or the supervisor refuses to start and the log says why.
says_so() {
	[ "$(timeout 5 "$top_builddir/k6fleetctl" -s "$SOCKET" status --json 2>/dev/null | jq -r .storage.state)" = 'storage failing' ] ||
		grep -q 'state_dir .*malformed.*supervisor.db' "$T/k6fleetd.log"
}

@test "what operators have asked for cannot be read: no runs, one error, --check fails, nothing is overwritten" {
	paused_fleet
	damage meta
	start_fleet
	ctl status --json | tee "$T/status" | jq -e '.paused and .storage.state == "storage failing"'
	jq -r .storage.error "$T/status" | tee "$T/error"
	grep -q '^cannot read .*: .*malformed; stop k6fleetd and put a backup of supervisor.db in its place' "$T/error"
	refute ctl status --check >"$T/check"
	grep -q '^not ok: storage failing: cannot read ' "$T/check"
	ctl status | grep -q '^storage failing: no new runs are started'
	[ "$(grep -c 'error store: storage failing' "$T/k6fleetd.log")" = 1 ]
	# What is asked for now holds, and is not written over what may be readable again.
	ctl scale 2 --wait
	[ "$(ctl status --json | jq .desired)" = 2 ]
	refute ctl run Often 2>"$T/refused"
	grep -q 'the local store' "$T/refused"
	ctl resume
	sleep 4
	[ "$(count_of /often)" = "$BEFORE" ]
	# The same for the next supervisor.
	kill -KILL "$(supervisor)"
	[ "$(ctl ping)" = pong ]
	ctl status --json | jq -e '.paused and .storage.state == "storage failing"'
	ctl stop
	retry 20 is_gone "$FLEET"
	repair
	start_as_before
	ctl resume
	more() { [ "$(count_of /often)" -gt "$BEFORE" ]; }
	retry 20 more
}

@test "a damaged page of each table and index: it is said, no run is started, all is back after a repair" {
	paused_fleet
	n=0
	for name in $(objects "$T/state/supervisor.db"); do
		echo "# $name"
		damage "$name"
		launch_fleet
		retry 20 says_so
		refute timeout 5 "$top_builddir/k6fleetctl" -s "$SOCKET" status --check | tee "$T/check"
		refute grep '^not ok: [^s]' "$T/check"
		[ "$(count_of /often)" = "$BEFORE" ]
		kill "$FLEET" 2>/dev/null || true
		kill "$FLEET" 2>/dev/null || true
		retry 30 is_gone "$FLEET"
		repair
		n=$((n + 1))
	done
	[ "$n" -ge 7 ]
	start_as_before
}

# --- the dashboard ---------------------------------------------------------------------------------------

is_not_ready() {
	[ "$(curl -sS -o "$T/ready" -w '%{http_code}' "$DASH/readyz")" = 503 ] &&
		jq -e '.error | .code == "database_unavailable" and (.message | test("malformed"))' "$T/ready"
}

poll_without_targets() {
	ask -D "$T/head" -H "Authorization: Bearer $DASHBOARD_SECRET" "$DASH/api/k6/targets?host=h"
	[ "$(cut -d' ' -f3 "$ANSWER.meta")" = 200 ]
	jq -e '(has("targets") | not) and has("commands") and has("desired")' "$ANSWER.body"
	refute grep -i '^etag' "$T/head"
}

# Of 700 minutes there are eleven or twelve whole hours.
is_rolled_up() {
	/usr/bin/python3 -c 'import sqlite3, sys
sys.exit(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM k6_rollups").fetchone()[0] < 11)' "$DB"
}

# A stopped dashboard with three targets, an agent, runs and an entry in the audit trail.  Its database is saved.
filled_dashboard() {
	start_dashboard
	for label in One Two Three; do
		admin POST /api/admin/k6/targets "{\"url\":\"http://h/\",\"label\":\"$label\"}" >/dev/null
	done
	agent POST /api/k6/agents/register '{"host":"h","managed":true,"agents":[{"name":"a"}]}' >/dev/null
	jq -nc '{runs: [range(700) | {id: "run-\(.)", agent: "a", host: "h", targetId: "t", status: "success",
		startedAt: (now - (700 - .) * 60 | floor | todate)}]}' >"$T/runs.json"
	agent POST /api/k6/runs "$(cat "$T/runs.json")" | jq -e '.accepted == 700'
	DB=$T/dash/dashboard.db
	# Hours are rolled up after the start.
	stop_dashboard
	start_dashboard
	retry 20 is_rolled_up
	stop_dashboard
	damage_db "$DB" # of nothing: only the log is put in its place
	cp -p "$DB" "$T/saved.db"
}

restore_dashboard() {
	rm -f "$DB"*
	cp -p "$T/saved.db" "$DB"
}

@test "dashboard: targets that cannot be read are no empty list and no empty export; not ready, one line" {
	filled_dashboard
	damage_db "$DB" k6_targets
	start_dashboard
	is_not_ready
	for path in /api/admin/k6/targets /api/admin/k6/targets/export /api/dashboard/k6/targets /api/metrics; do
		ask -u "$ADMIN_BASIC_AUTH" "$DASH$path"
		[ "$(cut -d' ' -f3 "$ANSWER.meta")" = 503 ]
		jq -e '.error.code == "database_unavailable"' "$ANSWER.body"
	done
	# A host gets its commands, and no targets: not an empty list, and no ETag for "unchanged".
	poll_without_targets
	# Everything else is served.
	[ "$(get /api/dashboard/k6/agents | jq '.items | length')" = 1 ]
	[ "$(get /api/dashboard/k6/runs | jq .total)" = 700 ]
	is_not_ready
	[ "$(grep -c 'error database: is damaged' "$T/dashboard.log")" = 1 ]
	grep 'error database: is damaged' "$T/dashboard.log" | grep -- '--backup.*malformed'
	stop_dashboard
	restore_dashboard
	start_dashboard
	[ "$(curl -sS "$DASH/readyz")" = '{"status":"ok"}' ]
	[ "$(curl -sS -u "$ADMIN_BASIC_AUTH" "$DASH/api/admin/k6/targets/export" | jq '.targets | length')" = 3 ]
}

@test "dashboard: one damaged target: named in one line, pause still reaches a host, which keeps its targets" {
	filled_dashboard
	/usr/bin/python3 - "$DB" <<'PY'
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute("UPDATE k6_targets SET json = substr(json, 1, 9) WHERE seq = 2")
c.commit()
c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
PY
	start_dashboard
	[ "$(curl -sS "$DASH/readyz")" = '{"status":"ok"}' ]
	admin POST /api/admin/k6/pause >/dev/null
	poll_without_targets
	jq -e '.commands | map(.type) == ["pause"]' "$ANSWER.body"
	[ "$(curl -sS -o "$T/ready" -w '%{http_code}' "$DASH/readyz")" = 503 ]
	jq -e '.error | .code == "database_unavailable" and (.message | test("target .* is not JSON"))' "$T/ready"
	poll_without_targets
	[ "$(grep -c 'error database: is damaged' "$T/dashboard.log")" = 1 ]
	grep 'error database: is damaged' "$T/dashboard.log" | grep 'target .* is not JSON'
}

@test "dashboard: a damaged page of each table and index is said at the start, and it still serves what it can" {
	filled_dashboard
	n=0
	for name in $(objects "$DB"); do
		echo "# $name"
		damage_db "$DB" "$name"
		: >"$T/dashboard.log"
		start_dashboard
		case $name in
		# Nothing is stored there, so nothing can be damaged.
		*k6_commands*) ;;
		*)
			is_not_ready
			[ "$(grep -c 'error database: is damaged' "$T/dashboard.log")" = 1 ]
			;;
		esac
		[ "$(status_of "$DASH/healthz")" = 200 ]
		# The figures of the last hour are never those of the runs that could be read.
		if [ "$name" = k6_runs ]; then
			[ "$(status_of "$DASH/api/dashboard/k6/overview")" = 503 ]
			[ "$(status_of "$DASH/api/dashboard/k6/series")" = 503 ]
		fi
		stop_dashboard
		restore_dashboard
		n=$((n + 1))
	done
	[ "$n" -ge 20 ]
}

@test "dashboard: runs as CSV that cannot be read to the end are cut off, not ended" {
	filled_dashboard
	# An old run, far behind the first part that is sent.
	/usr/bin/python3 - "$DB" <<'PY'
import sqlite3, sys
size = sqlite3.connect(sys.argv[1]).execute("PRAGMA page_size").fetchone()[0]
data = open(sys.argv[1], "rb").read()
pages = [p for p in range(0, len(data), size) if b'"id":"run-250"' in data[p:p + size]]
assert pages
with open(sys.argv[1], "r+b") as f:
    for p in pages:
        f.seek(p)
        f.write(b"\xff" * size)
PY
	start_dashboard
	[ "$(curl -sS "$DASH/readyz")" = '{"status":"ok"}' ]
	run curl -fsS -o "$T/runs.csv" "$DASH/api/dashboard/k6/runs.csv"
	[ "$status" -ne 0 ]
	grep -q '^"run-699"' "$T/runs.csv"
	refute grep '^"run-250"' "$T/runs.csv"
	grep -q 'error runs.csv: cut off' "$T/dashboard.log"
	is_not_ready
}
