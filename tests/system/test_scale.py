# SPDX-License-Identifier: Apache-2.0
"""Many containers: at once, and one beside the other."""

import os
import subprocess
import time

import linux
from case import alone, deadline, envs, eq, true, wall

WALL = "both"

COUNT, AT_ONCE = 200, 50


def batches(items):
    for i in range(0, len(items), AT_ONCE):
        yield items[i:i + AT_ONCE]


def all_at_once(t, commands):
    """Starts the commands together, a batch at a time; every one has to succeed."""
    for batch in batches(commands):
        with open(f"{t.tmp}/errors", "wb") as err:
            running = [t.spawn_runtime(*c, stdout=subprocess.DEVNULL, stderr=err) for c in batch]
        codes = [p.wait(60) for p in running]
        true(not any(codes), f"{batch[0][0]}: {codes}: {linux.read(f'{t.tmp}/errors')}")


@wall("process", "two hundred boots; ten at once are in test_vm")
@alone
@envs("hybrid")
@deadline(180)
def test_two_hundred_containers_fifty_at_a_time(t):
    b = t.bundle().probe("sleep", 1000).save()
    names = [t.name() for _ in range(COUNT)]
    t.containers += names
    all_at_once(t, [("create", "--bundle", b.path, n) for n in names])
    eq(len(t.runtime("list", "-q").ok().out.split()), COUNT)
    all_at_once(t, [("start", n) for n in names])
    eq({c["status"] for c in t.runtime("list", "-f", "json").json}, {"running"})
    all_at_once(t, [("exec", n, "/bin/true") for n in names[:AT_ONCE]])
    all_at_once(t, [("kill", n, "KILL") for n in names[:AT_ONCE]])
    for name in names[:AT_ONCE]:
        t.until(lambda name=name: t.reap() or t.runtime("state", name).json["status"] == "stopped", 10, f"the end of {name}")
    all_at_once(t, [("delete", "--force", n) for n in names])
    eq(t.runtime("list", "-q").ok().out, "")
    t.reap()
    eq([n for n in os.listdir(t.cgroup_base) if t.token in n], [])


@wall("process", "two hundred boots; ten at once are in test_vm")
@alone
@envs("hybrid")
@deadline(120)
def test_the_cost_of_a_command_does_not_grow_with_its_neighbours(t):
    b = t.bundle().probe("sleep", 1000).save()

    def cost():
        c = t.container(b)
        best = None
        for _ in range(8):
            began = time.monotonic()
            t.spawn_runtime("create", "--bundle", b.path, c.id).wait()
            t.spawn_runtime("state", c.id, stdout=subprocess.DEVNULL).wait()
            t.spawn_runtime("delete", "--force", c.id).wait()
            seconds = time.monotonic() - began
            best = seconds if best is None else min(best, seconds)
        return best

    few = cost()
    names = [t.name() for _ in range(COUNT)]
    t.containers += names
    all_at_once(t, [("create", "--bundle", b.path, n) for n in names])
    many = cost()
    all_at_once(t, [("delete", "--force", n) for n in names])
    true(many < few * 3 + 0.02, f"{few * 1000:.1f} ms alone, {many * 1000:.1f} ms beside {COUNT} others")


@wall("process", "a hundred boots; ten at once are in test_vm")
@alone
@envs("hybrid")
@deadline(120)
def test_one_hundred_runs_at_once_each_pass_their_own_status(t):
    bundles = []
    for i in range(100):
        own = t.bundle(f"b{i}").probe("exit", i)
        bundles.append(own.save())
    running = [t.spawn_runtime("run", "--bundle", own.path, t.name()) for own in bundles]
    eq([p.wait(60) for p in running], list(range(100)))
