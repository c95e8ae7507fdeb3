# SPDX-License-Identifier: Apache-2.0
"""
Docker, podman and containerd with --isolation=vm: what people type every day, on a network with ports and names.

A start of a guest takes seconds on the disposable host, so a test asks its containers for much.
"""

import os
import signal

from case import deadline, eq, facts, has
from engine import IMAGE, engine

WALL = "vm"

# The machine that an emulated processor boots quickest.
SMALL = ("--cpus", "1", "-m", "128m")
SERVER = """
    trap 'echo the end; exit 5' TERM
    trap 'echo usr1' USR1
    mkdir -p /www; echo page >/www/page
    httpd -h /www
    echo up
    while :; do sleep 0.2; done"""


def remove(t, *names):
    t.engine("rm", "-f", *names).ok()


def inspect(t, name, template):
    return t.engine("inspect", "-f", template, name).ok().out.strip()


def server(t, *options):
    """A detached web server; its name."""
    name = t.name()
    t.engine("run", "-d", "--name", name, *SMALL, *options, "box", "sh", "-c", SERVER).ok()
    t.until(lambda: "up" in t.engine("logs", name).out, 20, "the server")
    return name


def page(t, address):
    host, port = address.split(":")
    script = f"(printf 'GET /page HTTP/1.0\\r\\n\\r\\n'; sleep 5) | timeout 20 busybox nc {host} {port}"
    return t.engine.inside("sh", "-c", script).out.splitlines()[-1:]


def is_guest(text):
    """/proc/cmdline of a guest, and of no host."""
    has(text, "panic=-1")


@engine("vm-docker")
@deadline(90)
def test_docker_runs_it_by_name_or_by_argument_and_tells_what_cannot_be(t):
    result = t.engine("run", "--rm", "-i", *SMALL, "--hostname", "inside", "--read-only", "--tmpfs", "/t", "-u", "1000:5", "box", "sh", "-c",
                      "cat /proc/cmdline; cat; hostname; id -u; echo x 2>/dev/null >/x || echo read-only; echo x >/t/x; echo err >&2; exit 7",
                      input="line\n").exits(7)
    is_guest(result.out)
    eq(result.out.splitlines()[1:], ["line", "inside", "1000", "read-only"])
    has(result.err, "err\n")
    is_guest(t.engine("run", "--rm", "--runtime", "argument", *SMALL, "--network", "none", "box", "cat", "/proc/cmdline").ok().out)
    for options, sentence in (
            (("--pid", "host"), "a virtual machine cannot share the host's pid namespace"),
            (("--ipc", "host"), "a virtual machine cannot share the host's ipc namespace"),
            (("--network", "host"), "the container shares the host's network"),
            (("--device", "/dev/kvm"), "a virtual machine has no device c 10:232 of the host's (/dev/kvm)"),
            (("--privileged",), "--privileged of an engine passes every device of the host")):
        t.engine("run", "--rm", *SMALL, *options, "box", "true").fails(sentence)


@engine("vm-docker")
@deadline(90)
def test_docker_serves_ports_executes_pauses_copies_and_stops(t):
    t.need(t.engine.network)
    name = server(t, "-p", "8080:80")
    eq(page(t, "127.0.0.1:8080"), ["page"], "the published port")
    eq(page(t, inspect(t, name, "{{.NetworkSettings.IPAddress}}") + ":80"), ["page"], "its own address")
    eq(t.engine("exec", "-e", "COLOUR=blue", "-w", "/tmp", "-u", "1000:5", name, "sh", "-c", "echo $COLOUR; pwd; id -u; id -g").ok().out.split(),
       ["blue", "/tmp", "1000", "5"])
    has(t.engine("exec", "-t", name, "probe", "tty").ok().out, "controlling yes")
    t.engine("exec", name, "nosuchprogram").fails("executable file not found")
    t.file("in", "in\n")
    t.engine("cp", f"{t.tmp}/in", f"{name}:/tmp/in").ok()
    eq(t.engine("exec", "-i", name, "sh", "-c", "cat /tmp/in -; exit 9", input="and more\n").exits(9).out, "in\nand more\n")
    t.engine("pause", name).ok()
    eq(inspect(t, name, "{{.State.Status}}"), "paused")
    t.engine("unpause", name).ok()
    # What Docker looks up on the host is the machine, and nothing of the host's that has the guest's pids.
    rows = t.engine("top", name, "-eo", "pid,comm").ok().out.splitlines()[1:]
    eq([row.split()[1] for row in rows], ["bulkhead-vm"])
    t.engine("update", "-m", "1g", "--memory-swap", "1g", name).fails("the virtual machine was started with")
    t.engine("kill", "-s", "USR1", name).ok()
    t.until(lambda: "usr1" in t.engine("logs", name).out, 10, "the signal")
    t.engine("stop", "-t", "100", name).ok()
    eq(inspect(t, name, "{{.State.ExitCode}}"), "5")
    has(t.engine("logs", name).out, "the end\n")
    remove(t, name)


