#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lint/run.sh ROOM:USE,USE… … - rules of the house that a compiler does not check
#
# Arguments come from the Makefile: each room with the rooms it may include. Prints every
# breach as file:line: what, and fails when there is one.
cd "$(dirname "$0")/../.." || exit 2

LIMIT=600 WARN=500
breaches=0
breach() {
	echo "$1"
	breaches=$((breaches + 1))
}
# Reads breaches from stdin, one per line.
breaches_from() {
	while IFS= read -r line; do breach "$line"; done
}

rooms=()
declare -A uses
for argument in "$@"; do
	room=${argument%%:*}
	rooms+=("$room")
	uses[$room]=" ${argument#*:} "
	uses[$room]=${uses[$room]//,/ }
done
[ ${#rooms[@]} -gt 0 ] || { echo "usage: $0 ROOM:USE,USE… (run \`make lint\`)" >&2; exit 2; }

# The guest agent is a program of its own inside vm/, and links what the host side hands its plans to.
rooms+=(vm/agent)
uses[vm/agent]=" vm/wire namespaces runtime/launch runtime/process cgroups spec spec/base "

# The room of a path: the longest room name that it starts with.
room_of() {
	local best= room
	for room in "${rooms[@]}"; do
		case $1 in "$room"/*) [ ${#room} -gt ${#best} ] && best=$room ;; esac
	done
	echo "$best"
}

product_files() {
	for room in "${rooms[@]}"; do
		find "$room" -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null
	done | sort -u
}
mapfile -t product < <(product_files)
[ ${#product[@]} -gt 0 ] || { echo "no product files: lint has nothing to say"; exit 1; }

# Rooms whose work has several parts: a public header for each.
further_headers=' overlay/sandbox.h overlay/changes.h spec/image.h namespaces/tap.h vm/session/client.h vm/wire/wire_net.h vm/agent_image.h
	runtime/launch/stages.h runtime/launch/hooks.h runtime/launch/diagnose.h runtime/launch/stdio.h runtime/launch/stub/stub.h '

# Includes go down the table of uses, never sideways or up; of another room only its public header.
check_includes() {
	local file room hit line header target
	for file in "${product[@]}"; do
		room=$(room_of "$file")
		while IFS=: read -r line hit; do
			header=$(sed -E 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]*)".*/\1/' <<<"$hit")
			case $header in
			*/*) ;;
			*) header=$(dirname "$file")/$header ;;
			esac
			target=$(room_of "$header")
			[ -n "$target" ] || continue
			[ "$target" = "$room" ] && continue
			case ${uses[$room]} in
			*" $target "*) ;;
			*) echo "$file:$line: $room/ may not include $header ($target/ is not below it)" ;;
			esac
			case $target in spec/base) continue ;; esac
			# cgroups/kernfile.h and program.h are for the rooms below their directory, too, and the first for who reads numbers alone.
			[ "$header" = cgroups/kernfile.h ] && [[ $room == cgroups/* || $room == vm/agent ]] && continue
			[ "$header" = cgroups/program.h ] && [[ $room == cgroups/* ]] && continue
			case ${further_headers//[$'\t\n']/ } in *" $header "*) continue ;; esac
			[ "$header" = "$target/$(basename "$target").h" ] ||
				echo "$file:$line: $header is private to $target/; its public header is $target/$(basename "$target").h"
		done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file")
	done
}

# Rooms that handle paths of a container: no call that resolves a string from the host's root.
# A literal is no container path. A call that is safe on purpose carries the word path-ok and a reason in a
# comment on its line or the one above.
check_paths() {
	local calls='open|creat|mkdir|mknod|mkfifo|stat|lstat|access|chown|lchown|chmod|unlink|rmdir|rename|link|symlink|readlink|opendir|fopen|truncate|chdir|chroot|statfs|setxattr|getxattr|realpath|mount|umount2'
	find namespaces runtime overlay -name '*.c' -not -path 'runtime/process/*' -not -path 'runtime/launch/stub/*' 2>/dev/null |
		sort | xargs -r awk -v calls="$calls" '
		FNR == 1 { allowed = 0; comment = 0 }
		{
			code = $0
			gsub(/"([^"\\]|\\.)*"/, "\"\"", code)	# no calls inside strings
			gsub(/\(""/, "=\"\"", code)		# nor calls on a literal
			marked = index($0, "path-ok") > 0
			if (comment) { if (match(code, /\*\//)) { code = substr(code, RSTART + 2); comment = 0 } else code = "" }
			while (match(code, /\/\*.*\*\//)) code = substr(code, 1, RSTART - 1) " " substr(code, RSTART + RLENGTH)
			if (match(code, /\/\*/)) { code = substr(code, 1, RSTART - 1); comment = 1 }
			sub(/\/\/.*/, "", code)
			if (code ~ "(^|[^A-Za-z0-9_>.])(" calls ")[[:space:]]*\\(" && !marked && !allowed)
				print FILENAME ":" FNR ": a container path as a string: use spec/base/path.h, or say path-ok and why: " $0
			if (marked) allowed = 1
			else if (code ~ /[^[:space:]]/) allowed = 0
		}'
}

