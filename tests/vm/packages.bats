#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The packages in a clean Debian under a real systemd, from installation to purge: each test goes on from the state that the
# test before it left.

load inside

setup() {
	cd "$BATS_TEST_DIRNAME" || return 1
}
teardown() { explain; }

@test "install: users, directories, units; without k6 and dashboard it is up, and says so in one place" {
	systemctl is-system-running --wait
	dpkg -i k6fleet_*.deb
	systemctl is-active k6fleetd
	systemctl is-enabled k6fleetd
	id k6fleet
	id k6agent
	[ "$(stat -c %a:%U /var/lib/k6fleet)" = 700:k6fleet ]
	[ "$(stat -c %a:%G /run/k6fleet/control.sock)" = 660:k6fleet ]
	of_status '.k6.state == "missing" and .desired == 1 and .running == 1 and .dashboard.state == "none"'
	systemctl show -p StatusText --value k6fleetd | grep -q '^1/1 agents, 0 running, no dashboard, k6 is missing: no runs$'
	run k6fleetctl status --check
	[ "$status" -eq 1 ]
	[[ $output == "not ok: there is no k6 at /usr/bin/k6"* ]]
	run k6fleetctl run --script /usr/share/k6fleet/examples/hello.js
	[ "$status" -eq 1 ]
	[[ $output == *"there is no k6 on this host"* ]]
	# No crash loop, and few log lines.
	sleep 2
	[ "$(systemctl show -p NRestarts --value k6fleetd)" = 0 ]
	[ "$(journalctl -u k6fleetd -p err --no-pager | grep -c 'there is no k6')" = 1 ]
}

