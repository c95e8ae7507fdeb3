# SPDX-License-Identifier: Apache-2.0
"""Containers in CPU groups: started in one, moved to another, whatever happens on the way. No controller is needed."""

import contextlib
import json
import os
import re
import time

import host
import linux
from case import deadline, each, envs, eq, has, hasnt, true, wall
from load import working
from test_badmoments import calls_of, kill_at, within

WALL = "both"

ALL = ("hybrid", "unified", "host")


class Groups:
    """A base of the test's own, and the runtime told of it."""

    def __init__(self, t):
        self.t = t
        self.base = f"{t.cgroup_path}/{t.name('base')}"
        self.options = ["--cpu-group-base", self.base]

    def __call__(self, *argv, **more):
        return self.t.runtime(*argv, options=self.options, **more)

    def command(self, *argv):
        return self.t.command(*argv, options=self.options)

    def make(self, *names):
        for name in names:
            self("cpugroup", "create", name).ok()

    def path(self, *parts):
        return "/".join([host.v2_tree() + self.base, *parts])

    def move(self, c, group, *options):
        return self("cpugroup", "move", c.id, group, *options)

    def up(self, group, bundle=None, *options, verb=("run", "--detach")):
        c = self.t.container(bundle or self.t.bundle().probe("sleep", "1000"))
        c.bundle.save()
        self(*verb, "--cpu-group", group, "--bundle", c.bundle.path, *options, c.id, out=c.out_path,
             err=c.err_path).ok()
        return c

    def created(self, group, bundle=None):
        return self.up(group, bundle, verb=("create",))

    def leaf_of(self, c):
        """Where its first process is, below the base."""
        return os.path.relpath(c.cgroup, self.path())


@contextlib.contextmanager
def groups(t, *names):
    g = Groups(t)
    g.make(*names)
    try:
        yield g
    finally:
        for name in t.containers:
            g("delete", "--force", name)
        for name in sorted(next(os.walk(g.path()), (None, []))[1]):
            g("cpugroup", "delete", "--recursive", name).ok()
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(g.path())


def freeze(path, value="1"):
    with open(f"{path}/cgroup.freeze", "w", encoding="ascii") as f:
        f.write(value)


# ---- create and run

@wall("both", quick=True)
@envs(*ALL)
def test_a_container_starts_in_the_group_it_is_given(t):
    with groups(t, "gold", "gold/batch") as g:
        c = g.up("gold")
        eq(g.leaf_of(c), f"gold/{c.id}")
        eq(g("state", c.id).json["cpuGroup"], "gold")
        d = g.created("gold/batch")
        eq(g.leaf_of(d), f"gold/batch/{d.id}")
        eq({e["id"]: e.get("cpuGroup") for e in g("list", "--format", "json").json}[d.id], "gold/batch")


@envs(*ALL)
def test_the_annotation_says_the_same_as_the_option(t):
    with groups(t, "gold") as g:
        b = t.bundle().probe("sleep", "1000")
        b.config["annotations"] = {"dev.bulkhead.cpu-group": "gold"}
        c = t.container(b)
        b.save()
        g("run", "--detach", "--bundle", b.path, c.id, out=c.out_path, err=c.err_path).ok()
        eq(g.leaf_of(c), f"gold/{c.id}")
        g("create", "--cpu-group", "silver", "--bundle", b.path, t.name()).fails(
            '--cpu-group "silver"', 'dev.bulkhead.cpu-group "gold" differ')


@envs(*ALL)
def test_an_engine_that_knows_only_a_cgroups_path_makes_a_member(t):
    with groups(t, "gold") as g:
        b = t.bundle().probe("sleep", "1000")
        c = t.container(b)
        b.config["linux"]["cgroupsPath"] = f"{g.base}/gold/{c.id}"
        b.save()
        g("run", "--detach", "--bundle", b.path, c.id, out=c.out_path, err=c.err_path).ok()
        eq(g("state", c.id).json["cpuGroup"], "gold")
        g("create", "--cpu-group", "silver", "--bundle", b.path, t.name()).fails(
            '--cpu-group "silver"', f'{g.base}/gold/{c.id} (CPU group "gold") differ')
        g("create", "--cpu-group", "/", "--bundle", b.path, t.name()).fails('(CPU group "gold") differ')


