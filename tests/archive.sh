#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# archive.sh SRCDIR BUILDDIR: checks that the archive of `make dist` contains every tracked file that it needs.
set -euo pipefail
src=$1 build=$2
git -C "$src" rev-parse >/dev/null 2>&1 || {
	echo "not a clone: nothing to compare with"
	exit 77
}
make -C "$build" dist
archives=("$build"/k6fleet-*.tar.xz)
[ ${#archives[@]} -eq 1 ] || {
	echo "there are ${#archives[@]} archives: ${archives[*]}"
	exit 1
}
left_out=$(comm -23 <(git -C "$src" ls-files -- . ':!.ci' ':!.github' ':!.git*' | sort) \
	<(tar -tf "${archives[0]}" | sed -n 's,^[^/]*/\(.*[^/]\)$,\1,p' | sort))
[ -z "$left_out" ] || {
	printf 'not in the archive:\n%s\n' "$left_out"
	exit 1
}
