# SPDX-License-Identifier: Apache-2.0
"""pause, resume, events, update: what happens to a running container from outside."""

import json
import os
import subprocess
import time

import linux
from case import each, envs, eq, has, hasnt, true, wall

WALL = "both"


def ticking(t):
    return t.up(t.bundle().shell("while :; do echo tick; sleep 0.02; done")).wait_out("tick")


@wall("both", quick=True)
def test_a_paused_container_does_nothing_until_the_resume(t):
    c = ticking(t)
    c.pause().ok()
    eq(c.status, "paused")
    before = c.out
    time.sleep(0.15)
    eq(c.out, before, "output while paused")
    c.resume().ok()
    eq(c.status, "running")
    t.until(lambda: len(c.out) > len(before), 5, "a tick")


@wall("both", quick=True)
def test_pause_stops_processes_of_inner_cgroups_and_execs_too(t):
    c = t.up()
    ticks = f"{t.tmp}/ticks"
    c.exec("sh", "-c", "while :; do echo tick; sleep 0.02; done", options=["-d"], out=ticks).ok()
    size = lambda: os.stat(ticks).st_size
    t.until(size, 5, "a tick")
    c.pause().ok()
    before = size()
    time.sleep(0.15)
    eq(size(), before)


def test_pause_of_a_created_container(t):
    c = t.created(t.bundle().probe("sleep", 1000))
    c.pause().ok()
    eq(c.status, "paused")
    c.resume().ok()
    eq(c.status, "created")
    c.start().ok()
    eq(c.status, "running")


@envs("hybrid")
def test_pause_in_other_states_is_refused(t):
    c = t.up()
    c.pause().ok()
    c.pause().fails("paused")
    stopped = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    stopped.pause().fails()
    t.runtime("pause", "nothere").fails("does not exist")


@envs("hybrid")
def test_resume_of_what_is_not_paused_is_refused(t):
    t.up().resume().fails("container not paused")
    t.up(t.bundle().probe("exit", 0)).wait("stopped").resume().fails("container not paused")
    t.runtime("resume", "nothere").fails("does not exist")


def test_a_container_frozen_by_someone_else_is_paused(t):
    c = t.up()
    with open(f"{c.cgroup}/cgroup.freeze", "w", encoding="ascii") as f:
        f.write("1")
    t.until(lambda: "frozen 1" in linux.read(f"{c.cgroup}/cgroup.events"), 5, "the freeze")
    eq(c.status, "paused")
    c.resume().ok()
    eq(c.status, "running")


def test_many_pauses_and_resumes(t):
    c = ticking(t)
    for _ in range(20):
        c.pause().ok()
        c.resume().ok()
    eq(c.status, "running")


def test_stats_are_one_line_of_json_and_end(t):
    c = t.up()
    out = t.runtime("events", "--stats", c.id).ok().out
    event = json.loads(out)
    eq((event["type"], event["id"]), ("stats", c.id))
    data = event["data"]
    for key in ("cpu", "memory", "pids", "blkio"):
        has(data, key)
    has(data["cpu"]["usage"], "total", "kernel", "user")
    has(data["cpu"], "throttling")


def test_cpu_time_of_a_busy_container_is_counted(t):
    c = t.up(t.bundle().probe("spin"))
    usage = lambda: t.runtime("events", "--stats", c.id).json["data"]["cpu"]["usage"]["total"]
    t.until(lambda: usage() > 50_000_000, 10, "50 ms of CPU time")
    true(usage() < 60_000_000_000, "CPU time is not in nanoseconds")


def test_pressure_is_part_of_the_stats_where_the_kernel_has_it(t):
    t.need("pressure stall information")
    c = t.up()
    data = t.runtime("events", "--stats", c.id).json["data"]
    for key in ("avg10", "avg60", "avg300", "total"):
        has(data["cpu"]["psi"]["some"], key)


def test_events_come_at_the_interval_and_end_with_the_container(t):
    c = t.up()
    with open(f"{t.tmp}/events", "wb") as out:
        runtime = t.spawn_runtime("events", "--interval", "100ms", c.id, stdout=out)
        try:
            t.until(lambda: linux.read(f"{t.tmp}/events").count("\n") >= 3, 10, "three events")
            c.kill("KILL").ok()
            c.wait("stopped")
            eq(runtime.wait(10), 0)
        finally:
            runtime.kill()
            runtime.wait()
    for line in linux.read(f"{t.tmp}/events").splitlines():
        eq(json.loads(line)["id"], c.id)


@each(interval={"zero": "0s", "negative": "-1s", "no unit": "5", "word": "often", "empty": ""})
@envs("hybrid")
def test_a_bad_interval_is_refused(t, interval):
    c = t.up()
    t.runtime("events", f"--interval={interval}", c.id, timeout=3).fails()


