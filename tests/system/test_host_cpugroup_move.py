# SPDX-License-Identifier: Apache-2.0
"""Containers that are moved between CPU groups while they work: nobody is lost, mixed, or without limits at any moment."""

import os
import random
import signal
import threading
import time

import linux
from case import alone, deadline, envs, eq, true, wall
from load import Usage, cgroup_of, cpus, groups, near, number, pids_below, populated, working, write

WALL = "both"

CAP, OWN = 0.3, 0.2  # of a group, of the container itself, in CPUs
PERIOD = 20000


def crowd(t, sleepers=20, **resources):
    """A container with work, forks, and processes that must all be there in the end."""
    b = working(t, **resources)
    return b.args("/bin/sh", "-c", f"/bin/load children {sleepers} & /bin/load churn 2 & /bin/load spin 2 & "
                                   "while :; do echo tick; sleep 0.2; done")


def settled(t, c, sleepers=20):
    c.wait_out(f"children {sleepers}", 30).wait_out("spinning", 30)
    return lasting(c.pid)


def lasting(pid):
    """The processes of the container that do not come and go: the sleepers, whose parent is `load children`."""
    found = set()
    for child in pids_below(cgroup_of(pid)):
        if linux.read(f"/proc/{child}/cmdline", "").startswith("/bin/load\0children\0"):
            found.add(child)
    return found


class Sampler(threading.Thread):
    """Looks, as often as it can, where the container is and which limit holds there."""

    def __init__(self, pid, quota):
        super().__init__(daemon=True)
        self.pid, self.wanted = pid, quota
        self.samples, self.wrong, self.places, self.stop = 0, [], set(), threading.Event()

    def run(self):
        while not self.stop.wait(0.001):
            place = cgroup_of(self.pid)
            got = linux.read(f"{place}/cpu.max", "")
            # Between the two looks it may have been moved on, and the place removed.
            if got and cgroup_of(self.pid) == place:
                self.samples += 1
                self.places.add(place)
                if got.strip() != self.wanted:
                    self.wrong.append(f"{place}: {got.strip()}")

    def end(self):
        self.stop.set()
        self.join()


def is_whole(t, c, everybody, groups_of, quota=None):
    """All processes are in one leaf of one of the groups, running, with their limit, and nothing else is left."""
    place = cgroup_of(c.pid)
    for pid in everybody:
        eq(cgroup_of(pid), place, f"the cgroup of process {pid}")
    # Where memory stays charged an empty leaf may stay, too.
    leaves = [f"{d}/{c.id}" for d in groups_of if os.path.exists(f"{d}/{c.id}") and populated(f"{d}/{c.id}")]
    eq(leaves, [place], "leaves of the container that hold processes")
    if quota:
        eq(linux.read(f"{place}/cpu.max").strip(), quota)
    eq(number(f"{place}/cgroup.events", "frozen"), 0)
    eq(c.status, "running")
    true(not os.path.exists(f"{t.root}/{c.id}/move.json"), "the record of a move is left")
    return place


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@alone
@deadline(60)
def test_many_moves_under_load_lose_nobody_and_no_limit(t):
    with groups(t) as g:
        # With short periods nobody has long to wait until he may run again, and be frozen.
        places = [g.create(name, "--cap", f"{int(CAP * PERIOD)}/{PERIOD}") for name in "ab"]
        c = g.up("a", crowd(t, cpu={"quota": int(OWN * PERIOD), "period": PERIOD}))
        everybody = settled(t, c)
        eq(len(everybody), 21)
        sampler = Sampler(c.pid, f"{int(OWN * PERIOD)} {PERIOD}")
        sampler.start()
        usage = Usage(*places)
        began = time.monotonic()
        moves, took = 0, 0
        while moves < 20 or (moves < 200 and took < 40):
            for name in "ba":
                g("move", c.id, name).ok()
            moves, took = moves + 2, time.monotonic() - began
        used = usage.cpus()
        sampler.end()
        eq(sampler.wrong[:3], [], "limits seen on the way")
        true(sampler.samples > moves and len(sampler.places) == 2, f"{sampler.samples} looks at {sampler.places}")
        for cpu in used:
            true(cpu <= CAP * 1.05, f"a group with a cap of {CAP} used {used}")
        eq(lasting(c.pid), everybody)
        is_whole(t, c, everybody, places, sampler.wanted)
        before = len(c.out)
        t.until(lambda: len(c.out) > before, 10, "a sign of life")
        print(f"{moves} moves of {len(everybody) + 8} processes in {took:.1f} s, {sampler.samples} looks, used {used}")


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@alone
@deadline(60)
def test_a_container_without_limits_of_its_own_is_never_beyond_those_of_the_groups(t):
    with groups(t) as g:
        places = [g.create(name, "--cap", "2000/20000") for name in "ab"]
        c = g.up("a", crowd(t))
        everybody = settled(t, c)
        usage = Usage(*places, g.top)
        for n in range(60):
            g("move", c.id, "ba"[n % 2]).ok()
        one, two, whole = usage.cpus()
        true(max(one, two) <= 0.1 * 1.05, f"a cap of 0.1 and a use of {one:.3f}, {two:.3f}")
        true(whole <= (one + two) * 1.01 + 0.002, f"{whole:.3f} in all, {one + two:.3f} in the two groups")
        is_whole(t, c, everybody, places)


