# SPDX-License-Identifier: Apache-2.0
"""Kernels for guests, where the runtime looks for them: /boot and /lib/modules, as a package puts them there.

tests/host/setup keeps two of Debian's: "stock", which the disposable host itself runs, and "older", of Debian 12. An ELF
file in the place of "stock" (GUEST_KERNEL=build/guest-kernel/vmlinux) is installed as `make install` does that of `make guest-kernel`.
"""

import os
import re

import host
import linux

# What is said of a guest that ended in a triple fault without a word. Under two emulated processors one in some dozens does,
# of any kernel and with any VMM, most when it has two vCPUs. The command, or the test, is tried once more then.
STILLBORN = "the guest wanted to boot again; its console is empty"


OWN = "/usr/local/lib/bulkhead"


def installed():
    """The kernel that the runtime takes by itself."""
    if os.path.exists(f"{OWN}/vmlinux"):
        return f"{OWN}/vmlinux"
    return next((f"/boot/{n}" for n in sorted(os.listdir("/boot")) if n.startswith("vmlinuz-")), "/boot/vmlinuz")


def least():
    """The vm object of a config for the machine that an emulated processor boots quickest."""
    return {"kernel": {"path": installed()}, "hwConfig": {"vcpus": 1, "memory": 256 << 20}}


def is_elf(path):
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


def release(name):
    """What `uname -r` says in a guest of it."""
    path = os.path.realpath(host.guest_kernel(name))
    if not is_elf(path):
        return os.path.basename(os.path.dirname(path))
    with open(path, "rb") as f:
        return re.search(rb"Linux version (\S+) \(", f.read())[1].decode()


def install_kernel(name):
    """In this mount namespace that kernel alone is installed, below its own name. False: there is none of that name."""
    image = host.guest_kernel(name)
    if not os.path.exists(image):
        return False
    linux.mount("tmpfs", "/boot", "tmpfs")
    if os.path.exists(OWN) or is_elf(image):
        os.makedirs(OWN, exist_ok=True)
        linux.mount("tmpfs", OWN, "tmpfs")
    path = f"{OWN}/vmlinux" if is_elf(image) else f"/boot/vmlinuz-{release(name)}"
    with open(path, "wb"):
        pass
    linux.bind(image, path)
    if is_elf(image):
        return True
    modules = f"/lib/modules/{release(name)}"
    if not os.path.exists(f"{modules}/modules.dep"):
        os.makedirs(modules, exist_ok=True)
        linux.bind(f"{os.path.dirname(image)}/modules", modules)
    return True