@envs("hybrid")
def test_events_of_a_stopped_container_are_refused(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    t.runtime("events", c.id).fails("is not running")
    t.runtime("events", "--stats", c.id).fails("is not running")


@envs("hybrid")
def test_update_of_a_stopped_container_is_refused(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    t.runtime("update", "--cpu-share", "512", c.id).fails("not running")


@envs("hybrid")
def test_update_of_an_unknown_container_says_so(t):
    t.runtime("update", "--cpu-share", "512", "nothere").fails("does not exist")


def test_an_empty_update_changes_nothing_and_succeeds(t):
    c = t.up()
    t.runtime("update", "--resources", "-", c.id, input="{}").ok()
    path = t.file("resources", "{}")
    t.runtime("update", "-r", path, c.id).ok()


@each(text={
    "not json": "{", "an array": "[]", "a string for a number": '{"memory":{"limit":"1"}}',
    "a fraction": '{"pids":{"limit":1.5}}', "beyond 64 bits": '{"cpu":{"shares":18446744073709551616}}',
    "duplicate": '{"pids":{"limit":1},"pids":{"limit":2}}',
})
@envs("hybrid")
def test_a_bad_resources_document_is_refused(t, text):
    c = t.up()
    t.runtime("update", "--resources=-", c.id, input=text).fails()
    eq(c.status, "running")


@each(option={
    "memory": "--memory=12x", "empty memory": "--memory=", "quota": "--cpu-quota=fast", "shares": "--cpu-share=-5",
    "pids": "--pids-limit=many",
})
@envs("hybrid")
def test_a_bad_number_on_the_command_line_is_refused(t, option):
    c = t.up()
    t.runtime("update", option, c.id).fails()


@each(case={
    "pids": ("pids", ["--pids-limit", "20"]), "memory": ("memory", ["--memory", "50m"]),
    "cpu shares": ("cpu", ["--cpu-share", "512"]), "cpu quota": ("cpu", ["--cpu-quota", "50000"]),
    "cpuset": ("cpuset", ["--cpuset-cpus", "0"]), "block io": ("io", ["--blkio-weight", "100"]),
})
def test_a_limit_without_its_controller_is_an_error_that_names_it(t, case):
    controller, options = case
    t.need(f"no controller {controller}")
    c = t.up()
    t.runtime("update", *options, c.id).fails(controller)
    eq(c.status, "running")


@each(case={
    "pids": ("pids", ["--pids-limit", "20"], "pids.max", "20"),
    "pids none": ("pids", ["--pids-limit", "-1"], "pids.max", "max"),
    "memory": ("memory", ["--memory", "50m"], "memory.max", str(50 << 20)),
    "reservation": ("memory", ["--memory-reservation", "20m"], "memory.low", str(20 << 20)),
    "shares": ("cpu", ["--cpu-share", "1024"], "cpu.weight", "100"),
    "quota": ("cpu", ["--cpu-quota", "50000", "--cpu-period", "100000"], "cpu.max", "50000 100000"),
    "idle": ("cpu", ["--cpu-idle", "1"], "cpu.idle", "1"),
    "cpus": ("cpuset", ["--cpuset-cpus", "0"], "cpuset.cpus", "0"),
})
def test_update_reaches_the_kernel(t, case):
    controller, options, file, wanted = case
    t.need(f"controller {controller}")
    c = t.up()
    t.runtime("update", *options, c.id).ok()
    eq(c.limit(file), wanted)


@wall("both", quick=True)
def test_update_by_document_reaches_the_kernel(t):
    t.need("controller pids", "controller memory", "controller cpu")
    c = t.up()
    t.runtime("update", "--resources=-", c.id, input=json.dumps({
        "memory": {"limit": 64 << 20}, "cpu": {"shares": 2048, "quota": 20000, "period": 50000}, "pids": {"limit": 33}})).ok()
    eq(c.limit("memory.max"), str(64 << 20))
    eq(c.limit("cpu.max"), "20000 50000")
    eq(c.limit("pids.max"), "33")


def test_one_of_quota_and_period_keeps_the_other(t):
    t.need("controller cpu")
    c = t.up()
    t.runtime("update", "--cpu-quota", "30000", "--cpu-period", "60000", c.id).ok()
    t.runtime("update", "--cpu-quota", "40000", c.id).ok()
    eq(c.limit("cpu.max"), "40000 60000")


def test_a_failed_update_changes_nothing(t):
    t.need("controller pids", "controller cpu")
    c = t.up()
    t.runtime("update", "--pids-limit", "30", c.id).ok()
    t.runtime("update", "--resources=-", c.id, input='{"pids":{"limit":40},"cpu":{"quota":1,"period":100000}}').fails()
    eq(c.limit("pids.max"), "30")


def test_an_unlimited_value_needs_no_controller(t):
    c = t.up()
    t.runtime("update", "--resources=-", c.id, input='{"memory":{"limit":-1},"pids":{"limit":-1},"cpu":{"shares":0}}').ok()


def test_an_update_leaves_a_paused_container_paused(t):
    c = t.up()
    c.pause().ok()
    t.runtime("update", "--resources", "-", c.id, input="{}").ok()
    eq(c.status, "paused")


def test_a_file_of_the_unified_map_is_written(t):
    b = t.bundle().probe("sleep", 1000)
    b.linux["resources"]["unified"] = {"cgroup.max.descendants": "7"}
    c = t.up(b)
    eq(c.limit("cgroup.max.descendants"), "7")
    t.runtime("update", "--resources=-", c.id, input='{"unified":{"cgroup.max.descendants":"9"}}').ok()
    eq(c.limit("cgroup.max.descendants"), "9")


@each(name={"up": "../cgroup.freeze", "slash": "a/b", "absolute": "/sys/kernel/x", "empty": ""})
def test_a_unified_name_that_is_a_path_is_refused(t, name):
    b = t.bundle()
    b.linux["resources"]["unified"] = {name: "1"}
    t.run(b).fails()


def test_the_device_rules_do_not_grow_with_updates(t):
    t.need("root")
    c = t.up()
    for _ in range(5):
        t.runtime("update", "--resources=-", c.id, input="{}").ok()
    eq(c.probe("open", "/dev/null", "rdwr").ok().out, "ok\n")


def test_hidden_kernel_memory_options_are_accepted(t):
    c = t.up()
    result = t.runtime("update", "--kernel-memory", "50m", "--kernel-memory-tcp", "50m", c.id).ok()
    hasnt(result.err, "level=error")
