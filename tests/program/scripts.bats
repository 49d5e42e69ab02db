#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Scripts of users: the features of k6 in them, their errors, and the versions of k6 that run them.

load helpers

setup() {
	setup_dir
	start_server
}
teardown() { teardown_dir; }

# follow SCRIPT [OPTIONS...]: runs the script now; the response with "merged" and the one run is in $T/answer.
follow() {
	ctl run --script "$T/$1.js" "${@:2}" --follow --json >"$T/answer" || true
	RUN=$(jq -c '.runs[0]' "$T/answer")
}
# ended STATUS REASON: compares them with those of $RUN.
ended() {
	[ "$(jq -r '.status + " " + (.reason // "-")' <<<"$RUN")" = "$1 $2" ] || {
		echo "wanted $1 $2, got: $RUN"
		return 1
	}
}
message_has() {
	[[ $(jq -r .errorMessage <<<"$RUN") == *"$1"* ]]
}
# stand_in VERSION: makes a script $T/k6 that reports this version and runs the real k6.
stand_in() {
	{
		echo '#!/bin/sh'
		# shellcheck disable=SC2016 # for the script
		printf '[ "$1" = version ] && { echo "k6 %s (go1.21, linux/amd64)"; exit 0; }\n' "$1"
		# shellcheck disable=SC2016
		echo 'for last; do :; done'
		# shellcheck disable=SC2016
		echo 'while [ $# -gt 0 ]; do [ "$1" = --summary-export ] && out=$2; shift; done'
		# shellcheck disable=SC2016
		printf 'echo "{\\"metrics\\":{\\"iterations\\":{\\"count\\":%d,\\"rate\\":1}}}" >"$out"\n' "${2:-1}"
	} >"$T/k6.new"
	chmod 755 "$T/k6.new"
}

@test "options, scenarios, groups, custom metrics, thresholds, set-up and tear-down, its own summary" {
	cat >"$T/all.js" <<-JS
		import http from 'k6/http'; import { check, group, sleep } from 'k6';
		import { Counter, Gauge, Rate, Trend } from 'k6/metrics'; import { SharedArray } from 'k6/data';
		import exec from 'k6/execution';
		const counted = new Counter('counted'), level = new Gauge('level'), good = new Rate('good'), took = new Trend('took', true);
		const rows = new SharedArray('rows', () => [{ n: 1 }, { n: 2 }]);
		export let options = {
			scenarios: {
				shared: { executor: 'shared-iterations', vus: 2, iterations: 6, maxDuration: '10s', exec: 'first', tags: { part: 'a' } },
				arrivals: { executor: 'constant-arrival-rate', rate: 5, timeUnit: '1s', duration: '2s', preAllocatedVUs: 2, exec: 'second', startTime: '1s' },
				ramps: { executor: 'ramping-vus', startVUs: 0, stages: [{ duration: '1s', target: 2 }, { duration: '1s', target: 0 }], exec: 'third', gracefulRampDown: '1s' },
			},
			thresholds: { http_req_failed: ['rate<0.5'], 'http_req_duration{part:a}': ['p(95)<5000', 'p(99)<6000'], counted: ['count==6'] },
			setupTimeout: '5s',
		};
		export function setup() { return { token: 'made in setup' }; }
		export function first(data) {
			group('in a group', () => check(http.get('$SERVER/first'), { 'is 200': r => r.status === 200 }));
			check(data, { 'has the token': d => d.token === 'made in setup' });
			counted.add(1); level.add(rows[0].n); good.add(true); took.add(5);
		}
		export function second() { http.get('$SERVER/second', { tags: { name: 'second' } }); }
		export function third() { sleep(0.2); }
		export function teardown() { http.get('$SERVER/down'); }
		export function handleSummary(data) { return { stdout: 'my own words: ' + data.metrics.counted.values.count + '\n' }; }
	JS
	write_conf <<<'workers = 1'
	start_fleet
	follow all
	ended success -
	[ "$(count_of /first)" -eq 6 ]
	[ "$(metric http_reqs)" -eq $(($(count_of /first) + $(count_of /second) + $(count_of /down))) ]
	jq -e '.metrics | .checks_passed == 12 and .checks_failed == 0 and .error_rate == 0' <<<"$RUN"
	jq -e '[.thresholds[] | select(.ok)] | length == 4' <<<"$RUN"
	jq -e '[.thresholds[].expression] | sort == ["count==6", "p(95)<5000", "p(99)<6000", "rate<0.5"]' <<<"$RUN"
	# The planned duration is what k6 prints for the scenarios: the shared iterations may take 10 s.
	jq -e '.plannedMs == 10000' <<<"$RUN"
	ctl logs k6agent-0 | grep -q 'my own words: 6'
}

