#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install-deps.sh build|check - Debian packages that building, or checking, needs
#
# Installs only what is missing and says nothing when all is there. Packages that
# bring services (docker.io, containerd) must not start them: a policy-rc.d forbids it
# while apt runs, as in a container image build.
set -eu

build="gcc make libc6-dev musl-tools libseccomp-dev libyajl-dev libmnl-dev libcap-dev busybox-static"
check="libcriterion-dev python3 strace procps iproute2 iptables docker.io containerd podman conmon"

case ${1-} in
build) wanted=$build ;;
check) wanted="$build $check" ;;
*)
	echo "usage: $0 build|check" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "this is no Debian: please install what corresponds to: $wanted" >&2
	exit 0
fi

missing=
# shellcheck disable=SC2086
present=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' $wanted 2>/dev/null || :)"
for package in $wanted; do
	case $present in
	*" installed=$package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing packages, and no right to install them:$missing" >&2
	echo "please run: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

echo "installing:$missing"
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
made=
cleanup() {
	[ -z "$made" ] || rm -f "$policy"
	rm -f "$log"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
	made=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
install() {
	# shellcheck disable=SC2086
	apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $missing >"$log" 2>&1
}
# The lists may be old or absent; they are fetched only when something is to be installed.
if ! { apt-get update -qq >"$log" 2>&1 && install; } && ! install; then
	cat "$log" >&2
	echo "apt-get could not install:$missing" >&2
	exit 1
fi