@envs(*ALL)
def test_no_uncapped_group_springs_up_from_a_typo(t):
    with groups(t, "gold") as g:
        b = t.bundle().probe("sleep", "1000").save()
        says = ['no CPU group "typo"', g.base, "bulkhead cpugroup create typo"]
        g("create", "--cpu-group", "typo", "--bundle", b.path, t.name()).fails(*says)
        b.config["linux"]["cgroupsPath"] = f"{g.base}/typo/x"
        b.save()
        g("create", "--bundle", b.path, t.name()).fails(*says)
        true(not os.path.exists(g.path("typo")), "the group was made")
        eq(t.state_names(), [])


@envs(*ALL)
@each(case={"a group": ("gold", "holds no process"), "a nested group": ("gold/batch", "holds no process"),
            "the base": ("", "the base of the CPU groups"), "beside the groups": ("new", "in none of them")})
def test_a_path_that_is_no_leaf_of_a_group_is_refused(t, case):
    place, text = case
    with groups(t, "gold", "gold/batch") as g:
        b = t.bundle().probe("sleep", "1000")
        b.config["linux"]["cgroupsPath"] = f"{g.base}/{place}".rstrip("/")
        b.save()
        g("create", "--bundle", b.path, t.name()).fails(text)
        eq(t.state_names(), [])


@envs(*ALL)
def test_nothing_starts_in_a_frozen_group(t):
    with groups(t, "gold") as g:
        c = g.up("gold")
        g("cpugroup", "freeze", "gold").ok()
        b = t.bundle().probe("sleep", "1000").save()
        g("create", "--cpu-group", "gold", "--bundle", b.path, t.name()).fails('CPU group "gold" is frozen')
        eq(g("state", c.id).json["status"], "paused")
        g("exec", c.id, "/bin/true").fails("cannot exec in a paused container")
        g("resume", c.id).fails('CPU group "gold" is frozen', "cpugroup resume gold")
        g("cpugroup", "resume", "gold").ok()
        eq(c.status, "running")
        g("exec", c.id, "/bin/true").ok()


@envs(*ALL)
def test_a_member_paused_on_its_own_stays_so_when_the_group_is_thawed(t):
    with groups(t, "gold") as g:
        c, d = g.up("gold"), g.up("gold")
        g("pause", c.id).ok()
        g("cpugroup", "freeze", "gold").ok()
        g("cpugroup", "resume", "gold").ok()
        eq((c.status, d.status), ("paused", "running"))
        g("resume", c.id).ok()
        eq(c.status, "running")


@envs(*ALL)
def test_events_name_the_group(t):
    with groups(t, "gold") as g:
        c = g.up("gold")
        eq(g("events", "--stats", c.id).json["data"]["cpu_group"]["name"], "gold")
        d = t.up()
        hasnt(g("events", "--stats", d.id).ok().out, "cpu_group")
        hasnt(g("state", d.id).ok().out, "cpuGroup")


# ---- moving

TICKS = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done"


