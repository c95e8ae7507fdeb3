# SPDX-License-Identifier: Apache-2.0
"""CPU groups: what it costs to run in one, to move between two, and to count many members.

The references are not other runtimes, which have none of this: a run outside of the group, and
two programs, mover.c and reader.c, that do the bare kernel work. As everywhere, ours and the reference
take turns, and a ratio is the median of those within the rounds.
"""

import os
import statistics
import subprocess
import time

import cell
import linux
from runtimes import DEADLINE, Refusal, wait_for_orphans
from sheet import GROUP_LIMITS

BASE = f"{cell.CGROUPS}/cpugroups"
CROWDS = (100, 1000, 10000)  # processes of a container that is moved
TURNS = {100: 24, 1000: 12, 10000: 6}
MOVES, MEMBERS, AT_ONCE = 1000, 500, 50
STATISTICS = """cgroup.events cpu.stat cpu.max cpu.pressure memory.current memory.peak memory.max
    memory.swap.current memory.events memory.pressure io.pressure pids.current pids.max""".split()


def groups(bench, sheet):
    """All of it, for each binary of ours."""
    rows = {}
    for rt in bench.runtimes:
        if not rt.is_ours:
            continue
        try:
            _measure(bench, rt, rows)
        except (Refusal, OSError) as reason:
            rt.cannot["groups"] = str(reason)
        finally:
            _clear(bench, rt)
    for (name, unit, limit), (values, ratios) in rows.items():
        sheet.add(name, unit, values, ratios, limit=lambda _, bound=limit: bound)


def _measure(bench, rt, rows):
    for name in ("gold", "silver"):
        rt.call("cpugroup", "create", name)

    def row(name, unit, value, ratio=None):
        values, ratios = rows.setdefault((name, unit, GROUP_LIMITS.get(name)), ({}, None if ratio is None else {}))
        values[rt.name] = value
        if ratio is not None:
            ratios[rt.name] = ratio

    row("run in a CPU group", "us", *_paired(bench.options.rounds, lambda: bench.time(
        rt, "run", "--cpu-group", "gold", "-b", bench.bundles.true, rt.new_id()), lambda: bench.time(
            rt, "run", "-b", bench.bundles.true, rt.new_id())))
    for size in CROWDS:
        row(f"move {size} processes", "us", *_moves(bench, rt, size))
    row(f"lost in {MOVES} moves", "", _lost(bench, rt))
    row(f"statistics of {MEMBERS}", "us", *_statistics(bench, rt))


def _paired(turns, ours, reference):
    """(median of ours in microseconds, median of the ratios); the first turn fills caches."""
    walls, ratios = [], []
    for number in range(turns + 1):
        first, second = (ours, reference) if number % 2 else (reference, ours)
        one, two = first().wall, second().wall
        mine, theirs = (one, two) if number % 2 else (two, one)
        cell.reap()
        if number:
            walls.append(mine)
            ratios.append(mine / theirs)
    return statistics.median(walls), statistics.median(ratios)


def _crowded(bench, rt, size, kind="children"):
    """A container in gold with so many sleeping processes, and with two that work when it is busy."""
    name = rt.new_id()
    bundle = bench.bundles.crowd(kind, size)
    bench.time(rt, "create", "--cpu-group", "gold", "-b", bundle, name)
    bench.time(rt, "start", name)
    place = f"{BASE}/gold/{name}"
    end = time.monotonic() + DEADLINE
    while len(_pids(place)) <= size:
        if time.monotonic() > end:
            raise OSError(f"there are no {size} processes in {place}")
        time.sleep(0.01)
    return name


def _pids(cgroup):
    return linux.read(f"{cgroup}/cgroup.procs", "").split()


def _moves(bench, rt, size):
    """Two containers that are alike: one is moved by us, the other by the program that does nothing else."""
    name, other = _crowded(bench, rt, size), _crowded(bench, rt, size)
    at = {name: "gold", other: "gold"}

    def target(who):
        before, at[who] = at[who], "silver" if at[who] == "gold" else "gold"
        return f"{BASE}/{before}/{who}", f"{BASE}/{at[who]}/{who}"

    def ours():
        target(name)
        return bench.time(rt, "cpugroup", "move", name, at[name])

    def reference():
        return bench.stopwatch.time([f"{bench.options.programs}/mover", *target(other)])
    try:
        figures = _paired(TURNS[size], ours, reference)
        if len(_pids(f"{BASE}/{at[name]}/{name}")) != size + 1:
            raise OSError(f"not all of {size} processes are where they were moved to")
        return figures
    finally:
        if at[other] != "gold":  # where the state says it is
            bench.stopwatch.time([f"{bench.options.programs}/mover", *target(other)])
        for who in (name, other):
            bench.time(rt, "delete", "-f", who)


def _lost(bench, rt):
    """Processes that are missing after many moves."""
    name = _crowded(bench, rt, 10, "busy")
    looks = [set(_pids(f"{BASE}/gold/{name}")) for _ in range(5) if not time.sleep(0.02)]
    everybody = set.intersection(*looks)  # but for the short-lived
    for number in range(MOVES):
        bench.time(rt, "cpugroup", "move", name, "gold" if number % 2 else "silver")
    there = set(_pids(f"{BASE}/gold/{name}"))
    bench.time(rt, "delete", "-f", name)
    return len(everybody - there)


def _statistics(bench, rt):
    waves = [rt.new_id() for _ in range(MEMBERS // AT_ONCE)]
    for wave in waves:
        bench.time(rt, "create", "--cpu-group", "gold", "-b", bench.bundles.pause, f"{wave}-@", copies=AT_ONCE)
    files = [f for f in STATISTICS if os.path.exists(f"{BASE}/gold/{f}")]
    figures = _paired(bench.options.rounds,
                      lambda: bench.time(rt, "cpugroup", "stats", "gold", "--members", "--format", "json"),
                      lambda: bench.stopwatch.time([f"{bench.options.programs}/reader", f"{BASE}/gold", *files]))
    for wave in waves:
        bench.time(rt, "delete", "-f", f"{wave}-@", copies=AT_ONCE)
    wait_for_orphans(MEMBERS)
    return figures


def _clear(bench, rt):
    """Whatever a measurement that broke off has left."""
    for name in os.listdir(rt.root):
        if name.startswith(f"{rt.name}-"):
            subprocess.run(rt.command("delete", "-f", name), capture_output=True, check=False, timeout=DEADLINE)
    cell.reap()
    if os.path.isdir(BASE):
        for path in [*cell.subgroups(BASE), BASE]:
            try:
                os.rmdir(path)
            except OSError as error:
                print(f"left by groups: {path}: {error.strerror}")
