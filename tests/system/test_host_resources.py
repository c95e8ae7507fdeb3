# SPDX-License-Identifier: Apache-2.0
"""linux.resources on a host that has the controllers: what the kernel's files say afterwards, and what then happens."""

import json
import os
import tempfile

import linux
from case import deadline, each, envs, eq, has, hasnt, true
from load import events_of, near, number, populated, working

WALL = "both"

MIB = 1 << 20

ALL = {
    "cpu": {"shares": 2048, "quota": 50000, "period": 100000, "burst": 20000, "cpus": "0", "mems": "0"},
    "memory": {"limit": 256 * MIB, "reservation": 64 * MIB, "swap": 256 * MIB},
    "pids": {"limit": 42},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
    "unified": {"memory.high": str(200 * MIB), "cgroup.max.depth": "3", "memory.oom.group": "1"},
    "network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]},
}

FILES = {
    "cpu.weight": "174", "cpu.max": "50000 100000", "cpu.max.burst": "20000", "cpuset.cpus": "0",
    "cpuset.cpus.effective": "0", "cpuset.mems": "0", "memory.max": str(256 * MIB), "memory.low": str(64 * MIB),
    "pids.max": "42", "hugetlb.2MB.max": str(4 * MIB), "hugetlb.2MB.rsvd.max": str(4 * MIB),
    "memory.high": str(200 * MIB), "cgroup.max.depth": "3", "memory.oom.group": "1",
}


def need_all(t):
    t.need(*(f"controller {c}" for c in ("cpu", "cpuset", "memory", "pids", "hugetlb")))


def sleeper(t, **resources):
    b = t.bundle().probe("sleep", 1000)
    b.linux["resources"] = resources
    return b


def values(c, names):
    return {name: c.limit(name) for name in names}


def disk():
    """Major and minor of a whole disk, as io.max takes it."""
    for line in linux.read("/proc/partitions").splitlines()[2:]:
        major, minor, _, name = line.split()
        if os.path.isdir(f"/sys/block/{name}"):
            return int(major), int(minor)
    return None


@envs("host")
def test_every_limit_at_once_is_what_the_kernel_says(t):
    need_all(t)
    c = t.up(sleeper(t, **ALL))
    eq(values(c, FILES), FILES)
    swap = f"{c.cgroup}/memory.swap.max"
    true(not os.path.exists(swap) or linux.read(swap).strip() == "0", "swap beyond the memory limit")


@envs("host")
def test_what_v2_cannot_limit_is_said_and_no_reason_to_fail(t):
    b = sleeper(t, network=ALL["network"], memory={"swappiness": 10, "kernel": MIB, "disableOOMKiller": True},
                cpu={"realtimeRuntime": 1000, "realtimePeriod": 100000})
    c = t.container(b)
    c.create(options=["--log", f"{t.tmp}/log", "--log-level", "warning"]).ok()
    said = linux.read(f"{t.tmp}/log") + linux.read(c.err_path)
    has(said, "network", "memory.swappiness", "memory.kernel", "memory.disableOOMKiller", "cpu.realtimeRuntime")
    has(said, "cgroup v2")


UPDATES = {
    "cpu": {"shares": 512, "quota": 30000, "period": 60000, "burst": 1000, "cpus": "1", "mems": "0"},
    "memory": {"limit": 128 * MIB, "reservation": 32 * MIB, "swap": 128 * MIB},
    "pids": {"limit": 21},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 8 * MIB}],
    "unified": {"memory.high": str(100 * MIB)},
}

UPDATED = {
    "cpu.weight": "59", "cpu.max": "30000 60000", "cpu.max.burst": "1000", "cpuset.cpus": "1",
    "memory.max": str(128 * MIB), "memory.low": str(32 * MIB), "pids.max": "21",
    "hugetlb.2MB.max": str(8 * MIB), "memory.high": str(100 * MIB),
}


@envs("host")
def test_one_document_updates_every_limit(t):
    need_all(t)
    t.need("two cpus")
    c = t.up(sleeper(t, **ALL))
    t.runtime("update", "--resources=-", c.id, input=json.dumps(UPDATES)).ok()
    eq(values(c, UPDATED), UPDATED)
    # What the document does not name stays.
    eq(c.limit("cgroup.max.depth"), "3")


