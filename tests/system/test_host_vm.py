# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with a distribution's kernel: tests/vm/boot starts it, tests/vm/guest is its first process.

The kernel is copied (-C), not mapped: the emulated processor takes each page fault of a guest very slowly.
"""

import os
import pathlib
import re

import host
from case import deadline, envs, eq, has, true

WALL = ("process", "the machine alone, without a container")

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BULKHEAD", TOP / "build/bulkhead")).parent
KERNEL = host.guest_kernel("stock")  # 6.12: console and file system are built in, the rest is modules
OLDER = host.guest_kernel("older")   # 6.1: everything is a module
PORT_EXITS, REGISTER_EXITS = 10, 100  # at most, in the whole life of a guest
OOPS = re.compile(r"Oops|BUG:|general protection|double fault|int3:")


def boot(t, *options, do, kernel=KERNEL):
    """Once more when the guest's kernel crashed: emulation of SVM in an emulated processor does that now and then."""
    argv = [str(BUILD / "tests/vm/boot"), "-J", "-C", "-k", kernel, "-t", "240", *options,
            str(BUILD / "tests/vm/guest"), f"do={do}"]
    env = {**os.environ, "BOOT_CACHE": t.dir("kernels")}
    result = t.call(argv, env=env, timeout=270).ok()
    if do != "panic" and OOPS.search(result.out):
        result = t.call(argv, env=env, timeout=270).ok()
    return result.out


def exits(out):
    return [int(n) for n in re.search(r"exits io (\d+) mmio (\d+)", out).groups()]


def talk(t, kernel):
    out = boot(t, "-c", "2", "-n", "2", do="talk", kernel=kernel)
    has(out, "online 2, memory ", "rng 64", "echo line", "end 1: the guest switched itself off")
    ports, registers = exits(out)
    true(ports <= PORT_EXITS and registers <= REGISTER_EXITS, f"{ports} and {registers} exits")


def files(t, kernel):
    root = pathlib.Path(t.dir("root"))
    (root / "hello").write_text("from the host", encoding="ascii")
    out = boot(t, "-r", str(root), do="fs", kernel=kernel)
    has(out, "read 13: from the host", "wrote 12", "own 1", "entries 5", "end 1: the guest switched itself off")
    eq((root / "written").read_text(encoding="ascii"), "by the guest")
    eq((root / "written").stat().st_mode & 0o7777, 0o640)
    own = (root / "users/own").stat()
    eq((own.st_uid, own.st_gid, own.st_mode & 0o7777), (1000, 7, 0o600))
    # The loop, a vCPU, KVM's own workers, and the file system's thread, which makes files for the guest's users.
    threads = re.findall(r"thread with (.*)", out)
    has(out, "capabilities 800000db")
    threads.remove("filter 1, new privileges 0, capabilities 800000db")
    eq(set(threads), {"filter 1, new privileges 0, capabilities 0"})


@envs("host")
@deadline(60)
def test_a_stock_kernel_boots_on_two_cpus_talks_and_switches_off(t):
    talk(t, KERNEL)


@envs("host")
@deadline(60)
def test_a_guest_reads_and_writes_files_of_the_host(t):
    files(t, KERNEL)


@envs("host")
@deadline(60)
def test_a_kernel_with_modules_for_everything_talks_and_switches_off(t):
    t.need("a kernel 6.1 for guests")
    talk(t, OLDER)


@envs("host")
@deadline(60)
def test_a_kernel_with_modules_for_everything_reads_and_writes_files(t):
    t.need("a kernel 6.1 for guests")
    files(t, OLDER)


@envs("host")
@deadline(60)
def test_a_panic_is_told_with_the_last_words(t):
    out = boot(t, do="panic")
    has(out, "end 3: the guest's kernel panicked", "Attempted to kill init!")