@test "a crossed threshold and a failed check fail the run and are named; checks = ignore" {
	cat >"$T/bad.js" <<-JS
		import http from 'k6/http'; import { check, group } from 'k6';
		export const options = { iterations: 4, thresholds: { http_reqs: ['count<2', 'count<100'] } };
		export default function () { group('front', () => check(http.get('$SERVER/bad'), { 'is 404': r => r.status === 404 })); }
	JS
	sed 's/, thresholds: {[^}]*}//' "$T/bad.js" >"$T/checks.js"
	write_conf <<CONF
workers = 2
target 'Ignored' { script_file = '$T/checks.js' interval = 1h checks = ignore max_agents = 1 }
CONF
	start_fleet
	expect_run Ignored success -
	jq -e '.metrics.checks_failed == 4' <<<"$RUN"
	follow bad
	ended failed thresholds
	jq -e '.thresholds | sort_by(.expression) == [
		{"metric": "http_reqs", "expression": "count<100", "ok": true},
		{"metric": "http_reqs", "expression": "count<2", "ok": false}]' <<<"$RUN"
	message_has 'http_reqs count<2'
	follow checks
	ended failed checks
	ctl show "$(jq -r .id <<<"$RUN")" >"$T/shown"
	grep -q 'check failed: front::is 404: 4 of 4' "$T/shown"
	# The cost of the run.
	grep -qE '^resources +[0-9]+ ms CPU, [1-9][0-9]* MiB, [0-9]+ bytes of tmpfs' "$T/shown"
	ctl metrics | awk '/^k6fleet_k6_cpu_seconds_total/ { ok = $2 > 0 } END { exit !ok }'
	ctl metrics | awk '/^k6fleet_k6_max_rss_bytes/ { ok = $2 > 10000000 } END { exit !ok }'
}

@test "a request without an answer is no latency of 0 ms, in a user's script neither" {
	cat >"$T/mixed.js" <<-JS
		import http from 'k6/http';
		export const options = { iterations: 20 };
		export default function () { http.get(__ITER % 2 ? '$SERVER/slow' : 'http://127.0.0.1:$(free_port)/'); }
	JS
	write_conf <<<'workers = 1'
	start_fleet
	follow mixed
	ended success -
	jq -e '.metrics | .http_reqs == 20 and .http_reqs_answered == 10 and .error_rate == 0.5 and .p50_ms > 190' <<<"$RUN"
	jq -e '.latencyQuantiles[0] > 190' <<<"$RUN"
}

@test "reported percentiles are those of the raw samples, of one run and of three together" {
	cat >"$T/samples.js" <<-JS
		import http from 'k6/http';
		export const options = { vus: 2, iterations: 90 };
		export default function () { console.log('sample=' + http.get('$SERVER/s' + (__ITER % 7 ? '' : 'low/slow')).timings.duration + ';'); }
	JS
	write_conf <<<'workers = 3'
	start_fleet
	(timeout 60 "$top_builddir/k6fleetctl" -s "$SOCKET" logs -f >"$T/log" || true) 3>&- &
	local follower=$!
	sleep 0.5
	ctl run --script "$T/samples.js" --agents 3 --follow --json >"$T/answer"
	all_samples() { [ "$(grep -c 'sample=' "$T/log")" -ge 270 ]; }
	retry 10 all_samples
	kill "$follower" 2>/dev/null || true
	sed -n 's/^\(k6agent-[0-9]*\): .*sample=\([0-9.]*\);.*/\1 \2/p' "$T/log" >"$T/samples"
	python3 - "$T/answer" "$T/samples" <<-'PY'
		import json, sys
		answer = json.load(open(sys.argv[1]))
		samples = {}
		for line in open(sys.argv[2]):
		    agent, ms = line.split()
		    samples.setdefault(agent, []).append(float(ms))
		assert sum(map(len, samples.values())) == 270, {k: len(v) for k, v in samples.items()}
		def exact(xs, p):
		    xs = sorted(xs)
		    rank = p / 100 * (len(xs) - 1)
		    low = int(rank)
		    high = min(low + 1, len(xs) - 1)
		    return xs[low] + (xs[high] - xs[low]) * (rank - low)
		def compare(quantiles, xs):
		    assert len(quantiles) == 101
		    for p, q in enumerate(quantiles):
		        # Off by at most one percentile rank, apart from rounding to nine digits.
		        assert exact(xs, max(0, p - 1)) - 1e-4 <= q <= exact(xs, min(100, p + 1)) + 1e-4, (p, q)
		for run in answer["runs"]:
		    compare(run["latencyQuantiles"], samples[run["agent"]])
		    assert abs(run["metrics"]["p95_ms"] - exact(samples[run["agent"]], 95)) < 0.01
		merged = [x for xs in samples.values() for x in xs]
		compare(answer["merged"]["latencyQuantiles"], merged)
		# With at most 101 samples a run the figures are exact.
		for p in (50, 95, 99):
		    assert abs(answer["merged"]["metrics"]["p%d_ms" % p] - exact(merged, p)) < 0.01, p
		assert answer["merged"]["metrics"]["http_reqs"] == 270
	PY
}

