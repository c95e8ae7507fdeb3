# SPDX-License-Identifier: Apache-2.0
"""
podman with --isolation=vm, which the name bulkhead-vm chooses. A start of a guest takes seconds on the
disposable host, so a test asks its container for much.
"""

from case import deadline, eq, has
from engine import engine

WALL = "vm"

# The machine that an emulated processor boots quickest.
SMALL = ("--cpus", "1", "-m", "128m")
SERVER = """
    trap 'echo the end; exit 5' TERM
    echo up
    while :; do sleep 0.2; done"""


def is_guest(text):
    """/proc/cmdline of a guest, and of no host."""
    has(text, "panic=-1")


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
    eq(t.engine("inspect", "-f", "{{.State.ExitCode}}", name).ok().out, "5\n")
    t.engine("rm", "-f", name).ok()
    t.engine.run("--rm", *SMALL, "--pid", "host", "box", "true").fails("a virtual machine cannot share the host's pid namespace")
