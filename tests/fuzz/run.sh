#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh fuzz|replay B SECONDS TARGET…    make fuzz, make fuzz-replay
#
# fuzz runs each target from its corpus (tests/fuzz/corpus/TARGET) for that time; what is new stays in
# B/fuzz/corpus/TARGET, and what breaks it in B/fuzz/TARGET-crash-…. replay feeds the corpora to targets without
# libFuzzer. One line per target; the status is that of the worst.
cd "$(dirname "$0")/../.." || exit 2
how=$1 B=$2 seconds=$3
shift 3
make="${MAKE:-make} -s --no-print-directory"
failed=0

libfuzzer() {
	echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n > 9 ? d[0] & 0 : 0; }' |
		"${CLANG:-clang}" -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null
}

# A server of files mounts its own, in a namespace of its own.
why_not() {
	[ "$1" != fuse ] || [ "$(id -u)" = 0 ] || echo "mounting needs root"
}

if [ "$how" = fuzz ]; then
	libfuzzer || { echo "fuzz: skipped: no clang with libFuzzer here (packages clang and libclang-rt-14-dev)"; exit 0; }
	$make FUZZ="$*" fuzz-targets || exit
else
	$make FUZZ="$*" -j"$(nproc)" replay-targets || exit
fi
export UBSAN_OPTIONS=print_stacktrace=1
for target; do
	# With whole paths: the server of files changes the working directory.
	seeds=$PWD/tests/fuzz/corpus/$target new=$PWD/$B/fuzz/corpus/$target
	case $B in /*) new=$B/fuzz/corpus/$target ;; esac
	reason=$(why_not "$target")
	if [ -n "$reason" ]; then
		echo "$how $target: skipped: $reason"
		continue
	fi
	if [ "$how" = replay ]; then
		[ -d "$seeds" ] || { echo "replay $target: no corpus" && failed=1 && continue; }
		out=$(timeout 300 "$B/replay/$target" "$seeds" 2>&1)
		code=$?
		echo "replay $target: $(tail -n 1 <<<"$out")"
	else
		mkdir -p "$new" "$seeds"
		more=() most=1024
		[ "$target" != spec ] || { more=("$PWD/tests/data/engine-samples") && most=16384; }
		out=$("$B/fuzz/$target" -max_total_time="$seconds" -max_len="$most" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
			-artifact_prefix="${new%/corpus/*}/$target-" "$new" "$seeds" "${more[@]}" 2>&1)
		code=$?
		echo "fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1 runs/p' <<<"$out"), $(grep -o 'cov: [0-9]*' <<<"$out" | tail -n 1), $(find "$new" -type f | wc -l) new"
	fi
	if [ "$code" -ne 0 ]; then
		echo "$how $target: ended with $code"
		tail -n 60 <<<"$out"
		failed=1
	fi
done
exit $failed
