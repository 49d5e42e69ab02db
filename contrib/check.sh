#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what the tests need, builds, and runs every test: as it is shipped, and again under
# the address and undefined-behaviour sanitizers.  Ends with "N passed, N failed, N skipped".
#
#   contrib/check.sh          everything
#   contrib/check.sh --quick  one build, no sanitizers, no static analysis
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$ROOT/contrib/lib.sh"

TEST_PACKAGES=(libcmocka-dev bats openssl python3 util-linux procps xz-utils sqlite3 prometheus
	python3-venv python3-yaml python3-jsonschema chromium fonts-dejavu-core tmux bash-completion zsh fish)
# Packages, and machines to try them in.
VM_PACKAGES=(dpkg-dev debhelper lintian rpm mmdebstrap systemd-container qemu-system-x86 e2fsprogs)
LINT_PACKAGES=(clang clang-format clang-tidy cppcheck mandoc shellcheck)
# What is built from the archive is what was tested before: some suites show that nothing is missing in it.
DIST_TESTS="tests/unit/test_units tests/unit/test_summary tests/unit/test_dashboard tests/program/cli.bats tests/program/runs.bats tests/program/dashboard.bats"
passed=0 failed=0 skipped=0
failures=()
# What the failing tests said: shown once more at the end, where it is looked for.
details=$(mktemp)
trap 'rm -f "$details"' EXIT

# remember FILE...: the failing parts of TAP logs and of make's output, with what they printed.
remember() {
	awk '/^(not ok|ERROR: )/ { n = 40 } /^ok / { n = 0 } n-- > 0' "$@" 2>/dev/null | head -150 >>"$details" || true
}

# run_checks DIR [ARGUMENTS...]: `make check` there; adds its counts.
run_checks() {
	local dir=$1 log=$1/check.log start=$SECONDS
	shift
	say "testing in ${dir#"$ROOT"/} $*"
	make -C "$dir" -j2 -k check "$@" >"$log" 2>&1 || true
	if ! grep -q '^# TOTAL:' "$log"; then
		tail -30 "$log" >&2
		failed=$((failed + 1))
		failures+=("make check in $dir did not finish")
		return
	fi
	count() { sed -n "s/^# $1: *//p" "$log" | tail -1; }
	passed=$((passed + $(count PASS)))
	skipped=$((skipped + $(count SKIP)))
	local bad=$(($(count FAIL) + $(count ERROR) + $(count XPASS)))
	failed=$((failed + bad))
	if [ "$bad" -gt 0 ]; then
		grep -E '^(FAIL|ERROR):' "$log" >&2 || true
		remember "$dir"/tests/*/*.log
		failures+=("$bad in ${dir#"$ROOT"/}")
	fi
	say "$(count PASS) passed, $bad failed, $(count SKIP) skipped in $((SECONDS - start)) s"
}

# step NAME COMMAND...: a check that passes or fails as one.
step() {
	local name=$1 log=$ROOT/build/${1// /-}.log
	shift
	say "$name"
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
	else
		tail -40 "$log" >&2
		# distcheck leaves the tree of a build that failed.
		remember "$ROOT"/build/check/k6fleet-*/_build/sub/tests/*/*.log
		failed=$((failed + 1))
		failures+=("$name")
	fi
}

# Packages under a real systemd: each of its tests counts.
run_vm() {
	local log=$ROOT/build/vm.log start=$SECONDS bad
	say "packages under systemd, and limits in a booted machine"
	as_root env "HOME=$HOME" "K6_BINARY=$K6_BINARY" "$ROOT/tests/vm/check.sh" "$ROOT/build/check" >"$log" 2>&1 || true
	bad=$(grep -c '^not ok ' "$log" || true)
	passed=$((passed + $(grep -c '^ok ' "$log" || true)))
	# A machine that did not start, or did not get to its end, has fewer lines.
	[ "$(grep -cE '^(not )?ok (packages|limits)\.bats ' "$log" || true)" = "$(grep -c '^@test ' "$ROOT"/tests/vm/packages.bats "$ROOT"/tests/vm/limits.bats | awk -F: '{ n += $2 } END { print n }')" ] ||
		bad=$((bad + 1))
	if [ "$bad" -gt 0 ]; then
		failed=$((failed + bad))
		failures+=("$bad under systemd: $log")
		remember "$log"
		tail -40 "$log" >&2
	fi
	say "$(grep -c '^ok ' "$log" || true) passed, $bad failed in $((SECONDS - start)) s"
}

quick=
[ "${1:-}" != --quick ] || quick=1

# In CI a missing tool is a failure, not a skip; check.sh has just installed them all.
export K6FLEET_MUST_WORK=1
need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
[ -n "$quick" ] || need_packages "${LINT_PACKAGES[@]}" "${VM_PACKAGES[@]}"
need_node
need_k6
[ "$(id -u)" != 0 ] || need_users

say "building"
build "$ROOT/build/check" --enable-werror --prefix=/usr
run_checks "$ROOT/build/check"
# What depends on k6 once more with the major version before.
need_older_k6
K6_BINARY=$K6_OLDER run_checks "$ROOT/build/check" \
	TESTS='tests/program/runs.bats tests/program/now.bats tests/program/scripts.bats'
step "API contract" "$ROOT/tests/contract/contract.sh" "$ROOT/build/check"
step "web pages" make -C "$ROOT/build/check" check-pages
step "chaos" make -C "$ROOT/build/check" chaos
tail -40 "$ROOT/build/chaos.log"
if [ -z "$quick" ]; then
	say "building with sanitizers"
	build "$ROOT/build/check-asan" --enable-werror --enable-sanitizers=address,undefined --prefix=/usr \
		CFLAGS='-O1 -g'
	run_checks "$ROOT/build/check-asan"
	say "building with clang"
	build "$ROOT/build/check-clang" --enable-werror --prefix=/usr CC=clang
	passed=$((passed + 1))
	run_vm
	step "make install and uninstall" "$ROOT/tests/install.sh" "$ROOT/build/check"
	step "make distcheck" make -C "$ROOT/build/check" -j2 distcheck "AM_MAKEFLAGS=TESTS='$DIST_TESTS'"
	step "static analysis" make -C "$ROOT/build/check" lint
fi

cat "$details"
for f in "${failures[@]+"${failures[@]}"}"; do
	say "FAILED: $f"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && { [ -z "${CI:-}" ] || [ "$skipped" -eq 0 ]; }
