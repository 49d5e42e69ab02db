#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what the tests need, builds, and runs the tests in lanes, two at a time, each with a build directory and a
# log of its own below build/.  Ends with "N passed, N failed, N skipped".
#
#   contrib/check.sh          all lanes
#   contrib/check.sh quick    build, unit tests, static analysis, API contract, one suite with real k6
#   contrib/check.sh nightly  all lanes, with longer chaos and fuzzing
#   contrib/check.sh LANE...  these lanes, and the lanes that they need
#   contrib/check.sh --list   the lanes
# shellcheck disable=SC2016 # make expands $(UNIT_TESTS) and its kind
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=contrib/lib.sh
. "$ROOT/contrib/lib.sh"

# Name, kind, lanes that it needs, purpose.  Two lanes run at a time, in this order as far as possible.  A `suite` measures
# time, so only one suite runs at a time; a `side` lane runs beside it with lower priority (nice(1)); a
# `timed` lane measures time in a machine of its own.
LANES=(
	"build|suite||builds as it is shipped"
	"k6|side||builds the k6 that are missing, current and one major version before"
	"units|suite|build|unit tests and layers"
	"lint|side|build|static analysis"
	"suite|suite|build k6|make check"
	"runs|suite|build k6|one suite with real k6"
	"dist|side|build|archive, make distcheck, make install"
	"vm|timed|dist k6|packages under systemd, limits in a booted machine"
	"asan|suite|k6|make check under the address and undefined-behaviour sanitizers, partly with the older k6"
	"clang|side||builds with clang; unit tests and layers"
	"musl|side||builds with musl; unit tests and layers"
	"arm64|side||builds for arm64; unit tests under emulation"
	"fuzz|side||fuzz targets with libFuzzer"
	"contract|side|build|the API against its description"
	"pages|suite|build|the web pages in chromium"
	"chaos|suite|build k6|a fleet under kills, and its books afterwards"
)
QUICK=(build units lint contract runs)

TEST_PACKAGES=(libcmocka-dev systemtap-sdt-dev bats openssl python3 util-linux procps xz-utils sqlite3 prometheus
	python3-venv python3-yaml python3-jsonschema tmux bash-completion zsh fish)
PAGES_PACKAGES=(chromium fonts-dejavu-core)
LINT_PACKAGES=(clang-format clang-tidy cppcheck mandoc shellcheck)
VM_PACKAGES=(dpkg-dev debhelper lintian rpm mmdebstrap systemd-container qemu-system-x86 e2fsprogs)
MUSL_PACKAGES=(musl-tools libtool autopoint tcl flex gperf)
ARM64_PACKAGES=(gcc-aarch64-linux-gnu mmdebstrap qemu-user)
# The other lanes test the same sources: these tests show that the archive can be built and tested.
DIST_TESTS='$(UNIT_TESTS) tests/program/cli.bats'

# --- parts of lanes: each result is a line "PASSED FAILED SKIPPED WHAT" in the lane's file -------------------------

result() {
	printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$RESULTS"
	say "$4: $1 passed, $2 failed, $3 skipped in $((SECONDS - started)) s"
}

# Prints the output of failed tests from TAP logs and from make's output.
show() {
	awk '/^(not ok|ERROR: )/ { n = 40 } /^ok / { n = 0 } n-- > 0' "$@" 2>/dev/null | head -150 || true
}

# run_checks DIR [ARGUMENTS...]: runs `make check` in DIR.
run_checks() {
	local dir=$1 log=$1/check.log started=$SECONDS bad
	shift
	make -C "$dir" -j2 -k check "$@" >"$log" 2>&1 || true
	count() { sed -n "s/^# $1: *//p" "$log" | tail -1; }
	# A build in which no test ran has tested nothing.
	if [ "$(count TOTAL)" -gt 0 ] 2>/dev/null; then
		bad=$(($(count FAIL) + $(count ERROR) + $(count XPASS)))
		if [ "$bad" -gt 0 ]; then
			grep -E '^(FAIL|ERROR):' "$log" || true
			show "$dir"/tests/*.log "$dir"/tests/*/*.log
		fi
		grep -E '^SKIP:' "$log" || true
		result "$(count PASS)" "$bad" "$(count SKIP)" "make check in ${dir#"$ROOT"/} $*"
	else
		tail -30 "$log"
		result 0 1 0 "make check in ${dir#"$ROOT"/} ran no test"
	fi
}

