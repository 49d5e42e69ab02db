# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests inside of a container or a guest share.

# Everything takes longer where it is emulated.
RETRY_PAUSE=0.2
# shellcheck source=tests/retry.bash
. "$BATS_TEST_DIRNAME/retry.bash"

# The daemon's pid as systemd has it.
main_pid() {
	systemctl show -p MainPID --value "$1"
}

# of_status FILTER: of k6fleetctl's status; fails as k6fleetctl does.
of_status() {
	k6fleetctl --json status 2>/dev/null | jq -er "$1"
}
status_is() {
	[ "$(of_status "$1")" = "$2" ]
}

supervisor_pid() {
	pgrep -x k6fleet-superv
}

# When a test fails: what the daemons said.
explain() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || {
		systemctl status --no-pager k6fleetd k6fleet-dashboard | tail -40
		journalctl --no-pager -n 60
	}
}

write_config() {
	cat >/etc/k6fleet/k6fleetd.conf
	systemctl reload k6fleetd
}

# run_of LABEL: the newest record of a run of it.
run_of() {
	k6fleetctl --json runs -n 200 | jq -ec --arg l "$1" '[.[] | select(.targetLabel == $l)][0] // empty'
}
run_is() {
	[ "$(run_of "$1" | jq -r "$2")" = "$3" ]
}