@test "the dashboard's package makes secrets once, and both find each other without configuration" {
	dpkg -i k6fleet-dashboard_*.deb
	[ "$(stat -c %a:%U /etc/k6fleet/dashboard-secret /etc/k6fleet/admin-auth | sort -u)" = 600:root ]
	systemctl is-active k6fleet-dashboard
	systemctl is-enabled k6fleet-dashboard
	retry 20 status_is .dashboard.state connected
	[ "$(of_status .dashboard.url)" = http://127.0.0.1:3000 ]
	sum=$(sha256sum /etc/k6fleet/dashboard-secret)
	dpkg -i k6fleet-dashboard_*.deb
	[ "$sum" = "$(sha256sum /etc/k6fleet/dashboard-secret)" ]
	curl -fsS http://127.0.0.1:3000/ | grep -q '<html'
	curl -fsS http://127.0.0.1:3000/healthz
	# No file that others can read contains the secret.
	secret=$(cat /etc/k6fleet/dashboard-secret)
	for p in $(main_pid k6fleetd) $(supervisor_pid) $(main_pid k6fleet-dashboard); do
		refute grep -qaF "$secret" "/proc/$p/cmdline"
		refute grep -qaF "$secret" "/proc/$p/environ"
	done
	refute grep -qF "$secret" <(journalctl --no-pager)
}

@test "k6 that is installed later is found by the package's trigger" {
	dpkg -i k6_*.deb
	retry 20 status_is .k6.state ok
	retry 20 k6fleetctl status --check
	k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 1s --follow
	[ "$(systemctl show -p NRestarts --value k6fleetd)" = 0 ]
}

@test "units: verify is clean, little is left open" {
	systemd-analyze verify --man=no k6fleetd.service k6fleet-dashboard.service k6fleet.target 2>&1 | tee /dev/stderr | (! grep -q .)
	score() { systemd-analyze security --no-pager | awk -v u="$1" '$1 == u { print $2 * 10 }'; }
	[ "$(score k6fleetd.service)" -le 45 ]
	[ "$(score k6fleet-dashboard.service)" -le 12 ]
}

@test "scale, a target of the dashboard, its runs at the dashboard, the line of systemctl status" {
	k6fleetctl scale 3 --wait
	curl -fsS -u "$(cat /etc/k6fleet/admin-auth)" -H 'Content-Type: application/json' \
		-d '{"url":"http://127.0.0.1:3000/healthz","label":"Health","durationS":2,"runIntervalMs":5000}' \
		http://127.0.0.1:3000/api/admin/k6/targets
	retry 30 run_is Health .status success
	arrived() { curl -fsS 'http://127.0.0.1:3000/api/dashboard/k6/runs?status=success' | jq -e '[.items[] | select(.targetLabel == "Health")] | length > 0'; }
	retry 20 arrived
	systemctl show -p StatusText --value k6fleetd | grep -qE '^3/3 agents, [0-3] running, dashboard ok$'
}

@test "the journal: priorities, and fields by which an agent and a run are found" {
	journalctl -u k6fleetd AGENT=k6agent-0 -o json --no-pager | jq -se 'length > 0 and all(.[]; .AGENT == "k6agent-0" and .PRIORITY == "6")'
	id=$(k6fleetctl --json runs | jq -r '[.[] | select(.status == "success")][0].id')
	journalctl -u k6fleetd "RUN=$id" --no-pager | grep -q 'run ended'
	journalctl -u k6fleetd K6FLEET_SUBJECT=fleet --no-pager | grep -qE 'scale from=1 to=3 by=uid=0 pid=[0-9]+'
	journalctl -u k6fleetd -p err --no-pager | grep -q 'there is no k6'
	refute grep -q . <(journalctl -u k6fleetd --no-pager -o cat -p 3..4 --since '-5s')
}

@test "access: the group's members, a group that only reads, nobody else" {
	useradd alice
	useradd viewer
	useradd stranger
	usermod -aG k6fleet alice
	groupadd --system watchers
	usermod -aG watchers viewer
	as() { setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }
	as alice k6fleetctl scale 4 --wait
	run as stranger k6fleetctl status
	[ "$status" -eq 4 ]
	[[ $output == *'usermod -aG k6fleet'* ]]
	write_config <<<"control_read_group = 'watchers'"
	run k6fleetctl --json reload
	systemctl restart k6fleetd
	as viewer k6fleetctl status | grep -q '4/4 agents up'
	run as viewer k6fleetctl scale 5
	[ "$status" -eq 4 ]
	as alice k6fleetctl scale 3 --wait
	[ "$(of_status .desired)" = 3 ]
}

@test "reload: what changed, in place; an error changes nothing" {
	pid=$(main_pid k6fleetd)
	write_config <<<"limits { memory = 200M }"
	retry 10 grep -q 'changed limits.memory from=256M to=200M' <(journalctl -u k6fleetd --no-pager)
	write_config <<<'no such thing'
	grep -q 'refused, nothing has changed' <(journalctl -u k6fleetd --no-pager -n 5)
	systemctl is-active k6fleetd
	write_config </dev/null
	[ "$(main_pid k6fleetd)" = "$pid" ]
}

@test "upgrade with runs going on: same pid, the runs end well, the configuration is kept" {
	echo '# mine' >>/etc/k6fleet/k6fleetd.conf
	echo '# mine' >>/etc/k6fleet/dashboard.conf
	pid=$(main_pid k6fleetd)
	start_two() { k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 12s --agents 2; }
	retry 20 start_two
	retry 20 status_is '[.agents[] | select(.run != null and .run.target == "hello.js")] | length' 2
	ids=$(of_status '[.agents[].run | select(. != null and .target == "hello.js") | .id] | join(" ")')
	dpkg -i next/k6fleet_*.deb next/k6fleet-dashboard_*.deb
	[ "$(main_pid k6fleetd)" = "$pid" ]
	new=$(dpkg-query -W -f '${Version}' k6fleet)
	retry 20 status_is .version "$new"
	journalctl -u k6fleet-dashboard --no-pager | grep -q "started version=$new "
	curl -fsS http://127.0.0.1:3000/healthz
	for id in $ids; do
		ended() { [ "$(k6fleetctl --json show "$id" | jq -r .status)" = success ]; }
		retry 40 ended
	done
	grep -qx '# mine' /etc/k6fleet/k6fleetd.conf
	grep -qx '# mine' /etc/k6fleet/dashboard.conf
	[ "$(systemctl show -p NRestarts --value k6fleetd)" = 0 ]
	retry 20 status_is .dashboard.state connected
	retry 20 status_is .dashboard.outbox 0
}

@test "a supervisor that hangs is replaced, and agents stay; a k6fleetd that hangs is ended by the watchdog" {
	# The fleet restarts, so that no worker waits for its renewal.
	k6fleetctl restart --wait
	old=$(supervisor_pid)
	workers=$(of_status '[.agents[].pid] | join(" ")')
	kill -STOP "$old"
	replaced() { [ "$(supervisor_pid)" != "$old" ] && of_status .running >/dev/null; }
	retry 30 replaced
	[ "$(of_status '[.agents[].pid] | join(" ")')" = "$workers" ]
	mkdir -p /run/systemd/system/k6fleetd.service.d
	printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/k6fleetd.service.d/test.conf
	systemctl daemon-reload
	systemctl restart k6fleetd
	pid=$(main_pid k6fleetd)
	kill -STOP "$pid"
	started_anew() { [ "$(main_pid k6fleetd)" != "$pid" ] && status_is .running 3; }
	retry 60 started_anew
	rm /run/systemd/system/k6fleetd.service.d/test.conf
	systemctl daemon-reload
	systemctl restart k6fleetd
}

@test "each process killed: a worker, k6, the supervisor, the dashboard, k6fleetd; all are back, every run has its record" {
	retry 20 k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 60s
	retry 20 status_is '[.agents[] | select(.run != null and .run.target == "hello.js")] | length' 1
	id=$(of_status '[.agents[].run | select(. != null and .target == "hello.js")][0].id')
	kill -KILL "$(of_status '[.agents[] | select(.run != null and .run.target == "hello.js")][0].pid')"
	lost() { [ "$(k6fleetctl --json show "$id" | jq -r .reason)" = lost ]; }
	retry 20 lost
	retry 20 status_is .running 3
	retry 20 k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 60s
	has_k6() { pgrep -x k6 -u k6agent; }
	retry 20 has_k6
	id=$(of_status '[.agents[].run | select(. != null and .target == "hello.js")][0].id')
	pkill -KILL -x k6
	killed() { [ "$(k6fleetctl --json show "$id" | jq -r .reason)" = killed ]; }
	retry 20 killed
	old=$(supervisor_pid)
	kill -KILL "$old"
	replaced() { [ "$(supervisor_pid)" != "$old" ] && status_is .running 3; }
	retry 20 replaced
	pid=$(main_pid k6fleet-dashboard)
	kill -KILL "$pid"
	dashboard_back() { [ "$(main_pid k6fleet-dashboard)" != "$pid" ] && curl -fsS http://127.0.0.1:3000/healthz; }
	retry 20 dashboard_back
	retry 20 k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 60s
	retry 20 has_k6
	id=$(of_status '[.agents[].run | select(. != null and .target == "hello.js")][0].id')
	pid=$(main_pid k6fleetd)
	kill -KILL "$pid"
	started_anew() { [ "$(main_pid k6fleetd)" != "$pid" ] && status_is .running 3; }
	retry 30 started_anew
	retry 20 lost
	retry 30 status_is .dashboard.outbox 0
	retry 30 status_is .dashboard.state connected
}

@test "every line of the man pages' EXAMPLES works when pasted" {
	retry 30 k6fleetctl status --check
	failed=0
	for page in k6fleetctl.1 k6fleetd.8 k6fleet-dashboard.8 k6fleet-supervisor.8 k6fleet.7; do
		awk '/^\.Sh/ { on = /EXAMPLES/; next }
			!on { next }
			/^\.Bd/ { block = 1; next }
			/^\.Ed/ { block = 0; printf "%c", 0; next }
			block { gsub(/\\e/, "\\"); print; next }
			/^\.Dl/ { sub(/^\.Dl /, ""); gsub(/\\e/, "\\"); printf "%s%c", $0, 0 }' "man/$page" >examples
		[ -s examples ]
		while IFS= read -r -d '' example; do
			if ! bash -ec "$example" >said 2>&1 </dev/null; then
				echo "$page: $example"
				cat said
				failed=1
			fi
			retry 30 status_is '.running == .desired' true
		done <examples
	done
	[ "$failed" = 0 ]
	rm -f /var/backups/k6fleet-*.db
	# The examples of k6fleetd.conf(5) and of the tour are configuration.
	for page in k6fleetd.conf.5 k6fleet.7; do
		awk '/^\.Bd/ { block = 1; next } /^\.Ed/ { block = 0; printf "%c", 0; next } block' "man/$page" |
			while IFS= read -r -d '' example; do
				case $example in
				*=*) ;;
				*) continue ;;
				esac
				printf '%s' "$example" >example.conf
				k6fleetd -t -c example.conf >/dev/null || exit 1
			done
	done
}

