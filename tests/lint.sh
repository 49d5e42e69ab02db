#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.sh SRCDIR BUILDDIR [PART...]: runs the named parts of the static analysis, or all; every finding is an error.
# contrib/check.sh installs the tools.  The end names missing tools; with K6FLEET_MUST_WORK they are an error.
# tests/layers checks external names, includes and calls.
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
# Compiler flags for all tools that read C without the makefile.
flags=(-std=gnu17 -D_GNU_SOURCE '-DSYSCONFDIR="/etc"' '-DLOCALSTATEDIR="/var"' '-DRUNSTATEDIR="/run"'
	'-DLIBEXECDIR="/l"' '-DPKGDATADIR="/p"' -Isrc "-I$build")
missing=()

# have TOOL: returns 0 if the tool is there; else adds it to the missing ones.
have() {
	command -v "$1" >/dev/null && return
	missing+=("$1")
	return 1
}

# Compares files that repeat a fact of another file.
lint_documents() {
	contrib/version.sh --check || return 1
	python3 tests/routes.py || return 1
	# .clang-tidy has a line with the reason for each disabled check.
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
	# Of the system's headers it reads the one that is all macros.
	local queue
	queue=$(echo '#include <sys/queue.h>' | gcc -E -x c - | sed -n 's/^# 1 "\(.*queue\.h\)".*/\1/p' | head -1)
	cppcheck --quiet --error-exitcode=1 --std=c17 --enable=warning,portability,performance "-j$jobs" \
		--suppress=resourceLeak --suppress=memleak --suppress=nullPointerRedundantCheck --suppress=internalAstError \
		-D_GNU_SOURCE "--include=$queue" --include=tests/cppcheck.h -Isrc src
}

# Versions of clang-format lay the same style out differently: version 14 of Debian 12 decides.
lint_clang_format() {
	local tool=clang-format-14
	command -v $tool >/dev/null || tool=clang-format
	if ! "$tool" --version 2>/dev/null | grep -q 'version 14\.'; then
		missing+=("clang-format of version 14")
		return 0
	fi
	find src tests -name '*.[ch]' -print0 | xargs -0 -P "$jobs" -n 20 "$tool" --dry-run -Werror
}

# Prints the analyzer's findings in one file; fails if there are any.
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
	# clang-tidy writes the number of suppressed warnings to stderr, and also the errors
	# that kept it from reading a file.
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
	# A manual page that refers to a page that is not installed here is no finding.
	if mandoc -Tlint man/*.[1578] | grep -v 'referenced manual not found'; then rc=1; fi
	# mandoc wraps a display line and drops its quotes, so a pasted command would differ.
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
