#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kernel.sh - make host-kernel: a kernel for the disposable host from Debian's source
#
# The result stays in the cache of tests/host/setup, as built/, and is used from then on. It is made
# anew when kernel.fragment is newer.
set -eu
here=$(dirname "$(readlink -f "$0")")
home=$("$here/setup")
"$here/../../vm/kernel/build.sh" "$here/kernel.fragment" "$home/built" linux-source-6.1 linux-source-6.12
