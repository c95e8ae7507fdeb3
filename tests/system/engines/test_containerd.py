# SPDX-License-Identifier: Apache-2.0
"""containerd by ctr with --runc-binary: the calls of its shim, without Docker's layer above."""

import time

import changes
from case import deadline, eq, facts, has, true
from engine import IMAGE, engine

WALL = ("process", "an engine with the process wall")


def start(t, *options, argv=("sleep", "1000")):
    name = t.name()
    t.engine("run", *t.engine.plugged, "--detach", *options, IMAGE, name, *argv).ok()
    return name


def remove(t, *names):
    for name in names:
        t.engine("tasks", "kill", "-s", "KILL", "-a", name)
        t.until(lambda: t.engine("tasks", "delete", "-f", name).code in (0, 1, 137), 10, "the task's end")
        t.until(lambda: t.engine("containers", "delete", name).code == 0, 10, "the container's removal")


def status(t, name):
    for line in t.engine("tasks", "ls").ok().out.splitlines():
        fields = line.split()
        if fields[0] == name:
            return fields[2]
    return None


@engine("containerd")
def test_run_prints_the_output_and_passes_the_exit_code(t):
    eq(t.engine.run("echo", "hello", name=t.name()).ok().out, "hello\n")
    t.engine.run("probe", "exit", "3", name=t.name()).exits(3)


@engine("containerd")
def test_a_program_that_is_not_there_is_named(t):
    result = t.engine.run("nosuchprogram", name=t.name()).fails()
    has(result.err, "nosuchprogram", "executable file not found")


@engine("containerd")
def test_a_task_is_listed_with_its_pid_and_status(t):
    name = start(t)
    eq(status(t, name), "RUNNING")
    pids = t.engine("tasks", "ps", name).ok().out.split()
    true(any(p.isdigit() for p in pids), pids)
    remove(t, name)


@engine("containerd")
def test_exec_runs_in_the_container(t):
    name = start(t)
    eq(t.engine("tasks", "exec", "--exec-id", "e1", name, "echo", "there").ok().out, "there\n")
    t.engine("tasks", "exec", "--exec-id", "e2", name, "probe", "exit", "9").exits(9)
    out = facts(t.engine("tasks", "exec", "--exec-id", "e3", "--cwd", "/tmp", "--user", "1000", name, "probe", "ids").ok().out)
    eq(out["uid"], "1000 1000 1000")
    t.engine("tasks", "exec", "--exec-id", "e4", name, "nosuchprogram").fails("executable file not found")
    remove(t, name)


@engine("containerd")
def test_exec_of_an_absent_program_leaves_the_container_alone(t):
    name = start(t)
    for i in range(3):
        t.engine("tasks", "exec", "--exec-id", f"e{i}", name, "/no/such").fails("no such file or directory")
    eq(status(t, name), "RUNNING")
    remove(t, name)


@engine("containerd")
def test_pause_and_resume(t):
    name = start(t)
    t.engine("tasks", "pause", name).ok()
    eq(status(t, name), "PAUSED")
    t.engine("tasks", "resume", name).ok()
    eq(status(t, name), "RUNNING")
    remove(t, name)


@engine("containerd")
def test_kill_ends_the_task(t):
    name = start(t)
    t.engine("tasks", "kill", "-s", "KILL", name).ok()
    t.until(lambda: status(t, name) == "STOPPED", 10, "the end")
    has(t.engine("tasks", "delete", name).err, "137")
    t.engine("containers", "delete", name).ok()


@engine("containerd")
def test_kill_of_a_stopped_task_is_not_found(t):
    name = start(t, argv=("true",))
    t.until(lambda: status(t, name) == "STOPPED", 10, "the end")
    t.engine("tasks", "kill", "-s", "KILL", name).fails("not found")
    remove(t, name)


@engine("containerd")
def test_killing_all_processes_of_a_task(t):
    name = start(t, "--pid-file", "/run/x.pid", argv=("sh", "-c", "sleep 999 & sleep 998"))
    t.engine("tasks", "kill", "-a", "-s", "KILL", name).ok()
    t.until(lambda: status(t, name) == "STOPPED", 10, "the end")
    remove(t, name)


@engine("containerd")
def test_a_terminal_has_a_controlling_terminal(t):
    # ctr wants a terminal of its own: script gives it one.
    argv = " ".join(["ctr", "-a", "/run/containerd.sock", "run", "--rm", "-t", *t.engine.plugged, IMAGE, t.name(),
                     "probe", "tty"])
    found = facts(t.engine.inside("script", "-qec", argv, "/dev/null").ok().out.replace("\r", ""))
    eq(found["controlling"], "yes")


@engine("containerd")
def test_mounts_environment_and_read_only_root(t):
    source = t.dir("source")
    t.file("source/file", "mounted\n")
    out = t.engine.run("sh", "-c", "cat /mnt/file; echo $A; probe open /new wronly,creat", name=t.name(), options=[
        "--mount", f"type=bind,src={source},dst=/mnt,options=rbind:ro", "--env", "A=b", "--read-only"]).out
    eq(out, "mounted\nb\nEROFS\n")


@engine("containerd")
def test_seccomp_default_profile_works(t):
    out = facts(t.engine.run("probe", "seccomp-status", name=t.name(), options=["--seccomp"]).ok().out)
    eq(out["Seccomp"], "2")


@engine("containerd")
def test_privileged_has_no_seccomp_and_many_capabilities(t):
    out = facts(t.engine.run("probe", "caps", name=t.name(), options=["--privileged"]).ok().out)
    true(int(out["effective"], 16) >> 21 & 1, "CAP_SYS_ADMIN")


@engine("containerd")
def test_host_network(t):
    inside = t.engine.run("readlink", "/proc/self/ns/net", name=t.name(), options=["--net-host"]).ok().out
    eq(inside, t.engine.inside("readlink", "/proc/self/ns/net").ok().out)


@engine("containerd")
def test_a_device_is_given(t):
    t.need("kvm")
    out = t.engine.run("probe", "open", "/dev/kvm", "rdwr", name=t.name(), options=["--device", "/dev/kvm"]).ok().out
    eq(out, "ok\n")


@engine("containerd")
def test_the_death_of_the_shim_does_not_hang_the_cleanup(t):
    name = start(t)
    t.engine.inside("sh", "-c", f"pkill -KILL -f 'containerd-shim.*-id {name}( |$)'").ok()
    t.until(lambda: status(t, name) in (None, "STOPPED", "UNKNOWN"), 15, "containerd to notice")
    time.sleep(0.1)
    remove(t, name)


@engine("containerd")
@deadline(120)
def test_an_image_that_the_runtime_committed_runs(t):
    t.need("libarchive", "overlay")
    c = changes.running(t, "echo out >/new; rm /keep; mv /dir /moved; rm -r /gone; mkdir /gone")
    path = changes.commit(t, c, tag="example.org/ours:new")
    t.call(["tar", "-C", path, "-cf", f"{t.tmp}/saved.tar", "."]).ok()
    t.engine("images", "import", f"{t.tmp}/saved.tar").ok()
    name = "example.org/ours:new"
    eq(t.engine.run("cat", "/new", name=t.name(), image=name).ok().out, "out\n")
    eq(t.engine.run("ls", "/moved", "/gone", name=t.name(), image=name).ok().out, "/gone:\n\n/moved:\na\nb\nsub\n")
    t.engine.run("cat", "/keep", name=t.name(), image=name).fails("no such file")
    t.engine("images", "rm", name).ok()