@envs(*ALL)
def test_a_running_container_goes_to_another_group_and_back(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold", t.bundle().shell(TICKS)).wait_out("tick")
        pid = c.pid
        for group in ("silver", "gold", "/", "silver"):
            g.move(c, group).ok()
            eq(c.pid, pid)
            state = g("state", c.id).json
            eq((state["status"], state.get("cpuGroup")), ("running", None if group == "/" else group))
            if group != "/":
                eq(g.leaf_of(c), f"{group}/{c.id}")
            g("exec", c.id, "/bin/true").ok()
            before = len(c.out)
            t.until(lambda: len(c.out) > before, 5, "a tick")
        # Memory of a machine that stays charged keeps an old leaf.
        true(t.wall == "vm" or c.id not in os.listdir(g.path("gold")), "an old leaf")
        ticks = [int(n) for n in re.findall(r"tick (\d+)", c.out)]
        eq(ticks, list(range(1, len(ticks) + 1)), "ticks")


@envs(*ALL)
def test_what_comes_after_a_move_finds_the_container(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold")
        g.move(c, "silver").ok()
        has(g("ps", "--format", "json", c.id).ok().out, str(c.pid))
        g("pause", c.id).ok()
        eq(c.status, "paused")
        g("resume", c.id).ok()
        eq(g("events", "--stats", c.id).json["data"]["cpu_group"]["name"], "silver")
        g("exec", c.id, "/bin/true").ok()
        g("kill", c.id, "KILL").ok()
        c.wait("stopped")
        g("delete", c.id).ok()
        true(not os.path.exists(g.path("silver", c.id)), "the leaf is left")


@envs(*ALL)
def test_events_go_along(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold")
        with open(f"{t.tmp}/events", "wb") as out:
            events = t.spawn(g.command("events", "--interval", "50ms", c.id), stdout=out)
        try:
            t.until(lambda: '"name":"gold"' in linux.read(f"{t.tmp}/events"), 10, "an event in gold")
            g.move(c, "silver").ok()
            t.until(lambda: '"name":"silver"' in linux.read(f"{t.tmp}/events"), 10, "an event in silver")
            g("kill", c.id, "KILL").ok()
            c.wait("stopped")
            eq(events.wait(20), 0)
        finally:
            events.kill()
            events.wait()


@envs(*ALL)
def test_a_move_to_the_same_group_does_nothing(t):
    with groups(t, "gold") as g:
        c = g.up("gold")
        inode = os.stat(c.cgroup).st_ino
        g.move(c, "gold").ok()
        eq(os.stat(c.cgroup).st_ino, inode)
        d = t.up()
        g.move(d, "/").ok()


@envs(*ALL)
def test_paused_and_created_containers_move_and_stay_so(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold", t.bundle().shell(TICKS)).wait_out("tick")
        g("pause", c.id).ok()
        g.move(c, "silver").ok()
        eq((c.status, g.leaf_of(c)), ("paused", f"silver/{c.id}"))
        before = len(c.out)
        time.sleep(0.1)
        eq(len(c.out), before, "output while paused")
        g("resume", c.id).ok()
        t.until(lambda: len(c.out) > before, 5, "a tick")
        d = g.created("gold")
        g.move(d, "silver").ok()
        eq(d.status, "created")
        g("start", d.id).ok()
        eq((d.status, g.leaf_of(d)), ("running", f"silver/{d.id}"))


@envs(*ALL)
def test_sub_cgroups_of_the_container_go_with_it(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold")
        os.mkdir(f"{c.cgroup}/inner")
        with open(f"{c.cgroup}/inner/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(c.pid))
        eq(g.leaf_of(c), f"gold/{c.id}/inner")
        g.move(c, "silver").ok()
        eq(g.leaf_of(c), f"silver/{c.id}/inner")
        g("exec", c.id, "/bin/true").ok()
        g("delete", "--force", c.id).ok()
        true(not os.path.exists(g.path("silver", c.id)), "the leaf is left")


@envs(*ALL)
def test_moves_that_cannot_be_are_refused_and_change_nothing(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold")
        g.move(c, "typo").fails('CPU group "typo"')
        g("cpugroup", "freeze", "silver").ok()
        g.move(c, "silver").fails('CPU group "silver" is frozen')
        g("cpugroup", "resume", "silver").ok()
        g("cpugroup", "freeze", "gold").ok()
        g.move(c, "silver").fails('CPU group "gold" is frozen')
        g("cpugroup", "resume", "gold").ok()
        eq((g.leaf_of(c), c.status), (f"gold/{c.id}", "running"))
        true(not os.path.exists(f"{t.root}/{c.id}/move.json"), "a record is left")
        t.runtime("cpugroup", "move", "nothere", "gold", options=g.options).fails("does not exist")
        g("kill", c.id, "KILL").ok()
        c.wait("stopped")
        g.move(c, "silver").fails("container not running")


@envs(*ALL)
def test_a_foreground_run_takes_the_new_leaf_away_at_its_end(t):
    with groups(t, "gold", "silver") as g:
        b = t.bundle().probe("sleep", "1000").save()
        c = t.container(b)
        with open(c.out_path, "ab") as out, open(c.err_path, "ab") as err:
            run = t.spawn(g.command("run", "--cpu-group", "gold", "--bundle", b.path, c.id), stdout=out, stderr=err)
        t.until(lambda: c.is_running, 10, "the container to run")
        g.move(c, "silver").ok()
        g("kill", c.id, "KILL").ok()
        eq(run.wait(20), 137)
        eq(t.state_names(), [])
        true(not os.path.exists(g.path("silver", c.id)), "the leaf is left")


@envs(*ALL)
@deadline(60)
def test_execs_during_moves_all_work(t):
    with groups(t, "gold", "silver") as g:
        c = g.up("gold")
        for i in range(10):
            execs = [t.spawn(g.command("exec", c.id, "/bin/true")) for _ in range(3)]
            g.move(c, "silver" if i % 2 == 0 else "gold").ok()
            eq([p.wait(30) for p in execs], [0, 0, 0])
        eq(g.leaf_of(c), f"gold/{c.id}")
        eq([n for n in os.listdir(g.path("silver")) if n == c.id], [])


@envs("host")
@deadline(150)
def test_a_leaf_kept_for_its_memory_goes_with_the_container_or_with_the_memory(t):
    t.need("controller memory")
    with groups(t, "gold", "silver", "bronze") as g:
        def charged(c, group):
            return int(linux.read(f"{g.path(group, c.id)}/memory.current", "0"))
        c = g.up("gold", working(t, "eat", 40, memory={"limit": 128 << 20})).wait_out("eaten 40", 40)
        has(g.move(c, "silver").ok().err, "stay charged")
        true(charged(c, "gold") > 30 << 20 and charged(c, "silver") < 10 << 20, "the charge moved")
        eq(len(g("cpugroup", "members", "gold", "--format", "json").json), 0)
        g("exec", c.id, "/bin/true").ok()
        g.move(c, "bronze").ok()
        true(charged(c, "gold") > 30 << 20, "the leaf of the first move is gone")
        # Back where its memory is: that leaf is the container's again.
        g.move(c, "gold").ok()
        eq(g.leaf_of(c), f"gold/{c.id}")
        g.move(c, "silver").ok()
        g("delete", "--force", c.id).ok()
        eq([x for x in ("gold", "silver", "bronze") if os.path.exists(g.path(x, c.id))], [])
        d = g.up("gold", working(t, "eat", 40, memory={"limit": 128 << 20})).wait_out("eaten 40", 40)
        g.move(d, "silver").ok()
        g("kill", d.id, "KILL").ok()
        d.wait("stopped")
        has(g("cpugroup", "repair", d.id).ok().out, "were removed")
        true(not os.path.exists(g.path("gold", d.id)), "the leaf is left after its memory is gone")
        g.up("gold").pid


@envs("host")
@deadline(60)
def test_what_a_group_cannot_give_is_refused_before_anything_is_made(t):
    t.need("controller cpuset")
    with groups(t, "gold") as g:
        g("cpugroup", "set", "gold", "--cpus", "0").ok()
        b = t.bundle().probe("sleep", "1000")
        b.linux["resources"]["cpu"] = {"cpus": "1"}
        b.save()
        g("create", "--cpu-group", "gold", "--bundle", b.path, t.name()).fails('CPU group "gold"', "1")
        eq(t.state_names(), [])
        c = t.up(b)
        g.move(c, "gold").fails('CPU group "gold"')
        true("gold" not in c.cgroup, "it was moved")
        d = g.up("gold")
        g("update", "--cpuset-cpus", "1", d.id).fails('CPU group "gold"')
        g("update", "--cpuset-cpus", "0", d.id).ok()


# ---- a mover that dies

def usable(t, g, c, when, verb):
    """The next command on the container works, whatever a dead mover left; then nothing is left of the move."""
    state = g("state", c.id)
    true(state.code == 0, f"state {when}: {state}")
    if verb == "exec":
        result = g("exec", c.id, "/bin/true")
    elif verb == "repair":
        result = g("cpugroup", "repair", c.id)
    elif verb == "kill":
        result = g("kill", c.id, "KILL")
    else:
        result = g("delete", "--force", c.id)
    true(result.code == 0, f"{verb} {when}: {result}")
    if verb in ("exec", "repair"):
        eq(c.status, "running", when)
        leaf = g.leaf_of(c)
        true(leaf in (f"gold/{c.id}", f"silver/{c.id}"), f"in {leaf} {when}")
        eq(g("state", c.id).json["cpuGroup"], leaf.split("/")[0], when)
        other = "silver" if leaf.startswith("gold") else "gold"
        # A machine has more memory than is given up for lost: the leaf that it is charged to stays until the end.
        true(t.wall == "vm" or not os.path.exists(g.path(other, c.id)), f"both leaves are there {when}")
        true(not os.path.exists(f"{t.root}/{c.id}/move.json"), f"the record is left {when}")
        g("exec", c.id, "/bin/true").ok()
    if verb == "kill":
        c.wait("stopped")
    g("delete", "--force", c.id).ok()
    for group in ("gold", "silver"):
        true(not os.path.exists(g.path(group, c.id)), f"a leaf is left in {group} {when}")


@each(verb={v: v for v in ("exec", "repair", "kill", "delete")})
@envs("hybrid", "host")
@deadline(180)
def test_a_kill_at_any_moment_of_a_move_is_repaired_by_the_next_command(t, verb):
    t.need("strace")
    with groups(t, "gold", "silver") as g:
        b = t.bundle().probe("sleep", 1000)
        sample = g.up("gold", b)
        moments = [m for m in calls_of(t, g.command("cpugroup", "move", sample.id, "silver"), False)
                   if m[0] in ("openat", "openat2", "write", "mkdirat", "rename", "renameat", "renameat2", "symlinkat",
                               "unlinkat", "flock", "fsetxattr", "rmdir", "pread64", "poll", "close")]
        usable(t, g, sample, "after the sample", verb)
        names = {}
        for name, count in within(moments, 60):
            # Reading and closing are told apart only by what they are between: every third will do.
            names[name] = names.get(name, 0) + 1
            if name in ("close", "openat", "openat2", "pread64") and names[name] % 3:
                continue
            c = g.up("gold", b)
            kill_at(t, g.command("cpugroup", "move", c.id, "silver"), name, count, False)
            usable(t, g, c, f"after a kill at {name} {count}", verb)


@envs("hybrid")
@deadline(120)
def test_a_repair_that_is_killed_is_repaired(t):
    t.need("strace")
    with groups(t, "gold", "silver") as g:
        b = t.bundle().probe("sleep", 1000)

        def half_moved():
            c = g.up("gold", b)
            # Between the two ends: the first one is over, nobody is thawed.
            kill_at(t, g.command("cpugroup", "move", c.id, "silver"), "renameat", 2, False)
            return c
        sample = half_moved()
        moments = [m for m in calls_of(t, g.command("cpugroup", "repair", sample.id), False)
                   if m[0] in ("write", "rename", "renameat", "symlinkat", "unlinkat", "flock", "fremovexattr")]
        usable(t, g, sample, "after the sample", "exec")
        for name, count in within(moments, 40):
            c = half_moved()
            kill_at(t, g.command("cpugroup", "repair", c.id), name, count, False)
            usable(t, g, c, f"after a kill of repair at {name} {count}", "exec")


@envs(*ALL)
@each(damage={"is damaged": "{", "names what is not there": None})
def test_a_record_that_cannot_be_repaired_stops_neither_exec_nor_delete(t, damage):
    with groups(t, "gold") as g:
        c = g.up("gold")
        gone = {"version": 1, "from": "nowhere/a", "to": "nowhere/b", "step": "moved", "wasFrozen": False,
                "residualLimit": 0}
        with open(f"{t.root}/{c.id}/move.json", "w", encoding="ascii") as f:
            f.write(damage or json.dumps(gone))
        has(g("exec", c.id, "/bin/true").ok().err, "cannot repair the move")
        g("cpugroup", "repair", c.id).fails("move")
        g("pause", c.id).ok()
        g("resume", c.id).ok()
        g("kill", c.id, "KILL").ok()
        c.wait("stopped")
        g("delete", c.id).ok()
        eq(t.state_names(), [])


# ---- members, signals, the end

@envs(*ALL)
def test_members_are_those_of_the_tree_with_what_is_known_of_them(t):
    with groups(t, "gold", "gold/batch") as g:
        c, d = g.up("gold"), g.up("gold/batch")
        os.mkdir(g.path("gold", "other"))
        stranger = t.spawn(["sleep", "1000"])
        try:
            with open(g.path("gold", "other", "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(stranger.pid))
            found = g("cpugroup", "members", "gold", "--deep", "--format", "json").json
            found = found.get("members", found) if isinstance(found, dict) else found
            eq(sorted((m["id"], m["group"], m["status"]) for m in found),
               sorted([(c.id, "gold", "running"), (d.id, "gold/batch", "running"), ("other", "gold", "running")]))
        finally:
            stranger.kill()
            stranger.wait()
        os.rmdir(g.path("gold", "other"))


@envs(*ALL)
def test_a_signal_goes_to_the_first_process_of_each_member(t):
    with groups(t, "gold") as g:
        b = t.bundle().shell("trap 'echo got it' USR1; echo ready; while :; do sleep 0.02; done")
        members = [g.up("gold", b).wait_out("ready") for _ in range(2)]
        g("cpugroup", "kill", "gold", "USR1").ok()
        for c in members:
            c.wait_out("got it")


@envs(*ALL)
def test_stop_asks_first_and_kills_who_does_not_heed(t):
    with groups(t, "gold") as g:
        heeds = g.up("gold", t.bundle().shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done"))
        deaf = g.up("gold", t.bundle().shell("trap '' TERM; echo ready; while :; do sleep 0.02; done"))
        paused = g.up("gold")
        g("pause", paused.id).ok()
        for c in (heeds, deaf):
            c.wait_out("ready")
        g("cpugroup", "stop", "gold", "--timeout", "500ms").ok()
        heeds.wait_out("bye")
        for c in (heeds, deaf, paused):
            c.wait("stopped")


# ---- a cgroup of its own for a nested engine

@wall("process", "the program's own leaf, or what it makes of its cgroup, is in the guest")
@envs(*ALL)
def test_a_program_can_have_a_leaf_of_its_own(t):
    b = t.bundle().probe("sleep", "1000")
    b.config["annotations"] = {"dev.bulkhead.cgroup-leaf": "init"}
    c = t.up(b)
    eq(os.path.basename(c.cgroup), "init")
    eq(linux.read(f"{os.path.dirname(c.cgroup)}/cgroup.procs"), "")
    has(c.exec("cat", "/proc/self/cgroup").ok().out, "/init\n")
    eq(len(json.loads(t.runtime("ps", "--format", "json", c.id).ok().out)), 1)
    c.pause().ok()
    eq(c.status, "paused")
    c.resume().ok()
    bad = t.bundle().probe("sleep", "1000")
    bad.config["annotations"] = {"dev.bulkhead.cgroup-leaf": "../x"}
    bad.save()
    t.runtime("create", "--bundle", bad.path, t.name()).fails("/annotations/dev.bulkhead.cgroup-leaf")
    eq(t.state_names(), [c.id])
