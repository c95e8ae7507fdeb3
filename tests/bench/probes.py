# SPDX-License-Identifier: Apache-2.0
"""Figures that are counted, not timed in rounds: system calls, memory, sizes, what stays behind."""

import json
import os
import shutil
import statistics
import subprocess
import time

import cell
import linux
from runtimes import DEADLINE, Refusal, wait_for_orphans
from sheet import CLONE_LIMIT, PEAK_LIMITS, SYSCALL_LIMITS

CLONES = ("clone", "clone3", "fork", "vfork")
CROWD, AT_ONCE = 200, 50


def strace(rt, options, argv):
    """
    Traces a command of a runtime and all its children. strace ends when the last of them does,
    which a created container does not: it is killed when it waits for start.
    """
    tracer = subprocess.Popen(["strace", "-f", "-qq", *options, *argv], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if "create" in argv:
            _until_created(rt, argv[-1])
            rt.call("delete", "-f", argv[-1])
        if tracer.wait(DEADLINE) != 0 and "create" not in argv:
            raise subprocess.SubprocessError(f"status {tracer.returncode} under strace")
    finally:
        if tracer.poll() is None:
            tracer.kill()
            tracer.wait()
    cell.reap()


def _until_created(rt, name):
    for _ in range(500):
        time.sleep(0.01)
        try:
            if json.loads(rt.call("state", name))["status"] == "created":
                return
        except Refusal:
            pass
    raise subprocess.SubprocessError("it is not created within 5 s")


def count_calls(rt, argv, summary):
    """[(name, count, errors, seconds)] of a command and its children."""
    strace(rt, ["-c", "-w", "-o", summary], argv)
    calls = []
    for line in linux.read(summary).splitlines():
        fields = line.split()
        # % time, seconds, usecs/call, calls, errors (may be missing), name
        if len(fields) >= 5 and fields[3].isdigit() and fields[-1] != "total":
            calls.append((fields[-1], int(fields[3]), int(fields[4]) if len(fields) == 6 else 0, float(fields[1])))
    return calls


def syscalls(bench, sheet):
    """Of whole commands, the dynamic loader and the container's program included."""
    if not shutil.which("strace"):
        print("n/a: system calls: there is no strace")
        return
    counts, clones = {}, {}
    for rt in bench.runtimes:
        for name in SYSCALL_LIMITS:
            if name in rt.cannot:
                continue
            try:
                argv = {"run": lambda rt=rt: rt.command("run", "-b", bench.bundles.true, rt.new_id()),
                        "exec": lambda rt=rt: rt.command("exec", bench.alive(rt), "/bin/true"),
                        "state": lambda rt=rt: rt.command("state", bench.alive(rt))}[name]()
                calls = count_calls(rt, argv, f"{bench.directory}/strace")
            except (Refusal, subprocess.SubprocessError) as error:
                rt.cannot.setdefault("syscalls", str(error))
                continue
            counts.setdefault(name, {})[rt.name] = sum(c[1] for c in calls)
            clones.setdefault(name, {})[rt.name] = sum(c[1] for c in calls if c[0] in CLONES)
    for name, limit in SYSCALL_LIMITS.items():
        sheet.add(f"system calls, {name}", "", counts.get(name, {}), limit=lambda _, n=limit: n)
    for name in SYSCALL_LIMITS:
        sheet.add(f"clones, {name}", "", clones.get(name, {}), limit=lambda _: CLONE_LIMIT)


def peak(bench, sheet):
    """Peak resident set of `create`, the largest of some."""
    peaks = {}
    for rt in bench.runtimes:
        try:
            for _ in range(5):
                name = rt.new_id()
                sample = bench.time(rt, "create", "-b", bench.bundles.true, name)
                bench.time(rt, "delete", "-f", name)
                peaks[rt.name] = max(peaks.get(rt.name, 0), sample.peak)
        except Refusal as refusal:
            rt.cannot.setdefault("peak", str(refusal))
        cell.reap()
    sheet.add("peak memory, create", "kB", peaks, limit=lambda rt: PEAK_LIMITS.get(rt.linkage))


def _resident_kb(pid):
    for line in linux.read(f"/proc/{pid}/smaps_rollup", "").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    return None


def _pids():
    """All processes of this cell but the driver's own."""
    found = []
    for path in cell.subgroups(cell.CGROUPS):
        if path != cell.DRIVER:
            found += [int(pid) for pid in linux.read(f"{path}/cgroup.procs", "").split()]
    return found


def _program(pid):
    """Name of what a process runs; a file without a directory entry is in memory only."""
    return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)").rpartition("/")[2].removeprefix("memfd:")


def _runs(pid, program):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", program)
    except OSError:
        return False


