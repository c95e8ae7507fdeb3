# SPDX-License-Identifier: Apache-2.0
"""--trace FILE: a timeline of a command's steps."""

import json
import os
import signal

import linux
from case import envs, eq, has, true, wall

WALL = "both"


def read_trace(path):
    """As the readers of the format do: without the last comma, and with the bracket that is never written."""
    return json.loads(linux.read(path).rstrip().rstrip(",") + "]")


def steps(events, pid):
    return [e["name"] for e in events if e["ph"] == "X" and e["pid"] == pid]


def processes(events):
    return {e["args"]["name"]: e["pid"] for e in events if e["name"] == "process_name"}


@wall("process", "a machine has other steps: test_vm")
def test_a_run_tells_how_long_each_step_took(t):
    path = f"{t.tmp}/trace"
    hook = t.script("hook", "cat > /dev/null")
    bundle = t.bundle().args("/bin/true").hook("createRuntime", hook)
    bundle.save()
    t.runtime("run", "--bundle", bundle.path, t.name(), options=["--trace", path]).ok()
    events = read_trace(path)
    names = processes(events)
    eq(sorted(names), ["bulkhead run", "container's first process"])
    eq(steps(events, names["bulkhead run"]),
       ["plan", "reserve", "cgroup", "storage", "clone", "maps and devices", "createRuntime hook 0", "stages", "finish",
        "start", "program", "delete", "run"])
    eq(steps(events, names["container's first process"])[:2], ["namespaces", "root filesystem"])
    for pid in names.values():
        end = 0
        for event in (e for e in events if e["ph"] == "X" and e["pid"] == pid and e["name"] not in ("run", "createRuntime hook 0")):
            true(event["ts"] >= end - 0.002, f"{event['name']} begins before the step before it ended")
            end = event["ts"] + event["dur"]
    spans = {e["name"]: (e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X"}
    true(spans["stages"][0] <= spans["createRuntime hook 0"][0] <= spans["createRuntime hook 0"][1] <= spans["stages"][1],
         f"the hook ran outside of its stage: {spans}")
    true(spans["run"][0] <= spans["plan"][0] and spans["delete"][1] <= spans["run"][1], "run is not the whole")


@envs("hybrid")
def test_commands_share_a_trace(t):
    path = f"{t.tmp}/trace"
    c = t.container(t.bundle().probe("sleep", "1000"))
    c.bundle.save()
    t.runtime("create", "--bundle", c.bundle.path, c.id, options=["--trace", path], out=c.out_path, err=c.err_path).ok()
    t.runtime("start", c.id, options=["--trace", path]).ok()
    t.runtime("exec", c.id, "/bin/true", options=["--trace", path]).ok()
    t.runtime("state", c.id, options=["--trace", path]).ok()
    events = read_trace(path)
    names = processes(events)
    for verb in ("create", "start", "exec", "state"):
        has(str(steps(events, names[f"bulkhead {verb}"])), f"'{verb}'")
    eq(steps(events, names["bulkhead exec"]), ["plan", "clone", "stages", "start", "exec"])


@envs("hybrid")
def test_a_killed_command_leaves_the_steps_that_it_had_done(t):
    path = f"{t.tmp}/trace"
    hook = t.script("hook", f"echo $$ > {t.tmp}/hook.pid; exec sleep 100")
    c = t.container(t.bundle().hook("createRuntime", hook))
    c.bundle.save()
    runtime = t.spawn(t.command("create", "--bundle", c.bundle.path, c.id, options=["--trace", path]))
    t.until(lambda: linux.read(f"{t.tmp}/hook.pid", "").endswith("\n"), 10, "the hook to run")
    os.kill(runtime.pid, signal.SIGKILL)
    runtime.wait()
    os.kill(int(linux.read(f"{t.tmp}/hook.pid")), signal.SIGKILL)
    events = read_trace(path)
    eq(steps(events, processes(events)["bulkhead create"]),
       ["plan", "reserve", "cgroup", "storage", "clone", "maps and devices"])


@envs("hybrid")
def test_a_trace_that_cannot_be_written_ends_the_command_before_anything_is_done(t):
    bundle = t.bundle()
    bundle.save()
    name = t.name()
    t.runtime("run", "--bundle", bundle.path, name, options=["--trace", "/dev/null"]).fails(
        "the trace /dev/null is not a regular file")
    t.runtime("run", "--bundle", bundle.path, name, options=["--trace", t.tmp]).fails("open the trace", "is a directory")
    eq(t.state_names(), [])
