# SPDX-License-Identifier: Apache-2.0
"""CPU groups as a whole: frozen, killed, stopped, waited for; partitions, admission, declarations."""

import json
import os
import time

import linux
from case import alone, deadline, each, envs, eq, has, true, wall
from load import Groups, cpus, groups, number, pids_below, populated, two_cpus, working, write

WALL = "both"


def kind_of(result):
    """The kind of error in the JSON answer of a subcommand that failed."""
    result.exits(1)
    return json.loads(result.out)["error"]["kind"]


# -- freeze, kill, wait, stop

@envs("host")
@alone
@deadline(30)
def test_a_frozen_group_stands_still_and_goes_on(t):
    with groups(t) as g:
        gold = g.create("gold")
        a = g.up("gold", working(t, "spin")).wait_out("spinning")
        b = g.up("gold", working(t, "churn", 2)).wait_out("churning")
        b.pause().ok()
        g("freeze", "gold").ok()
        eq(number(f"{gold}/cgroup.events", "frozen"), 1)
        eq([a.status, b.status], ["paused", "paused"])
        eq(cpus(1, gold)[0], 0.0, "CPU time of a frozen group")
        a.resume().fails("gold")
        g("resume", "gold").ok()
        eq([a.status, b.status], ["running", "paused"], "who was paused before stays it")
        true(cpus(1, a.cgroup)[0] > 0, "nothing runs after the resume")
        b.resume().ok()
        eq(b.status, "running")


@envs("host")
@deadline(30)
def test_a_group_with_nested_groups_is_frozen_as_one(t):
    with groups(t) as g:
        gold, inner = g.create("gold"), g.create("gold/inner")
        c = g.up("gold/inner", working(t, "spin", 2)).wait_out("spinning")
        g("freeze", "gold").ok()
        eq(number(f"{inner}/cgroup.events", "frozen"), 1)
        eq(c.status, "paused")
        g("resume", "gold/inner").fails("gold")
        g("resume", "gold").ok()
        eq(c.status, "running")
        true(cpus(1, gold)[0] > 0, "nothing runs")


@wall("process", "processes of a guest are not the group's")
@envs("host")
@deadline(60)
def test_a_fork_bomb_is_killed_with_its_group(t):
    with groups(t, "cpu", "pids") as g:
        gold = g.create("gold", "--pids-limit", "150", "--cap", "0.5")
        c = g.up("gold", working(t, "bomb"))
        t.until(lambda: t.reap() or number(f"{gold}/pids.current") > 100, 30, "the bomb to go off")
        g("kill", "gold", timeout=60).ok()
        g("wait", "gold", "--timeout", "30s", timeout=60).ok()
        true(not populated(gold), "somebody survived")
        c.wait("stopped", 30)
        c.delete().ok()
        g("delete", "gold").ok()
        true(not os.path.exists(gold), "the group is left")


@envs("host")
@deadline(30)
def test_a_frozen_group_can_be_killed(t):
    with groups(t) as g:
        gold = g.create("gold")
        c = g.up("gold", working(t, "churn", 3)).wait_out("churning")
        g("freeze", "gold").ok()
        g("kill", "gold").ok()
        t.until(lambda: t.reap() or not populated(gold), 20, "everybody to be gone")
        c.wait("stopped")


@envs("host")
@deadline(30)
def test_wait_ends_with_the_last_of_the_group(t):
    with groups(t) as g:
        g.create("gold")
        one = g.up("gold", t.bundle().probe("sleep", 1000))
        two = g.up("gold", t.bundle().probe("sleep", 1000))
        result = g("wait", "gold", "--timeout", "500ms", "--format", "json", timeout=30)
        eq(kind_of(result), "timeout")
        waiter = t.spawn_runtime("cpugroup", "wait", "gold", "--timeout", "60s")
        try:
            one.kill("KILL").ok()
            time.sleep(0.5)
            eq(waiter.poll(), None, "it ended while somebody lives")
            two.kill("KILL").ok()
            t.until(lambda: t.reap() or waiter.poll() is not None, 20, "the end of the wait")
            eq(waiter.returncode, 0)
        finally:
            waiter.kill()
            waiter.wait()


