#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The limits of each agent in a booted machine with cgroup v2, where the kernel enforces them.  The machine is emulated
# and slow.

load inside

setup() {
	cd "$BATS_TEST_DIRNAME" || return 1
}
teardown() { explain; }

GROUP=/sys/fs/cgroup/system.slice/k6fleetd.service

# ended LABEL REASON: whether the newest run of the target has ended with this reason.
ended() {
	run_is "$1" '.reason // .status' "$2"
}

@test "with delegated controllers the cgroup layer is on, and the limits of the configuration are the kernel's" {
	mkdir -p /etc/k6fleet
	cat >/etc/k6fleet/k6fleetd.conf <<-'CONF'
		workers = 2
		require_layers = {seccomp, cgroup}
		limits {
			memory = 96M
			processes = 150
			cpu_percent = 30
		}
	CONF
	dpkg -i --force-confold k6_*.deb k6fleet_*.deb
	retry 120 status_is .running 2
	of_status '.sandboxLayers.cgroup and .sandboxLayers.seccomp and .sandboxLayers.namespaces'
	for agent in "$GROUP"/agent-0 "$GROUP"/agent-1; do
		[ "$(cat "$agent/memory.max")" = $((96 << 20)) ]
		[ "$(cat "$agent/pids.max")" = 150 ]
		[ "$(cat "$agent/cpu.max")" = '30000 100000' ]
		[ "$(cat "$agent/memory.oom.group")" = 1 ]
	done
}

@test "a script that eats memory ends as oom, its agent and its neighbour go on" {
	cat >hungry.js <<-'JS'
		export const options = { vus: 1, duration: '5m' };
		const kept = [];
		export default function () { kept.push(new Uint8Array(4 << 20).fill(1)); }
	JS
	workers=$(of_status '[.agents[].pid] | join(" ")')
	k6fleetctl run --script hello.js --duration 40s
	k6fleetctl run --script hungry.js
	retry 300 ended hungry.js oom
	k6fleetctl show "$(run_of hungry.js | jq -r .id)" | grep -i 'limits.memory'
	[ "$(of_status '[.agents[].pid] | join(" ")')" = "$workers" ]
	retry 300 ended hello.js success
	[ "$(systemctl show -p NRestarts --value k6fleetd)" = 0 ]
}

@test "the kernel's own limit: what is written to the agent's tmpfs counts, too, and ends k6 alone" {
	# The memory is not in k6's heap, whose own limit would be reached first.
	cat >/usr/bin/k6-eater <<-'SH'
		#!/bin/sh
		case $1 in
		version) echo 'k6 v2.2.0 (stand-in)' ;;
		run) dd if=/dev/zero of=/tmp/eaten bs=1M count=200 2>/dev/null; sleep 60 ;;
		esac
	SH
	chmod 755 /usr/bin/k6-eater
	sed -i '1i k6 { binary = /usr/bin/k6-eater }' /etc/k6fleet/k6fleetd.conf
	k6fleetctl reload
	sleep 3
	before=$(dmesg 2>/dev/null | grep -c 'Memory cgroup out of memory' || true)
	k6fleetctl run --script hello.js
	retry 120 ended hello.js oom
	[ "$(dmesg | grep -c 'Memory cgroup out of memory')" -gt "$before" ]
	retry 60 status_is .running 2
	sed -i 1d /etc/k6fleet/k6fleetd.conf
	k6fleetctl reload
	sleep 3
}

@test "a script that spins gets no more than its share of a processor" {
	cat >spin.js <<-'JS'
		export const options = { vus: 2, duration: '20s' };
		export default function () { let n = 0; for (let i = 0; i < 1e5; i++) n += i; }
	JS
	k6fleetctl run --script spin.js
	throttled() { [ "$(cat "$GROUP"/agent-*/cpu.stat | awk '/^nr_throttled/ && $2 > n { n = $2 } END { print n + 0 }')" -gt 20 ]; }
	retry 120 throttled
	has_ended() { run_is spin.js '.status != "running"' true; }
	retry 300 has_ended
}

@test "reload, stop and start in the same machine: the limits come back, no cgroup is left over" {
	sed -i 's/memory = 96M/memory = 128M/' /etc/k6fleet/k6fleetd.conf
	systemctl reload k6fleetd
	as_wanted() { grep -qx $((128 << 20)) "$GROUP"/agent-*/memory.max; }
	retry 60 as_wanted
	k6fleetctl scale 0 --wait
	k6fleetctl scale 3 --wait
	systemctl stop k6fleetd
	refute test -e "$GROUP"
	systemctl start k6fleetd
	retry 60 status_is .running 3
	as_wanted
}
