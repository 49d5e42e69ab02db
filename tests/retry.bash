# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Waiting without guessing how long, and expecting a failure.  RETRY_PAUSE: seconds between two tries.

# retry SECONDS COMMAND...: until it succeeds.
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

# That it fails.  A bare "! command" would not end a test.
refute() {
	! "$@"
}
