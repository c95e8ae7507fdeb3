#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install-deps.sh build|check - Debian packages that building, or checking, needs
#
# Installs only what is missing and says nothing when all is there. The disposable host
# (tests/host/) is not worth a failure: without its packages its tests are skipped. Packages that
# bring services (docker.io, containerd) must not start them: a policy-rc.d forbids it
# while apt runs, as in a container image build.
set -eu

build="gcc make libc6-dev musl-tools libseccomp-dev libyajl-dev libmnl-dev libcap-dev busybox-static"
check="libcriterion-dev python3 strace procps iproute2 iptables docker.io containerd podman conmon libarchive13 zstd skopeo umoci buildah mmdebstrap"
host="qemu-system-x86 qemu-system-common kmod e2fsprogs systemd dbus"

case ${1-} in
build) wanted=$build optional= ;;
check) wanted="$build $check" optional=$host ;;
*)
	echo "usage: $0 build|check" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "this is no Debian: please install what corresponds to: $wanted $optional" >&2
	exit 0
fi

# Those of the arguments that are not installed, each with a blank before it.
lacking() {
	# shellcheck disable=SC2068
	present=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' $@ 2>/dev/null || :)"
	# shellcheck disable=SC2068
	for package in $@; do
		case $present in
		*" installed=$package "*) ;;
		*) printf ' %s' "$package" ;;
		esac
	done
}

missing=$(lacking "$wanted")
extra=
[ -z "$optional" ] || extra=$(lacking "$optional")
[ -n "$missing$extra" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing packages, and no right to install them:$missing$extra" >&2
	echo "please run: sudo apt-get install --no-install-recommends$missing$extra" >&2
	[ -z "$missing" ] || exit 1
	exit 0
fi

echo "installing:$missing$extra"
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
	# shellcheck disable=SC2068
	apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $@ >"$log" 2>&1
}
# The lists may be old or absent; they are fetched only when something is to be installed.
updated=
apt-get update -qq >"$log" 2>&1 && updated=1
if [ -n "$missing" ] && ! install "$missing"; then
	cat "$log" >&2
	[ -n "$updated" ] || echo "apt-get update did not work either" >&2
	echo "apt-get could not install:$missing" >&2
	exit 1
fi
if [ -n "$extra" ] && ! install "$extra"; then
	tail -n 3 "$log" >&2
	echo "the disposable host is missed: apt-get could not install$extra" >&2
fi
