#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BINARY [-n ROUNDS] [-w WORKLOAD,…] [--json FILE] [--strict] [--where WORKLOAD]
#
# What `make bench` runs: builds the floor and the measuring programs beside BINARY, finds
# the other runtimes that are on this machine, and hands all to bench.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1--h} in
-*)
	sed -n '4,7s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
binary=$(realpath "$1")
shift
build=$(dirname "$binary")
out=$build/tests/bench
mkdir -p "$out"

flags="-std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Werror"
bare="-nostdlib -ffreestanding -fno-stack-protector"
# shellcheck disable=SC2086
{
	${CC:-gcc} $flags -static -o "$out/floor" "$here/floor.c" "$here/floor_inside.c"
	${CC:-gcc} $flags -static -o "$out/stopwatch" "$here/stopwatch.c"
	${CC:-gcc} $flags -static $bare -o "$out/true" "$here/inmate.c"
	${CC:-gcc} $flags -static $bare -DPAUSE -o "$out/pause" "$here/inmate.c"
	${CC:-gcc} $flags -static -o "$out/load" "$here/../helper/load.c"
}
runtimes=("floor=$out/floor")

# musl-gcc sees no kernel headers; they come last, so that musl's own win.
headers="-idirafter /usr/include -idirafter /usr/include/$(${CC:-gcc} -print-multiarch)"
# shellcheck disable=SC2086
if command -v musl-gcc >/dev/null && musl-gcc $flags -static $headers -o "$out/floor-musl" \
	"$here/floor.c" "$here/floor_inside.c"; then
	runtimes+=("floor-musl=$out/floor-musl")
fi

# The bare work that CPU groups are compared with, linked with the libc of the binary.
libc=${CC:-gcc}
! command -v musl-gcc >/dev/null || libc="musl-gcc $headers"
# shellcheck disable=SC2086
for program in mover reader stack; do
	$libc $flags -static -o "$out/$program" "$here/$program.c"
done

runtimes+=("bulkhead=$binary")

# Linked with the shared libc, for what needs a loaded library (Makefile); the same file where musl is missing.
if [ -x "$binary-shared" ] && ! [ "$binary-shared" -ef "$binary" ]; then
	runtimes+=("bulkhead-shared=$binary-shared")
fi

for other in crun runc; do
	path=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v $other) && runtimes+=("$other=$path")
done

exec python3 -B "$here/bench.py" "$@" "$out" "${runtimes[@]}"
