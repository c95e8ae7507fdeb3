#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh - make host-kernel: a kernel for the disposable host from Debian's linux-source
#
# About 5 minutes of two processors, up to 20 when they are busy, and 2 GB of disk meanwhile. The
# result stays in the cache of tests/host/setup, as built/, and is used from then on. It is made
# anew when kernel.fragment is newer.
set -eu
here=$(dirname "$(readlink -f "$0")")
home=$("$here/setup")

fail() {
	echo "the kernel cannot be built: $*" >&2
	exit 1
}

if [ "$home/built/vmlinux" -nt "$here/kernel.fragment" ]; then
	echo "$home/built is up to date"
	exit
fi
exec 9>"$home/kernel.lock"
flock -n 9 || fail "somebody else is at it"

needed="linux-source gcc make flex bison bc libelf-dev libssl-dev xz-utils"
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
source=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.xz' | sort -V | tail -n 1)
[ -n "$source" ] || fail "linux-source brought no /usr/src/linux-source-*.tar.xz"

work=$home/kernel-build
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir "$work"
echo "unpacking ${source##*/}"
tar -C "$work" --strip-components=1 -xf "$source"
cd "$work"
unset MAKEFLAGS MAKELEVEL
make -s tinyconfig
scripts/kconfig/merge_config.sh -m .config "$here/kernel.fragment" >/dev/null
make -s olddefconfig
# A word of the fragment that this version does not know, or that lacks something, is told and not fatal.
grep '^CONFIG_.*=y$' "$here/kernel.fragment" | while read -r line; do
	grep -qxF "$line" .config || echo "this kernel does without $line"
done
make -s -j"$(nproc)" vmlinux
strip -g vmlinux
rm -rf "$home/built.new"
mkdir "$home/built.new"
cp vmlinux .config "$home/built.new/"
rm -rf "$home/built"
mv "$home/built.new" "$home/built"
echo "$home/built/vmlinux: $(make -s kernelrelease)"
