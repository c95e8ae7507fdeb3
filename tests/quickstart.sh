#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# quickstart.sh BINARY - a first container, step by step
#
# Makes a bundle of busybox in a temporary place, runs it, shows what the program
# inside saw, and says what to try next. The bundle stays there to play with.
set -eu

[ $# = 1 ] && [ -x "$1" ] || {
	echo "usage: $0 BINARY" >&2
	exit 2
}
runtime=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
busybox=$(command -v busybox) || {
	echo "busybox is not installed; on Debian: apt-get install busybox-static" >&2
	exit 1
}
[ "$(id -u)" = 0 ] || {
	echo "this needs root: it makes namespaces, mounts and a cgroup. Try: sudo make quickstart" >&2
	exit 1
}

bundle=$(mktemp -d "${TMPDIR:-/tmp}/bulkhead-quickstart.XXXXXX")
chmod 755 "$bundle"
for directory in bin proc sys dev tmp; do mkdir -p "$bundle/rootfs/$directory"; done

say() { printf '\n$ %s\n' "$*"; }

echo "A bundle is a directory with a root filesystem and a config.json."
say "cp $busybox $bundle/rootfs/bin/"
cp "$busybox" "$bundle/rootfs/bin/busybox"
for name in sh ls ps id hostname mount cat echo sleep ip; do
	ln -s busybox "$bundle/rootfs/bin/$name"
done

say "bulkhead spec --bundle $bundle"
"$runtime" spec --bundle "$bundle"

# The default config opens a shell on a terminal. For this first run: a script without one.
script='echo "hello from $(hostname), where I am pid $$"; id; ps; ip link show lo'
cp "$bundle/config.json" "$bundle/shell.json"
sed -e 's/"terminal": true/"terminal": false/' \
	-e "s|^\(\t*\)\"sh\"\$|\1\"sh\", \"-c\", \"$(printf %s "$script" | sed 's/["\\]/\\\\&/g; s/[&|]/\\&/g')\"|" \
	"$bundle/shell.json" >"$bundle/config.json"

say "bulkhead run --bundle $bundle first"
"$runtime" run --bundle "$bundle" first

mv "$bundle/shell.json" "$bundle/config.json"

printf '\nThe same without a bundle: over a directory, or an image, that stays as it is.\n'
say "bulkhead do --rootfs $bundle/rootfs -- sh -c 'echo gone soon >/file; ls /'"
"$runtime" do --rootfs "$bundle/rootfs" -- sh -c 'echo gone soon >/file; ls /'

cat <<END

It works. Four commands worth trying next:

  $runtime do -- sh                                  # a shell over this machine's files; it can change none
  $runtime run --bundle $bundle shell     # a shell in the container; exit ends it
  $runtime list                           # from another terminal, while it runs
  $runtime exec shell ps                  # a second process beside it
END
