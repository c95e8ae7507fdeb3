# SPDX-License-Identifier: Apache-2.0
"""podman with --runtime. It has no network plugins here: networks are none, host, or another container's."""

import json

from case import each, eq, facts, has, true
from engine import engine

WALL = ("process", "an engine with the process wall")



def start(t, *options, argv=("sleep", "1000")):
    name = t.name()
    t.engine.run("-d", "--name", name, *options, "box", *argv).ok()
    return name


def remove(t, *names):
    t.engine("rm", "-f", "-t", "0", *names).ok()


def inspect(t, name, template):
    return t.engine("inspect", "-f", template, name).ok().out.strip()


@engine("podman")
def test_run_prints_the_output_of_the_program(t):
    eq(t.engine.run("--rm", "box", "echo", "hello").ok().out, "hello\n")


@engine("podman")
@each(code={"0": 0, "3": 3})
def test_run_passes_the_exit_code_on(t, code):
    t.engine.run("--rm", "box", "probe", "exit", code).exits(code)


@engine("podman")
def test_run_gives_126_and_127_for_programs_that_cannot_start(t):
    t.engine.run("--rm", "box", "/etc/image-file").fails("permission denied", code=126)
    t.engine.run("--rm", "box", "/no/such/program").fails("no such file or directory", code=127)
    t.engine.run("--rm", "box", "nosuchprogram").fails("nosuchprogram", code=127)


@engine("podman")
def test_kill_gives_137(t):
    name = start(t)
    t.engine("kill", name).ok()
    eq(t.engine("wait", name).ok().out.strip(), "137")
    remove(t, name)


@engine("podman")
def test_a_terminal_is_a_terminal(t):
    found = facts(t.engine.run("--rm", "-t", "box", "probe", "tty").ok().out.replace("\r", ""))
    eq(found["controlling"], "yes")


@engine("podman")
def test_exec_passes_output_exit_code_user_and_directory(t):
    name = start(t)
    eq(t.engine("exec", name, "echo", "there").ok().out, "there\n")
    t.engine("exec", name, "probe", "exit", "7").exits(7)
    eq(t.engine("exec", "-u", "1000:5", "-w", "/tmp", name, "sh", "-c", "id -u; id -g; pwd").ok().out.split(), ["1000", "5", "/tmp"])
    eq(t.engine("exec", "-i", name, "cat", input="in\n").ok().out, "in\n")
    t.engine("exec", name, "nosuchprogram").fails(code=127)
    remove(t, name)


@engine("podman")
def test_logs_keep_stdout_and_stderr(t):
    name = start(t, argv=("sh", "-c", "echo out; echo err >&2"))
    t.engine("wait", name).ok()
    result = t.engine("logs", name).ok()
    eq((result.out, result.err), ("out\n", "err\n"))
    remove(t, name)


@engine("podman")
def test_stop_sends_term(t):
    name = start(t, argv=("probe", "signal-wait"))
    t.until(lambda: "ready" in t.engine("logs", name).out, 10, "ready")
    t.engine("stop", "-t", "10", name).ok()
    eq(inspect(t, name, "{{.State.ExitCode}}"), "115")
    remove(t, name)


@engine("podman")
def test_volumes_and_read_only_root(t):
    source = t.dir("source")
    t.file("source/file", "from the host\n")
    eq(t.engine.run("--rm", "-v", f"{source}:/b:ro", "--read-only", "box", "sh", "-c",
                "cat /b/file; probe open /b/new wronly,creat; probe open /new wronly,creat").out,
       "from the host\nEROFS\nEROFS\n")


@engine("podman")
def test_user_capabilities_and_groups(t):
    out = facts(t.engine.run("--rm", "-u", "1000:1000", "--group-add", "42", "box", "probe", "ids").ok().out)
    eq(out["uid"], "1000 1000 1000")
    true("42" in out["groups"].split(), out)
    caps = facts(t.engine.run("--rm", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "box", "probe", "caps").ok().out)
    eq(int(caps["effective"], 16), 1 << 12)


@engine("podman")
def test_the_default_seccomp_profile_is_in_force(t):
    out = facts(t.engine.run("--rm", "box", "probe", "seccomp-status").ok().out)
    eq(out["Seccomp"], "2")


@engine("podman")
def test_a_mapped_user_namespace(t):
    out = t.engine.run("--rm", "--uidmap", "0:100000:5000", "--gidmap", "0:100000:5000", "box", "sh", "-c",
                   "cat /proc/self/uid_map; probe ids").ok().out
    eq(out.splitlines()[0].split(), ["0", "100000", "5000"])
    has(out, "uid 0 0 0")


