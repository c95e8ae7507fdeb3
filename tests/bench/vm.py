#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a start behind the VM wall costs, beside the least machine that boots the same kernel.

    vm.py [-n ROUNDS] [--json FILE] [--strict] PROGRAMS AGENT BINARY

PROGRAMS is a directory with pvmm (pvmm.c, the reference). Runs where /dev/kvm runs guests; `make bench WALL=vm` takes the disposable
host where this machine cannot. There all times are those of an emulated processor: ratios say something, milliseconds
do not. A figure is the median of the rounds; ours and the reference take turns.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "system")]

import guests  # noqa: E402
import host  # noqa: E402
import linux  # noqa: E402
from sheet import Sheet  # noqa: E402

MIB = 1 << 20
MEMORY = 256 * MIB
FILES = 3000
LIMITS = {"port exits": 10, "register exits": 100, "boot": 1.1, "private memory": 5 * 1024, "agent": 400, "program of boot": 15}
DEADLINE = 1200
COPIES = " hypervisor " in linux.read("/proc/cpuinfo")  # then the kernel is copied and not mapped


class Column:
    """What Sheet wants to know of a runtime."""

    def __init__(self, name, is_ours):
        self.name, self.is_ours = name, is_ours


OURS, REFERENCE = Column("bulkhead", True), Column("pvmm", False)

# One file system after the other: what the first one has to read for the first time, the second one finds.
SCRIPT = """
now() { read up rest < /proc/uptime; echo "$up"; }
measure() {
	a=$(now); tar -xf /many.tar -C $2; b=$(now); find $2/many >/dev/null; c=$(now); find $2/many >/dev/null; d=$(now)
	echo "$1 $a $b $c $d"
}
cat /many.tar >/dev/null
mkdir -p /tree
measure share /tree
measure tmpfs /dev/shm
"""


def run(argv, **more):
    """Its output. Through a file: a detached container keeps a pipe open."""
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=DEADLINE, check=False, **more)
        out.seek(0)
        text = out.read()
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv))}: {done.returncode}\n{text}")
    return text


def smaps(pid):
    """(private KiB outside of the guest's memory, private KiB of it). The guest's memory is left out of core dumps: "dd"."""
    own = guest = private = 0
    for line in linux.read(f"/proc/{pid}/smaps").splitlines():
        key, _, rest = line.partition(":")
        if key in ("Private_Clean", "Private_Dirty", "Private_Hugetlb"):
            private += int(rest.split()[0])
        elif key == "VmFlags":
            if " dd" in rest:
                guest += private
            else:
                own += private
            private = 0
    return own, guest


def exits(pid):
    """Exits of a guest to its machine's process, as KVM counts them: (ports, registers)."""
    where = "/sys/kernel/debug"
    if not os.path.isdir(f"{where}/kvm"):
        linux.mount("debugfs", where, "debugfs")
    for name in os.listdir(f"{where}/kvm"):
        if name.split("-")[0] == str(pid):
            return tuple(int(linux.read(f"{where}/kvm/{name}/{kind}_exits")) for kind in ("io", "mmio"))
    return None


def read_steps(path):
    """{step: (begin, end)} in milliseconds."""
    events = json.loads(linux.read(path).rstrip().rstrip(",") + "]")
    return {e["name"]: (e["ts"] / 1e3, (e["ts"] + e["dur"]) / 1e3) for e in events if e["ph"] == "X"}


