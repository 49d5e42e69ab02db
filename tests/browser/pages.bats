#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The web pages in a real browser, on a live dashboard with a k6fleetd that runs real k6.

load ../program/helpers

setup() {
	setup_dir
	start_server
	export SERVER
}
teardown() { teardown_dir; }

flow() { timeout "${LIMIT:-240}" node "${PAGES:-$BATS_TEST_DIRNAME}/pages.mjs" "$1"; }

# Starts a dashboard with two targets that run every two seconds, and a host with three agents.
start_stack() {
	start_dashboard "$@"
	export DASH
	write_conf <<-CONF
		dashboard { url = '$DASH' poll_interval = 200ms heartbeat_interval = 300ms timeout = 2s }
	CONF
	admin POST /api/admin/k6/targets '{"url":"'"$SERVER"'/shop","label":"Shop","vus":1,"durationS":1,"runIntervalMs":2000,"thresholds":{"http_req_duration":["p(95)<500"]},"tags":{"team":"web"}}'
	admin POST /api/admin/k6/targets '{"url":"'"$SERVER"'/status/500","label":"Broken","vus":1,"durationS":1,"runIntervalMs":3000}'
	start_fleet -n 3
	retry 20 has_success
}
has_success() { curl -fsS -u "$ADMIN_BASIC_AUTH" "$DASH/api/dashboard/k6/runs?status=success" | jq -e '.total > 2'; }

@test "every page at four widths, light and dark, in both languages: fits, keeps still, axe finds nothing" {
	start_stack
	LIMIT=400 flow views
}
@test "a target from adding to deleting, by keyboard alone" {
	start_stack
	flow targets
}
@test "scale and undo, one agent, the kill switch and back, reconcile" {
	start_stack
	flow fleet
}
@test "runs come in by themselves, filters in the address, CSV, a run again" {
	start_stack
	flow runs
}
@test "the dashboard goes and comes back: old data is marked, nothing is loaded anew" {
	start_stack
	flow restart >"$T/out" 3>&- &
	local node=$!
	retry 30 grep -q '# stop' "$T/out"
	stop_dashboard
	retry 60 grep -q '# start' "$T/out" || { cat "$T/out"; false; }
	start_dashboard
	wait "$node" || { cat "$T/out"; false; }
}
@test "whatever is stored is shown as text" {
	start_dashboard
	export DASH
	flow inert
}
@test "with read_auth the pages ask for credentials once" {
	printf 'read_auth = true\n' >"$T/dashboard.conf"
	start_stack -c "$T/dashboard.conf"
	flow closed
}
@test "nothing there yet: the pages say what to do first" {
	start_dashboard
	export DASH
	flow empty
}
@test "built without the charts' library the pages show tables, and nothing complains" {
	sh "$top_srcdir/contrib/stage-www.sh" "$top_srcdir/src/dashboard/www" "$T/www"
	chmod -R a+rX "$T/www"
	K6FLEET_WWW_DIR=$T/www start_stack
	flow plain
}
@test "all pages are small, packed, and may be kept for good" {
	start_dashboard
	curl -fsS --compressed "$DASH/agents/k6" >"$T/page"
	assets=$(grep -oE '/assets/[0-9a-f]+/' "$T/page" | head -1)
	total=0
	for file in $(cd "$K6FLEET_WWW_DIR" && find assets -type f ! -name '*.gz'); do
		curl -fsS -D "$T/headers" -o "$T/body" -H 'Accept-Encoding: gzip' "$DASH/$file"
		grep -qi '^cache-control: .*immutable' "$T/headers"
		grep -qi '^content-encoding: gzip' "$T/headers"
		gunzip -c <"$T/body" | cmp - "$K6FLEET_WWW_DIR/$file"
		total=$((total + $(stat -c %s "$T/body")))
	done
	[ -n "$assets" ]
	[ "$total" -lt 150000 ]
	curl -fsS -D "$T/headers" -o "$T/body" -H 'Accept-Encoding: gzip;q=0' "$DASH/agents/k6"
	refute grep -qi '^content-encoding' "$T/headers"
	grep -qi '^cache-control: no-cache' "$T/headers"
	cmp "$T/body" "$K6FLEET_WWW_DIR/index.html"
}