# step NAME COMMAND...: runs the command.  If it prints TAP, each of its tests counts; else it passes or fails as one, and
# the skipped tests of a `make check` in it count, too.
step() {
	local name=$1 log=$LOGS/${1// /-}.log started=$SECONDS rc=0 passed failed skipped plan
	shift
	"$@" >"$log" 2>&1 || rc=$?
	passed=$(grep -cE '^ok ' "$log" || true)
	failed=$(grep -cE '^not ok ' "$log" || true)
	skipped=$(grep -ciE '^ok .*# skip' "$log" || true)
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$log" | tail -1)
	if [ -n "$plan" ]; then
		passed=$((passed - skipped))
		# A planned test that did not run is a failure; so is a command that failed without a failed test.
		[ $((passed + failed + skipped)) -eq "$plan" ] || failed=$((failed + 1))
		[ "$plan" -gt 0 ] || skipped=$((skipped + 1))
		[ "$rc" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
	else
		passed=0 failed=0 skipped=$(sed -n 's/^# SKIP: *//p' "$log" | awk '{ n += $1 } END { print n + 0 }')
		case $rc in
		0) passed=1 ;;
		77) skipped=$((skipped + 1)) ;;
		*) failed=1 ;;
		esac
	fi
	if [ "$failed" -gt 0 ]; then
		show "$log"
		tail -100 "$log"
	fi
	result "$passed" "$failed" "$skipped" "$name"
}

# --- the lanes ---------------------------------------------------------------------------------------------------

B=$ROOT/build

lane_build() {
	local started=$SECONDS
	build "$B/check" --enable-werror --prefix=/usr "CC=$(cached_compiler gcc)"
	say "built in $((SECONDS - started)) s"
}

lane_k6() {
	build_missing_k6 "$K6_VERSION" "$K6_BINARY"
	! wants asan || build_missing_k6 "$K6_OLDER_VERSION" "$K6_OLDER"
}

lane_units() { run_checks "$B/check" 'TESTS=$(UNIT_TESTS) $(REPLAYS)'; }
lane_runs() { run_checks "$B/check" TESTS=tests/program/runs.bats; }
lane_suite() { run_checks "$B/check"; }
lane_lint() { step "static analysis" make -C "$B/check" lint; }
lane_contract() { step "API contract" "$ROOT/tests/contract/contract.sh" "$B/check"; }
lane_pages() { step "web pages" make -C "$B/check" check-pages; }
lane_chaos() {
	step "chaos" make -C "$B/check" chaos "CHAOS=--seconds $CHAOS_SECONDS"
	tail -40 "$LOGS/chaos.log"
}

# No suite runs a third time: the suites that depend most on k6 run here with its previous major version.
lane_asan() {
	local started=$SECONDS
	build "$B/check-asan" --enable-werror --enable-sanitizers=address,undefined --prefix=/usr CFLAGS='-O1 -g' \
		"CC=$(cached_compiler gcc)"
	say "built in $((SECONDS - started)) s"
	run_checks "$B/check-asan" 'TESTS=$(UNIT_TESTS) $(REPLAYS) $(filter-out $(K6_TESTS),$(PROGRAM_TESTS))'
	K6_BINARY=$K6_OLDER run_checks "$B/check-asan" 'TESTS=$(K6_TESTS)'
}

lane_clang() {
	build "$B/check-clang" --enable-werror --prefix=/usr "CC=$(cached_compiler clang)"
	run_checks "$B/check-clang" 'TESTS=$(UNIT_TESTS) $(REPLAYS)'
}

lane_musl() {
	local root
	root=$(cache_dir)/musl
	"$ROOT/tests/cross/musl-sysroot.sh" "$root"
	PKG_CONFIG='pkg-config --static' PKG_CONFIG_LIBDIR=$root/lib/pkgconfig \
		build "$B/check-musl" --enable-werror --prefix=/usr "CC=$(cached_compiler musl-gcc)" \
		"CPPFLAGS=-I$root/include" "LDFLAGS=-L$root/lib"
	# The header of the probes is glibc's neighbour: musl-gcc does not look there.
	run_checks "$B/check-musl" 'TESTS=$(filter-out tests/probes,$(UNIT_TESTS)) $(REPLAYS)'
}

lane_arm64() {
	local root lib
	root=$(cache_dir)/arm64
	lib=$root/usr/lib/aarch64-linux-gnu
	"$ROOT/tests/cross/arm64-sysroot.sh" "$root"
	PKG_CONFIG_LIBDIR=$lib/pkgconfig:$root/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
		build "$B/check-arm64" --enable-werror --prefix=/usr --host=aarch64-linux-gnu \
		"CC=$(cached_compiler "aarch64-linux-gnu-gcc --sysroot=$root")" "LDFLAGS=-Wl,-rpath-link,$lib:$root/lib/aarch64-linux-gnu"
	run_checks "$B/check-arm64" 'TESTS=$(CMOCKA_TESTS) $(REPLAYS)' "LOG_COMPILER=qemu-aarch64 -L $root"
}