@envs("host")
@deadline(30)
def test_stop_asks_first_and_then_kills(t):
    with groups(t) as g:
        g.create("gold")
        kind = g.up("gold", t.bundle().shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
        kind.wait_out("ready")
        deaf = g.up("gold", working(t, "spin")).wait_out("spinning")
        g("stop", "gold", "--timeout", "4s", timeout=60).ok()
        has(kind.out, "bye")
        kind.wait("stopped")
        deaf.wait("stopped")
        true(not populated(g.dir("gold")), "somebody survived")


@envs("host")
def test_a_group_with_members_is_not_deleted_by_mistake(t):
    with groups(t) as g:
        gold = g.create("gold")
        c = g.up("gold", t.bundle().probe("sleep", 1000))
        result = g("delete", "gold").fails(c.id)
        eq(kind_of(g("delete", "gold", "--format", "json")), "not-empty")
        eq(c.status, "running")
        g("delete", "gold", "--kill").ok()
        t.until(lambda: t.reap() or not os.path.exists(gold), 10, "the group to go")
        return result


@envs("host")
def test_a_directory_somebody_else_made_is_left_alone(t):
    with groups(t) as g:
        g.create("gold")
        os.mkdir(g.dir("foreign"))
        g("delete", "foreign").fails("foreign")
        g("set", "foreign", "--cap", "0.5").fails()
        true(os.path.isdir(g.dir("foreign")), "it is gone")
        g("adopt", "foreign").ok()
        g("set", "foreign", "--cap", "0.5").ok()
        eq(linux.read(f"{g.dir('foreign')}/cpu.max").strip(), "50000 100000")
        eq(g.show("foreign")["adopted"], True)


# -- CPUs of one's own

@envs("host")
@alone
@deadline(30)
def test_an_isolated_group_has_its_cpu_to_itself(t):
    two_cpus(t)
    with groups(t) as g:
        own = g.create("own", "--cpus", "1", "--exclusive", "isolated")
        eq(linux.read(f"{own}/cpuset.cpus.partition").strip(), "isolated")
        eq(linux.read(f"{own}/cpuset.cpus.effective").strip(), "1")
        c = g.up("own", working(t, "spin")).wait_out("spinning")
        has(linux.read(f"/proc/{c.pid}/status"), "Cpus_allowed_list:\t1\n")
        # Nobody else gets it: not by asking for it, and not by asking for nothing.
        g("create", "late", "--cpus", "1").fails("1")
        true(not os.path.exists(g.dir("late")), "the group that could not be is there")
        other = g.create("other")
        eq(linux.read(f"{other}/cpuset.cpus.effective").strip(), "0")
        eq(linux.read(f"{own}/cpuset.cpus.partition").strip(), "isolated")
        shown = t.runtime("cpugroup", "topology", "--format", "json").json["logicalProcessors"]
        eq({p["lpIndex"]: p["group"] for p in shown}[1], "own")


@envs("host")
@alone
@deadline(30)
def test_two_groups_cannot_both_own_a_cpu(t):
    two_cpus(t)
    with groups(t) as g:
        own = g.create("own", "--cpus", "1", "--exclusive", "isolated")
        result = g("create", "thief", "--cpus", "1", "--exclusive", "isolated", "--format", "json")
        true(kind_of(result) in ("conflict", "invalid-value"), f"kind: {result}")
        true(not os.path.exists(g.dir("thief")), "the group that could not be is there")
        eq(linux.read(f"{own}/cpuset.cpus.partition").strip(), "isolated")
        # When the owner lets go, another may have it.
        g("set", "own", "--exclusive", "none").ok()
        g("delete", "own").ok()
        thief = g.create("thief", "--cpus", "1", "--exclusive", "root")
        eq(linux.read(f"{thief}/cpuset.cpus.partition").strip(), "root")


@envs("host")
@alone
def test_all_cpus_cannot_be_taken_from_those_who_run_on_them(t):
    two_cpus(t)
    with groups(t) as g:
        g("create", "greedy", "--cpus", "0-1", "--exclusive", "isolated").fails("invalid")
        true(not os.path.exists(g.dir("greedy")), "the group that could not be is there")


@envs("host")
@alone
def test_a_member_cannot_ask_for_cpus_the_group_lacks(t):
    two_cpus(t)
    with groups(t) as g:
        g.create("gold", "--cpus", "0")
        b = t.bundle().probe("sleep", 1000)
        b.linux["resources"]["cpu"] = {"cpus": "1"}
        c = t.container(b)
        c.create("--cpu-group", "gold").fails("gold")
        eq(t.state_names(), [])
        eq(os.listdir(g.dir("gold")).count(c.id), 0)


# -- reservations

@envs("host")
@alone
def test_more_than_there_is_cannot_be_promised(t):
    two_cpus(t)
    with groups(t) as g:
        g.create("pool", "--cap", "1.5")
        g.create("pool/a", "--reserve", "1")
        verdict = g("create", "pool/b", "--reserve", "0.25", "--check").json
        eq(verdict["admitted"], True)
        true(not os.path.exists(g.dir("pool/b")), "a check made it")
        result = g("create", "pool/b", "--reserve", "1", "--format", "json")
        eq(kind_of(result), "admission")
        has(result.out, "1.5", "1")
        true(not os.path.exists(g.dir("pool/b")), "the group that could not be is there")
        g.create("pool/b", "--reserve", "0.5")
        # A reservation that is given back can be promised again.
        g("delete", "pool/a").ok()
        g("set", "pool/b", "--reserve", "1.5").ok()
        g("set", "pool/b", "--reserve", "1.6").fails("1.6")
        eq(g.show("pool/b")["policy"]["reserve"], "1.5")


@envs("host")
def test_a_member_that_asks_for_more_than_is_reserved_is_refused_with_the_numbers(t):
    with groups(t) as g:
        g.create("gold", "--reserve", "0.5")
        first = t.bundle().probe("sleep", 1000)
        first.linux["resources"]["cpu"] = {"quota": 30000, "period": 100000}
        g.up("gold", first)
        second = t.bundle().probe("sleep", 1000)
        second.linux["resources"]["cpu"] = {"quota": 40000, "period": 100000}
        c = t.container(second)
        c.create("--cpu-group", "gold").fails("gold", "0.5", "0.3", "0.4")
        eq(len(t.state_names()), 1)
        second.linux["resources"]["cpu"]["quota"] = 20000
        c.create("--cpu-group", "gold").ok()
        # An update counts as an admission, and leaves the old limit when refused.
        t.runtime("update", "--cpu-quota", "30000", c.id).fails("gold")
        eq(linux.read(f"{c.cgroup}/cpu.max").strip(), "20000 100000")


@envs("host")
def test_a_cap_above_that_of_the_parent_is_refused(t):
    with groups(t) as g:
        g.create("small", "--cap", "0.5")
        g("create", "small/large", "--cap", "1").fails("0.5")
        g.create("small/right", "--cap", "0.5")
        g("create", "wrong", "--cap", "0.001/100000").fails("cap")


@each(case={
    "cap": ["--cap", "banana"], "quota": ["--cap", "10/100000"], "period": ["--cap", "5000/2000000"],
    "weight": ["--weight", "0"], "weight and nice": ["--weight", "10", "--nice", "3"], "cpus": ["--cpus", "4095"],
    "burst without cap": ["--cap", "0.5", "--burst", "9999999"], "mems": ["--mems", "60"],
})
@envs("host")
def test_a_policy_that_cannot_be_makes_no_group(t, case):
    with groups(t) as g:
        g.create("there")
        g("create", "bad", *case).fails()
        true(not os.path.exists(g.dir("bad")), "the group that could not be is there")
        eq(g("list", "--quiet").ok().out.split(), ["there"])


# -- declarations

@envs("host")
@alone
@deadline(30)
def test_what_is_exported_can_be_applied_to_nothing(t):
    with groups(t, "cpu", "cpuset", "memory", "pids") as g:
        g.create("gold", "--cpus", "0", "--cap", "50%", "--burst", "5000", "--weight", "300", "--memory", str(256 << 20))
        g.create("gold/batch", "--idle", "--pids-limit", "77")
        g.create("silver", "--cap", "0.3", "--reserve", "0.2", "--nice", "5")
        document = g("export").ok().out
        eq([e["name"] for e in json.loads(document)["groups"]], ["gold", "gold/batch", "silver"])
        files = {f"{n}/{f}": linux.read(f"{g.dir(n)}/{f}") for n in ("gold", "gold/batch", "silver")
                 for f in ("cpu.max", "cpu.max.burst", "cpu.weight", "cpu.idle", "cpuset.cpus", "memory.max", "pids.max")}
        g("delete", "gold", "--recursive").ok()
        g("delete", "silver").ok()
        eq(json.loads(g("export").ok().out)["groups"], [])
        path = t.file("groups.json", document)
        g("apply", path, "--check").ok()
        eq(json.loads(g("export").ok().out)["groups"], [], "a check changed something")
        g("apply", path).ok()
        eq(json.loads(g("export").ok().out), json.loads(document))
        eq({name: linux.read(f"{g.top}/{name}") for name in files}, files)
        # A second time nothing is left to do; a group that is not named goes only on request.
        g.create("extra")
        g("apply", "-", input=document).ok()
        true(os.path.isdir(g.dir("extra")), "it went without --prune")
        g("apply", path, "--prune").ok()
        true(not os.path.exists(g.dir("extra")), "it stays in spite of --prune")


@envs("host")
def test_an_apply_that_fails_half_way_undoes_itself(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.5")
        before = json.loads(g("export").ok().out)
        document = {"version": 1, "groups": [
            {"name": "gold", "policy": {"cap": "0.7"}}, {"name": "new", "policy": {"weight": 50}},
            {"name": "wrong", "policy": {"cpus": "4095"}}]}
        g("apply", "-", input=json.dumps(document)).fails("wrong")
        eq(json.loads(g("export").ok().out), before)
        eq(linux.read(f"{gold}/cpu.max").strip(), "50000 100000")
        true(not os.path.exists(g.dir("new")), "a group of the apply that failed is there")


# -- membership is the path

@envs("host")
def test_a_path_below_the_base_makes_a_member(t):
    with groups(t) as g:
        g.create("gold", "--cap", "0.5")
        b = t.bundle().probe("sleep", 1000)
        b.linux["cgroupsPath"] = f"{g.base}/gold/by-path"
        c = t.up(b)
        eq(c.state()["cpuGroup"], "gold")
        members = json.loads(g("members", "gold", "--format", "json").ok().out)
        has(json.dumps(members), c.id)
        listed = [e for e in json.loads(t.runtime("list", "--format", "json").ok().out) if e["id"] == c.id]
        eq(listed[0]["cpuGroup"], "gold")
        data = t.runtime("events", "--stats", c.id).json["data"]
        eq(data["cpu_group"]["name"], "gold")


@envs("host")
def test_a_group_that_is_not_there_is_no_place(t):
    g = Groups(t)
    c = t.container(t.bundle())
    c.create("--cpu-group", "nosuch").fails("nosuch")
    eq(t.state_names(), [])
    true(not os.path.exists(g.dir("nosuch")), "it was made on the way")
    g.remove()


@envs("host")
def test_two_places_that_differ_are_refused_with_both(t):
    with groups(t) as g:
        g.create("gold")
        g.create("silver")
        b = t.bundle().probe("sleep", 1000)
        b.config["annotations"] = {"dev.bulkhead.cpu-group": "silver"}
        t.container(b).create("--cpu-group", "gold").fails("gold", "silver")
        t.up(b, "--cpu-group", "silver")
        eq(len(pids_below(g.dir("silver"))), 1)
        eq(len(pids_below(g.dir("gold"))), 0)


@envs("host")
def test_a_process_cannot_be_put_into_the_group_itself(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.5")
        g.up("gold", t.bundle().probe("sleep", 1000))
        try:
            write(f"{gold}/cgroup.procs", str(os.getpid()))
        except OSError:
            return
        raise AssertionError("a group holds processes")
