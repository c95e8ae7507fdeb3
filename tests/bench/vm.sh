#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vm.sh BINARY [-n ROUNDS] [--json FILE] [--strict]
#
# What `make bench WALL=vm` runs: vm.py, here when /dev/kvm runs guests, else on the disposable host (tests/host/).
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1--h} in
-*)
	sed -n '4,6s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
binary=$(realpath "$1")
build=$(dirname "$binary")
shift

where=()
grep -qwE '^flags.*(svm|vmx)' /proc/cpuinfo && [ -c /dev/kvm ] || where=("$here/../host/run" --kvm --timeout 3000)
exec "${where[@]}" python3 -B "$here/vm.py" "$@" "$build/tests/bench" "$build/vm/agent/agent" "$binary"
