# SPDX-License-Identifier: Apache-2.0
"""Where the time of one command goes: system calls of ours beside those of the floor, by strace.

strace adds some 20 us to each call, so counts and the order of things are what to look at. Time
that a parent spends waiting for its child (wait4, poll, read, a vfork-like clone3) shows up too.
"""

import re
import shutil
import sys

import linux
import probes
from runtimes import wait_for_orphans

WORKLOADS = ("run", "seccomp", "create", "start", "delete", "state", "exec", "kill")
SLOWEST = 25


def _prepare(bench, rt, workload):
    """The command to look at, on a container that is in the right state for it."""
    bundles = bench.bundles
    if workload in ("run", "seccomp"):
        return rt.command("run", "-b", bundles.seccomp if workload == "seccomp" else bundles.true, rt.new_id())
    if workload == "state":
        return rt.command("state", bench.alive(rt))
    if workload == "exec":
        return rt.command("exec", bench.alive(rt), "/bin/true")
    name = rt.new_id()
    if workload == "create":
        return rt.command("create", "-b", bundles.true, name)
    bench.time(rt, "create", "-b", bundles.pause if workload == "kill" else bundles.true, name)
    if workload == "start":
        return rt.command("start", name)
    bench.time(rt, "start", name)
    if workload == "kill":
        return rt.command("delete", "-f", name)
    wait_for_orphans(1)
    return rt.command("delete", name)


def _table(bench, workload, runtimes):
    """Calls by name: how often, and microseconds in sum."""
    counted = {}
    for rt in runtimes:
        calls = probes.count_calls(rt, _prepare(bench, rt, workload), f"{bench.directory}/strace")
        counted[rt.name] = {name: (count, seconds * 1e6) for name, count, _, seconds in calls}
    names = {name for calls in counted.values() for name in calls}
    first = runtimes[0].name
    print(f"{'':20}" + "".join(f"{rt.name:>20}" for rt in runtimes))
    for name in sorted(names, key=lambda n: -counted[first].get(n, (0, 0))[1]):
        print(f"{name:20}" + "".join("{:>9} {:7.0f} us".format(*counted[rt.name].get(name, (0, 0)))
                                     for rt in runtimes))
    print(f"{'all':20}" + "".join(f"{sum(c for c, _ in counted[rt.name].values()):>9} "
                                  f"{sum(t for _, t in counted[rt.name].values()):7.0f} us" for rt in runtimes))


def _slowest(bench, workload, rt):
    """Single calls, by their time."""
    trace = f"{bench.directory}/trace"
    probes.strace(rt, ["-T", "-s", "40", "-o", trace], _prepare(bench, rt, workload))
    calls = []
    for line in linux.read(trace).splitlines():
        match = re.match(r"(\d+) +(.*) <(\d+\.\d+)>$", line)
        if match:
            calls.append((float(match[3]) * 1e6, match[1], match[2]))
    print(f"\nslowest calls of {rt.name}")
    for took, pid, text in sorted(calls, reverse=True)[:SLOWEST]:
        print(f"{took:7.0f} us  {pid}  {text[:110]}")


def tell(bench, workload):
    if not shutil.which("strace"):
        sys.exit("bench: --where needs strace")
    ours = [rt for rt in bench.runtimes if rt.is_ours]
    runtimes = (ours[:1] or bench.runtimes[1:2]) + [rt for rt in bench.runtimes if rt.name == bench.rounds.reference]
    bench.try_out(runtimes[0], "run")
    _table(bench, workload, runtimes)
    _slowest(bench, workload, runtimes[0])
    return 0