@engine("podman")
def test_pause_and_unpause(t):
    name = start(t)
    t.engine("pause", name).ok()
    eq(inspect(t, name, "{{.State.Status}}"), "paused")
    t.engine("unpause", name).ok()
    eq(inspect(t, name, "{{.State.Status}}"), "running")
    remove(t, name)


@engine("podman")
def test_restart_gives_a_new_process(t):
    name = start(t)
    before = inspect(t, name, "{{.State.Pid}}")
    t.engine("restart", "-t", "0", name).ok()
    true(inspect(t, name, "{{.State.Pid}}") != before, "same pid")
    remove(t, name)


@engine("podman")
def test_init_is_pid_1(t):
    t.need("catatonit")
    name = start(t, "--init")
    has(t.engine("exec", name, "cat", "/proc/1/cmdline").ok().out, "init")
    remove(t, name)


@engine("podman")
def test_top_lists_the_processes(t):
    name = start(t)
    has(t.engine("top", name).ok().out, "sleep 1000")
    remove(t, name)


@engine("podman")
def test_a_health_check_runs(t):
    name = start(t, "--health-cmd", "true", "--health-interval", "disable")
    t.engine("healthcheck", "run", name).ok()
    remove(t, name)


@engine("podman")
def test_commit_and_cp(t):
    name = start(t)
    t.file("in", "in\n")
    t.engine("cp", f"{t.tmp}/in", f"{name}:/tmp/in").ok()
    eq(t.engine("exec", name, "cat", "/tmp/in").ok().out, "in\n")
    t.engine("commit", "-q", name, "changed").ok()
    eq(t.engine.run("--rm", "changed", "cat", "/tmp/in").ok().out, "in\n")
    remove(t, name)
    t.engine("rmi", "changed").ok()


@engine("podman")
def test_a_container_joins_the_namespaces_of_another(t):
    first = start(t)
    theirs = facts(t.engine("exec", first, "probe", "ns").ok().out)
    mine = facts(t.engine.run("--rm", "--network", f"container:{first}", "--pid", f"container:{first}",
                          "--ipc", f"container:{first}", "box", "probe", "ns").ok().out)
    for kind in ("net", "pid", "ipc"):
        eq(mine[kind], theirs[kind], kind)
    remove(t, first)


@engine("podman")
def test_host_namespaces(t):
    out = facts(t.engine.run("--rm", "--network", "host", "--pid", "host", "--ipc", "host", "--uts", "host",
                         "box", "probe", "ns").ok().out)
    host = t.engine.inside("sh", "-c", "for n in net pid ipc uts; do readlink /proc/self/ns/$n; done").ok().out.split()
    eq([out[k] for k in ("net", "pid", "ipc", "uts")], host)


@engine("podman")
def test_a_sysctl_and_ulimits(t):
    out = t.engine.run("--rm", "--sysctl", "net.ipv4.ip_unprivileged_port_start=77", "--ulimit", "nofile=100:200", "--ulimit", "nproc=50:60",
                   "box", "sh", "-c", "probe sysctl net.ipv4.ip_unprivileged_port_start; probe rlimits").ok().out
    has(out, "77\n", "RLIMIT_NOFILE 100 200\n")


@engine("podman")
def test_annotations_reach_the_state_of_the_runtime(t):
    name = start(t, "--annotation", "org.test.key=value with = and ü")
    identity = inspect(t, name, "{{.Id}}")
    eq(json.loads(t.engine.inside(t.binary, "state", identity).ok().out)["annotations"]["org.test.key"],
       "value with = and ü")
    remove(t, name)


@engine("podman")
def test_a_pod_of_two_containers_shares_the_network(t):
    # podman 4.3 puts a device program that denies everything on the cgroup of a pod where it sees cgroup v2 alone.
    t.need("hybrid cgroups")
    pod = t.name("pod")
    t.engine("pod", "create", "--name", pod, "--network", "none", "--cgroup-parent", t.engine.parent,
             "--infra-image", "waiter").ok()
    one = t.engine("run", "-d", "--pod", pod, "box", "sleep", "1000").ok().out.strip()
    mine = facts(t.engine("run", "--rm", "--pod", pod, "box", "probe", "ns").ok().out)
    eq(mine["net"], facts(t.engine("exec", one, "probe", "ns").ok().out)["net"])
    t.engine("pod", "rm", "-f", "-t", "0", pod).ok()
