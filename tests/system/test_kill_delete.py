# SPDX-License-Identifier: Apache-2.0
"""kill and delete: signals, states, and containers that resist."""

import os
import subprocess
import time

import linux
from case import deadline, each, envs, eq, has, true, wall

WALL = "both"


@each(spelling={"name": "USR1", "with SIG": "SIGUSR1", "small": "usr1", "small with sig": "sigusr1", "number": "10"})
@envs("hybrid")
def test_signals_are_named_or_numbered(t, spelling):
    c = t.up(t.bundle().probe("signal-wait")).wait_out("ready")
    c.kill(spelling).ok()
    c.wait_out("signal 10")


@wall("both", quick=True)
@envs("hybrid")
def test_term_is_the_default(t):
    c = t.up(t.bundle().probe("signal-wait")).wait_out("ready")
    c.kill().ok()
    c.wait_out("signal 15").wait("stopped")


@envs("hybrid")
def test_realtime_signals_by_number(t):
    c = t.up(t.bundle().probe("signal-wait")).wait_out("ready")
    c.kill("40").ok()
    c.wait_out("signal 40")


@each(signal={"word": "NOSUCH", "too large": "65", "negative": "-1", "hex": "0x9", "trailing": "9x", "empty": "", "sig alone": "SIG"})
@envs("hybrid")
def test_a_signal_that_does_not_exist_is_refused(t, signal):
    c = t.up()
    t.runtime("kill", c.id, signal).fails()
    eq(c.status, "running")


@envs("hybrid")
def test_an_unknown_signal_is_named(t):
    c = t.up()
    c.kill("NOSUCH").fails("unknown signal", "NOSUCH")