@wall("process", "shares are measured with processes; of a virtual machine test_vm measures one")
@envs("host")
@alone
@deadline(60)
def test_after_a_move_the_cap_of_the_new_group_holds(t):
    with groups(t) as g:
        slow, fast = g.create("slow", "--cap", "0.2"), g.create("fast", "--cap", "0.6")
        c = g.up("slow", working(t, "spin", 4)).wait_out("spinning")
        for group, other, cap in ((fast, slow, 0.6), (slow, fast, 0.2)):
            g("move", c.id, os.path.basename(group)).ok()
            eq(c.state()["cpuGroup"], os.path.basename(group))
            for left in (2, 1, 0):
                used, before = cpus(5, group, other)
                wrong = near(group, used, cap, 0.05)
                if not wrong:
                    break
                true(left, wrong)
            eq(before, 0.0, "what is used where nobody is")


@envs("host")
@deadline(60)
def test_a_paused_container_is_moved_paused_and_a_created_one_created(t):
    with groups(t) as g:
        a, b = g.create("a"), g.create("b")
        paused = g.up("a", working(t, "churn", 2)).wait_out("churning")
        paused.pause().ok()
        g("move", paused.id, "b").ok()
        eq(paused.status, "paused")
        true(paused.pids() and not populated(a), "it is not there, or not gone")
        paused.resume().ok()
        created = t.container(t.bundle().probe("sleep", 1000))
        created.create("--cpu-group", "a").ok()
        g("move", created.id, "b").ok()
        eq(created.status, "created")
        created.start().ok()
        eq(created.status, "running")
        eq(cgroup_of(created.pid), f"{b}/{created.id}")


@envs("host")
@deadline(60)
def test_sub_cgroups_and_their_limits_move_along(t):
    with groups(t, "cpu", "cpuset", "memory", "pids") as g:
        g.create("a")
        b = g.create("b")
        c = g.up("a", t.bundle().probe("sleep", 1000))
        init = c.pid
        old = c.cgroup
        for name in ("init", "inner"):
            os.mkdir(f"{old}/{name}")
        write(f"{old}/init/cgroup.procs", str(init))
        write(f"{old}/cgroup.subtree_control", "+cpu +pids")
        write(f"{old}/inner/cpu.max", "12000 100000")
        write(f"{old}/inner/pids.max", "17")
        inner = c.exec("/bin/sh", "-c", "sleep 1000 & echo $!; sleep 1000", options=["--detach", "--cgroup", "inner"])
        if inner.code:
            inner = None
        g("move", c.id, "b").ok()
        new = f"{b}/{c.id}"
        eq(cgroup_of(init), f"{new}/init")
        eq(linux.read(f"{new}/inner/cpu.max").strip(), "12000 100000")
        eq(linux.read(f"{new}/inner/pids.max").strip(), "17")
        true(t.wall == "vm" or not os.path.exists(old), "the old place is left")  # a machine's memory stays charged there
        if inner:
            true(len(pids_below(f"{new}/inner")) >= 1, "the process of the inner cgroup is elsewhere")
        # Whatever comes later comes to the new place.
        c.exec("/bin/true").ok()
        c.pause().ok()
        c.resume().ok()
        c.delete("--force").ok()
        eq(os.listdir(b).count(c.id), 0)


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@alone
@deadline(90)
def test_a_move_that_is_killed_at_any_moment_is_repaired(t):
    with groups(t) as g:
        places = [g.create(name, "--cap", "10000/20000") for name in "ab"]
        c = g.up("a", crowd(t, cpu={"quota": 5000, "period": 20000}))
        everybody = settled(t, c)
        dice = random.Random(4)
        outcomes = {"a": 0, "b": 0}
        cut, window = 0, 0.5
        for _ in range(30):
            here = os.path.basename(os.path.dirname(cgroup_of(c.pid)))
            mover = t.spawn_runtime("cpugroup", "move", c.id, "b" if here == "a" else "a")
            time.sleep(dice.uniform(0, window))
            mover.send_signal(signal.SIGKILL)
            was_cut = mover.wait() == -signal.SIGKILL
            cut += was_cut
            # As long as a move takes, however busy the machine is.
            window *= 1.1 if was_cut else 0.8
            g("repair", c.id).ok()
            place = is_whole(t, c, everybody, places, "5000 20000")
            outcomes[os.path.basename(os.path.dirname(place))] += 1
        true(cut >= 10, f"only {cut} of 30 moves were caught on the way")
        before = len(c.out)
        t.until(lambda: len(c.out) > before, 10, "a sign of life")
        print(f"{cut} of 30 cut short; then in {outcomes}")


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@deadline(90)
def test_the_next_command_finishes_what_a_killed_move_began(t):
    with groups(t) as g:
        places = [g.create("a"), g.create("b")]
        c = g.up("a", crowd(t))
        everybody = settled(t, c)
        dice = random.Random(5)
        for _ in range(12):
            here = os.path.basename(os.path.dirname(cgroup_of(c.pid)))
            mover = t.spawn_runtime("cpugroup", "move", c.id, "b" if here == "a" else "a")
            time.sleep(dice.uniform(0, 0.3))
            mover.send_signal(signal.SIGKILL)
            mover.wait()
            # pause takes the container's lock, and with it the record that is found there.
            c.pause().ok()
            c.resume().ok()
            is_whole(t, c, everybody, places)


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@deadline(60)
def test_of_two_moves_at_once_both_end_and_the_container_is_whole(t):
    with groups(t) as g:
        places = [g.create(name) for name in ("a", "b", "c")]
        c = g.up("a", crowd(t))
        everybody = settled(t, c)
        for _ in range(8):
            movers = [t.spawn_runtime("cpugroup", "move", c.id, name, stderr=open(f"{t.tmp}/err-{name}", "wb"))
                      for name in ("b", "c")]
            codes = [m.wait(120) for m in movers]
            said = [linux.read(f"{t.tmp}/err-{name}") for name in ("b", "c")]
            eq(codes, [0, 0], f"the two moves, which said {said}")
            place = is_whole(t, c, everybody, places)
            true(os.path.dirname(place) in places[1:], f"it is in {place}")
            g("move", c.id, "a").ok()


