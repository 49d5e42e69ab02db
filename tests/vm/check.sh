#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh BUILDDIR: builds the packages, checks them with lintian, and tries them in a clean Debian under a real systemd:
# installation to purge in a container (packages.bats), the limits in a booted machine (limits.bats), both at the same time.
# Needs root, K6_BINARY and the tools that contrib/check.sh installs.  Prints TAP; a machine that does not start is a failure.
set -uo pipefail
SRC=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=$(realpath "$1")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/k6fleet/vm
K6_BINARY=${K6_BINARY:-$(command -v k6)} || {
	echo "check.sh: there is no k6 in PATH; name one in K6_BINARY" >&2
	exit 1
}
work=$(mktemp -d "$BUILD/vm.XXXXXX")
trap 'rm -rf "$work"' EXIT
status=0

# result NAME COMMAND...: prints one line of TAP, and the output of a command that failed.
result() {
	local name=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name"
		tail -40 "$work/said" | sed 's/^/# /'
		status=1
	fi
}

# shellcheck disable=SC2317 # called by result
lintian_is_clean() {
	# Errors and warnings about this package only; CI runs lintian as root.
	lintian --allow-root --fail-on error,warning "$@"
}

# Packages of another version in this directory would be mistaken for new ones.
rm -rf "$BUILD/packages" "$BUILD/packages-next"
result "make deb" make -C "$BUILD" deb
result "lintian finds nothing" lintian_is_clean "$BUILD"/packages/k6fleet_*.changes
result "make rpm" make -C "$BUILD" rpm
archives=("$BUILD"/k6fleet-*.tar.xz)
uplot=
[ ! -d "$BUILD/npm/node_modules/uplot" ] || uplot=$BUILD/npm/node_modules/uplot
result "a next version for the upgrade" "$SRC/contrib/packaging/build-deb.sh" "${archives[0]}" "$BUILD/packages-next" "$uplot" 99.0.0
result "a clean Debian" "$SRC/tests/vm/make-root.sh" "$CACHE"
[ "$status" = 0 ] || exit 1

# k6 at the place where its own package puts it.
input=$work/input
mkdir -p "$input/next" "$input/man" "$work/k6/usr/bin" "$work/k6/DEBIAN"
cp "$K6_BINARY" "$work/k6/usr/bin/k6"
printf 'Package: k6\nVersion: 1\nArchitecture: %s\nMaintainer: nobody <nobody@example.org>\nDescription: k6, for a test\n' \
	"$(dpkg --print-architecture)" >"$work/k6/DEBIAN/control"
dpkg-deb -Znone --root-owner-group --build "$work/k6" "$input/k6_1.deb" >/dev/null
cp "$BUILD"/packages/k6fleet_*.deb "$BUILD"/packages/k6fleet-dashboard_*.deb "$input/"
cp "$BUILD"/packages-next/k6fleet_*.deb "$BUILD"/packages-next/k6fleet-dashboard_*.deb "$input/next/"
cp "$SRC"/man/*.[1-9] "$input/man/"
cp "$SRC"/tests/vm/*.bats "$SRC/tests/vm/inside.bash" "$SRC/tests/retry.bash" "$SRC/contrib/examples/hello.js" "$input/"

# One plan of TAP for both machines.
run_bats() {
	local file=$1
	shift
	"$@" "bats --tap --timing $file" | sed -e '/^1\.\./d' -e "s/^\(not \)\?ok [0-9]* /\1ok $file /"
	return "${PIPESTATUS[0]}"
}
run_bats limits.bats "$SRC/tests/vm/guest.sh" -t 900 "$CACHE" "$input" >"$work/guest.tap" 2>&1 &
guest=$!
run_bats packages.bats "$SRC/tests/vm/nspawn.sh" -t 600 "$CACHE/root" "$input" || status=1
wait "$guest" || status=1
cat "$work/guest.tap"
exit "$status"
