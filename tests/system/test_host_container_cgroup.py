# SPDX-License-Identifier: Apache-2.0
"""The container's own cgroup where controllers are: what an OOM kill leaves to be read, and engines inside that manage it."""

import os

import linux
from case import deadline, envs, eq, has, hasnt, true, wall
from load import working

WALL = "both"

MIB = 1 << 20
WHERE = {"process": "of cgroup ", "vm": "in its virtual machine"}


def managing(t, script, namespace=None):
    """A bundle whose program may write its cgroup tree."""
    b = t.bundle().all_caps()
    if namespace:
        b.user_namespace()
    for mount in b.config["mounts"]:
        if mount["destination"] == "/sys/fs/cgroup":
            mount["options"].remove("ro")
    b.linux["resources"]["memory"] = {"limit": 256 * MIB}
    return b.shell(script + "; echo done $?; exec sleep 1000")


# ---- what memory ended

@envs("host")
@deadline(60)
def test_what_memory_ended_is_kept_with_a_container_that_is_kept(t):
    t.need("controller memory")
    c = t.container(working(t, "eat", 64, memory={"limit": 16 * MIB}))
    c.bundle.save()
    result = t.runtime("run", "--keep", "--bundle", c.bundle.path, c.id, timeout=40).exits(137)
    has(result.err, f'container \\"{c.id}\\" was killed: out of memory: limit 16 MiB {WHERE[t.wall]}', ", 1 process killed")
    oom = c.state()["oom"]
    eq((oom["kills"], oom["limit"]), (1, 16 * MIB))
    true(oom["guest"] if t.wall == "vm" else oom["cgroup"].endswith(c.id), oom)
    true(os.path.exists(f"{t.root}/{c.id}/exit.json"), "nothing is kept")
    hasnt(c.delete().ok().err, "killed")


@wall("both", quick=True)
@envs("host")
@deadline(60)
def test_what_memory_ended_is_told_by_state_and_delete_of_a_detached_container(t):
    t.need("controller memory")
    c = t.up(working(t, "eat", 64, memory={"limit": 16 * MIB})).wait("stopped", 30)
    eq(c.state()["oom"]["limit"], 16 * MIB)
    has(c.delete().ok().err, f'in container \\"{c.id}\\"', f"out of memory: limit 16 MiB {WHERE[t.wall]}")


@envs("host")
@deadline(60)
def test_a_container_that_ended_otherwise_has_nothing_of_the_kind(t):
    t.need("controller memory")
    c = t.up(t.bundle().probe("exit", 3)).wait("stopped")
    hasnt(c.state(), "oom")
    eq(c.delete().ok().err, "")
    killed = t.up()
    killed.kill("KILL").ok()
    hasnt(killed.wait("stopped").state(), "oom")


@wall("process", "the limit holds for the program in the guest, not for what makes the container")
@envs("host")
@deadline(60)
def test_a_limit_that_is_too_low_to_start_with_is_named(t):
    t.need("controller memory")
    b = t.bundle().probe("sleep", 1000)
    b.linux["resources"]["memory"] = {"limit": 64 << 10, "swap": 64 << 10}
    b.save()
    t.runtime("create", "--bundle", b.path, t.name(), timeout=40).fails("container init was OOM-killed (memory limit too low?)")
    eq(t.state_names(), [])


# ---- who manages his own cgroup

@wall("process", "the program's own leaf, or what it makes of its cgroup, is in the guest")
@envs("host")
@deadline(60)
def test_exec_follows_a_program_that_left_the_root_of_its_cgroup(t):
    t.need("controller memory")
    c = t.up(managing(t, "mkdir /sys/fs/cgroup/me && echo 0 >/sys/fs/cgroup/me/cgroup.procs && "
                         "echo +memory >/sys/fs/cgroup/cgroup.subtree_control")).wait_out("done 0", 20)
    has(c.exec("cat", "/proc/self/cgroup").ok().out, "0::/me\n")
    eq(linux.read(f"{os.path.dirname(c.cgroup)}/memory.max").strip(), str(256 * MIB))


@envs("host")
@deadline(60)
def test_without_a_leaf_of_its_own_a_program_cannot_hand_controllers_down(t):
    t.need("controller memory")
    c = t.up(managing(t, "echo +memory >/sys/fs/cgroup/cgroup.subtree_control")).wait_out("done", 20)
    hasnt(c.out, "done 0")


@wall("process", "the program's own leaf, or what it makes of its cgroup, is in the guest")
@envs("host")
@deadline(60)
def test_with_a_leaf_of_its_own_a_program_hands_controllers_down_at_once(t):
    t.need("controller memory")
    for namespace in (None, "user"):
        b = managing(t, "cat /proc/self/cgroup; echo +memory >/sys/fs/cgroup/cgroup.subtree_control && "
                        "mkdir /sys/fs/cgroup/inner && echo 1048576 >/sys/fs/cgroup/inner/memory.max", namespace)
        b.config["annotations"] = {"dev.bulkhead.cgroup-leaf": "init"}
        c = t.up(b).wait_out("done", 20)
        has(c.out, "0::/init\n", "done 0")
        outer = os.path.dirname(c.cgroup)
        eq(linux.read(f"{outer}/memory.max").strip(), str(256 * MIB))
        eq(linux.read(f"{outer}/inner/memory.max").strip(), "1048576")
        has(c.exec("cat", "/proc/self/cgroup").ok().out, "0::/init\n")
        eq(os.stat(c.cgroup).st_uid, 100000 if namespace else 0)
        eq(os.stat(f"{outer}/memory.max").st_uid, 0)
        c.delete("--force").ok()
        true(not os.path.exists(outer), "the cgroup is left")
