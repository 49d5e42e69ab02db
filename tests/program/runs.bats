#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Runs of real k6 against a server that counts requests: every status and reason.

load helpers

setup() {
	setup_dir
	start_server
}
teardown() { teardown_dir; }

@test "a run's numbers are what the server counted, and k6 by hand agrees" {
	write_conf <<CONF
workers = 1
target 'Counted' { url = '$SERVER/counted' duration = 3s vus = 5 interval = 1h }
CONF
	start_fleet
	expect_run Counted success -
	[ "$(metric http_reqs)" -eq "$(count_of /counted)" ]
	[ "$(metric iterations)" -eq "$(count_of /counted)" ]
	[ "$(metric http_reqs)" -ge 10 ]
	jq -e '.metrics.error_rate == 0.0' <<<"$RUN"
	jq -e '.metrics.vus == 5' <<<"$RUN"
	jq -e '.metrics.checks_passed == null' <<<"$RUN"
	jq -e '.metrics | .p50_ms > 0 and .p50_ms <= .p95_ms and .p95_ms <= .p99_ms and .avg_ms > 0' <<<"$RUN"
	jq -e '.metrics.rps > 1 and .metrics.data_received_bytes > 0' <<<"$RUN"
	jq -e '.resources.cpuMs > 0 and .resources.maxRssBytes > 10000000 and .exitCode == 0' <<<"$RUN"
	jq -e '.scheduledAt and .startedAt and .finishedAt and .lagMs < 5000 and .plannedMs == 3000' <<<"$RUN"
	# A single run has the 101 quantiles, lists do not.
	ctl show "$(jq -r .id <<<"$RUN")" --json | jq -e '.latencyQuantiles | length == 101 and (. == sort)'

	cat >"$T/same.js" <<-JS
		import http from 'k6/http'; import { sleep } from 'k6';
		export const options = { scenarios: { default: { executor: 'constant-vus', vus: 5, duration: '3s', gracefulStop: '0s' } } };
		export default function () { if (__ITER > 0) sleep(1); http.get('$SERVER/byhand'); }
	JS
	"$K6_BINARY" run --quiet --no-usage-report --address '' --summary-export "$T/byhand.json" "$T/same.js" >/dev/null 2>&1
	[ "$(jq .metrics.http_reqs.count "$T/byhand.json")" -eq "$(metric http_reqs)" ]
	[ "$(jq .metrics.iterations.count "$T/byhand.json")" -eq "$(metric iterations)" ]
}

@test "a server that answers 500: success with error rate 1 and latencies" {
	write_conf <<<"target 'Fails' { url = '$SERVER/500' duration = 2s interval = 1h }"
	start_fleet
	expect_run Fails success -
	jq -e '.metrics.error_rate == 1.0' <<<"$RUN"
	[ "$(metric http_reqs)" -eq "$(count_of /500)" ]
	jq -e '.metrics.p95_ms > 0' <<<"$RUN"
}

@test "a server that refuses: error rate 1, no latency at all" {
	write_conf <<<"target 'Refused' { url = 'http://127.0.0.1:$(free_port)/' duration = 2s interval = 1h }"
	start_fleet
	expect_run Refused success -
	jq -e '.metrics.error_rate == 1.0' <<<"$RUN"
	jq -e '.metrics | .http_reqs > 0 and .p50_ms == null and .p95_ms == null and .p99_ms == null and .avg_ms == null' <<<"$RUN"
}

@test "a server that hangs, a name that does not resolve: what k6 did not report is null" {
	write_conf <<CONF
workers = 2
target 'Hangs' { url = '$SERVER/hang' duration = 2s interval = 1h max_agents = 1 }
target 'Nowhere' { url = 'http://does-not-exist.invalid/' duration = 2s interval = 1h max_agents = 1 }
CONF
	start_fleet
	expect_run Hangs success -
	jq -e '.metrics | .p95_ms == null and .http_reqs == null and .error_rate == null' <<<"$RUN"
	jq -e '.errorMessage | contains("hang")' <<<"$RUN"
	expect_run Nowhere success -
	jq -e '.metrics | .p95_ms == null and .avg_ms == null and (.error_rate == 1 or .error_rate == null)' <<<"$RUN"
}

