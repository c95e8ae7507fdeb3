# SPDX-License-Identifier: Apache-2.0
"""The few system calls the harness needs and Python 3.11 does not have."""

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWTIME = 0x00000080

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def _check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags):
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def mount(source, target, fstype=None, flags=0, data=None):
    def encode(text):
        return None if text is None else os.fsencode(text)
    _check(_libc.mount(encode(source), encode(target), encode(fstype), ctypes.c_ulong(flags),
                       encode(data)), f"mount {source} on {target}")


def bind(source, target):
    mount(source, target, None, MS_BIND)


def umount(target, flags=MNT_DETACH):
    _check(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def prctl(option, argument):
    _check(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0), f"prctl {option}")


def private_mounts():
    """A mount namespace of our own, from which nothing travels back to the host."""
    unshare(CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)


def winsize(rows, columns):
    return struct.pack("HHHH", rows, columns, 0, 0)


def read(path, otherwise=None):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        if otherwise is None:
            raise
        return otherwise


def start_time(pid):
    """Field 22 of /proc/PID/stat: tells a pid from its reuse. None when it is gone."""
    text = read(f"/proc/{pid}/stat", "")
    return int(text.rpartition(")")[2].split()[19]) if text else None


def children():
    """Live children of this process and zombies, as {pid: state}."""
    found = {}
    me = os.getpid()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        text = read(f"/proc/{name}/stat", "")
        fields = text.rpartition(")")[2].split()
        if len(fields) > 1 and int(fields[1]) == me:
            found[int(name)] = fields[0]
    return found


def describe(pid):
    command = read(f"/proc/{pid}/cmdline", "").replace("\0", " ").strip()
    return f"{pid} ({command or read(f'/proc/{pid}/comm', '?').strip()})"