check_licence() {
	local file
	while IFS= read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file:1: no SPDX line"
	done < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.py' '*.sh')
}

check_length() {
	local file n
	for file in "${product[@]}"; do
		n=$(wc -l <"$file")
		if [ "$n" -gt $LIMIT ]; then
			echo "$file:$n: $n lines; above $LIMIT a file hides a plan: split it"
		elif [ "$n" -gt $WARN ]; then
			echo "note: $file has $n lines, the limit is $LIMIT" >&2
		fi
	done
}

# Headers guard themselves, and open with what they own.
check_headers() {
	local file
	for file in "${product[@]}"; do
		case $file in *.h) grep -q '^#pragma once' "$file" || echo "$file:1: no #pragma once" ;; esac
	done
}

# _GNU_SOURCE comes from the Makefile; mutable state has owners.
check_code() {
	grep -nE '#[[:space:]]*define[[:space:]]+_GNU_SOURCE' "${product[@]}" | sed 's/$/ (the Makefile defines it)/'
	grep -nE '[[:space:]]+$' "${product[@]}" | sed -E 's/^([^:]*:[0-9]+):.*/\1: blanks at the end of the line/'
	grep -nE '\b(TODO|FIXME|XXX|HACK)\b' "${product[@]}"
	grep -nE '^ {4,}[^ *]' "${product[@]}" | sed -E 's/^([^:]*:[0-9]+):.*/\1: indented with blanks, not a tab/'
	grep -nE '\b(error|log)_[a-z]+\(.*"[^"]*\bfailed\b' "${product[@]}" | sed 's/$/ (a message names the operation, not that it failed)/'
}

# The project speaks of itself alone. The patterns are written so that this file does not match.
check_words() {
	local words='(^|[^[:alnum:]_./-])/[w]ork/|[c]hecklist|\b(OCI|CLI|EXT)-[0-9]{2,3}\b| T[0-9]+ [r]ow'
	git ls-files --cached --others --exclude-standard | grep -vE '\.(json|png|cast)$' |
		xargs -r grep -nIE "$words" 2>/dev/null | sed 's/$/ (a word of no meaning outside)/'
}

# A system test says for which walls it is, or its file does.
check_walls() {
	git ls-files --cached --others --exclude-standard -- 'tests/system/test_*.py' 'tests/system/engines/test_*.py' |
		xargs -r grep -L '^WALL = ' | sed 's/$/:1: no WALL: for which walls are its tests? (tests\/system\/README.md)/'
}

# Our own shell and Python parse.
check_scripts() {
	local file
	while IFS= read -r file; do
		bash -n "$file" || echo "$file: does not parse"
	done < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
	git ls-files --cached --others --exclude-standard -- '*.py' | while IFS= read -r file; do
		python3 - "$file" <<-'PY' || echo "$file: does not parse"
			import ast, sys
			ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])
		PY
	done
}

for check in includes paths licence length headers code words walls scripts; do
	breaches_from < <(check_$check)
done
# The manual pages: one per command, and they format without a complaint.
[ ! -x "${0%/*}/man.sh" ] || "${0%/*}/man.sh" || breaches=$((breaches + 1))

if [ $breaches -gt 0 ]; then
	echo "lint: $breaches breach$([ $breaches -eq 1 ] || echo es)"
	exit 1
fi
echo "lint: ${#product[@]} files of ${#rooms[@]} rooms are in order"
