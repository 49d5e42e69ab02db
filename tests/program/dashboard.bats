#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The dashboard's HTTP API by itself, with curl.

load helpers

setup() {
	setup_dir
	start_dashboard
}
teardown() { teardown_dir; }

# expect STATUS CODE-or-"-" RESPONSE: checks a response of curl whose last line is the status.
expect() {
	local status=${3##*$'\n'} body=${3%$'\n'*}
	if [ "$status" != "$1" ] || { [ "$2" != - ] && [ "$(jq -r .error.code <<<"$body")" != "$2" ]; }; then
		echo "wanted $1 $2, got $status $body"
		return 1
	fi
}
admin_s() {
	curl -sS -u "$ADMIN_BASIC_AUTH" -w '\n%{http_code}' -X "$1" -H 'Content-Type: application/json' ${3+-d "$3"} "$DASH$2"
}
agent_s() {
	curl -sS -H "Authorization: Bearer $DASHBOARD_SECRET" -w '\n%{http_code}' -X "$1" \
		-H 'Content-Type: application/json' ${3+-d "$3"} "$DASH$2"
}

run_json() {
	jq -nc --arg id "$1" --arg status "$2" --argjson more "${3-null}" '{id: $id, agent: "k6agent-0", host: "h",
		targetId: "t1", targetLabel: "T", status: $status, plannedMs: 1000, startedAt: "2026-11-23T10:00:00Z"} + ($more // {})'
}

@test "health, unknown paths, methods, credentials" {
	[ "$(curl -sS "$DASH/healthz")" = '{"status":"ok"}' ]
	[ "$(curl -sS "$DASH/readyz")" = '{"status":"ok"}' ]
	[ "$(status_of "$DASH/nothing")" = 404 ]
	curl -sS "$DASH/nothing" | jq -e '.error.code == "not_found" and (.error.message | length > 5)'
	[ "$(status_of -X PUT "$DASH/healthz")" = 405 ]
	curl -sSi -X DELETE "$DASH/api/k6/runs" | grep -qi '^Allow: POST'
	curl -sSi "$DASH/api/admin/config" | grep -qi '^WWW-Authenticate: Basic'
	curl -sSi "$DASH/api/k6/targets" | grep -qi '^WWW-Authenticate: Bearer'
	[ "$(status_of -u admin:wrong "$DASH/api/admin/config")" = 401 ]
	[ "$(status_of -u admin: "$DASH/api/admin/config")" = 401 ]
	[ "$(status_of -H "Authorization: Bearer " "$DASH/api/k6/targets")" = 401 ]
	[ "$(status_of -H "Authorization: Bearer ${DASHBOARD_SECRET}x" "$DASH/api/k6/targets")" = 401 ]
	# The secret of hosts opens no admin call, and the admin's credentials no call of hosts.
	[ "$(status_of -H "Authorization: Bearer $DASHBOARD_SECRET" "$DASH/api/admin/config")" = 401 ]
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" "$DASH/api/k6/targets")" = 401 ]
	[ "$(status_of "$DASH/")" = 200 ]
	curl -sSi "$DASH/" | grep -qi '^Content-Security-Policy:'
}

@test "malformed bodies, types, sizes, origins" {
	expect 400 malformed_json "$(admin_s POST /api/admin/k6/targets '{"url":')"
	expect 400 malformed_json "$(admin_s POST /api/admin/k6/targets '')"
	expect 400 malformed_json "$(admin_s POST /api/admin/k6/targets '{"url":"http://h/","url":"http://i/"}')"
	expect 400 - "$(admin_s POST /api/admin/k6/targets '[]')"
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -H 'Content-Type: text/plain' -d '{}' "$DASH/api/admin/k6/targets")" = 415 ]
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -X DELETE "$DASH/api/admin/k6/targets/x")" = 415 ]
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -H 'Content-Type: application/json' -H 'Origin: http://evil.example' -d '{}' \
		"$DASH/api/admin/k6/targets")" = 403 ]
	head -c 5000000 /dev/zero | tr '\0' ' ' >"$T/big"
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" -H 'Content-Type: application/json' --data-binary @"$T/big" "$DASH/api/admin/k6/targets")" = 413 ]
	[ "$(curl -sS "$DASH/healthz")" = '{"status":"ok"}' ]
}

