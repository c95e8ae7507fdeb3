#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh FRAGMENT DIR PACKAGE…: a vmlinux from Debian's source of the kernel
#
# The first PACKAGE that apt has is fetched (not installed), configured with tinyconfig and the fragment, and compiled;
# DIR/vmlinux and DIR/config are replaced when both are whole, and made anew when the fragment or apt's source is newer.
# About 5 minutes of two processors, more when they are busy, and 2 GB of disk beside DIR meanwhile. JOBS=1 is
# kinder; LINUX_SOURCE=FILE.tar.xz needs no apt.
set -eu
fragment=$(readlink -f "$1") dir=$2
shift 2

fail() {
	echo "the kernel cannot be built: $*" >&2
	exit 1
}

# The first of them that apt has, and its version. Nothing where apt has none.
newest() {
	local package version
	for package; do
		version=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^  Candidate: //p')
		[ -z "$version" ] || [ "$version" = "(none)" ] || { echo "$package $version" && return; }
	done
}

from=${LINUX_SOURCE-$(newest "$@")}
if [ "$dir/vmlinux" -nt "$fragment" ] && { [ -z "$from" ] || [ "$from" = "$(cat "$dir/from" 2>/dev/null)" ]; }; then
	echo "$dir/vmlinux is up to date${from:+ with $from}"
	exit
fi
mkdir -p "$dir"
dir=$(readlink -f "$dir")
exec 9>"$dir.lock"
flock -n 9 || fail "somebody else is at it"

needed="gcc make flex bison bc libelf-dev xz-utils"
missing=
for package in $needed; do
	dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=" $package"
done
if [ -n "$missing" ]; then
	[ "$(id -u)" = 0 ] || fail "please install:$missing"
	echo "installing:$missing"
	apt-get update -qq || :
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
		fail "apt-get cannot install$missing"
fi

work=$dir.build
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir "$work"

fetch() {
	local package
	for package; do
		(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" 2>/dev/null) || continue
		dpkg -x "$work/$package"_*.deb "$work/package"
		rm "$work/$package"_*.deb
		return
	done
	return 1
}
if [ -z "${LINUX_SOURCE-}" ]; then
	fetch "$@" || { apt-get update -qq || : && fetch "$@"; } || fail "apt has none of $*"
	LINUX_SOURCE=$(find "$work/package/usr/src" -name 'linux-source-*.tar.xz')
fi
echo "unpacking ${LINUX_SOURCE##*/}"
mkdir "$work/linux"
tar -C "$work/linux" --strip-components=1 -xf "$LINUX_SOURCE"
rm -rf "$work/package"

cd "$work/linux"
unset MAKEFLAGS MAKELEVEL B CFLAGS CPPFLAGS LDFLAGS
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config "$fragment" >/dev/null
make -s olddefconfig
# A word of the fragment that this version does not know, or that lacks something, is told and not fatal.
grep '^CONFIG_.*=y$' "$fragment" | while read -r line; do
	grep -qxF "$line" .config || echo "this kernel does without $line"
done
make -s -j"${JOBS:-$(nproc)}" vmlinux
strip vmlinux
cp .config "$dir/config.new"
cp vmlinux "$dir/vmlinux.new"
echo "${from:-$(newest "$@")}" >"$dir/from"
mv "$dir/config.new" "$dir/config"
mv "$dir/vmlinux.new" "$dir/vmlinux"
echo "$dir/vmlinux: $(make -s kernelrelease), $(($(stat -c %s "$dir/vmlinux") / 1024)) KiB"