class Bench:
    def __init__(self, options, place):
        self.options, self.place = options, place
        self.kernel = guests.installed()
        self.samples = {}
        self.bundle = self._bundle()

    def _bundle(self):
        path = f"{self.place}/bundle"
        os.makedirs(f"{path}/rootfs/bin")
        for name in ("dev", "proc", "sys", "tmp"):
            os.makedirs(f"{path}/rootfs/{name}")
        run(["cp", "/bin/busybox", f"{path}/rootfs/bin/busybox"])
        for name in ("sh", "tar", "find", "cat", "mkdir", "rm", "sleep"):
            os.symlink("busybox", f"{path}/rootfs/bin/{name}")
        self.bulkhead("spec", "--bundle", path)
        with open(f"{path}/config.json", encoding="utf-8") as f:
            config = json.load(f)
        config["process"].update(terminal=False, args=["/bin/sleep", "1000"])
        config["vm"] = {"kernel": {"path": self.kernel}, "hwConfig": {"vcpus": 1, "memory": MEMORY}}
        with open(f"{path}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        with tarfile.open(f"{path}/rootfs/many.tar", "w") as tar:
            for n in range(FILES):
                entry = tarfile.TarInfo(f"many/{n // 100:02}/{n:05}")
                entry.size = 512 + n % 7 * 1000
                tar.addfile(entry, open("/dev/zero", "rb"))
        return path

    def bulkhead(self, *argv, options=()):
        return run([self.options.binary, "--root", f"{self.place}/state", "--store", f"{self.place}/store", *options, *argv])

    def add(self, name, value):
        self.samples.setdefault(name, []).append(value)

    def round(self, number):
        words = run([f"{self.options.programs}/pvmm", "-k", self.kernel, "-a", self.options.agent, "-m", str(MEMORY // MIB),
                     *(["-C"] if COPIES else [])],
                    env={**os.environ, "BOOT_CACHE": f"{self.place}/kernels"}).replace(",", "").split()
        self.add("reference boot", float(words[1]))
        self.add("reference port exits", int(words[5]))
        self.add("reference register exits", int(words[7]))
        trace, name = f"{self.place}/trace{number}", f"c{number}"
        self.bulkhead("run", "--detach", "--bundle", self.bundle, "--pid-file", f"{self.place}/pid", name,
                      options=["--trace", trace, "--isolation=vm"])
        pid = int(linux.read(f"{self.place}/pid"))
        counted = exits(pid)
        if counted:
            self.add("port exits", counted[0])
            self.add("register exits", counted[1])
        own, guest = smaps(pid)
        self.add("private memory", own)
        self.add("guest memory", guest)
        self.bulkhead("delete", "--force", name)
        steps = read_steps(trace)
        hello = steps["vm: agent's hello"][1]
        boot = hello - steps["vm: running"][1]
        self.add("boot", boot)
        self.add("boot ratio", boot / self.samples["reference boot"][-1])
        program = sum(end - begin for begin, end in (steps["vm: container made"], steps["vm: program started"]))
        self.add("program", program)
        self.add("program of boot", 100 * program / boot)
        self.add("run", steps["run"][1] - steps["run"][0])

    def files(self):
        out = self.bulkhead("do", "--rootfs", f"{self.bundle}/rootfs", "--", "sh", "-c", SCRIPT, options=["--isolation=vm"])
        for line in out.splitlines():
            where, *times = line.split()
            times = [float(t) for t in times]
            for what, begin, end in (("untar", 0, 1), ("find", 1, 2), ("find again", 2, 3)):
                self.add(f"{what} {where}", max(times[end] - times[begin], 0.01) * 1000)

    def median(self, name):
        return statistics.median(self.samples[name]) if name in self.samples else None

    def fill(self, sheet):
        def row(name, unit, sample, reference=None, ratio=None, limit=None):
            values = {OURS.name: self.median(sample)}
            if reference:
                values[REFERENCE.name] = self.median(reference)
            sheet.add(name, unit, values, {OURS.name: ratio} if ratio is not None else None, limit=lambda _: limit)
        row("exits of ports", "", "port exits", "reference port exits", limit=LIMITS["port exits"])
        row("exits of registers", "", "register exits", "reference register exits", limit=LIMITS["register exits"])
        row("first instruction to agent", "ms", "boot", "reference boot", self.median("boot ratio"), LIMITS["boot"])
        row("agent to program", "ms", "program")
        row("agent to program, of boot", "%", "program of boot", limit=LIMITS["program of boot"])
        row("run to its program", "ms", "run")
        row("memory of the machine", "KiB", "private memory", limit=LIMITS["private memory"])
        row("memory of the guest", "KiB", "guest memory")
        sheet.add("size of the agent", "KB", {OURS.name: os.path.getsize(self.options.agent) / 1000}, limit=lambda _: LIMITS["agent"])
        for what in ("untar", "find", "find again"):
            share, tmpfs = self.median(f"{what} share"), self.median(f"{what} tmpfs")
            title = {"untar": f"untar of {FILES} files", "find": "find over them", "find again": "find once more"}[what]
            sheet.add(f"{title}, to tmpfs", "ms", {OURS.name: share}, {OURS.name: share / tmpfs})


def work(options):
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as place:
        bench = Bench(options, place)
        bench.bulkhead("do", "--rootfs", f"{bench.bundle}/rootfs", "--", "sh", "-c", "true", options=["--isolation=vm"])  # fills the caches
        for number in range(options.rounds):
            bench.round(number)
            print(f"round {number + 1}: " + ", ".join(f"{k} {v[-1]:.6g}" for k, v in bench.samples.items()), flush=True)
        bench.files()
        sheet = Sheet([REFERENCE, OURS])
        bench.fill(sheet)
        print(f"{options.rounds} rounds, Linux {platform.release()}, guests {bench.kernel}; medians, ratios within the rounds")
        sheet.print()
        missed = sheet.missed()
        print(f"missed: {', '.join(missed)}" if missed else "all limits are kept")
        if options.json:
            with open(options.json, "w", encoding="utf-8") as f:
                json.dump({"kernel": platform.release(), "rounds": options.rounds, "samples": bench.samples, "rows": sheet.rows,
                           "missed": missed}, f, indent=1)
        return 1 if missed and options.strict else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("programs")
    parser.add_argument("agent")
    parser.add_argument("binary")
    options = parser.parse_args()
    if host.lacks("virtual machines"):
        sys.exit("bench: this machine runs no guests")
    linux.private_mounts()
    if not guests.install_kernel("stock"):
        sys.exit("bench: there is no kernel for guests")
    return work(options)


if __name__ == "__main__":
    sys.exit(main())