lane_fuzz() {
	local started=$SECONDS
	build "$B/check-fuzz" --enable-werror --enable-sanitizers=fuzzer-no-link,address,undefined --prefix=/usr \
		"CC=$(cached_compiler clang)"
	make -C "$B/check-fuzz" -j2 fuzz-programs >"$LOGS/make.log" 2>&1 || {
		tail -20 "$LOGS/make.log"
		fail "the fuzz targets cannot be built"
	}
	say "built in $((SECONDS - started)) s"
	step "fuzzing" make -C "$B/check-fuzz" fuzz "FUZZ_SECONDS=$FUZZ_SECONDS"
	grep '^ok' "$LOGS/fuzzing.log" || true
}

lane_dist() {
	build "$B/check-dist" --enable-werror --prefix=/usr "CC=$(cached_compiler gcc)"
	step "archive" "$ROOT/tests/archive.sh" "$ROOT" "$B/check-dist"
	say "make distcheck runs these of the tests: $DIST_TESTS"
	step "make distcheck" make -C "$B/check-dist" -j2 distcheck "AM_MAKEFLAGS=TESTS='$DIST_TESTS'" \
		"DISTCHECK_CONFIGURE_FLAGS=CC='$(cached_compiler gcc)'"
	# distcheck leaves the tree of a build that failed.
	show "$B"/check-dist/k6fleet-*/_build/sub/tests/*/*.log
	step "make install and uninstall" "$ROOT/tests/install.sh" "$B/check-dist"
}

# A machine that did not start, or did not finish, has fewer lines than there are tests.
lane_vm() {
	local log=$LOGS/vm.log bad skipped passed started=$SECONDS
	# check.sh builds three packages; Debian's ccache has links with the names of the compilers.
	as_root env "HOME=$HOME" "PATH=/usr/lib/ccache:$PATH" "K6_BINARY=$K6_BINARY" "$ROOT/tests/vm/check.sh" "$B/check-dist" >"$log" 2>&1 || true
	bad=$(grep -c '^not ok ' "$log" || true)
	skipped=$(grep -ciE '^ok .*# skip' "$log" || true)
	passed=$(($(grep -c '^ok ' "$log" || true) - skipped))
	[ "$(grep -cE '^(not )?ok (packages|limits)\.bats ' "$log" || true)" = "$(cat "$ROOT"/tests/vm/{packages,limits}.bats | grep -c '^@test ')" ] ||
		bad=$((bad + 1))
	[ "$bad" -eq 0 ] || { show "$log"; tail -40 "$log"; }
	result "$passed" "$bad" "$skipped" "packages under systemd, and limits in a booted machine"
}

# --- which lanes, and when -----------------------------------------------------------------------------------------

field() { cut -d'|' -f"$2" <<<"$1"; }
names() { printf '%s\n' "${LANES[@]}" | cut -d'|' -f1; }
row() { printf '%s\n' "${LANES[@]}" | grep "^$1|" || fail "there is no lane $1; --list shows them"; }

# Adds a lane to WANTED, after the lanes that it needs.
want() {
	local need
	[[ " ${WANTED[*]-} " != *" $1 "* ]] || return 0
	for need in $(field "$(row "$1")" 3); do
		want "$need"
	done
	WANTED+=("$1")
}

CHAOS_SECONDS=120
FUZZ_SECONDS=5
WANTED=()
asked=()
case ${1:-} in
'') mapfile -t asked < <(names | grep -vx -e units -e runs) ;;
quick | --quick) asked=("${QUICK[@]}") ;;
nightly)
	CHAOS_SECONDS=900 FUZZ_SECONDS=60
	mapfile -t asked < <(names | grep -vx -e units -e runs)
	;;
--list)
	printf '%s\n' "${LANES[@]}" | awk -F'|' '{ printf "%-9s %s\n", $1, $4 }'
	exit
	;;
-*)
	sed -n '6,10p' "$0" >&2
	exit 2
	;;
*) asked=("$@") ;;
esac
for lane in "${asked[@]}"; do
	want "$lane"
done
# In the order of the table.
mapfile -t WANTED < <(names | grep -Fx -f <(printf '%s\n' "${WANTED[@]}"))
wants() { [[ " ${WANTED[*]} " == *" $1 "* ]]; }

# A missing tool is a failure, not a skip, because this script installs all tools.
export K6FLEET_MUST_WORK=1
need=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}")
! wants pages || need+=("${PAGES_PACKAGES[@]}")
! wants lint || need+=("${LINT_PACKAGES[@]}")
! wants vm || need+=("${VM_PACKAGES[@]}")
! wants clang && ! wants fuzz || need+=(clang)
! wants musl || need+=("${MUSL_PACKAGES[@]}")
! wants arm64 || need+=("${ARM64_PACKAGES[@]}")
need_packages "${need[@]}"
need_node
choose_k6
K6_OLDER=$(cached_k6 "$K6_OLDER_VERSION")
export K6_OLDER
[ "$(id -u)" != 0 ] || need_users
need_configure

LANE_DIR=$B/lanes
rm -rf "$LANE_DIR"
mkdir -p "$LANE_DIR"
declare -A state=() pid_lane=() begun=() took=()
for lane in "${WANTED[@]}"; do
	state[$lane]=waits
done
cleanup() {
	local pid
	for pid in "${!pid_lane[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Starts a lane in a process group of its own.
begin() {
	local lane=$1
	state[$lane]=runs
	begun[$lane]=$SECONDS
	mkdir -p "$LANE_DIR/$lane"
	say "$lane begins: $(field "$(row "$lane")" 4)"
	set -m
	(
		LOGS=$LANE_DIR/$lane RESULTS=$LANE_DIR/$lane/results
		: >"$RESULTS"
		[ "$(field "$(row "$lane")" 2)" != side ] || renice -n 15 "$BASHPID" >/dev/null 2>&1 || true
		"lane_$lane"
	) >"$LANE_DIR/$lane/log" 2>&1 </dev/null &
	set +m
	pid_lane[$!]=$lane
}

# end LANE STATUS: prints the lane's output in one piece.
end() {
	local lane=$1 rc=$2 results=$LANE_DIR/$1/results
	took[$lane]=$((SECONDS - begun[$lane]))
	state[$lane]=ended
	if [ "$rc" -ne 0 ]; then
		printf '0\t1\t0\t%s did not finish\n' "$lane" >>"$results"
		state[$lane]=failed
	fi
	say "$lane took ${took[$lane]} s"
	sed 's/^/    /' "$LANE_DIR/$lane/log"
}

# Whether a lane may begin: 0 yes, 1 not yet, 2 never.
may_begin() {
	local need
	for need in $(field "$(row "$1")" 3); do
		case ${state[$need]} in
		failed) return 2 ;;
		waits | runs) return 1 ;;
		esac
	done
}

# Whether a lane of the kind is running.
runs_one() {
	local pid
	for pid in "${!pid_lane[@]}"; do
		[ "$(field "$(row "${pid_lane[$pid]}")" 2)" != "$1" ] || return 0
	done
	return 1
}

# Begins the next lane that may begin; returns 1 if there is none.
begin_next() {
	local lane rc
	for lane in "${WANTED[@]}"; do
		[ "${state[$lane]}" = waits ] || continue
		rc=0
		may_begin "$lane" || rc=$?
		if [ "$rc" -eq 2 ]; then
			state[$lane]=failed
			mkdir -p "$LANE_DIR/$lane"
			printf '0\t1\t0\t%s could not begin\n' "$lane" >"$LANE_DIR/$lane/results"
		elif [ "$rc" -eq 0 ] && { [ "$(field "$(row "$lane")" 2)" != suite ] || ! runs_one suite; }; then
			begin "$lane"
			return 0
		fi
	done
	return 1
}

while :; do
	while [ "${#pid_lane[@]}" -lt 2 ] && begin_next; do :; done
	[ "${#pid_lane[@]}" -gt 0 ] || break
	rc=0
	wait -n -p ended "${!pid_lane[@]}" || rc=$?
	lane=${pid_lane[$ended]}
	unset "pid_lane[$ended]"
	end "$lane" "$rc"
done

say "lanes, in seconds: $(for lane in "${WANTED[@]}"; do printf '%s %s, ' "$lane" "${took[$lane]:--}"; done | sed 's/, $//')"
awk -F'\t' '$2 > 0 { print "==> FAILED: " $4 " (" $2 ")" }' "$LANE_DIR"/*/results
read -r passed failed skipped <<<"$(awk -F'\t' '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$LANE_DIR"/*/results)"
# A run without any result has not passed.
[ $((passed + failed + skipped)) -gt 0 ] || failed=1
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && { [ -z "${CI:-}" ] || [ "$skipped" -eq 0 ]; }
