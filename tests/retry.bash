# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Helpers that wait until a command succeeds, or expect it to fail.  RETRY_PAUSE: seconds between two tries.

# retry SECONDS COMMAND...: repeats the command until it succeeds, for at most this time.
retry() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || {
			echo "gave up on: $*"
			return 1
		}
		sleep "${RETRY_PAUSE:-0.05}"
	done
}

# refute COMMAND...: succeeds if the command fails.  A bare "! command" does not fail a bats test.
refute() {
	! "$@"
}
