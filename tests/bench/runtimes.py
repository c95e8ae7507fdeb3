# SPDX-License-Identifier: Apache-2.0
"""The runtimes under measurement, and the stopwatch that starts them."""

import collections
import os
import select
import struct
import subprocess
import sys
import time

import cell

DEADLINE = 60  # seconds; nothing that is measured here takes a tenth of it

# wall: microseconds from start to end; cpu: microseconds, peak: kB, of the runtime and what it waited for
Sample = collections.namedtuple("Sample", "wall cpu peak")


class Refusal(Exception):
    """A command of a runtime ended with a status that is not zero."""

    def __init__(self, argv, status, count):
        super().__init__(f"status {status}" + (f", {count} times" if count > 1 else ""))
        self.argv = argv


class Stopwatch:
    """One stopwatch.c process."""

    def __init__(self, program):
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def time(self, argv, copies=1):
        """Starts copies of argv at once, with their numbers in the place of '@', and waits for them."""
        text = b"".join(os.fsencode(a) + b"\0" for a in argv)
        self._process.stdin.write(b"%d %d %d\n%s" % (copies, len(argv), len(text), text))
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], DEADLINE)[0]:
            sys.exit(f"bench: no end after {DEADLINE} s: {' '.join(argv)}")
        answer = self._process.stdout.readline().split()
        if len(answer) != 5:
            sys.exit(f"bench: the stopwatch is gone: {' '.join(argv)}")
        wall, cpu, peak, bad, status = map(int, answer)
        if bad:
            raise Refusal(argv, status, bad)
        return Sample(wall / 1000, cpu, peak)


class Runtime:
    """A program with the command line of runc, and its containers."""

    def __init__(self, name, path, directory):
        self.name = name
        self.path = os.path.abspath(path)
        self.root = f"{directory}/state/{name}"
        self.linkage = linkage(self.path)
        self.cannot = {}  # workload: why
        self.live = None  # a running container that pauses
        self._count = 0
        os.makedirs(self.root, mode=0o700)

    @property
    def is_ours(self):
        return self.name.startswith("bulkhead")

    @property
    def is_floor(self):
        return self.name.startswith("floor")

    def command(self, *arguments):
        return [self.path, "--root", self.root, *arguments]

    def new_id(self):
        self._count += 1
        return f"{self.name}-{self._count}"

    def call(self, *arguments):
        """Output of a command that is not measured."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False,
                              timeout=DEADLINE)
        if done.returncode:
            raise Refusal(self.command(*arguments), done.returncode, 1)
        return done.stdout

    def left_behind(self):
        """State and cgroups of containers that should be gone, as readable words."""
        found = [f"state of {name}" for name in os.listdir(self.root)
                 if name.startswith(f"{self.name}-") and name != self.live]
        for path in cell.subgroups(cell.CGROUPS):
            name = os.path.basename(path)
            if f"{self.name}-" in name and not (self.live and self.live in name):
                found.append(f"cgroup {name}")
        return found


def linkage(path):
    """static or dynamic: has the ELF file a PT_INTERP header?"""
    with open(path, "rb") as f:
        head = f.read(64)
        if head[:4] != b"\x7fELF" or head[4] != 2:
            return "script"
        offset, = struct.unpack_from("=Q", head, 32)
        size, count = struct.unpack_from("=HH", head, 54)
        f.seek(offset)
        table = f.read(size * count)
    kinds = [struct.unpack_from("=I", table, i * size)[0] for i in range(count)]
    return "dynamic" if 3 in kinds else "static"


def explain(argv):
    """First words that a refusing command says on stderr. Its container is removed by the caller."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=DEADLINE)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[0] if lines else f"status {done.returncode}"


def wait_for_orphans(count):
    """Waits until so many containers have ended that were left to us."""
    end = time.monotonic() + 10
    while count > 0:
        count -= cell.reap()
        if count > 0:
            if time.monotonic() > end:
                sys.exit("bench: a container does not end")
            time.sleep(0.0002)
