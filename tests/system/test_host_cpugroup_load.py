# SPDX-License-Identifier: Apache-2.0
"""CPU groups under real load: what a cap, a weight and a nested limit mean to programs that take all they get."""

import json
import os
import time

import linux
from case import alone, deadline, envs, eq, has, true
from engine import engine
from load import Groups, Usage, cpus, events_of, groups, measured, near, number, stand_still, two_cpus, working, write

WALL = ("process", "shares are measured with processes; of a virtual machine test_vm measures one")

PART = 0.05  # of a cap, measured over at least SECONDS
SECONDS = 5


def usage_is(cgroup, wanted, part=PART):
    measured(lambda got: near(os.path.basename(cgroup), got[0], wanted, part), lambda: cpus(SECONDS, cgroup))


@envs("host")
@alone
@deadline(60)
def test_four_programs_in_two_containers_share_one_cap(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.6")
        eq(linux.read(f"{gold}/cpu.max").strip(), "60000 100000")
        for _ in range(2):
            g.up("gold", working(t, "spin", 2)).wait_out("spinning")
        usage_is(gold, 0.6)
        true(number(f"{gold}/cpu.stat", "nr_throttled") > 10, "nobody was ever held back")


@envs("host")
@alone
@deadline(60)
def test_one_member_may_use_all_of_an_idle_group(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.5")
        g.up("gold", t.bundle().probe("sleep", 1000))
        busy = g.up("gold", working(t, "spin", 2)).wait_out("spinning")
        usage_is(gold, 0.5)
        usage_is(busy.cgroup, 0.5)


@envs("host")
@alone
@deadline(60)
def test_half_of_two_cpus_is_one(t):
    two_cpus(t)
    with groups(t) as g:
        gold = g.create("gold", "--cpus", "0-1", "--cap", "25%")
        eq(linux.read(f"{gold}/cpu.max").strip(), "50000 100000")
        g.up("gold", working(t, "spin", 4)).wait_out("spinning")
        usage_is(gold, 0.5)
        # A share of the group's CPUs stays one when these change.
        g("set", "gold", "--cpus", "1").ok()
        eq(linux.read(f"{gold}/cpu.max").strip(), "25000 100000")
        usage_is(gold, 0.25)


@envs("host")
@alone
@deadline(60)
def test_the_caps_of_member_and_group_hold_both(t):
    with groups(t) as g:
        outer = g.create("outer", "--cap", "0.6")
        inner = g.create("outer/inner", "--cap", "0.4")
        own = g.up("outer/inner", working(t, "spin", 2, cpu={"quota": 10000, "period": 100000})).wait_out("spinning")
        g.up("outer/inner", working(t, "spin", 2)).wait_out("spinning")
        g.up("outer", working(t, "spin", 2)).wait_out("spinning")

        def wrong(got):
            if got[2] > 0.1 * (1 + PART):
                return f"the member's own cap: {got[2]:.3f} of 0.1"
            if got[1] > 0.4 * (1 + PART):
                return f"the inner group's cap: {got[1]:.3f} of 0.4"
            return near("the outer group", got[0], 0.6, PART)
        measured(wrong, lambda: cpus(SECONDS, outer, inner, own.cgroup))


@envs("host")
@alone
@deadline(60)
def test_weights_of_three_to_one_are_shares_of_three_to_one(t):
    with groups(t) as g:
        gold = g.create("gold", "--cpus", "0", "--weight", "300")
        silver = g.create("silver", "--cpus", "0", "--weight", "100")
        for name in ("gold", "silver"):
            g.up(name, working(t, "spin", 2)).wait_out("spinning")
        measured(lambda got: near("gold over silver", got[0] / got[1], 3, 0.1), lambda: cpus(SECONDS, gold, silver))


@envs("host")
@alone
@deadline(60)
def test_weights_hold_among_members_too(t):
    with groups(t) as g:
        g.create("gold", "--cpus", "0")
        heavy = g.up("gold", working(t, "spin", 1, cpu={"shares": 4096})).wait_out("spinning")
        light = g.up("gold", working(t, "spin", 1, cpu={"shares": 1024})).wait_out("spinning")
        wanted = number(f"{heavy.cgroup}/cpu.weight") / number(f"{light.cgroup}/cpu.weight")
        measured(lambda got: near("heavy over light", got[0] / got[1], wanted, 0.1),
                 lambda: cpus(SECONDS, heavy.cgroup, light.cgroup))


@envs("host")
@alone
@deadline(60)
def test_an_idle_group_gets_what_is_left_over(t):
    with groups(t) as g:
        busy = g.create("busy", "--cpus", "0")
        idle = g.create("idle", "--cpus", "0", "--idle")
        eq(number(f"{idle}/cpu.idle"), 1)
        g.up("idle", working(t, "spin")).wait_out("spinning")
        measured(lambda got: near("the idle group alone", got[0], 1, 0.1), lambda: cpus(SECONDS, idle))
        g.up("busy", working(t, "spin")).wait_out("spinning")
        measured(lambda got: f"beside a busy one: {got}" if got[0] > 0.05 or got[1] < 0.85 else None,
                 lambda: cpus(SECONDS, idle, busy))
        g("set", "idle", "--weight", "50").ok()
        eq([number(f"{idle}/cpu.idle"), number(f"{idle}/cpu.weight")], [0, 50])
        # Leaving idle brings the weight back that was asked for; the kernel would make it 100.
        g("set", "idle", "--idle").ok()
        g("set", "idle", "--idle=false").ok()
        eq([number(f"{idle}/cpu.idle"), number(f"{idle}/cpu.weight")], [0, 50])
        measured(lambda got: near("busy over what was idle", got[1] / got[0], 2, 0.15),
                 lambda: cpus(SECONDS, idle, busy))


@envs("host")
@alone
@deadline(60)
def test_a_cap_that_is_changed_holds_at_once(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.2")
        g.up("gold", working(t, "spin", 2)).wait_out("spinning")
        usage_is(gold, 0.2)
        g("set", "gold", "--cap", "0.7").ok()
        usage_is(gold, 0.7)
        g("set", "gold", "--cap", "30000/200000").ok()
        eq(linux.read(f"{gold}/cpu.max").strip(), "30000 200000")
        usage_is(gold, 0.15)
        g("set", "gold", "--cap", "max").ok()
        eq(linux.read(f"{gold}/cpu.max").split()[0], "max")
        measured(lambda got: f"without a cap: {got[0]:.2f}" if got[0] < 1 else None, lambda: cpus(SECONDS, gold))


@envs("host")
@alone
@deadline(60)
def test_a_burst_lets_saved_time_be_used_later(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "20000/100000", "--burst", "20000")
        eq(number(f"{gold}/cpu.max.burst"), 20000)
        c = g.up("gold", t.bundle().shell("while :; do i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; sleep 0.4; done"))
        t.until(lambda: number(f"{gold}/cpu.stat", "nr_bursts") > 0, 60, "a burst")
        eq(c.status, "running")


@envs("host")
def test_a_burst_beyond_the_quota_is_refused_and_changes_nothing(t):
    with groups(t) as g:
        g("create", "gold", "--cap", "20000/100000", "--burst", "30000").fails("burst")
        true(not os.path.exists(g.dir("gold")), "the group that could not be is there")
        gold = g.create("gold", "--cap", "50000/100000", "--burst", "40000")
        g("set", "gold", "--cap", "30000/100000").fails("burst")
        eq(linux.read(f"{gold}/cpu.max").strip(), "50000 100000")
        eq(number(f"{gold}/cpu.max.burst"), 40000)
        # Smaller both at once, then larger both at once: no order of the caller's matters.
        for quota, burst in ((20000, 10000), (80000, 80000), (10000, 1000)):
            g("set", "gold", "--burst", burst, "--cap", f"{quota}/100000").ok()
            eq(linux.read(f"{gold}/cpu.max").strip(), f"{quota} 100000")
            eq(number(f"{gold}/cpu.max.burst"), burst)


@envs("host")
@alone
@deadline(60)
def test_stats_are_what_the_kernel_counts(t):
    with groups(t, "cpu", "cpuset", "memory", "pids") as g:
        gold = g.create("gold", "--cap", "0.3")
        c = g.up("gold", working(t, "spin", 2)).wait_out("spinning")
        time.sleep(2)
        g("freeze", "gold").ok()
        stand_still(t, gold, c.cgroup)
        shown = json.loads(g("stats", "gold", "--members", "--format", "json").ok().out)
        text = json.dumps(shown)
        for cgroup in (gold, c.cgroup):
            has(text, str(number(f"{cgroup}/cpu.stat", "usage_usec")))
        for key in ("nr_periods", "nr_throttled", "throttled_usec"):
            has(text, str(number(f"{gold}/cpu.stat", key)))
        prom = g("stats", "gold", "--members", "--format", "prom").ok().out
        has(prom, "# TYPE", 'group="gold"')
        g("resume", "gold").ok()


@envs("host")
@alone
@deadline(60)
def test_top_shows_who_uses_the_cap(t):
    with groups(t) as g:
        g.create("gold", "--cap", "0.4")
        g.create("silver")
        c = g.up("gold", working(t, "spin", 2)).wait_out("spinning")
        shown = t.runtime("top", "--interval", "2s", "-n", "2", "--format", "json", timeout=60).ok().out
        has(shown, "gold", "silver", c.id)
        last = json.loads(shown.strip().splitlines()[-1])
        has(json.dumps(last), c.id)


@envs("host")
@alone
@deadline(60)
def test_what_is_charged_to_a_group_is_the_sum_of_its_members(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.5")
        members = [g.up("gold", working(t, "spin")).wait_out("spinning").cgroup for _ in range(3)]
        g("freeze", "gold").ok()
        stand_still(t, gold, *members)
        got = Usage(gold, *members)
        g("resume", "gold").ok()
        time.sleep(SECONDS)
        g("freeze", "gold").ok()
        stand_still(t, gold, *members)
        whole, *parts = got.cpus()
        wrong = near("the sum of the members", sum(parts), whole, 0.01)
        true(not wrong, wrong)
        g("resume", "gold").ok()


# -- memory

@envs("host")
@deadline(30)
def test_memory_of_a_group_ends_the_one_who_takes_too_much(t):
    with groups(t, "cpu", "memory") as g:
        gold = g.create("gold", "--memory", str(64 << 20))
        eq(number(f"{gold}/memory.max"), 64 << 20)
        calm = g.up("gold", working(t, "eat", 10)).wait_out("eaten 10", 30)
        with open(f"{t.tmp}/watched", "wb") as out:
            watcher = t.spawn_runtime("cpugroup", "watch", "gold", "--timeout", "60s", stdout=out)
            try:
                time.sleep(1)
                result = t.run(working(t, "eat", 100), "--cpu-group", "gold", timeout=60).exits(137)
                t.until(lambda: "oom" in linux.read(f"{t.tmp}/watched"), 20, "the event of the group")
            finally:
                watcher.kill()
                watcher.wait()
        # Whose limit it was, how much it is, how much was in use.
        has(result.err, "groups/gold", "64")
        true(number(f"{gold}/memory.events", "oom_kill") >= 1, "nobody was killed for memory")
        eq(calm.status, "running")
        true(all(isinstance(e, dict) for e in events_of(f"{t.tmp}/watched")), "not JSON")


@envs("host")
def test_a_group_limit_changed_by_hand_is_told(t):
    with groups(t) as g:
        gold = g.create("gold", "--cap", "0.5")
        eq(g.show("gold")["drift"], [])
        write(f"{gold}/cpu.max", "70000 100000")
        drift = g.show("gold")["drift"]
        eq([d["member"] for d in drift], ["cap"])
        has(drift[0]["actual"], "70000")


# -- an engine that knows nothing of groups

@envs("host")
@alone
@engine("docker")
@deadline(60)
def test_a_container_of_docker_is_a_member_by_its_parent(t):
    g = Groups(t, t.engine.parent)
    gold = g.create("gold", "--cap", "0.3")
    name = t.engine("run", "--detach", "--network", "none", "--cgroup-parent", f"{g.base}/gold", "box",
                    "probe", "spin").ok().out.strip()
    usage_is(gold, 0.3)
    member, = json.loads(g("members", "gold", "--format", "json").ok().out)
    eq(member["id"], name)
    t.engine("rm", "--force", name).ok()
    g("delete", "gold").ok()
    os.rmdir(g.top)