@test "answered and unanswered requests mixed: only answers are latencies" {
	cat >"$T/mixed.js" <<-JS
		import http from 'k6/http'; import { sleep } from 'k6';
		export const options = { vus: 1, iterations: 20, thresholds: { 'http_req_duration{status:0}': [] } };
		export default function () { http.get(__ITER % 2 ? '$SERVER/slow' : 'http://127.0.0.1:$(free_port)/'); }
	JS
	write_conf <<<"target 'Mixed' { script_file = '$T/mixed.js' interval = 1h timeout = 30s }"
	start_fleet
	expect_run Mixed success -
	jq -e '.metrics | .error_rate == 0.5 and .http_reqs == 20 and .p50_ms >= 195 and .avg_ms >= 195' <<<"$RUN"
}

@test "method, headers, body, expected statuses and tags reach the server" {
	write_conf <<CONF
target 'Echo' { url = '$SERVER/echo?q="x"' method = POST body = 'it\\'s "b"' headers = {'X-Test: a"b'} duration = 1s
  interval = 1h expected_statuses = {404} tags = {'team=web'} }
CONF
	start_fleet
	expect_run Echo success -
	# The target does not expect status 200.
	jq -e '.metrics.error_rate == 1.0' <<<"$RUN"
	curl -fsS "$SERVER/__counts" | jq -e '.seen | .method == "POST" and .body == "it'"'"'s \"b\"" and .headers["X-Test"] == "a\"b"'
}

@test "URLs with quotes, backslashes, newlines, </script> and \${} are data, not code" {
	cat >"$T/targets.conf" <<CONF
workers = 3
target 'Evil1' { url = '$SERVER/a";throw 1;//\\\\"</script>\${1+1}' duration = 1s interval = 1h }
target 'Evil2' { url = '$SERVER/b\`\${__ENV.HOME}\`' duration = 1s interval = 1h }
CONF
	write_conf <"$T/targets.conf"
	start_fleet
	expect_run Evil1 success -
	jq -e '.metrics.error_rate == 0.0' <<<"$RUN"
	expect_run Evil2 success -
	jq -e '.metrics.error_rate == 0.0' <<<"$RUN"
	curl -fsS "$SERVER/__counts" | jq -e 'keys | any(contains("throw")) and any(contains("__ENV"))'
}

@test "failed: thresholds and checks, each named; checks = ignore" {
	cat >"$T/checks.js" <<-JS
		import http from 'k6/http'; import { check } from 'k6';
		export const options = { vus: 1, iterations: 4 };
		export default function () { check(http.get('$SERVER/half-check'), { 'is 200': r => r.status === 200 }); }
	JS
	write_conf <<CONF
workers = 4
target 'Crossed' { url = '$SERVER/crossed' duration = 1s interval = 1h max_agents = 1
  thresholds = {'http_req_duration: p(95)<0.0001', 'http_reqs: count>0'} }
target 'Checks' { script_file = '$T/checks.js' interval = 1h max_agents = 1 timeout = 30s }
CONF
	start_fleet
	expect_run Crossed failed thresholds
	[ "$(jq .exitCode <<<"$RUN")" = 99 ]
	jq -e '.thresholds | length == 2 and any(.ok and .metric == "http_reqs") and any((.ok | not) and .expression == "p(95)<0.0001")' <<<"$RUN"
	jq -e '.errorMessage | contains("http_req_duration p(95)<0.0001")' <<<"$RUN"
	expect_run Checks failed checks
	jq -e '.metrics | .checks_passed == 2 and .checks_failed == 2' <<<"$RUN"
}

@test "checks = ignore leaves the run a success" {
	cat >"$T/checks.js" <<-JS
		import { check } from 'k6';
		export const options = { vus: 1, iterations: 1 };
		export default function () { check(1, { no: () => false }); }
	JS
	write_conf <<<"target 'Ignored' { script_file = '$T/checks.js' interval = 1h checks = ignore timeout = 30s }"
	start_fleet
	expect_run Ignored success -
	jq -e '.metrics.checks_failed == 1' <<<"$RUN"
	jq -e '.metrics.http_reqs == null' <<<"$RUN"
}