@test "endless loops, a setup() that throws, test.abort: explained, and what was measured is kept" {
	cat >"$T/loop.js" <<-JS
		import http from 'k6/http';
		export const options = { scenarios: { a: { executor: 'constant-vus', vus: 1, duration: '1s', gracefulStop: '1s' } } };
		export default function () { http.get('$SERVER/loop'); for (;;) {} }
	JS
	echo 'for (;;) {} export default function () {}' >"$T/init.js"
	echo "export function setup() { throw new Error('no login'); } export default function () {}" >"$T/throws.js"
	cat >"$T/abort.js" <<-JS
		import exec from 'k6/execution'; import http from 'k6/http';
		export const options = { vus: 1, duration: '10s' };
		export default function () { http.get('$SERVER/abort'); if (__ITER === 3) exec.test.abort('enough'); }
	JS
	cat >"$T/hang.js" <<-JS
		import http from 'k6/http';
		export const options = { vus: 1, iterations: 2 };
		export default function () { http.get('$SERVER/' + (__ITER ? 'hang' : 'fine')); }
	JS
	cat >"$T/graceful.js" <<-JS
		import { sleep } from 'k6';
		export default function () { sleep(5); }
	JS
	write_conf <<CONF
workers = 3
target 'init' { script_file = '$T/init.js' interval = 1h timeout = 1s max_agents = 1 }
target 'hang' { script_file = '$T/hang.js' interval = 1h timeout = 2s max_agents = 1 }
CONF
	start_fleet
	# k6 itself stops the run when its graceful stop is over.
	follow loop
	ended success -
	jq -e '.metrics | .http_reqs == 1 and .iterations == null' <<<"$RUN"
	# An iteration that began within the duration may finish: k6's graceful stop is 30 s, run_grace here 2 s.
	follow graceful --duration 1s
	ended success -
	jq -e '.metrics.iterations == 1 and .plannedMs == 1000' <<<"$RUN"
	follow throws
	ended error script_error
	message_has 'no login at setup'
	follow abort
	ended error script_error
	message_has 'enough'
	jq -e '.metrics | .http_reqs == 4 and .iterations == 4 and .p95_ms > 0' <<<"$RUN"
	expect_run hang error timeout
	jq -e '.exitCode == 105 and .metrics.iterations >= 1 and .metrics.p95_ms > 0' <<<"$RUN"
	expect_run init error timeout
	# k6 is killed 5 s after TERM at the latest, and its pid namespace with it.
	jq -e '.metrics.http_reqs == null' <<<"$RUN"
	[ "$(ctl status --json | jq '[.agents[] | select(.state == "idle")] | length')" -eq 3 ]
}

@test "a summary of 2 MiB, a hundred thousand names of checks, output without end" {
	cat >"$T/metrics.js" <<-JS
		import http from 'k6/http'; import { Counter } from 'k6/metrics';
		const all = [];
		for (let i = 0; i < 14000; i++) all.push(new Counter('c_' + 'x'.repeat(60) + i));
		export const options = { vus: 1, iterations: 1 };
		export default function () { all.forEach(c => c.add(1)); http.get('$SERVER/many'); }
	JS
	cat >"$T/names.js" <<-JS
		import { check } from 'k6';
		export const options = { vus: 1, iterations: 1 };
		export default function () { for (let i = 0; i < 100000; i++) check(1, { ['name ' + i]: () => true }); }
	JS
	cat >"$T/endless.js" <<-JS
		import http from 'k6/http';
		export const options = { vus: 2, duration: '2s' };
		export default function () { console.log('y'.repeat(5000)); console.error('z'.repeat(3000)); if (__ITER === 0) http.get('$SERVER/endless'); }
	JS
	write_conf <<<'workers = 1'
	start_fleet
	follow metrics
	ended success -
	jq -e '.metrics.http_reqs == 1 and .resources.tmpBytes > 2097152' <<<"$RUN"
	# The run exceeds its memory or the limit of the summary, and always has a reason.
	follow names
	[[ "$(jq -r '.status + " " + .reason' <<<"$RUN")" =~ ^error\ (oom|bad_summary)$ ]]
	follow endless
	ended success -
	[ "$(metric http_reqs)" -eq "$(count_of /endless)" ]
	[ "$(ctl logs k6agent-0 | wc -c)" -le 65536 ]
	# No process of the fleet has died.
	ctl status --json | jq -e '.agents[0].restarts == 0 and .supervisorRestarts == 0'
}

