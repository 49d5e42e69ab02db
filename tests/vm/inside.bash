# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Helpers of the tests that run inside of a container or a guest.

# Timeouts are longer in an emulated machine.
RETRY_PAUSE=0.2
# shellcheck source=tests/retry.bash
. "$BATS_TEST_DIRNAME/retry.bash"

# Prints the pid of the daemon according to systemd.
main_pid() {
	systemctl show -p MainPID --value "$1"
}

# of_status FILTER: applies the jq filter to the status; fails if k6fleetctl fails.
of_status() {
	k6fleetctl --json status 2>/dev/null | jq -er "$1"
}
status_is() {
	[ "$(of_status "$1")" = "$2" ]
}

supervisor_pid() {
	pgrep -x k6fleet-superv
}

# Prints the logs of the daemons if the test has failed.
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

# run_of LABEL: prints the newest run of the target with this label.
run_of() {
	k6fleetctl --json runs -n 200 | jq -ec --arg l "$1" '[.[] | select(.targetLabel == $l)][0] // empty'
}
run_is() {
	[ "$(run_of "$1" | jq -r "$2")" = "$3" ]
}
