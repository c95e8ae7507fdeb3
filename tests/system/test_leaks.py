# SPDX-License-Identifier: Apache-2.0
"""What many rounds leave behind: descriptors of others, memory of waiting processes, kernel objects."""

import os
import re

import linux
from case import alone, deadline, envs, eq, facts, true, wall

WALL = "both"


@wall("process", "descriptors and memory of a machine are its own: its jail is in test_vm")
@envs("hybrid")
def test_descriptors_of_the_caller_survive_in_nobody(t):
    # CVE-2024-21626: everything an engine has open is inherited unless the runtime takes care.
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(50)] + [os.memfd_create("leak", 0)]
    for fd in fds:
        os.set_inheritable(fd, True)
    b = t.bundle().probe("sleep", 1000).save()
    c = t.container(b)
    t.runtime("run", "-d", "-b", b.path, c.id, pass_fds=tuple(fds)).ok()
    eq(sorted(os.listdir(f"/proc/{c.pid}/fd"), key=int), ["0", "1", "2"])
    created = t.container(b)
    t.runtime("create", "-b", b.path, created.id, pass_fds=tuple(fds)).ok()
    targets = [os.readlink(f"/proc/{created.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{created.pid}/fd")]
    for fd in fds:
        os.close(fd)
    true("/" not in targets and not any("leak" in x for x in targets), targets)


@envs("hybrid")
def test_hooks_inherit_no_descriptor_of_the_caller(t):
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(20)]
    for fd in fds:
        os.set_inheritable(fd, True)
    b = t.bundle().hook("poststop", "/bin/sh", args=["sh", "-c", f"ls -l /proc/self/fd >{t.tmp}/fds"]).save()
    t.runtime("run", "-b", b.path, t.name(), pass_fds=tuple(fds)).ok()
    for fd in fds:
        os.close(fd)
    links = re.findall(r"\d+ -> (.*)", linux.read(f"{t.tmp}/fds"))
    eq(links.count("/"), 0, "directories of the caller in a hook")


@wall("process", "descriptors and memory of a machine are its own: its jail is in test_vm")
@envs("hybrid")
def test_no_memory_of_the_runtime_is_left_in_the_program(t):
    c = t.up()
    maps = linux.read(f"/proc/{c.pid}/maps")
    paths = {line.split(None, 5)[5] for line in maps.splitlines() if len(line.split(None, 5)) > 5}
    eq({p for p in paths if not p.startswith("[")}, {"/bin/probe"}, "files mapped in the program")


@wall("process", "two hundred boots; ten at once are in test_vm")
@alone
@envs("hybrid")
@deadline(120)
def test_two_hundred_runs_leave_the_kernel_as_it_was(t):
    b = t.bundle().probe("exit", 0).save()

    def census():
        keys = linux.read("/proc/keys", "").count("_ses.")
        cgroups = facts(linux.read(f"{t.cgroup_base}/cgroup.stat"))
        dying = int(cgroups["nr_dying_descendants"])
        return {"mounts": linux.read("/proc/self/mountinfo").count("\n"), "cgroups": int(cgroups["nr_descendants"]),
                "dying": dying, "keys": keys}

    t.runtime("run", "-b", b.path, t.name()).ok()
    before = census()
    for _ in range(200):
        t.runtime("run", "-b", b.path, t.name()).ok()
    t.until(lambda: census()["keys"] <= before["keys"] + 20, 20, "session keyrings to be collected")
    after = census()
    eq((after["mounts"], after["cgroups"]), (before["mounts"], before["cgroups"]))
    true(after["dying"] <= before["dying"] + 100, f"{after['dying']} dying cgroups")
    eq(t.state_names(), [])


@envs("hybrid")
@deadline(60)
def test_a_hundred_execs_leave_the_container_as_it_was(t):
    c = t.up()
    fds = len(os.listdir(f"/proc/{c.pid}/fd"))
    mounts = linux.read(f"/proc/{c.pid}/mountinfo")
    state = sorted(os.listdir(f"{t.root}/{c.id}"))
    for _ in range(100):
        c.exec("/bin/true").ok()
    now = len(os.listdir(f"/proc/{c.pid}/fd"))
    # A machine keeps the few files open that its guest has looked up since.
    true(now == fds or t.wall == "vm" and now <= fds + 10, f"{now} descriptors, and {fds} before")
    eq(linux.read(f"/proc/{c.pid}/mountinfo"), mounts)
    eq(sorted(os.listdir(f"{t.root}/{c.id}")), state)
    eq(c.pids(), [c.pid])


@envs("hybrid")
@deadline(60)
def test_failed_creates_leave_nothing_either(t):
    b = t.bundle().args("nosuchprogram").save()
    for _ in range(50):
        t.runtime("create", "-b", b.path, t.name()).fails("executable file not found")
    eq(t.state_names(), [])
    eq([n for n in os.listdir(t.cgroup_base) if t.token in n], [])
    t.reap()
    eq([linux.describe(p) for p, s in linux.children().items() if s not in "ZX"], [])