@test "script errors: syntax, init, setup, missing module, options, abort, fail" {
	{
		echo 'workers = 4'
		script_target Syntax 'export default function () { nonsense('
		script_target Init 'throw new Error("init boom"); export default function () {}'
		script_target Setup 'export function setup() { throw new Error("setup boom"); } export default function () {}'
		script_target Module 'import x from "./nope.js"; export default function () {}'
		script_target Options 'export const options = { vus: "abc" }; export default function () {}'
		script_target Nothing 'export const x = 1;'
		script_target Abort 'import exec from "k6/execution"; export default function () { exec.test.abort("enough"); }'
		script_target Fail 'import exec from "k6/execution"; export const options = { iterations: 1 }; export default function () { exec.test.fail("bad"); }'
		script_target SetupTime 'export const options = { setupTimeout: "1s", iterations: 1 }; import { sleep } from "k6"; export function setup() { sleep(30); } export default function () {}'
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	start_fleet
	expect_run Syntax error script_error
	jq -e '.exitCode == 107 and (.errorMessage | contains("Unexpected"))' <<<"$RUN"
	expect_run Init error script_error
	jq -e '.errorMessage | contains("init boom")' <<<"$RUN"
	expect_run Setup error script_error
	jq -e '.errorMessage | contains("setup boom")' <<<"$RUN"
	ctl show "$(jq -r .id <<<"$RUN")" --json | jq -e '.log | contains("setup boom")'
	expect_run Module error script_error
	expect_run Options error script_error
	expect_run Nothing error script_error
	# Inside the generated module k6 sees a script that has options and no function; before v0.53 that is a script error.
	jq -e '(.exitCode == 104 or .exitCode == 107) and (.errorMessage | contains("default"))' <<<"$RUN"
	expect_run Abort error script_error
	jq -e '.exitCode == 108 and (.errorMessage | contains("enough"))' <<<"$RUN"
	expect_run Fail failed checks
	[ "$(jq .exitCode <<<"$RUN")" = 110 ]
	expect_run SetupTime error timeout
	[ "$(jq .exitCode <<<"$RUN")" = 100 ]
}

@test "timeout keeps the partial result; a script that ignores TERM in init is killed" {
	{
		echo 'workers = 2'
		script_target Late "import http from 'k6/http'; import { sleep } from 'k6'; export const options = { vus: 1, duration: '10m' }; export default function () { http.get('$SERVER/late'); sleep(0.2); }" 1s
		script_target Loop 'for (;;) {} export default function () {}' 1s
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	start_fleet
	expect_run Late error timeout
	jq -e '.metrics.http_reqs > 5 and .metrics.p95_ms > 0 and .exitCode == 105' <<<"$RUN"
	# TERM may come during a request: the server counts the request, k6 does not.
	[ "$(metric http_reqs)" -le "$(count_of /late)" ]
	[ "$(metric http_reqs)" -ge $(($(count_of /late) - 1)) ]
	expect_run Loop error timeout
	jq -e '.metrics.http_reqs == null' <<<"$RUN"
}

@test "out of memory, full disk, killed, no summary, bad summaries: explained" {
	{
		echo 'workers = 6'
		echo "limits { memory = 128M tmp_size = 64K }"
		script_target Oom 'export const options = { iterations: 1 }; export default function () { const a = []; for (;;) a.push(new Array(100000).fill(Math.random())); }' 60s
		# The script fills the tmpfs, so the 30 kB of the summary do not fit.
		script_target Full "export const options = { iterations: 1 }; export default function () {} // $(head -c 56000 /dev/zero | tr '\0' x)"
		script_target Forged 'export const options = { iterations: 1 }; export default function () {} export function handleSummary(d) { d.metrics.iterations.values.count = -5; return {}; }'
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	start_fleet
	expect_run Oom error oom
	jq -e '.errorMessage | contains("128M") and contains("limits.memory")' <<<"$RUN"
	expect_run Full error disk_full
	jq -e '.errorMessage | contains("limits.tmp_size")' <<<"$RUN"
	expect_run Forged error bad_summary
	jq -e '(.errorMessage | contains("-5")) and .metrics.iterations == null' <<<"$RUN"
}

@test "a k6 that is told to write no summary, and one that somebody kills" {
	{
		echo "workers = 2"
		echo "k6 { args = {'--summary-mode=disabled'} }"
		script_target NoSummary 'export const options = { iterations: 1 }; export default function () {}'
		echo "target 'Killed' { url = '$SERVER/killed' duration = 30s interval = 1h max_agents = 1 }"
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	start_fleet
	retry 20 is_requested /killed
	for w in $(workers); do
		for k6 in $(children_of "$w"); do kill -KILL "$k6"; done
	done
	expect_run Killed error killed
	jq -e '.errorMessage | contains("signal 9")' <<<"$RUN"
	expect_run NoSummary error no_summary
}

# A stand-in for k6 makes faults that the real k6 does not make on demand.
fake_k6() {
	cat >"$T/fake-k6" <<-SH
		#!/bin/sh
		[ "\$1" = version ] && { echo 'k6 v2.2.0 (stand-in)'; exit 0; }
		while [ \$# -gt 1 ]; do [ "\$1" = --summary-export ] && out=\$2; shift; done
		$1
	SH
	chmod 755 "$T/fake-k6"
	export K6_BINARY=$T/fake-k6
	write_conf <<<"target 'Fake' { url = '$SERVER/fake' duration = 1s interval = 1h }"
	rm -rf "$T/state"
	start_fleet
}
stop_fleet() {
	ctl stop --now
	retry 20 is_gone "$FLEET"
}

@test "stand-in k6: summaries that are missing, empty, cut, huge or a link; unknown exit codes" {
	fake_k6 'exit 0'
	expect_run Fake error no_summary
	stop_fleet
	fake_k6 ': >"$out"; exit 0'
	expect_run Fake error bad_summary
	jq -e '.errorMessage | contains("empty")' <<<"$RUN"
	stop_fleet
	fake_k6 'printf "{\"metrics\":{\"http_reqs\":{\"count\":5" >"$out"; exit 0'
	expect_run Fake error bad_summary
	stop_fleet
	fake_k6 'head -c 5000000 /dev/zero >"$out"; exit 0'
	expect_run Fake error bad_summary
	jq -e '.errorMessage | contains("4 MiB")' <<<"$RUN"
	stop_fleet
	fake_k6 'ln -s /etc/passwd "$out"; exit 0'
	expect_run Fake error no_summary
	stop_fleet
	fake_k6 'echo what >&2; exit 77'
	expect_run Fake error script_error
	jq -e '.exitCode == 77 and (.errorMessage | contains("what"))' <<<"$RUN"
	stop_fleet
	fake_k6 'kill -SEGV $$'
	expect_run Fake error killed
	jq -e '.errorMessage | contains("signal 11")' <<<"$RUN"
}

@test "a summary left over from an earlier run is never taken for this one's; descendants end with the run" {
	[ "$(id -u)" = 0 ] || skip "reads the processes of another user"
	fake_k6 '(trap "" TERM HUP; exec sleep 987) & exit 0'
	expect_run Fake error no_summary
	refute pgrep -f '^sleep 987$'
	[ -z "$(ls -A "$T"/tmp 2>/dev/null)" ]
}

@test "k6 sees nothing of the daemon's environment, and the secret is nowhere in it" {
	{
		echo "k6 { env = {'GREETING=hello world'} }"
		script_target Env "import http from 'k6/http'; export const options = { iterations: 1 }; export default function () { http.get('$SERVER/env?' + encodeURIComponent(JSON.stringify(__ENV))); }"
	} >"$T/t.conf"
	write_conf <"$T/t.conf"
	export DASHBOARD_SECRET=hide-me-1 SECRET_THING=hide-me-2 HTTP_PROXY=http://hide-me-3
	start_fleet
	expect_run Env success -
	curl -fsS "$SERVER/__counts" >"$T/counts"
	refute grep -q hide-me "$T/counts"
	for pid in "$FLEET" $(workers); do
		refute grep -qa hide-me-1 "/proc/$pid/environ"
	done
}

@test "sandbox = off runs in a directory of its own and leaves nothing there" {
	mkdir -m 1777 "$T/tmp"
	write_conf <<CONF
sandbox = off
workers = 2
limits { tmp_dir = '$T/tmp' }
target 'Plain' { url = '$SERVER/plain' duration = 1s interval = 1h }
CONF
	start_fleet
	[ "$(ctl status --json | jq -r .sandbox)" = off ]
	expect_run Plain success -
	[ "$(find "$T/tmp" -type f | wc -l)" -eq 0 ]
	ctl stop
	retry 20 is_gone "$FLEET"
	[ -z "$(ls -A "$T/tmp")" ]
}

@test "log_format = json: each line is an object, an event has its fields as members, a label is no field" {
	other=01a21210-7c1f-7abc-8def-0123456789ab
	write_conf <<CONF
log_format = json
workers = 1
target 'Odd run=$other status=failed' { url = '$SERVER/x' duration = 1s interval = 1h }
CONF
	start_fleet
	expect_run "Odd run=$other status=failed" success -
	ctl scale 2 --wait
	jq -es --arg id "$(jq -r .id <<<"$RUN")" --arg named "Odd run=$other status=failed" '
		all(.[]; .time and .level and .program and .pid and .subject and .msg)
		and (map(select(.event == "run ended")) | length == 1 and all(.run == $id and .agent == "k6agent-0"
			and .target == $named and .status == "success" and (has("reason") | not)))
		and (map(select(.event == "scale")) | length == 1 and all(.from == 1 and .to == 2 and (.by | startswith("uid="))))
		and all(.[]; .run != "'"$other"'")' "$T/k6fleetd.log"
}