def detached(bench, sheet):
    """
    A container between create and start: how many processes of the runtime's own binary there
    are (ours: none, only the stub waits, CVE-2019-5736), and what the waiting process keeps in memory.
    """
    programs, resident, own = {}, {}, {}
    for rt in bench.runtimes:
        bench.bury(rt)
        name = rt.new_id()
        try:
            bench.time(rt, "create", "-b", bench.bundles.true, name)
            pid = _pid_of(rt, name)
            programs[rt.name] = _program(pid)
            resident[rt.name] = _resident_kb(pid)
            everyone = set(_pids()) | set(linux.children())
            own[rt.name] = sum(_runs(p, rt.path) for p in everyone)
            bench.time(rt, "delete", "-f", name)
        except (Refusal, OSError, ValueError) as error:
            rt.cannot.setdefault("detached", str(error))
        cell.reap()
    sheet.add("waits for start", "", programs)
    sheet.add("its resident memory", "kB", resident)
    sheet.add("processes of our binary", "", own, limit=lambda _: 0)


def _pid_of(rt, name):
    return json.loads(rt.call("state", name))["pid"]


def crowd(bench, sheet):
    """Many containers, many at once; then `list` and `state` among them; then all are killed."""
    cannot = {}
    names = ("create", "start", "delete -f")
    each = {name: {} for name in names}
    among = {"list": {}, "state": {}}
    for rt in bench.runtimes:
        bench.bury(rt)
        if {"lifecycle", "kill"} & set(rt.cannot):
            continue
        try:
            times, live = _one_crowd(bench, rt)
        except Refusal as refusal:
            cannot[rt.name] = f"{' '.join(refusal.argv[3:4])}: {refusal}"
            continue
        for name in names:
            each[name][rt.name] = times[name] / CROWD
        for name, value in live.items():
            among[name][rt.name] = value
    reference = bench.rounds.reference
    notes = dict.fromkeys(cannot, "n/a")
    for name in names:
        sheet.add(f"{name}, {AT_ONCE} at once", "us", each[name], _ratios(each[name], reference),
                  notes=notes)
    for name, values in among.items():
        sheet.add(f"{name} at {CROWD}", "us", values, _ratios(values, reference), notes=notes)
    for name, reason in cannot.items():
        print(f"n/a: {name} crowd: {reason}")


def _ratios(values, reference):
    base = values.get(reference)
    return {name: value / base for name, value in values.items() if name != reference} if base else {}


def _one_crowd(bench, rt):
    """({command: microseconds for all}, {command: median among them})"""
    waves = [rt.new_id() for _ in range(CROWD // AT_ONCE)]
    times = {"create": 0, "start": 0, "delete -f": 0}
    for wave in waves:
        times["create"] += bench.time(rt, "create", "-b", bench.bundles.pause, f"{wave}-@", copies=AT_ONCE).wall
        times["start"] += bench.time(rt, "start", f"{wave}-@", copies=AT_ONCE).wall
    live = {
        "list": statistics.median(bench.time(rt, "list").wall for _ in range(9)),
        "state": statistics.median(bench.time(rt, "state", f"{waves[-1]}-0").wall for _ in range(9)),
    }
    listed = sum(line.count(f"{waves[0]}-") > 0 for line in rt.call("list").splitlines())
    if listed != AT_ONCE:
        raise Refusal(rt.command("list"), f"0 but {listed} of {AT_ONCE} containers", 1)
    for wave in waves:
        times["delete -f"] += bench.time(rt, "delete", "-f", f"{wave}-@", copies=AT_ONCE).wall
    wait_for_orphans(CROWD)
    return times, live


def size(bench, sheet):
    """Of the binary, and of the stub where there is one beside it."""
    def of(path):
        return os.stat(path).st_size / 1024 if os.path.exists(path) else None
    sheet.add("size of the binary", "kB", {rt.name: of(rt.path) for rt in bench.runtimes})
    stubs = {rt.name: of(f"{os.path.dirname(rt.path)}/runtime/launch/stub/stub") for rt in bench.runtimes if rt.is_ours}
    sheet.add("size of the stub", "B", {name: s * 1024 for name, s in stubs.items() if s})


def left_behind(bench, sheet):
    """After all of the above: state directories, cgroups and processes."""
    found = {}
    cell.reap()
    for rt in bench.runtimes:
        left = rt.left_behind() + [f"process {linux.describe(p)}" for p in linux.children() if _runs(p, rt.path)]
        found[rt.name] = len(left)
        if left and rt.is_ours:
            print(f"left by {rt.name}: {', '.join(left[:5])}")
    sheet.add("left behind", "", found, limit=lambda _: 0)
