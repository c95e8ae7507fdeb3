#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the runtime costs, beside the least that the kernel asks for the same container.

    bench.py [options] PROGRAMS NAME=PATH…

PROGRAMS is a directory with stopwatch, true and pause (see run.sh, which builds them). A
runtime NAMEd floor is the reference; names that start with bulkhead are held to the
limits of sheet.py; all others are there to be compared with.

The runtimes take turns within each round, and the order shifts from round to round. A
figure is a median, a ratio the median of the ratios within the rounds.
"""

import argparse
import json
import os
import platform
import sys
import time

import cell
import groups
import layers
import probes
import where
from bundles import Bundles
from runtimes import Refusal, Runtime, Stopwatch, explain, wait_for_orphans
from sheet import Rounds, Sheet

REFERENCE = "floor"
RARELY = 4  # runtimes that are only there to be compared with run in each fourth round


class Bench:
    """The timed workloads. Each yields (metric, sample) once."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.stopwatch = Stopwatch(f"{options.programs}/stopwatch")
        self.bundles = Bundles(f"{directory}", options.programs)
        self.runtimes = [Runtime(*pair, directory) for pair in options.runtimes]
        self.rounds = Rounds(REFERENCE)

    def time(self, rt, *arguments, copies=1):
        return self.stopwatch.time(rt.command(*arguments), copies)

    def null(self, _):
        """The stopwatch itself: a program that ends at once."""
        yield "null", self.stopwatch.time([f"{self.options.programs}/true"])

    def version(self, rt):
        yield "version", self.stopwatch.time([rt.path, "--version"])

    def run(self, rt):
        yield "run", self.time(rt, "run", "-b", self.bundles.true, rt.new_id())

    def seccomp(self, rt):
        if rt.is_floor and self.bundles.no_filter:
            raise OSError(self.bundles.no_filter)
        yield "run seccomp", self.time(rt, "run", "-b", self.bundles.seccomp, rt.new_id())

    def overlay(self, rt):
        yield "run overlay", self.time(rt, "run", "-b", self.bundles.overlay, rt.new_id())

    def lifecycle(self, rt):
        name = rt.new_id()
        yield "create", self.time(rt, "create", "-b", self.bundles.true, name)
        yield "start", self.time(rt, "start", name)
        wait_for_orphans(1)
        yield "delete", self.time(rt, "delete", name)

    def state(self, rt):
        yield "state", self.time(rt, "state", self.alive(rt))

    def exec(self, rt):
        yield "exec", self.time(rt, "exec", self.alive(rt), "/bin/true")

    def kill(self, rt):
        name = rt.new_id()
        self.time(rt, "create", "-b", self.bundles.pause, name)
        self.time(rt, "start", name)
        yield "delete -f", self.time(rt, "delete", "-f", name)

    def alive(self, rt):
        """A running container of the runtime."""
        if not rt.live:
            name = rt.new_id()
            self.time(rt, "create", "-b", self.bundles.pause, name)
            self.time(rt, "start", name)
            rt.live = name
        return rt.live

    def bury(self, rt):
        if rt.live:
            self.time(rt, "delete", "-f", rt.live)
            rt.live = None
            cell.reap()

    def try_out(self, rt, workload):
        """Once without a record: fills caches, and finds out who cannot do it."""
        try:
            for _ in getattr(self, workload)(rt):
                pass
        except Refusal as refusal:
            rt.cannot[workload] = explain([a if not a.startswith(f"{rt.name}-") or a == rt.live else rt.new_id()
                                           for a in refusal.argv])
        except OSError as error:
            rt.cannot[workload] = str(error)
        cell.reap()

    def measure(self, workloads):
        for rt in self.runtimes:
            for workload in workloads:
                self.try_out(rt, workload)
        for number in range(self.options.rounds):
            shift = number % len(self.runtimes)
            order = self.runtimes[shift:] + self.runtimes[:shift]
            for workload in workloads:
                for rt in order:
                    if rt.is_ours or rt.is_floor or number % RARELY == 0:
                        self.measure_once(rt, workload, number)

    def measure_once(self, rt, workload, number):
        if workload in rt.cannot:
            return
        try:
            for metric, sample in getattr(self, workload)(rt):
                self.rounds.add(metric, rt.name, number, sample)
        except Refusal as refusal:
            rt.cannot[workload] = f"{' '.join(refusal.argv[3:])}: {refusal} in round {number}"
        cell.reap()


