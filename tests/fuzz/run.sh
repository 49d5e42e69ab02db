#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh SRCDIR BUILDDIR SECONDS TARGET...: runs fuzz targets, as many at a time as there are processors.  TAP, a test a
# target, with the edges that it reached.  What it finds lies in BUILDDIR/fuzz/TARGET: new inputs in corpus, an input
# that ends the target beside it; copied to tests/fuzz/corpus/TARGET it is a test of `make check`.
set -uo pipefail
src=$(realpath "$1") build=$(realpath "$2") seconds=$3
shift 3
mkdir -p "$build/fuzz"
# Words that the sources know: keys, members, names.
find "$src/src" -name '*.[ch]' -exec grep -ohE '"[A-Za-z][A-Za-z0-9_.-]{1,30}"' {} + | sort -u >"$build/fuzz/words"
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

fuzz() {
	local target=$1 work=$build/fuzz/$1 seeds=("$src/tests/fuzz/corpus/$1")
	mkdir -p "$work/corpus"
	case $target in
	k6out | summary) seeds+=("$src"/tests/fixtures/k6/v*) ;;
	esac
	(cd "$work" && exec "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=4096 \
		-dict="$build/fuzz/words" \
		-print_final_stats=1 corpus "${seeds[@]}") >"$work/log" 2>&1
	echo $? >"$work/status"
}

for target in "$@"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
	fuzz "$target" &
done
wait
n=0 status=0
for target in "$@"; do
	n=$((n + 1)) work=$build/fuzz/$target
	reached=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$work/log" | tail -1)
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
	if [ "$(cat "$work/status")" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "ok $n - $target: $runs inputs in $seconds s, $reached"
	else
		echo "not ok $n - $target"
		tail -60 "$work/log" | sed 's/^/# /'
		status=1
	fi
done
echo "1..$n"
exit $status
