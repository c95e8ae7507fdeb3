# SPDX-License-Identifier: Apache-2.0
"""Hooks: which run, when, where, with what on stdin, and what a failure of each does."""

import json
import os

import linux
from case import each, envs, eq, has, hasnt, true, wall

WALL = "both"

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def note(t, kind):
    """A hook program that writes its name, its stdin and facts to a log outside."""
    return t.script(f"hook-{kind}", f"""
exec 2>&1
echo {kind} >>{t.tmp}/order
cat >{t.tmp}/{kind}.state
for n in mnt net pid; do readlink /proc/self/ns/$n; done >{t.tmp}/{kind}.ns
tr '\\0' '\\n' </proc/self/environ >{t.tmp}/{kind}.env
tr '\\0' '\\n' </proc/$$/cmdline >{t.tmp}/{kind}.args
""")


def order(t):
    return linux.read(f"{t.tmp}/order", "").split()


def state(t, kind):
    return json.loads(linux.read(f"{t.tmp}/{kind}.state"))


HOST = [k for k in KINDS if k != "startContainer"]


def hooked(t):
    """A bundle with a noting hook of each kind. The test's directory is bound in, where startContainer's lies and writes."""
    b = t.bundle().bind(t.tmp, t.tmp)
    for kind in KINDS:
        b.hook(kind, note(t, kind))
    return b


@envs("hybrid")
def test_all_kinds_run_once_in_the_order_of_the_lifecycle(t):
    b = hooked(t).shell(f"echo program >>{t.tmp}/order")
    t.run(b).ok()
    found = order(t)
    eq([k for k in found if k != "program"], list(KINDS))
    true(found.index("startContainer") < found.index("program"), found)


@wall("both", quick=True)
@envs("hybrid")
def test_which_hooks_run_in_create_start_and_delete(t):
    c = t.container(hooked(t).probe("exit", 0))
    c.create().ok()
    eq(order(t), ["prestart", "createRuntime", "createContainer"])
    c.start().ok()
    eq(order(t)[3:], ["startContainer", "poststart"])
    c.wait("stopped")
    eq(order(t)[5:], [])
    c.delete().ok()
    eq(order(t)[5:], ["poststop"])


@envs("hybrid")
def test_entries_of_one_list_run_in_order(t):
    b = t.bundle()
    for i in range(5):
        b.hook("createRuntime", t.script(f"h{i}", f"echo {i} >>{t.tmp}/order"))
    t.run(b).ok()
    eq(order(t), ["0", "1", "2", "3", "4"])


@envs("hybrid")
def test_the_state_on_stdin(t):
    b = hooked(t).probe("sleep", 1000)
    b.config["annotations"] = {"org.test": "value"}
    c = t.container(b)
    c.create().ok()
    pid = c.pid
    c.start().ok()
    c.delete("--force").ok()
    for kind, status in (("prestart", "creating"), ("createRuntime", "creating"), ("createContainer", "creating"),
                         ("startContainer", "created"), ("poststart", "running"), ("poststop", "stopped")):
        found = state(t, kind)
        eq((found["id"], found["bundle"], found["status"]), (c.id, b.path, status), kind)
        eq(found["annotations"], {"org.test": "value"}, kind)
        true(found["ociVersion"].startswith("1."), kind)
        if kind in ("prestart", "createRuntime", "poststart"):
            eq(found["pid"], pid, kind)


@envs("hybrid")
def test_the_namespaces_of_each_kind(t):
    c = t.container(hooked(t).probe("sleep", 1000))
    c.create().ok()
    c.start().ok()
    inner = [os.readlink(f"/proc/{c.pid}/ns/{n}") for n in ("mnt", "net", "pid")]
    outer = [os.readlink(f"/proc/self/ns/{n}") for n in ("mnt", "net", "pid")]
    c.delete("--force").ok()
    for kind in ("prestart", "createRuntime", "poststart", "poststop"):
        eq(linux.read(f"{t.tmp}/{kind}.ns").split(), outer, kind)
    # Behind the other wall the last one is another kernel's.
    for kind in ("createContainer", "startContainer")[:2 if t.wall == "process" else 1]:
        eq(linux.read(f"{t.tmp}/{kind}.ns").split()[:2], inner[:2], kind)