TIMED = ("null", "version", "run", "seccomp", "overlay", "lifecycle", "state", "exec", "kill")
METRICS = {"run seccomp": "seccomp", "run overlay": "overlay", "create": "lifecycle", "start": "lifecycle",
           "delete": "lifecycle", "delete -f": "kill"}  # where a metric is not named after its workload
PROBED = {"syscalls": probes.syscalls, "peak": probes.peak, "detached": probes.detached,
          "crowd": probes.crowd, "groups": groups.groups, "layers": layers.layers, "size": probes.size}


def tell_refusals(bench):
    for rt in bench.runtimes:
        by_reason = {}
        for workload, reason in rt.cannot.items():
            by_reason.setdefault(reason, []).append(workload)
        for reason, workloads in by_reason.items():
            print(f"n/a: {rt.name} {', '.join(workloads)}: {reason}")


def tell(bench, sheet):
    options = bench.options
    print(f"{options.rounds} rounds in {time.monotonic() - options.began:.0f} s, Linux {platform.release()}, "
          f"{len(os.sched_getaffinity(0))} processors; median, ratio to {REFERENCE}")
    if options.load > len(os.sched_getaffinity(0)) / 2:
        print(f"the machine was busy (load {options.load:.1f} at the start): times and their limits say little")
    sheet.print()
    tell_refusals(bench)
    missed = sheet.missed()
    print(f"missed: {', '.join(missed)}" if missed else "all limits are kept")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"kernel": platform.release(), "processors": len(os.sched_getaffinity(0)),
                       "load": options.load, "rounds": options.rounds, "reference": REFERENCE,
                       "runtimes": {rt.name: {"path": rt.path, "linkage": rt.linkage, "cannot": rt.cannot}
                                    for rt in bench.runtimes},
                       "times": bench.rounds.summary(), "rows": sheet.rows, "missed": missed}, f, indent=1)
    return 1 if missed and options.strict else 0


def work(options, directory):
    options.began, options.load = time.monotonic(), os.getloadavg()[0]
    bench = Bench(options, directory)
    if options.where:
        return where.tell(bench, options.where)
    bench.measure([w for w in TIMED if w in options.workloads])
    sheet = Sheet(bench.runtimes)
    bench.rounds.fill(sheet, lambda rt, metric: METRICS.get(metric, metric) in rt.cannot)
    for name, probe in PROBED.items():
        if name in options.workloads:
            probe(bench, sheet)
    for rt in bench.runtimes:
        bench.bury(rt)
    probes.left_behind(bench, sheet)
    return tell(bench, sheet)


def parse(arguments):
    known = (*TIMED, *PROBED)
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-n", "--rounds", type=int, default=40, help="default: 40")
    parser.add_argument("-w", "--workloads", default=",".join(known), help=f"of: {','.join(known)}")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a limit is missed")
    parser.add_argument("--where", metavar="WORKLOAD", choices=where.WORKLOADS,
                        help=f"measure nothing, show where the time of one of {','.join(where.WORKLOADS)} goes")
    parser.add_argument("programs")
    parser.add_argument("runtimes", nargs="+", metavar="NAME=PATH")
    options = parser.parse_args(arguments)
    options.runtimes = [pair.split("=", 1) for pair in options.runtimes]
    options.workloads = options.workloads.split(",")
    unknown = [w for w in options.workloads if w not in known]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(known)}")
    if options.rounds < 1:
        parser.error("at least one round is needed")
    if REFERENCE not in [name for name, *_ in options.runtimes]:
        parser.error(f"no runtime is named {REFERENCE}")
    return options


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("bench: needs root")
    chosen = parse(sys.argv[1:])
    sys.exit(cell.inside(lambda directory: work(chosen, directory)))
