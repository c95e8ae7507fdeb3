#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lint/man.sh - the manual pages: no warning of groff, and no reference to a page that is not there
#
# That each page has exactly the options of the table is a unit test (tests/unit/cli/man_test.c).
cd "$(dirname "$0")/../.." || exit 2
breaches=0
breach() {
	echo "$1"
	breaches=$((breaches + 1))
}

shopt -s nullglob
pages=(man/*.[1-9])
[ ${#pages[@]} -gt 0 ] || breach "man: no pages"

for page in "${pages[@]}"; do
	head -n 2 "$page" | grep -q 'SPDX-License-Identifier' || breach "$page:1: no SPDX line"
	# A name in bold with a section after it: \fBbulkhead\-run\fR(8)
	while read -r name; do
		[ -e "man/$name" ] || breach "$page: refers to $name, which is not there"
	done < <(sed -e 's/\\-/-/g' "$page" | grep -oE '\\fBbulkhead[a-z-]*\\fR\([0-9]\)' |
		sed -E 's/\\f[BR]//g; s/\(([0-9])\)/.\1/' | sort -u)
	name=$(basename "$page" | tr '[:lower:]' '[:upper:]')
	title=$(sed -n 's/\\-/-/g; s/^\.TH \([^ ]*\) \([0-9]\).*/\1.\2/p' "$page")
	[ "$title" = "$name" ] || breach "$page: its title is $title"
done

if command -v groff >/dev/null; then
	for page in "${pages[@]}"; do
		while IFS= read -r line; do breach "$line"; done < <(groff -man -ww -z -Tutf8 "$page" 2>&1)
	done
else
	echo "note: no groff, the pages are not rendered" >&2
fi
[ "$breaches" -eq 0 ] || echo "man: $breaches breaches"
[ "$breaches" -eq 0 ]