@engine("vm-docker")
@deadline(90)
def test_docker_names_reach_a_guest_and_a_killed_machine_is_a_killed_container(t):
    t.need(t.engine.network)
    t.engine("network", "create", "named").ok()
    name = server(t, "--network", "named", "--network-alias", "friend")
    out = t.engine("run", "--rm", *SMALL, "--network", "named", "box", "sh", "-c",
                   "grep nameserver /etc/resolv.conf; nslookup friend").out
    has(out, "nameserver 127.0.0.11\n", f"Address: {inspect(t, name, '{{(index .NetworkSettings.Networks `named`).IPAddress}}')}\n")
    os.kill(int(host_pid(t, name)), signal.SIGKILL)
    eq(t.engine("wait", name).ok().out.strip(), "137")
    remove(t, name)
    t.engine("network", "rm", "named").ok()


def host_pid(t, name):
    """Docker's pid is that of its cage."""
    inner = inspect(t, name, "{{.State.Pid}}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                status = facts(f.read())
        except OSError:
            continue
        if status["Name"] == "bulkhead-vm" and inner in status["NSpid"].split()[1:]:
            return pid
    raise AssertionError(f"no machine has the pid {inner} in the cage")


@engine("vm-podman")
@deadline(120)
def test_podman_runs_executes_and_stops(t):
    name = t.name()
    t.engine.run("-d", "--name", name, *SMALL, "box", "sh", "-c", SERVER).ok()
    t.until(lambda: "up" in t.engine("logs", name).out, 20, "the server")
    is_guest(t.engine("exec", name, "cat", "/proc/cmdline").ok().out)
    t.engine("exec", name, "probe", "exit", "9").exits(9)
    t.engine("pause", name).ok()
    t.engine("unpause", name).ok()
    t.engine("stop", "-t", "100", name).ok()
    eq(inspect(t, name, "{{.State.ExitCode}}"), "5")
    remove(t, name)
    t.engine.run("--rm", *SMALL, "--pid", "host", "box", "true").fails("a virtual machine cannot share the host's pid namespace")


@engine("vm-containerd")
@deadline(120)
def test_containerd_runs_executes_and_kills(t):
    name = t.name()
    t.engine("run", *t.engine.plugged, "-d", "--cpus", "1", "--memory-limit", str(128 << 20), IMAGE, name, "sh", "-c", "sleep 1000 & sleep 1000").ok()
    is_guest(t.engine("tasks", "exec", "--exec-id", "e1", name, "cat", "/proc/cmdline").ok().out)
    t.engine("tasks", "exec", "--exec-id", "e2", name, "probe", "exit", "9").exits(9)
    eq(len(t.engine("tasks", "ps", name).ok().out.splitlines()), 2, "the title and the machine")
    t.engine("tasks", "pause", name).ok()
    t.engine("tasks", "resume", name).ok()
    t.engine("tasks", "kill", "-s", "KILL", name).ok()
    t.until(lambda: "STOPPED" in t.engine("tasks", "ls").ok().out, 10, "the end")
    has(t.engine("tasks", "delete", name).err, "137")
    t.engine("containers", "delete", name).ok()