@test "targets: create, defaults, list, get, patch, delete" {
	answer=$(curl -sSi -u "$ADMIN_BASIC_AUTH" -H 'Content-Type: application/json' -d '{"url":"http://127.0.0.1/x","label":"X"}' "$DASH/api/admin/k6/targets")
	grep -q '^HTTP/1.1 201' <<<"$answer"
	id=$(tail -1 <<<"$answer" | jq -r .id)
	grep -qi "^Location: /api/admin/k6/targets/$id" <<<"$answer"
	tail -1 <<<"$answer" | jq -e '.vus == 1 and .durationS == 30 and .runIntervalMs == 60000 and .enabled and .createdAt'
	admin GET "/api/admin/k6/targets/$id" | jq -e '.label == "X"'
	expect 200 - "$(admin_s PATCH "/api/admin/k6/targets/$id" '{"vus":7,"enabled":false}')"
	admin GET "/api/admin/k6/targets/$id" | jq -e '.vus == 7 and .enabled == false and .label == "X"'
	expect 422 invalid_field "$(admin_s PATCH "/api/admin/k6/targets/$id" '{"vus":0}')"
	admin PATCH "/api/admin/k6/targets/$id" '{"vus":0}' | jq -e '.error.field == "vus" and (.error.message | contains("1..10000"))'
	expect 400 unknown_field "$(admin_s PATCH "/api/admin/k6/targets/$id" '{"colour":"red"}')"
	expect 422 invalid_field "$(admin_s POST /api/admin/k6/targets '{}')"
	expect 404 not_found "$(admin_s PATCH /api/admin/k6/targets/nope '{"vus":1}')"
	expect 404 not_found "$(admin_s GET /api/admin/k6/targets/nope)"
	curl -sS "$DASH/api/dashboard/k6/targets" | jq -e '.items | length == 1'
	expect 204 - "$(admin_s DELETE "/api/admin/k6/targets/$id")"
	expect 404 not_found "$(admin_s DELETE "/api/admin/k6/targets/$id")"
}

@test "readers without credentials see no header values, bodies or scripts" {
	admin POST /api/admin/k6/targets '{"url":"http://h/","headers":{"Authorization":"Bearer s3cret"},"body":"s3cret"}' >/dev/null
	admin POST /api/admin/k6/targets '{"script":"// s3cret\nexport default function () {}"}' >/dev/null
	refute grep -q s3cret <<<"$(curl -sS "$DASH/api/dashboard/k6/targets")"
	curl -sS -u "$ADMIN_BASIC_AUTH" "$DASH/api/dashboard/k6/targets" | grep -q s3cret
	agent GET /api/k6/targets?host=h | grep -q s3cret
}

@test "agents: register, keep their id, heartbeat, unknown ones" {
	expect 200 - "$(agent_s POST /api/k6/agents/register '{"host":"h1","managed":true,"maxAgents":10,"desired":{"agents":2,"revision":4},"agents":[{"name":"a-0","slot":0},{"name":"a-1","slot":1}]}')"
	first=$(agent POST /api/k6/agents/register '{"host":"h1","managed":true,"maxAgents":10,"desired":{"agents":2,"revision":4},"agents":[{"name":"a-0"},{"name":"a-1"}]}')
	jq -e '.desired == {"agents":2,"revision":4} and (.agents | length == 2)' <<<"$first"
	again=$(agent POST /api/k6/agents/register '{"host":"h1","managed":true,"maxAgents":10,"agents":[{"name":"a-0"}]}')
	[ "$(jq -r '.agents[0].id' <<<"$first")" = "$(jq -r '.agents[0].id' <<<"$again")" ]
	agent POST /api/k6/agents/register '{"name":"a-0","host":"h2","version":"1"}' | jq -e '.agents[0].id and .agents[0].name == "a-0"'
	agent POST /api/k6/agents/heartbeat '{"host":"h1","agents":[{"name":"a-0","status":"running","currentRunId":null,"rssBytes":5,"restarts":1,"progress":{"vus":1}},{"name":"ghost","status":"idle"}]}' |
		jq -e '.unknown == ["ghost"] and .desired.agents == 2'
	agent POST /api/k6/agents/heartbeat '{"name":"a-0","host":"h2","status":"idle"}' | jq -e '.unknown == []'
	expect 422 invalid_field "$(agent_s POST /api/k6/agents/heartbeat '{"name":"a-0","host":"h1","status":"dancing"}')"
	curl -sS "$DASH/api/dashboard/k6/agents" | jq -e '.items | length == 3 and (.[0] | .host == "h1" and .status == "running" and .restarts == 1 and .rssBytes == 5 and .progress.vus == 1)'
	curl -sS "$DASH/api/dashboard/k6/hosts" | jq -e '.items[] | select(.host == "h1") | .managed and .online and .desired == 2 and .maxAgents == 10'
}