def test_kill_of_a_stopped_container_says_not_running(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    c.kill("KILL").fails("container not running")


@envs("hybrid")
def test_kill_of_an_unknown_container_says_so(t):
    t.runtime("kill", "nothere", "KILL").fails("does not exist")


def test_kill_of_a_created_container_works(t):
    c = t.created(t.bundle())
    c.kill("KILL").ok()
    c.wait("stopped")


def test_kill_all_is_accepted_and_a_stopped_container_is_no_error_then(t):
    c = t.up()
    t.runtime("kill", "--all", c.id, "KILL").ok()
    c.wait("stopped")
    t.runtime("kill", "-a", c.id, "KILL").ok()


@wall("process", "a guest has a pid namespace of its own")
def test_kill_all_reaches_every_process(t):
    c = t.up(t.bundle().without_namespace("pid").probe("tree", 3)).wait_out("ready")
    eq(len(c.pids()), 4)
    top = c.cgroup
    t.runtime("kill", "--all", c.id, "KILL").ok()
    t.until(lambda: not linux.read(f"{top}/cgroup.procs", "").split(), 5, "the end of all")


@wall("process", "a guest has a pid namespace of its own")
def test_kill_of_init_in_a_shared_pid_namespace_takes_all_along(t):
    c = t.up(t.bundle().without_namespace("pid").probe("tree", 3)).wait_out("ready")
    top = c.cgroup
    c.kill("KILL").ok()
    t.until(lambda: not linux.read(f"{top}/cgroup.procs", "").split(), 5, "the end of all")


@wall("process", "a guest has a pid namespace of its own")
def test_processes_that_outlive_init_in_a_shared_pid_namespace_can_be_killed_and_deleted(t):
    c = t.container(t.bundle().without_namespace("pid").probe("orphan", 0))
    c.run_detached().ok()
    c.wait("stopped")
    top = f"{t.cgroup_base}/{c.id}"
    true(linux.read(f"{top}/cgroup.procs").split(), "no orphan is left to test with")
    t.runtime("kill", "--all", c.id, "KILL").ok()
    t.until(lambda: not linux.read(f"{top}/cgroup.procs", "").split(), 5, "the orphan's end")
    c.delete().ok()


def test_kill_of_a_paused_container_works(t):
    c = t.up()
    c.pause().ok()
    c.kill("KILL").ok()
    c.wait("stopped", 5)


@wall("both", quick=True)
def test_a_signal_to_a_paused_container_arrives_after_the_resume(t):
    c = t.up(t.bundle().probe("signal-wait")).wait_out("ready")
    c.pause().ok()
    c.kill("USR1").ok()
    time.sleep(0.1)
    eq(c.out, "ready\n")
    c.resume().ok()
    c.wait_out("signal 10")


def test_delete_of_a_running_container_is_refused(t):
    c = t.up()
    c.delete().fails("cannot delete container", c.id, "that is not stopped", "running")
    eq(c.status, "running")


def test_delete_of_a_paused_container_is_refused(t):
    c = t.up()
    c.pause().ok()
    c.delete().fails("cannot delete container", "that is not stopped", "paused")
    eq(c.status, "paused")


def test_delete_of_a_created_container_kills_it(t):
    c = t.created(t.bundle())
    pid = c.pid
    c.delete().ok()
    true(linux.children().get(pid, "Z") == "Z", "init is alive")
    t.runtime("state", c.id).fails("does not exist")


@envs("hybrid")
def test_delete_of_an_unknown_container_says_so(t):
    t.runtime("delete", "nothere").fails("does not exist")


@envs("hybrid")
def test_forced_delete_of_an_unknown_container_is_success(t):
    t.runtime("delete", "--force", "nothere").ok()
    t.runtime("delete", "-f", "nothere").ok()


@wall("both", quick=True)
@each(state={"created": "created", "running": "running", "paused": "paused", "stopped": "stopped"})
def test_forced_delete_works_in_every_state(t, state):
    c = t.created(t.bundle().probe("exit", 0) if state == "stopped" else t.bundle().probe("sleep", 1000))
    if state != "created":
        c.start().ok()
    if state == "paused":
        c.pause().ok()
    c.wait(state)
    top = f"{t.cgroup_base}/{c.id}"
    c.delete("--force").ok()
    true(not os.path.exists(top), "the cgroup is left")
    true(not os.path.exists(f"{t.root}/{c.id}"), "the state is left")


def test_forced_delete_is_quick(t):
    bundles = [t.bundle().probe("sleep", 1000)]
    if t.wall == "process":
        bundles.append(t.bundle().without_namespace("pid").probe("tree", 20))
    for bundle in bundles:
        t.up(bundle).delete("--force").ok().within(2)


def test_delete_removes_cgroups_that_the_container_made(t):
    c = t.up()
    top = c.cgroup
    for name in ("a/b/c", "a/d", "e"):
        os.makedirs(f"{top}/{name}")
    with open(f"{top}/a/b/c/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(c.pid))
    c.kill("KILL").ok()
    c.wait("stopped")
    c.delete().ok()
    true(not os.path.exists(top), "cgroups are left")


@wall("process", "exec --cgroup is refused: test_vm")
def test_forced_delete_of_a_container_whose_inner_group_is_frozen(t):
    c = t.up()
    top = c.cgroup
    os.makedirs(f"{top}/inner")
    c.probe("sleep", 1000, options=["-d", "--cgroup", "inner"])
    with open(f"{top}/inner/cgroup.freeze", "w", encoding="ascii") as f:
        f.write("1")
    c.delete("--force").ok().within(5)


@wall("process", "a guest has a pid namespace of its own")
def test_forced_delete_of_a_container_whose_init_is_gone_but_not_its_children(t):
    c = t.container(t.bundle().without_namespace("pid").probe("orphan", 0))
    c.run_detached().ok()
    c.wait("stopped")
    c.delete("--force").ok()


@wall("process", "a guest has a pid namespace of its own")
def test_plain_delete_of_a_stopped_container_with_live_orphans_leaves_none(t):
    c = t.container(t.bundle().without_namespace("pid").probe("orphan", 0))
    c.run_detached().ok()
    c.wait("stopped")
    pids = linux.read(f"{t.cgroup_base}/{c.id}/cgroup.procs").split()
    c.delete().ok()
    for pid in pids:
        true(linux.read(f"/proc/{pid}/stat", ") Z").rpartition(")")[2].split()[0] == "Z", f"{pid} is alive")


@envs("hybrid")
def test_a_state_directory_without_state_is_a_remnant_that_delete_removes(t):
    name = t.name()
    os.mkdir(f"{t.root}/{name}")
    t.runtime("delete", name).fails("does not exist")
    if os.path.exists(f"{t.root}/{name}"):
        t.runtime("delete", "--force", name).ok()
    true(not os.path.exists(f"{t.root}/{name}"), "the remnant is left")


@envs("hybrid")
def test_delete_twice_says_does_not_exist(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    c.delete().ok()
    c.delete().fails("does not exist")
    c.delete("--force").ok()


@envs("hybrid")
def test_a_reused_pid_is_not_signalled(t):
    # The state is made to name a process of ours as init: its start time differs, so it is none.
    c = t.up()
    victim = t.spawn(["sleep", "1000"])
    try:
        old = c.pid
        for top, _, names in os.walk(f"{t.root}/{c.id}"):
            for name in names:
                path = f"{top}/{name}"
                if os.path.isfile(path):
                    text = linux.read(path)
                    with open(path, "w", encoding="utf-8") as f:
                        f.write(text.replace(str(old), str(victim.pid)))
        c.kill("KILL")
        c.delete("--force")
        time.sleep(0.1)
        eq(victim.poll(), None, "a process that is not the container's was killed")
        try:
            os.kill(old, 9)
        except ProcessLookupError:
            pass
    finally:
        victim.kill()
        victim.wait()
        for top, _, _ in os.walk(f"{t.cgroup_base}/{c.id}", topdown=False):
            t.until(lambda top=top: not linux.read(f"{top}/cgroup.procs", "").split(), 5, "the end")
            os.rmdir(top)


@envs("hybrid")
@deadline(60)
def test_deletes_at_once_of_one_container_all_end(t):
    c = t.up()
    running = [t.spawn_runtime("delete", "--force", c.id,
                                stderr=subprocess.DEVNULL) for _ in range(8)]
    codes = [p.wait(20) for p in running]
    true(0 in codes, codes)
    t.runtime("state", c.id).fails("does not exist")


@envs("hybrid")
def test_delete_while_the_bundle_is_gone(t):
    import shutil
    c = t.up()
    shutil.rmtree(c.bundle.path)
    has(t.runtime("list").ok().out, c.id)
    c.delete("--force").ok()