@each(case={
    "burst": (["--cpu-quota", "40000", "--cpu-burst", "10000"], "cpu.max.burst", "10000"),
    "period": (["--cpu-quota", "40000", "--cpu-period", "80000"], "cpu.max", "40000 80000"),
    "quota none": (["--cpu-quota", "-1"], "cpu.max", "max 100000"),
    "mems": (["--cpuset-mems", "0"], "cpuset.mems", "0"),
    "memory none": (["--memory", "-1"], "memory.max", "max"),
    "not idle": (["--cpu-idle", "0"], "cpu.idle", "0"),
})
@envs("host")
def test_an_option_updates_one_limit(t, case):
    need_all(t)
    options, file, wanted = case
    c = t.up(sleeper(t))
    t.runtime("update", *options, c.id).ok()
    eq(c.limit(file), wanted)


@envs("host")
def test_leaving_idle_brings_the_weight_back(t):
    t.need("controller cpu")
    c = t.up(sleeper(t, cpu={"shares": 2048}))
    t.runtime("update", "--cpu-idle", "1", c.id).ok()
    eq(c.limit("cpu.idle"), "1")
    t.runtime("update", "--cpu-idle", "0", c.id).ok()
    eq(c.limit("cpu.weight"), "174")


@envs("host")
def test_a_burst_shrinks_with_its_quota(t):
    t.need("controller cpu")
    c = t.up(sleeper(t, cpu={"quota": 50000, "period": 100000, "burst": 40000}))
    t.runtime("update", "--cpu-quota", "20000", "--cpu-burst", "5000", c.id).ok()
    eq(values(c, ["cpu.max", "cpu.max.burst"]), {"cpu.max": "20000 100000", "cpu.max.burst": "5000"})
    t.runtime("update", "--cpu-burst", "30000", c.id).fails("burst")
    eq(values(c, ["cpu.max", "cpu.max.burst"]), {"cpu.max": "20000 100000", "cpu.max.burst": "5000"})


@envs("host")
def test_an_update_that_fails_at_its_last_file_puts_all_of_them_back(t):
    need_all(t)
    c = t.up(sleeper(t, **ALL))
    before = values(c, FILES)
    broken = {**UPDATES, "unified": {**UPDATES["unified"], "pids.nosuch": "1"}}
    t.runtime("update", "--resources=-", c.id, input=json.dumps(broken)).fails("pids.nosuch")
    eq(values(c, FILES), before)
    # And the state, from which the next update starts, is the old one too.
    t.runtime("update", "--resources=-", c.id, input="{}").ok()
    eq(values(c, FILES), before)


@each(case={
    "cpus": ({"cpu": {"cpus": "4095"}}, "cpuset.cpus"), "mems": ({"cpu": {"mems": "63"}}, "cpuset.mems"),
    "quota": ({"cpu": {"quota": 500}}, "quota"), "file": ({"unified": {"memory.nosuch": "1"}}, "memory.nosuch"),
    "hugepages": ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "3MB"),
    "swap below memory": ({"memory": {"limit": 2 * MIB, "swap": MIB}}, "swap"),
    "rdma": ({"rdma": {"nosuch0": {"hcaHandles": 3}}}, "rdma"),
})
@envs("host")
def test_a_limit_that_cannot_be_leaves_neither_container_nor_cgroup(t, case):
    need_all(t)
    resources, word = case
    c = t.container(sleeper(t, **{**ALL, **resources}))
    c.create().fails(word)
    eq(t.state_names(), [])
    true(not os.path.exists(f"{t.cgroup_base}/{c.id}"), "the cgroup is left")


@envs("host")
def test_disk_limits_reach_the_kernel_and_are_updated(t):
    t.need("controller io", "whole disk")
    major, minor = disk()
    device = {"major": major, "minor": minor}
    c = t.up(sleeper(t, blockIO={
        "throttleReadBpsDevice": [{**device, "rate": 10 * MIB}], "throttleWriteBpsDevice": [{**device, "rate": 5 * MIB}],
        "throttleReadIOPSDevice": [{**device, "rate": 1000}], "throttleWriteIOPSDevice": [{**device, "rate": 500}]}))
    limits = lambda: dict(p.split("=") for p in linux.read(f"{c.cgroup}/io.max").split()[1:])
    eq(limits(), {"rbps": str(10 * MIB), "wbps": str(5 * MIB), "riops": "1000", "wiops": "500"})
    change = {"blockIO": {"throttleWriteBpsDevice": [{**device, "rate": MIB}]}}
    t.runtime("update", "--resources=-", c.id, input=json.dumps(change)).ok()
    eq(limits()["wbps"], str(MIB))
    eq(limits()["rbps"], str(10 * MIB), "a limit that was not named")


@envs("host")
def test_a_disk_that_is_not_there_is_refused(t):
    t.need("controller io")
    b = sleeper(t, blockIO={"throttleReadBpsDevice": [{"major": 250, "minor": 250, "rate": MIB}]})
    t.run(b).fails("io.max", "250:250")


# -- memory that is in use