@test "stop lets runs end; nothing is left; start goes on with the same count" {
	k6fleetctl pause
	says_paused() { systemctl show -p StatusText --value k6fleetd | grep -q ', paused$'; }
	retry 5 says_paused
	idle() { status_is .busy 0; }
	retry 40 idle
	k6fleetctl resume
	retry 5 refute says_paused
	k6fleetctl scale 3 --wait
	retry 20 k6fleetctl run --script /usr/share/k6fleet/examples/hello.js --duration 6s
	retry 20 status_is '[.agents[] | select(.run != null and .run.target == "hello.js")] | length' 1
	id=$(of_status '[.agents[].run | select(. != null and .target == "hello.js")][0].id')
	systemctl stop k6fleetd
	[ "$(systemctl show -p Result --value k6fleetd)" = success ]
	refute pgrep -u k6agent
	refute pgrep -u k6fleet
	refute test -e /run/k6fleet/control.sock
	systemctl start k6fleetd
	[ "$(k6fleetctl --json show "$id" | jq -r .status)" = success ]
	status_is .desired 3
}

@test "remove stops and keeps what is the administrator's; purge leaves nothing" {
	dpkg -r k6fleet k6fleet-dashboard
	refute systemctl is-active k6fleetd
	refute pgrep -u k6agent
	test -e /etc/k6fleet/k6fleetd.conf
	test -e /etc/k6fleet/admin-auth
	test -e /var/lib/k6fleet/supervisor.db
	# A group with members that an administrator added stays.
	gpasswd -d alice k6fleet
	dpkg -P k6fleet k6fleet-dashboard
	for path in /etc/k6fleet /var/lib/k6fleet /var/lib/k6fleet-dashboard /run/k6fleet /usr/share/k6fleet; do
		refute test -e "$path"
	done
	refute grep -q k6 <(getent passwd; getent group)
	refute grep -q . <(systemctl list-unit-files --no-legend 'k6fleet*')
	left=$(find / -xdev -name '*k6fleet*' -not -path '/proc/*' -not -path '/test/*' -not -path '/var/log/*' 2>/dev/null)
	[ -z "$left" ] || { echo "left: $left"; return 1; }
}

@test "the other way round: the dashboard first, then k6fleet, which finds it, its secret and k6 at once" {
	dpkg -i next/k6fleet-dashboard_*.deb
	dpkg -i next/k6fleet_*.deb
	retry 20 k6fleetctl status --check
	[ "$(of_status .dashboard.state)" = connected ]
	[ "$(systemctl show -p NRestarts --value k6fleetd)" = 0 ]
	# Without the dashboard k6fleetd goes on, and after its next start it uses none.
	dpkg -P k6fleet-dashboard
	systemctl restart k6fleetd
	[ "$(of_status .dashboard.state)" = none ]
	dpkg -P k6fleet
	refute test -e /etc/k6fleet
}
