#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.sh SRCDIR BUILDDIR: static analysis; every finding is an error.  The tools are named in
# contrib/check.sh, which installs them.
set -u
src=$1 build=$2
cd "$src" || exit 1
status=0
mapfile -t sources < <(find src tests -name '*.c' | sort)
mapfile -t scripts < <(find contrib tests .ci -name '*.sh' -o -path .ci/run -o -name '*.bash' | sort)

have() {
	command -v "$1" >/dev/null && return
	echo "lint: $1 is not installed"
	[ -z "${K6FLEET_MUST_WORK:-}" ] || status=1
	return 1
}
flags=(-std=gnu17 -D_GNU_SOURCE '-DSYSCONFDIR="/etc"' '-DLOCALSTATEDIR="/var"' '-DRUNSTATEDIR="/run"'
	'-DLIBEXECDIR="/l"' '-DPKGDATADIR="/p"' -Isrc "-I$build")

echo "== version"
contrib/version.sh --check || status=1
if have cppcheck; then
	echo "== cppcheck"
	# cppcheck knows neither the cleanup attribute (so it sees leaks where there are none; the
	# sanitizers see real ones) nor that fatal() and die() do not return, nor jansson's loops.
	cppcheck --quiet --error-exitcode=1 --std=c17 --enable=warning,portability,performance -j2 \
		--suppress=resourceLeak --suppress=memleak --suppress=nullPointerRedundantCheck \
		-D_GNU_SOURCE --include=tests/cppcheck.h -Isrc src || status=1
fi
if have clang-format; then
	echo "== clang-format"
	# Releases differ in what they do with the same style; Debian 12's is the judge.
	if clang-format --version | grep -q 'version 14\.'; then
		find src tests -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror || status=1
	else
		echo "not version 14: layout is not checked"
	fi
fi
if have gcc; then
	echo "== gcc -fanalyzer"
	for f in "${sources[@]}"; do
		case $f in tests/*) continue ;; esac
		out=$(gcc "${flags[@]}" -O1 -fanalyzer -Wno-analyzer-too-complex -S -o /dev/null "$f" 2>&1) || status=1
		if grep -q 'Wanalyzer' <<<"$out"; then
			echo "$out"
			status=1
		fi
	done
fi
if have clang-tidy; then
	echo "== clang-tidy"
	printf '%s\0' "${sources[@]}" | grep -zv ^tests/ >"$build/tidy.list"
	# Two at a time; its count of suppressed warnings goes to stderr and says nothing.
	xargs -0 -P2 -I{} clang-tidy --quiet {} -- "${flags[@]}" <"$build/tidy.list" 2>/dev/null || status=1
fi
if have mandoc; then
	echo "== mandoc"
	# Whether pages that are referred to are installed here is another matter.
	if mandoc -Tlint man/*.[1578] | grep -v 'referenced manual not found'; then status=1; fi
	# A display line is wrapped and loses its quotes: whoever pastes it gets something else.
	if grep -n '^\.Dl' man/*.[1578]; then
		echo "lint: write these as .Bd -literal"
		status=1
	fi
fi
if have npm; then
	echo "== pages"
	make -C "$build" --no-print-directory lint-pages || status=1
fi
if have shellcheck; then
	echo "== shellcheck"
	shellcheck -x "${scripts[@]}" || status=1
fi
[ "$status" -eq 0 ] && echo "lint: clean"
exit "$status"