@test "targets for agents carry an ETag; 304 while nothing changes" {
	admin POST /api/admin/k6/targets '{"url":"http://h/on"}' >/dev/null
	admin POST /api/admin/k6/targets '{"url":"http://h/off","enabled":false}' >/dev/null
	curl -sSi -H "Authorization: Bearer $DASHBOARD_SECRET" "$DASH/api/k6/targets?host=h" >"$T/answer"
	tail -1 "$T/answer" | jq -e '(.targets | length == 1) and .desired and .commands == []'
	etag=$(sed -n 's/^ETag: \(.*\)\r/\1/pI' "$T/answer")
	[ "$(status_of -H "Authorization: Bearer $DASHBOARD_SECRET" -H "If-None-Match: $etag" "$DASH/api/k6/targets?host=h")" = 304 ]
	admin POST /api/admin/k6/targets '{"url":"http://h/more"}' >/dev/null
	[ "$(status_of -H "Authorization: Bearer $DASHBOARD_SECRET" -H "If-None-Match: $etag" "$DASH/api/k6/targets?host=h")" = 200 ]
}

@test "the desired count: sum of the hosts until somebody sets it, then spread and capped" {
	register() { agent POST /api/k6/agents/register "{\"host\":\"$1\",\"managed\":true,\"maxAgents\":$2,\"desired\":{\"agents\":$3,\"revision\":$4},\"agents\":[]}"; }
	total() { admin GET /api/admin/config | jq .k6DesiredAgentCount; }
	admin GET /api/admin/config | jq -e '.k6DesiredAgentCount == 0'
	register a 100 3 7 | jq -e '.desired == {"agents":3,"revision":7}'
	register b 4 2 0 | jq -e '.desired.agents == 2'
	[ "$(total)" = 5 ]
	admin PUT /api/admin/config '{"k6DesiredAgentCount":20}' | jq -e '.k6DesiredAgentCount == 20 and .revision > 7'
	curl -sS "$DASH/api/dashboard/k6/hosts" | jq -e '[.items[].desired] == [16,4]'
	# A host comes back with an old count: the dashboard's count is newer.
	register a 100 3 7 | jq -e '.desired.agents == 16 and .desired.revision > 7'
	# A scale on a host changes the total by the difference.
	agent POST /api/k6/hosts/a/scale '{"agents":10}' | jq -e '.desired.agents == 10'
	[ "$(total)" = 14 ]
	# The host was scaled while the dashboard was away: the higher revision applies.
	register a 100 30 1000 | jq -e '.desired == {"agents":30,"revision":1000}'
	[ "$(total)" = 34 ]
	# A new host gets its share.
	register c 100 1 5000 | jq -e '.desired.agents == 15 and .desired.revision > 5000'
	expect 404 not_found "$(agent_s POST /api/k6/hosts/nope/scale '{"agents":1}')"
	expect 422 invalid_field "$(admin_s PUT /api/admin/config '{"k6DesiredAgentCount":100001}')"
	expect 400 invalid_field "$(admin_s PUT /api/admin/config '{"k6DesiredAgentCount":"5"}')"
	expect 400 unknown_field "$(admin_s PUT /api/admin/config '{"k6DesiredAgentCount":5,"x":1}')"
}

@test "runs: upsert, terminal is final, a bad one fails no other, filters and pages" {
	a=0190aaaa-0000-7000-8000-000000000001
	b=0190aaaa-0000-7000-8000-000000000002
	agent POST /api/k6/runs "$(run_json $a running)" | jq -e '.accepted == 1 and .ignored == 0 and .rejected == []'
	agent POST /api/k6/runs "{\"runs\":[$(run_json $a success '{"metrics":{"p95_ms":3.5,"error_rate":0,"iterations":5},"finishedAt":"2026-11-23T10:00:01Z"}'),$(run_json bad! success),$(run_json $b error '{"reason":"timeout","errorMessage":"late","startedAt":"2026-11-23T11:00:00Z"}')]}" |
		jq -e '.accepted == 2 and (.rejected | length == 1 and .[0].id == "bad!")'
	# The same batch again after a lost response, and an outdated state of a run.
	agent POST /api/k6/runs "$(run_json $a success)" | jq -e '.accepted == 1'
	agent POST /api/k6/runs "$(run_json $a running)" | jq -e '.ignored == 1'
	agent POST /api/k6/runs "$(run_json $a error '{"reason":"lost"}')" | jq -e '.ignored == 1'
	curl -sS "$DASH/api/dashboard/k6/runs/$a" | jq -e '.status == "success" and .metrics.p95_ms == 3.5 and .metrics.p50_ms == null and .latencyQuantiles == null'
	[ "$(status_of "$DASH/api/dashboard/k6/runs/nope")" = 404 ]
	list() { curl -sS "$DASH/api/dashboard/k6/runs?$1"; }
	list '' | jq -e ".total == 2 and .page == 1 and .pageSize == 50 and .items[0].id == \"$b\""
	list 'status=error' | jq -e '.total == 1 and .items[0].reason == "timeout"'
	list 'pageSize=1&page=2' | jq -e ".items | length == 1 and .[0].id == \"$a\""
	list 'sort=startedAt' | jq -e ".items[0].id == \"$a\""
	list 'sort=-p95_ms' | jq -e ".items[0].id == \"$a\""
	list 'from=2026-11-23T10:30:00Z' | jq -e '.total == 1'
	list 'to=2026-11-23T10:30:00Z&host=h&agent=k6agent-0&targetId=t1' | jq -e '.total == 1'
	list 'to=2026-11-23T10%3A30%3A00Z&agent=k6agent%2D0' | jq -e '.total == 1'
	list 'from=2026-11-23T11%3A30%3A00%2B01%3A00' | jq -e '.total == 1'
	list 'targetId=%27%20OR%201=1--' | jq -e '.total == 0'
	[ "$(status_of "$DASH/api/dashboard/k6/runs?pageSize=501")" = 422 ]
	[ "$(status_of "$DASH/api/dashboard/k6/runs?page=x")" = 400 ]
	[ "$(status_of "$DASH/api/dashboard/k6/runs?sort=id")" = 422 ]
	[ "$(status_of "$DASH/api/dashboard/k6/runs?from=yesterday")" = 400 ]
	expect 400 - "$(agent_s POST /api/k6/runs '[]')"
	agent POST /api/k6/runs "{\"runs\":[$(run_json x success '{"metrics":{"error_rate":2}}'),$(run_json y success '{"reason":"oom"}'),5,$(run_json z nonsense)]}" |
		jq -e '.accepted == 0 and (.rejected | length == 4)'
}

