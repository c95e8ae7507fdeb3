# SPDX-License-Identifier: Apache-2.0
"""Kernels for guests, where the runtime looks for them: /boot and /lib/modules, as a package puts them there.

tests/host/setup keeps two of Debian's: "stock", which the disposable host itself runs, and "older", of Debian 12.
"""

import os

import host
import linux

# What is said of a guest that died before it had a console. Under two emulated processors one in some dozens does, of any
# kernel and with any VMM; nothing of ours has run in it by then.
STILLBORN = "the guest wanted to boot again; its console is empty"


def least():
    """The vm object of a config for the machine that an emulated processor boots quickest."""
    kernel = next((f"/boot/{n}" for n in sorted(os.listdir("/boot")) if n.startswith("vmlinuz-")), "/boot/vmlinuz")
    return {"kernel": {"path": kernel}, "hwConfig": {"vcpus": 1, "memory": 256 << 20}}


def install_kernel(name):
    """In this mount namespace /boot has that kernel alone, below its own name. False: there is none of that name."""
    image = host.guest_kernel(name)
    if not os.path.exists(image):
        return False
    release = os.path.basename(os.path.dirname(os.path.realpath(image)))
    linux.mount("tmpfs", "/boot", "tmpfs")
    path = f"/boot/vmlinuz-{release}"
    with open(path, "wb"):
        pass
    linux.bind(image, path)
    modules = f"/lib/modules/{release}"
    if not os.path.exists(f"{modules}/modules.dep"):
        os.makedirs(modules, exist_ok=True)
        linux.bind(f"{os.path.dirname(image)}/modules", modules)
    return True
