# SPDX-License-Identifier: Apache-2.0
"""What the tests with real load share: CPU groups of a test's own, work for their members, and a clock beside cpu.stat.

Times are those of the machine the tests run in, so a share of CPU is one also where everything
is slow. A measurement may be taken again when the host was busy with others (measured());
what it found wrong each time is wrong.
"""

import contextlib
import json
import os
import time

import host
import linux
from breach import install
from case import true

BASE_VARIABLE = "BULKHEAD_CPU_GROUP_BASE"


def number(path, key=None):
    """The number in a file of the kernel, or that of the line `key`."""
    text = linux.read(path)
    if key is None:
        return int(text)
    return int(next(line.split()[1] for line in text.splitlines() if line.split()[0] == key))


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def working(t, *argv, **resources):
    """A bundle whose program is tests/helper/load.c with these arguments."""
    b = t.bundle()
    install(t, b, "load")
    b.linux["resources"].update(resources)
    return b.args("/bin/load", *(str(a) for a in argv))


def stand_still(t, *cgroups):
    """Once frozen: who stops last counts a little longer, and the timer of a quota ends its period."""
    def counted():
        return [linux.read(f"{c}/cpu.stat") for c in cgroups]

    def same():
        before = counted()
        time.sleep(0.3)
        return counted() == before
    t.until(same, 10, "the counters to stand still")


class Usage:
    """CPU time that cgroups used, and the time it took."""

    def __init__(self, *cgroups):
        self.cgroups = cgroups
        self.before = self._take()

    def _take(self):
        return time.monotonic(), [number(f"{c}/cpu.stat", "usage_usec") for c in self.cgroups]

    def cpus(self):
        """Since the beginning, in CPUs: one figure for each cgroup."""
        (then, used), (now, using) = self.before, self._take()
        return [(b - a) / 1e6 / (now - then) for a, b in zip(used, using)]


def cpus(seconds, *cgroups):
    usage = Usage(*cgroups)
    time.sleep(seconds)
    return usage.cpus()


def measured(check, take, tries=3):
    """check(take()) returns what is wrong, or nothing. Taken again while the host may be to blame."""
    for left in reversed(range(tries)):
        wrong = check(take())
        if not wrong:
            return
        if left == 0:
            raise AssertionError(wrong)


def near(what, got, wanted, part):
    """A sentence when got is farther from wanted than that part of it."""
    if abs(got - wanted) > wanted * part:
        return f"{what}: got {got:.3f}, wanted {wanted:.3f} within {part * 100:.0f} %"
    return None


class Groups:
    """CPU groups below a base of this test's own."""

    def __init__(self, t, parent=None):
        self.t = t
        self.base = f"{parent or t.cgroup_path}/groups"
        self.top = host.v2_tree() + self.base
        os.environ[BASE_VARIABLE] = self.base

    def __call__(self, *argv, **more):
        """`bulkhead cpugroup …`"""
        return self.t.runtime("cpugroup", *argv, **more)

    def create(self, name, *policy):
        """Makes the group; its directory."""
        self("create", name, *policy).ok()
        return self.dir(name)

    def dir(self, name):
        return f"{self.top}/{name}"

    def show(self, name):
        return self("show", name, "--format", "json").json

    def up(self, group, bundle, *options, name=None):
        return self.t.up(bundle, "--cpu-group", group, *options, name=name)

    def remove(self, kill=False):
        """Deletes the containers, which has to work, or kills everybody first, when the test has gone wrong already."""
        if kill and os.path.exists(self.top):
            write(f"{self.top}/cgroup.kill", "1")
        for name in self.t.containers:
            result = self.t.runtime("delete", "--force", name)
            kill or result.ok()
        self.t.containers.clear()
        end = time.monotonic() + 10
        for top, _, _ in os.walk(self.top, topdown=False):
            while True:
                self.t.reap()
                try:
                    os.rmdir(top)
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)


@contextlib.contextmanager
def groups(t, *controllers):
    """Needs the controllers, gives Groups, and takes away whatever is in them in the end."""
    t.need(*(f"controller {c}" for c in controllers or ("cpu", "cpuset")))
    made = Groups(t)
    try:
        yield made
    except BaseException:
        with contextlib.suppress(OSError):
            made.remove(kill=True)
        raise
    made.remove()


def pids_below(cgroup):
    found = set()
    for top, _, _ in os.walk(cgroup):
        found.update(int(p) for p in linux.read(f"{top}/cgroup.procs", "").split())
    return found


def cgroup_of(pid):
    """Directory of the v2 cgroup that a process is in; None when it is gone."""
    for line in linux.read(f"/proc/{pid}/cgroup", "").splitlines():
        if line.startswith("0::"):
            return host.v2_tree() + line[3:].removesuffix(" (deleted)")
    return None


def populated(cgroup):
    return number(f"{cgroup}/cgroup.events", "populated") == 1


def two_cpus(t):
    t.need("two cpus")


def events_of(path):
    """The JSON lines that a command has written so far."""
    return [json.loads(line) for line in linux.read(path, "").splitlines() if line.endswith("}")]
