#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.sh SRCDIR BUILDDIR [PART...]: static analysis, all parts or those that are named; every finding is an error.
# contrib/check.sh installs the tools.  A missing tool is said at the end, and an error where K6FLEET_MUST_WORK is set.
# External names, includes and calls are checked by tests/layers.
set -u
src=$1 build=$(realpath "$2")
shift 2
cd "$src" || exit 1
parts=(documents columns cppcheck clang-format analyzer clang-tidy mandoc pages shellcheck)
[ $# -eq 0 ] || parts=("$@")
jobs=$(nproc)
mapfile -t sources < <(find src -name '*.c' | sort)
mapfile -t scripts < <(find contrib tests .ci -type f -exec \
	awk 'FNR == 1 && /^#!.*[ \/](ba)?sh$/ || FNR == 2 && /shellcheck shell=/ { print FILENAME }' {} + | sort -u)
# The same for all that read C without the makefile.
flags=(-std=gnu17 -D_GNU_SOURCE '-DSYSCONFDIR="/etc"' '-DLOCALSTATEDIR="/var"' '-DRUNSTATEDIR="/run"'
	'-DLIBEXECDIR="/l"' '-DPKGDATADIR="/p"' -Isrc "-I$build")
missing=()

# have TOOL: 0 if it is there; else it is remembered.
have() {
	command -v "$1" >/dev/null && return
	missing+=("$1")
	return 1
}

# Files that repeat what another says.
lint_documents() {
	contrib/version.sh --check || return 1
	# Each check of .clang-tidy that is off has a line with the reason.
	local check rc=0
	while read -r check; do
		grep -q "^# $check: " .clang-tidy || {
			echo ".clang-tidy: no reason for -$check"
			rc=1
		}
	done < <(sed -n 's/^ *-\([a-z].*\),\?$/\1/p' .clang-tidy | tr -d ,)
	return $rc
}

lint_columns() {
	have python3 || return 0
	python3 tests/columns.py
}

lint_cppcheck() {
	have cppcheck || return 0
	# cppcheck knows neither the cleanup attribute (so it sees leaks where there are none; the
	# sanitizers see real ones) nor that fatal() and die() do not return, nor jansson's loops, nor a statement
	# expression (steal_ptr) in an initialiser.
	cppcheck --quiet --error-exitcode=1 --std=c17 --enable=warning,portability,performance "-j$jobs" \
		--suppress=resourceLeak --suppress=memleak --suppress=nullPointerRedundantCheck --suppress=internalAstError \
		-D_GNU_SOURCE --include=tests/cppcheck.h -Isrc src
}

# Releases differ in what they do with the same style: version 14, that of Debian 12, is the judge.
lint_clang_format() {
	local tool=clang-format-14
	command -v $tool >/dev/null || tool=clang-format
	if ! "$tool" --version 2>/dev/null | grep -q 'version 14\.'; then
		missing+=("clang-format of version 14")
		return 0
	fi
	find src tests -name '*.[ch]' -print0 | xargs -0 -P "$jobs" -n 20 "$tool" --dry-run -Werror
}

# Prints what the analyzer says of one file; fails if it says anything.
lint_analyzer() {
	have gcc || return 0
	# shellcheck disable=SC2016 # expanded by that shell
	printf '%s\0' "${sources[@]}" | xargs -0 -P "$jobs" -I{} sh -c '
		file=$1
		shift
		said=$(gcc "$@" -O1 -fanalyzer -Wno-analyzer-too-complex -S -o /dev/null "$file" 2>&1) && [ -z "$said" ] && exit 0
		printf "%s\n" "$said"
		exit 1' sh {} "${flags[@]}"
}

lint_clang_tidy() {
	have clang-tidy || return 0
	# Its counts of warnings, of which all but those that it prints are suppressed, go to stderr, and so does
	# what it could not do.
	local rc=0 said
	said=$(printf '%s\0' "${sources[@]}" | xargs -0 -P "$jobs" -I{} clang-tidy --quiet {} -- "${flags[@]}" \
		2> >(grep -Ev '^[0-9]+ warnings?( and [0-9]+ errors?)? generated\.$' >"$build/tidy.stderr")) || rc=1
	wait
	if [ -n "$said" ] || [ -s "$build/tidy.stderr" ]; then
		printf '%s\n' "$said"
		cat "$build/tidy.stderr"
		rc=1
	fi
	return $rc
}

lint_mandoc() {
	have mandoc || return 0
	local rc=0
	# Whether pages that are referred to are installed here is another matter.
	if mandoc -Tlint man/*.[1578] | grep -v 'referenced manual not found'; then rc=1; fi
	# A display line is wrapped and loses its quotes: whoever pastes it gets something else.
	if grep -n '^\.Dl' man/*.[1578]; then
		echo "write these as .Bd -literal"
		rc=1
	fi
	return $rc
}

lint_pages() {
	have npm || return 0
	make -C "$build" --no-print-directory lint-pages
}

lint_shellcheck() {
	have shellcheck || return 0
	printf '%s\0' "${scripts[@]}" | xargs -0 -P "$jobs" -n 4 shellcheck -x
}

failed=()
for part in "${parts[@]}"; do
	start=$SECONDS
	"lint_${part//-/_}" || failed+=("$part")
	echo "== $part: $((SECONDS - start)) s"
done
if [ ${#missing[@]} -gt 0 ]; then
	echo "lint: not installed: ${missing[*]}"
	[ -z "${K6FLEET_MUST_WORK:-}" ] || exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: findings of ${failed[*]}"
	exit 1
fi
echo "lint: clean"