@wall("process", "the mounts are made in the guest")
@envs("hybrid")
def test_create_container_hooks_see_the_mounts_before_the_pivot(t):
    b = t.bundle().mount("/data", "tmpfs", "marked-source")
    b.hook("createContainer", t.script("h", f"cat /proc/self/mountinfo >{t.tmp}/mountinfo; ls /usr >{t.tmp}/usr"))
    t.run(b).ok()
    has(linux.read(f"{t.tmp}/mountinfo"), "marked-source")
    has(linux.read(f"{t.tmp}/usr"), "share")


@wall("process", "the loopback device inside is the guest's")
@envs("hybrid")
def test_create_runtime_hooks_find_the_namespaces_by_pid(t):
    b = t.bundle()
    b.hook("createRuntime", t.script("h", f"""
pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/' | head -1)
nsenter -t $pid -n ip link set lo mtu 1234
"""))
    eq(t.run(b.args("/bin/cat", "/sys/class/net/lo/mtu")).ok().out, "1234\n")


@envs("hybrid")
def test_start_container_hooks_are_looked_up_inside(t):
    b = t.bundle().writable()
    b.write("opt/hook", "#!/bin/sh\ncat /etc/hostname >/from-hook\n", 0o755)
    b.hook("startContainer", "/opt/hook")
    t.run(b).ok()
    eq(linux.read(f"{b.rootfs}/from-hook"), "image\n")


@envs("hybrid")
def test_the_environment_of_a_hook_is_its_own(t):
    b = t.bundle()
    b.process["env"] = ["PATH=/bin", "LD_PRELOAD=/evil.so", "CONTAINER=yes"]
    for kind in HOST:
        b.hook(kind, note(t, kind), env=["ONLY=this"])
    b.save()
    env = dict(os.environ, SECRET_OF_THE_CALLER="hidden")
    t.runtime("run", "-b", b.path, t.name(), env=env).ok()
    for kind in HOST:
        lines = [x for x in linux.read(f"{t.tmp}/{kind}.env").splitlines()
                 if not x.startswith(("PWD=", "SHLVL=", "_=", "OLDPWD="))]
        eq(lines, ["ONLY=this"], kind)


@envs("hybrid")
def test_a_hook_without_env_has_none(t):
    b = t.bundle()
    b.hook("createRuntime", note(t, "createRuntime"))
    t.run(b).ok()
    hasnt(linux.read(f"{t.tmp}/createRuntime.env"), "HOME=", "LC_", "PATH=/root")


@envs("hybrid")
def test_the_arguments_are_the_whole_argv(t):
    b = t.bundle().hook("createRuntime", "/bin/sh", args=["renamed", "-c", f"echo $0 $1 >{t.tmp}/args", "zero", "one two"])
    t.run(b).ok()
    eq(linux.read(f"{t.tmp}/args"), "zero one two\n")


@envs("hybrid")
def test_a_hook_that_does_not_read_stdin_is_fine(t):
    b = t.bundle()
    b.config["annotations"] = {f"k{i}": "x" * 1000 for i in range(200)}
    for kind in HOST:
        b.hook(kind, "/bin/true")
    t.run(b).ok()


@wall("both", quick=True)
@each(kind={k: k for k in ("prestart", "createRuntime", "createContainer")})
@envs("hybrid")
def test_a_failing_hook_undoes_the_create_and_runs_poststop(t, kind):
    b = t.bundle().hook(kind, t.script("h", "echo said on stdout; echo said on stderr >&2; exit 3"))
    b.hook("poststop", note(t, "poststop"))
    c = t.container(b.shell(f"echo ran >{t.tmp}/ran"))
    c.create().fails("said on stderr")
    t.runtime("state", c.id).fails("does not exist")
    eq(order(t), ["poststop"])
    true(not os.path.exists(f"{t.cgroup_base}/{c.id}"), "the cgroup is left")


@wall("both", quick=True)
@envs("hybrid")
def test_a_failing_start_container_hook_stops_the_start_before_the_program(t):
    b = t.bundle().bind(t.tmp, t.tmp).hook("startContainer", "/bin/false").shell(f"echo ran >{t.tmp}/ran")
    b.hook("poststop", note(t, "poststop"))
    c = t.container(b)
    c.create().ok()
    c.start().fails()
    true(not os.path.exists(f"{t.tmp}/ran"), "the program ran")
    if t.runtime("state", c.id).code == 0:
        c.wait("stopped")
        c.delete().ok()
    eq(order(t), ["poststop"])