@test "k6 is asked for its version once a binary: an unsupported one is refused, a new one comes with a reload" {
	stand_in v0.48.0
	cp -p "$T/k6.new" "$T/k6"
	write_conf < <(
		echo 'workers = 1'
		echo "k6 { binary = '$T/k6' }"
		script_target Counts 'export default function () {}'
	)
	run env -u K6_BINARY "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$status" -eq 1 ]
	[[ $output == *"k6 v0.48.0 is not supported; v0.49 to v2 are"* ]]
	printf '#!/bin/sh\necho hello\n' >"$T/k6"
	run env -u K6_BINARY "$top_builddir/k6fleetd" -c "$T/k6fleetd.conf"
	[ "$status" -eq 1 ]
	[[ $output == *"it is no k6"* ]]

	stand_in v0.49.0 7
	mv "$T/k6.new" "$T/k6"
	unset K6_BINARY
	start_fleet
	ctl status --json | jq -e '.k6Version == "v0.49.0"'
	ctl run Counts --follow --json | jq -e '.runs[0].metrics.iterations == 7'
	# A k6 that is not supported changes nothing.
	stand_in v3.0.0
	mv "$T/k6.new" "$T/k6"
	run ctl reload
	[ "$status" -eq 1 ]
	[[ $output == *"k6 v3.0.0 is not supported"* ]]
	ctl run Counts --follow --json | jq -e '.runs[0].metrics.iterations == 7'
	stand_in v1.8.1 8
	mv "$T/k6.new" "$T/k6"
	ctl run Counts --follow --json | jq -e '.runs[0].metrics.iterations == 7'
	ctl reload
	ctl status --json | jq -e '.k6Version == "v1.8.1"'
	runs_new() { ctl run Counts --follow --json | jq -e '.runs[0].metrics.iterations == 8'; }
	retry 10 runs_new
	# The keeper's next image knows the new version, too.
	ctl reload --binary
	retry 10 fleet_is_up
	ctl status --json | jq -e '.k6Version == "v1.8.1"'
	retry 10 runs_new
	# A binary that is overwritten in place is not run before k6fleetd has asked it for its version.
	stand_in v2.9.0 9
	cat "$T/k6.new" >"$T/k6"
	run ctl run Counts --follow
	[ "$status" -eq 1 ]
	[[ $output == *"k6fleetctl reload"* ]]
	ctl reload
	ctl status --json | jq -e '.k6Version == "v2.9.0"'
	runs_newest() { ctl run Counts --follow --json | jq -e '.runs[0].metrics.iterations == 9'; }
	retry 10 runs_newest
}

@test "outputs of k6's own by k6.args, with the environment that they need by k6.env" {
	write_conf <<CONF
workers = 1
k6 {
	args = {'--out', 'experimental-prometheus-rw', '--tag', 'testid=fleet'}
	env = {'K6_PROMETHEUS_RW_SERVER_URL=$SERVER/api/v1/write', 'K6_PROMETHEUS_RW_PUSH_INTERVAL=500ms', 'GREETING=hello'}
}
CONF
	cat >"$T/out.js" <<-JS
		import http from 'k6/http'; import { sleep } from 'k6';
		export const options = { vus: 1, duration: '2s' };
		export default function () { http.get('$SERVER/out-' + (__ENV.GREETING || 'none')); sleep(0.2); }
	JS
	start_fleet
	follow out
	ended success -
	is_requested /api/v1/write
	# k6.env sets variables of k6 itself; a script sees those that k6 shows.
	[ $(($(count_of /out-hello) + $(count_of /out-none))) -eq "$(metric http_reqs)" ]
}
