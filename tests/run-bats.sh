#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one bats file for `make check`, in TAP.  If a tool is missing, the file is skipped;
# if K6FLEET_MUST_WORK is set, a missing tool is a failure.
missing=
for tool in bats jq curl openssl python3 sqlite3 promtool; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
/usr/bin/python3 -c "import yaml, jsonschema" 2>/dev/null || missing="$missing python3-yaml python3-jsonschema"
[ -n "${K6_BINARY:-}" ] || K6_BINARY=$(command -v k6) || missing="$missing k6"
if [ -n "$missing" ]; then
	if [ -n "${K6FLEET_MUST_WORK:-}" ]; then
		printf '1..1\nnot ok 1 - %s needs:%s\n' "$(basename "$1")" "$missing"
		exit 1
	fi
	printf '1..0 # SKIP needs:%s\n' "$missing"
	exit 0
fi
export K6_BINARY
exec bats --tap "$1"