@envs("hybrid")
def test_a_failing_poststart_hook_stops_the_container(t):
    b = t.bundle().hook("poststart", "/bin/false").probe("sleep", 1000)
    b.hook("poststop", note(t, "poststop"))
    c = t.container(b)
    c.create().ok()
    pid = c.pid
    c.start().fails()
    t.until(lambda: linux.children().get(pid, "Z") == "Z", 5, "the end of init")
    c.delete("--force").ok()
    eq(order(t), ["poststop"])


@envs("hybrid")
def test_a_failing_poststop_hook_is_a_warning_and_the_next_one_runs(t):
    b = t.bundle().probe("exit", 0)
    b.hook("poststop", "/bin/false").hook("poststop", note(t, "poststop"))
    c = t.up(b).wait("stopped")
    c.delete().ok()
    eq(order(t), ["poststop"])
    t.runtime("state", c.id).fails("does not exist")


@each(kind={k: k for k in ("prestart", "createRuntime", "createContainer", "poststart")})
@envs("hybrid")
def test_a_hook_beyond_its_timeout_is_killed(t, kind):
    b = t.bundle().hook(kind, "/bin/sleep", args=["sleep", "1000"], timeout=1).probe("sleep", 1000)
    c = t.container(b)
    c.run_detached(timeout=15).fails().within(5)
    t.until(lambda: not [p for p in linux.children() if "sleep 1000" in linux.describe(p)], 5, "the hook's end")


@envs("hybrid")
def test_a_hook_of_poststop_beyond_its_timeout_does_not_hang_delete(t):
    b = t.bundle().hook("poststop", "/bin/sleep", args=["sleep", "1000"], timeout=1).probe("exit", 0)
    c = t.up(b).wait("stopped")
    c.delete().ok().within(5)


@envs("hybrid")
def test_a_hook_that_leaves_a_background_process_does_not_hang(t):
    b = t.bundle().hook("createRuntime", t.script("h", "sleep 1000 & echo $! >pid; exit 0"))
    b.save()
    t.runtime("run", "-b", b.path, t.name(), cwd=t.tmp).ok()
    os.kill(int(linux.read(f"{t.tmp}/pid")), 9)


@each(hook={
    "relative path": {"path": "bin/true"}, "no path": {}, "zero timeout": {"path": "/bin/true", "timeout": 0},
    "negative timeout": {"path": "/bin/true", "timeout": -1}, "empty path": {"path": ""},
})
@envs("hybrid")
def test_a_malformed_hook_is_refused_before_anything_happens(t, hook):
    b = t.bundle().hook("prestart", note(t, "prestart"))
    b.config["hooks"]["createRuntime"] = [hook]
    t.run(b).fails()
    eq(order(t), [])


@envs("hybrid")
def test_a_hook_that_does_not_exist_is_named(t):
    t.run(t.bundle().hook("createRuntime", "/no/such/hook")).fails("/no/such/hook", "no such file or directory")


@envs("hybrid")
def test_hooks_of_a_container_are_those_of_its_create(t):
    b = t.bundle().hook("poststop", note(t, "poststop")).probe("exit", 0)
    c = t.up(b).wait("stopped")
    b.config["hooks"] = {}
    b.save()
    c.delete().ok()
    eq(order(t), ["poststop"])


@envs("hybrid")
def test_poststop_runs_after_the_processes_and_the_cgroup_are_gone(t):
    c = t.container(t.bundle().probe("sleep", 1000))
    c.bundle.hook("poststop", t.script("h", f"ls {t.cgroup_base} >{t.tmp}/cgroups"))
    c.run_detached().ok()
    c.delete("--force").ok()
    hasnt(linux.read(f"{t.tmp}/cgroups"), c.id)


@envs("hybrid")
def test_a_hook_gets_no_descriptor_of_the_runtime(t):
    b = t.bundle().hook("createRuntime", "/bin/sh", args=["sh", "-c", f"ls /proc/self/fd >{t.tmp}/fds"])
    t.run(b).ok()
    true(set(linux.read(f"{t.tmp}/fds").split()) <= {"0", "1", "2", "3"}, linux.read(f"{t.tmp}/fds"))
