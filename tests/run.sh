#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh                    what `make check` runs: build, lint, fuzz corpora, unit tests, system tests, tests on the disposable host
# run.sh unit               the unit tests alone
# run.sh system [PATTERN…]  system tests whose title holds a pattern (runner.py's options too)
# run.sh host [PATTERN…]    those that want the disposable host (tests/host/), or that a pattern names
# WALL=vm run.sh host [PATTERN…]    containers behind the VM wall, on the disposable host (make check-vm)
#
# The last line is "N passed, N failed, N skipped". A stage that cannot run at all
# counts as one failure, and the others still run. What this machine had to skip and the
# disposable host could run is no skip in the end.
cd "$(dirname "$0")/.." || exit 2

# Variables given to `make check` (SANITIZE=1, B=…) hold here too; its job slots cannot.
export MAKEFLAGS=$(sed -E 's/ *--jobserver-[a-z]+=[^ ]*//g; s/ -j[0-9]*//g' <<<"${MAKEFLAGS-}")
MAKE="${MAKE:-make} -s --no-print-directory"
variable() { $MAKE --eval="print-variable:;@echo \$($1)" print-variable; }
passed=0 failed=0 skipped=0 missing=
began=$SECONDS
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
skips=$tmp/skips

stage() { printf '\n== %s\n' "$*"; }

add() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# A stage that either works or does not.
whole() {
	local name=$1
	shift
	stage "$name"
	if "$@"; then
		add 1 0 0
	else
		echo "stage $name: did not pass"
		add 0 1 0
		return 1
	fi
}

# Criterion's last word is: [====] Synthesis: Tested: 9 | Passing: 9 | Failing: 0 | Crashing: 0
unit_program() {
	local program=$1 out code line
	# Without --verbose it is silent about skips.
	out=$(timeout 300 "./$program" --short-filename --color=never --verbose 2>&1)
	code=$?
	line=$(grep -o 'Synthesis: Tested: [0-9]* | Passing: [0-9]* | Failing: [0-9]* | Crashing: [0-9]*' <<<"$out" | tail -n 1)
	if [[ $line =~ Tested:\ ([0-9]+)\ .*Passing:\ ([0-9]+)\ .*Failing:\ ([0-9]+)\ .*Crashing:\ ([0-9]+) ]]; then
		local tested=${BASH_REMATCH[1]} ok=${BASH_REMATCH[2]} bad=$((BASH_REMATCH[3] + BASH_REMATCH[4]))
		local skips=$(grep -c '^\[SKIP\]' <<<"$out")
		# Criterion counts a test that skipped itself among neither.
		printf '%-28s %s passed, %s failed, %s skipped\n' "${program##*/}" "$ok" "$bad" "$skips"
		grep '^\[SKIP\]' <<<"$out"
		sed -n "s/^\[SKIP\] \([^:]*::[^:]*\):.*/${program##*/}: \1/p" <<<"$out" >>"$skips"
		if [ "$bad" -gt 0 ] || [ "$code" -ne 0 ]; then
			grep -v '^\[\(RUN \|PASS\|SKIP\|====\)\]' <<<"$out"
			[ "$bad" -gt 0 ] || bad=1
		fi
		[ "$tested" -gt 0 ] || { echo "${program##*/} ran no test" && bad=1; }
		add "$ok" "$bad" "$skips"
	else
		printf '%s ended with %d and no synthesis:\n%s\n' "$program" "$code" "$out"
		add 0 1 0
	fi
}

unit() {
	stage "unit tests"
	local programs
	programs=$(variable UNIT_TESTS)
	if [ -z "$programs" ]; then
		echo "no unit tests to run"
		add 0 1 0
		return
	fi
	for program in $programs; do
		if $MAKE -j"$(nproc)" "$program"; then
			unit_program "$program"
		else
			echo "$program does not build"
			add 0 1 0
		fi
	done
}

# runner.py, and the counts of its last line.
runner() {
	local out=$tmp/out code line
	export BULKHEAD=${BULKHEAD:-$(variable B)/bulkhead}
	python3 tests/system/runner.py --skips "$skips" "$@" | tee "$out"
	code=${PIPESTATUS[0]}
	line=$(grep -E '^system: [0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$out" | tail -n 1)
	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
		add "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
		[ "$code" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || add 0 1 0
	else
		echo "the system tests ended with $code and no count"
		add 0 1 0
	fi
}

system() {
	stage "system tests"
	runner "$@"
}

# Unit programs whose tests need what the disposable host has go along.
host() {
	stage "host tests"
	local program units=()
	$MAKE vm-test # guests that test_host_vm.py starts
	if [ $# -eq 0 ] && [ "$WALL" != vm ]; then
		for program in $(variable UNIT_TESTS); do
			case ${program##*/} in
			test-cgroups*) $MAKE "$program" && units+=(--unit "$program") ;;
			# Where sandboxes have a disk with project quota.
			test-overlay) $MAKE "$program" && units+=(--unit "$program:ovl_sandbox*") ;;
			esac
		done
	fi
	runner -e host -e host-systemd -e host-vm "${units[@]}" "$@"
	local made_up
	made_up=$(sed -n 's/^made up for: //p' "$tmp/out")
	add 0 0 $((-${made_up:-0}))
	missing=$(grep '^no disposable host: ' "$tmp/out")
}

end() {
	[ -z "$missing" ] || printf '\n%s\n' "$missing"
	printf '\n%d s\n%d passed, %d failed, %d skipped\n' $((SECONDS - began)) "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

case ${1-} in
"")
	whole build $MAKE -j"$(nproc)" all
	whole lint $MAKE lint
	whole "fuzz corpora" $MAKE fuzz-replay
	unit
	system
	host
	;;
unit) unit ;;
system)
	shift
	system "$@"
	;;
host)
	shift
	host "$@"
	;;
*)
	sed -n '4,8s/^# //p' "$0"
	exit 2
	;;
esac
end