@wall("process", "looks at the container's processes in the host's /proc")
@envs("host")
@deadline(60)
def test_exec_and_move_do_not_meet(t):
    with groups(t) as g:
        places = [g.create("a"), g.create("b")]
        c = g.up("a", crowd(t))
        everybody = settled(t, c)
        for n in range(10):
            execs = [t.spawn_runtime("exec", c.id, "/bin/sh", "-c", "sleep 0.2; exit 42") for _ in range(3)]
            g("move", c.id, "ba"[n % 2]).ok()
            t.until(lambda e=execs: all(x.poll() is not None for x in e), 30, "the programs to end")
            eq([x.returncode for x in execs], [42] * 3, "the programs that were started meanwhile")
        is_whole(t, c, everybody, places)


@envs("host")
@deadline(60)
def test_moving_to_where_it_is_changes_nothing(t):
    with groups(t) as g:
        a = g.create("a")
        c = g.up("a", t.bundle().probe("sleep", 1000))
        inode = os.stat(f"{a}/{c.id}").st_ino
        g("move", c.id, "a").ok()
        eq(os.stat(f"{a}/{c.id}").st_ino, inode)
        g("move", c.id, "nosuch").fails("nosuch")
        eq(os.stat(f"{a}/{c.id}").st_ino, inode)
        g("move", "nobody", "a").fails("does not exist")


@envs("host")
@deadline(60)
def test_a_container_leaves_the_groups_and_comes_back(t):
    with groups(t) as g:
        a = g.create("a", "--cap", "0.3")
        c = g.up("a", working(t, "spin", 2)).wait_out("spinning")
        g("move", c.id, "/").ok()
        true(not c.cgroup.startswith(f"{a}/"), "it is there still")
        true("cpuGroup" not in c.state(), "it is in no group and says so")
        g("move", c.id, "a").ok()
        eq(c.cgroup, f"{a}/{c.id}")


@envs("host")
@deadline(60)
def test_memory_stays_charged_where_it_was_and_that_is_said(t):
    with groups(t, "cpu", "memory") as g:
        a, b = g.create("a"), g.create("b")
        c = g.up("a", working(t, "eat", 40, memory={"limit": 100 << 20})).wait_out("eaten 40", 30)
        g("move", c.id, "b", "--require-clean=1048576").fails("memory")
        eq(cgroup_of(c.pid), f"{a}/{c.id}")
        moved = g("move", c.id, "b", "--format", "json").json
        eq(cgroup_of(c.pid), f"{b}/{c.id}")
        true(number(f"{a}/memory.current") > 35 << 20, "the charge went along: this kernel can do what others cannot")
        true("40" in str(moved) or any(isinstance(v, int) and v > 35 << 20 for v in moved.values()), f"not said: {moved}")
        c.delete("--force").ok()
        t.until(lambda: t.reap() or not os.path.exists(f"{a}/{c.id}"), 10, "what stayed behind to go")


@envs("host")
@deadline(60)
def test_the_device_program_moves_along(t):
    with groups(t) as g:
        g.create("a")
        g.create("b")
        b = t.bundle().all_caps().probe("sleep", 1000)
        b.linux["resources"]["devices"] = [{"allow": False, "access": "rwm"},
                                           {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "r"}]
        c = g.up("a", b)
        ask = lambda: c.exec("/bin/probe", "mknod", "/tmp/x", "b", "60", "1").out + \
            c.exec("/bin/probe", "open", "/dev/null", "rdwr").out
        before = ask()
        g("move", c.id, "b").ok()
        eq(ask(), before)