@test "kill -9 loses nothing that was acknowledged" {
	for i in $(seq 1 30); do
		agent POST /api/k6/runs "$(run_json "run-$i" success)" >/dev/null
	done
	stop_dashboard KILL
	start_dashboard
	[ "$(curl -sS "$DASH/api/dashboard/k6/runs" | jq .total)" = 30 ]
	"$top_builddir/k6fleet-dashboard" -d "$T/dash/dashboard.db" --backup "$T/copy.db"
	[ -s "$T/copy.db" ]
}

@test "the reaper: lost runs, silent agents; a real result corrects it" {
	stop_dashboard
	printf 'reaper { interval = 200ms run_timeout = 1s offline_after = 1s delete_after = 8s keep_runs = true }\n' >"$T/d.conf"
	start_dashboard -c "$T/d.conf"
	agent POST /api/k6/agents/register '{"host":"h","agents":[{"name":"k6agent-0"}]}' >/dev/null
	agent POST /api/k6/runs "$(run_json r1 running)" >/dev/null
	agent POST /api/k6/agents/heartbeat '{"host":"h","agents":[{"name":"k6agent-0","status":"running","currentRunId":"r1"}]}' >/dev/null
	reaped() { [ "$(curl -sS "$DASH/api/dashboard/k6/runs/r1" | jq -r .reason)" = reaped ]; }
	retry 15 reaped
	offline() { [ "$(curl -sS "$DASH/api/dashboard/k6/agents" | jq -r '.items[0].status')" = offline ]; }
	retry 15 offline
	[ "$(curl -sS "$DASH/api/dashboard/k6/agents" | jq '.items[0].currentRunId')" = null ]
	agent POST /api/k6/runs "$(run_json r1 success)" | jq -e '.accepted == 1'
	[ "$(curl -sS "$DASH/api/dashboard/k6/runs/r1" | jq -r .status)" = success ]
	deleted() { [ "$(curl -sS "$DASH/api/dashboard/k6/agents" | jq '.items | length')" = 0 ]; }
	retry 15 deleted
	curl -sS "$DASH/api/dashboard/k6/runs/r1" | jq -e '.agent == null and .status == "success"'
}

@test "started as root it runs as its own user without capabilities" {
	[ "$(id -u)" = 0 ] || skip "only root changes user"
	[ "$(stat -c %U "/proc/$DASH_PID")" = k6fleet-dashboard ]
	grep -q '^CapEff:.0000000000000000$' "/proc/$DASH_PID/status"
	grep -q '^CapBnd:.0000000000000000$' "/proc/$DASH_PID/status"
	refute grep -qa "$DASHBOARD_SECRET" "/proc/$DASH_PID/environ"
}

@test "read_auth closes reading to those without credentials" {
	stop_dashboard
	echo 'read_auth = true' >"$T/d.conf"
	start_dashboard -c "$T/d.conf"
	[ "$(status_of "$DASH/api/dashboard/k6/runs")" = 401 ]
	[ "$(status_of -u "$ADMIN_BASIC_AUTH" "$DASH/api/dashboard/k6/runs")" = 200 ]
	[ "$(status_of "$DASH/healthz")" = 200 ]
}