@envs("host")
@deadline(60)
def test_memory_that_can_be_had_back_gives_way_to_a_lower_limit(t):
    t.need("controller memory", "scratch disk")
    with tempfile.TemporaryDirectory(dir="/run/scratch") as data:
        b = working(t, "cache", 60, "/data/file", memory={"limit": 128 * MIB}).bind(data, "/data", "rw")
        c = t.up(b).wait_out("cached 60", 30)
        true(number(f"{c.cgroup}/memory.stat", "file") > 50 * MIB, "there is no page cache to give back")
        t.runtime("update", "--memory", "20m", c.id).ok()
        eq(c.limit("memory.max"), str(20 * MIB))
        true(int(c.limit("memory.current")) <= 20 * MIB, "more is in use than may be")
        eq(c.status, "running")
        eq(number(f"{c.cgroup}/memory.events", "oom_kill"), 0)
        c.delete("--force").ok()


@envs("host")
@deadline(60)
def test_a_limit_below_what_is_held_is_refused_when_the_config_asks_for_the_check(t):
    t.need("controller memory")
    c = t.up(working(t, "eat", 40, memory={"limit": 128 * MIB, "checkBeforeUpdate": True})).wait_out("eaten 40", 30)
    change = {"memory": {"limit": 20 * MIB, "checkBeforeUpdate": True}}
    t.runtime("update", "--resources=-", c.id, input=json.dumps(change)).fails("memory")
    eq(c.limit("memory.max"), str(128 * MIB))
    eq(c.limit("memory.high"), "max")
    eq(c.status, "running")
    eq(number(f"{c.cgroup}/memory.events", "oom_kill"), 0)


@envs("host")
@deadline(60)
def test_a_limit_below_what_is_held_ends_the_container_without_the_check(t):
    t.need("controller memory")
    c = t.up(working(t, "eat", 40, memory={"limit": 128 * MIB})).wait_out("eaten 40", 30)
    cgroup = c.cgroup
    t.runtime("update", "--memory", "8m", c.id)
    if t.wall == "process":
        t.until(lambda: t.reap() or number(f"{cgroup}/memory.events", "oom_kill") > 0, 20, "the OOM killer")
    c.wait("stopped", 20)


@envs("host")
@deadline(60)
def test_an_oom_kill_is_an_event(t):
    t.need("controller memory")
    b = working(t, "eat", 64, 20, memory={"limit": 16 * MIB})
    c = t.up(b.args("/bin/sh", "-c", "/bin/load eat 64 50; echo survived; sleep 1000"))
    with open(f"{t.tmp}/events", "wb") as out:
        watcher = t.spawn_runtime("events", "--interval", "60s", c.id, stdout=out)
        try:
            t.until(lambda: any(e["type"] == "oom" for e in events_of(f"{t.tmp}/events")), 40, "an oom event")
        finally:
            watcher.kill()
            watcher.wait()
    eq(next(e for e in events_of(f"{t.tmp}/events") if e["type"] == "oom")["id"], c.id)
    # One process was killed, not the container.
    c.wait_out("survived", 20)
    eq(c.status, "running")


@envs("host")
@deadline(60)
def test_an_oom_takes_all_of_the_container_when_the_cgroup_says_so(t):
    t.need("controller memory")
    b = working(t, memory={"limit": 16 * MIB}, unified={"memory.oom.group": "1"})
    c = t.up(b.args("/bin/sh", "-c", "sleep 1000 & /bin/load eat 64; echo survived; sleep 1000"))
    cgroup = c.cgroup
    t.until(lambda: t.reap() or not populated(cgroup), 30, "everybody to be gone")
    hasnt(c.out, "survived")
    if t.wall == "process":
        eq(number(f"{cgroup}/memory.events", "oom_group_kill"), 1)
    c.wait("stopped")


@envs("host")
@deadline(60)
def test_what_memory_ended_says_how_much_there_was(t):
    t.need("controller memory")
    result = t.run(working(t, "eat", 64, memory={"limit": 16 * MIB}), timeout=40).exits(137)
    has(result.err, "memory", str(16))


@envs("host")
@deadline(60)
def test_memory_use_is_what_the_statistics_say(t):
    t.need("controller memory", "controller pids")
    c = t.up(working(t, "eat", 40, memory={"limit": 128 * MIB})).wait_out("eaten 40", 30)
    data = t.runtime("events", "--stats", c.id).json["data"]
    wrong = near("MiB in use", data["memory"]["usage"]["usage"] / MIB, 40, 0.2)
    true(not wrong, wrong)
    eq(data["memory"]["usage"]["limit"], 128 * MIB)
    eq(data["pids"]["current"], 1)
