# SPDX-License-Identifier: Apache-2.0
"""Files from layers: a run over 1, 10 and 100 of them, id maps over many files, an import.

The references: floor.c's container plus stack.c, which mounts and unmounts the same layers and does nothing else;
the same command over an image of 3 files; tar and umoci, whichever is quicker. As everywhere, ours and the reference
take turns, and a ratio is the median of those within the rounds.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tarfile

import cell
import images
import linux
from runtimes import DEADLINE, Refusal
from sheet import LAYER_LIMITS

STACKS = (1, 10, 100)
FEW, MANY = 3, 300_000
CHANGED = (3_000, MANY)  # of images in which one file is changed
IMPORT_BYTES = 200 << 20
IMPORT_ROUNDS, WALKS = 3, 8


def layers(bench, sheet):
    """All of it, for each binary of ours. What is written is on the cell's tmpfs."""
    rows = {}
    place = f"{bench.directory}/layers"
    os.mkdir(place)
    try:
        stage = Stage(bench, place)
        for rt in bench.runtimes:
            if rt.is_ours:
                stage.measure(rt, rows)
    except (Refusal, OSError, subprocess.SubprocessError) as reason:
        print(f"n/a: layers: {reason}")
    for (name, unit), (values, ratios) in rows.items():
        sheet.add(name, unit, values, ratios, limit=lambda rt, n=name: LAYER_LIMITS.get(n) if rt.name == "bulkhead" else None)


def _header(name, kind, size=0):
    e = tarfile.TarInfo(name)
    e.type, e.size, e.mode, e.mtime = kind, size, 0o755, 1600000000
    return e.tobuf(tarfile.USTAR_FORMAT)


def _crowd(n):
    """A layer of n empty files, 100 in a directory. tarfile would take a minute."""
    model = bytearray(_header("many/000000/00", tarfile.REGTYPE))
    fixed = int(bytes(model[148:154]), 8) - sum(b"many/000000/00")  # of the checksum: what is not the name
    parts = [_header("many", tarfile.DIRTYPE)]
    for i in range(n):
        if i % 100 == 0:
            parts.append(_header(f"many/{i // 100:06}", tarfile.DIRTYPE))
        name = b"many/%06d/%02d" % (i // 100, i % 100)
        model[:len(name)] = name
        model[148:154] = b"%06o" % (fixed + sum(name))
        parts.append(bytes(model))
    return b"".join(parts) + bytes(1024)


def _map_ids(config):
    config["linux"]["namespaces"].append({"type": "user"})
    for key in ("uidMappings", "gidMappings"):
        config["linux"][key] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    config["mounts"] = [m for m in config["mounts"] if m["type"] not in ("sysfs", "cgroup", "cgroup2")]


class Stage:
    """The images in a store, and what is timed over them."""

    def __init__(self, bench, place):
        self.bench, self.place, self.store = bench, place, f"{place}/store"
        self.stack = f"{bench.options.programs}/stack"
        os.makedirs(f"{place}/bare/root")
        self._make_images()
        self.bundle = bench.bundles.true
        self.count = 0
        self.mapped = self._like(self.bundle, "mapped", _map_ids)
        self.writable = self._like(bench.bundles.pause, "writable", lambda config: config["root"].update(readonly=False))

    def command(self, rt, *argv):
        return [rt.path, "--root", rt.root, "--store", self.store, *argv]

    def time(self, rt, *argv):
        return self.bench.stopwatch.time(self.command(rt, *argv))

    def call(self, rt, *argv):
        subprocess.run(self.command(rt, *argv), check=True, timeout=10 * DEADLINE, stdout=subprocess.DEVNULL)

    def _make_images(self):
        base = [images.entry(d) for d in ("bin", "dev", "etc", "proc", "sys", "tmp")]
        for name in ("true", "pause"):
            data = pathlib.Path(f"{self.bench.options.programs}/{name}").read_bytes()
            base.append(images.entry(f"bin/{name}", data, mode=0o755))
        lowest = images.layer(*base)
        self.layout = images.Layout(f"{self.place}/layout")
        for n in STACKS:
            tars = [lowest, *(images.layer(images.entry(f"l{i}", b"x")) for i in range(1, n))]
            self.layout.image(f"stack{n}", *tars, how="plain")
        for n in (FEW, *CHANGED):
            self.layout.image(f"files{n}", lowest, _crowd(n), how="plain")
        ours = next(rt for rt in self.bench.runtimes if rt.is_ours)
        self.trees = {}
        for tag in (*(f"stack{n}" for n in STACKS), *(f"files{n}" for n in (FEW, *CHANGED))):
            self.call(ours, "layer", "import", "-q", f"oci:{self.layout.path}:{tag}", tag)
            told = subprocess.run(self.command(ours, "layer", "show", "-f", "json", tag), check=True, capture_output=True)
            self.trees[tag] = [f"{self.store}/layers/{x['diffId'][7:]}/tree" for x in json.loads(told.stdout)["layers"]][::-1]

    def _like(self, bundle, name, change):
        """Another bundle with a config that was changed."""
        with open(f"{bundle}/config.json", encoding="utf-8") as f:
            config = json.load(f)
        change(config)
        os.mkdir(f"{self.place}/{name}")
        with open(f"{self.place}/{name}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        return f"{self.place}/{name}"

    # ---- what is measured

    def measure(self, rt, rows):
        def row(name, unit, value, ratio):
            values, ratios = rows.setdefault((name, unit), ({}, {}))
            values[rt.name], ratios[rt.name] = value, ratio

        for n in STACKS:
            row(f"run over {n} layer{'s' * (n > 1)}", "us", *self._stack(rt, n))
        row("do", "us", *self._paired(lambda: self.time(rt, "do", "--image", "stack10", "/bin/true").wall,
                                      lambda: self._run(rt, "stack10")))
        row(f"id-mapped over {MANY} files", "us", *self._paired(
            lambda: self._run(rt, f"files{MANY}", self.mapped), lambda: self._run(rt, f"files{FEW}", self.mapped)))
        self._changes(rt, row)
        if "-shared" not in rt.name:
            row(f"import of {IMPORT_BYTES >> 20} MB", "us", *self._import(rt))

    def _run(self, rt, image, bundle=None):
        return self.time(rt, "run", "--image", image, "-b", bundle or self.bundle, rt.new_id()).wall

    def _paired(self, ours, reference, rounds=None):
        """(median of ours in microseconds, median of the ratios); the first turn fills caches."""
        walls, ratios = [], []
        for number in range((rounds or self.bench.options.rounds) + 1):
            first, second = (ours, reference) if number % 2 else (reference, ours)
            one, two = first(), second()
            mine, theirs = (one, two) if number % 2 else (two, one)
            cell.reap()
            if number:
                walls.append(mine)
                ratios.append(mine / theirs)
        return statistics.median(walls), statistics.median(ratios)

    def _stack(self, rt, n):
        """floor's container, and the bare mount and unmount without what starting that program takes."""
        floor = next(r for r in self.bench.runtimes if r.name == "floor")

        listed = f"{self.place}/bare/list"
        pathlib.Path(listed).write_text("\n".join(self.trees[f"stack{n}"]) + "\n", encoding="utf-8")

        def bare(what):
            return self.bench.stopwatch.time([self.stack, what, f"{self.place}/bare", listed]).wall

        def reference():
            run = self.bench.time(floor, "run", "-b", self.bundle, floor.new_id()).wall
            return run + bare("mount") - bare("idle")
        return self._paired(lambda: self._run(rt, f"stack{n}"), reference)

    def _changes(self, rt, row):
        """One changed file in a small and in a large image; and beside a walk over all files of the large one."""
        few, many = (self._changed(rt, n) for n in CHANGED)

        def commit(who):
            name, root, n = who
            self.count += 1
            pathlib.Path(f"{root}/etc/changed").write_text(f"{self.count}\n" * 100, encoding="utf-8")
            return self.time(rt, "commit", name, f"oci:{self.place}/out-{rt.name}-{n}:t").wall

        def diff(who):
            return self.time(rt, "diff", who[0]).wall
        walk = f"{self.place}/walk"
        os.makedirs(walk, exist_ok=True)
        linux.mount("overlay", walk, "overlay", linux.MS_RDONLY, f"lowerdir={':'.join(self.trees[f'files{MANY}'])}")
        try:
            for verb, what in {"diff": diff, "commit": commit}.items():
                row(f"{verb} in {MANY} files", "us", *self._paired(lambda w=what: w(many), lambda w=what: w(few)))
                row(f"{verb} beside a walk", "us", *self._paired(
                    lambda w=what: w(many), lambda: self.bench.stopwatch.time([self.stack, "walk", walk]).wall, WALKS))
        finally:
            linux.umount(walk)
            for name, _, _ in (few, many):
                self.call(rt, "delete", "-f", name)
            cell.reap()

    def _changed(self, rt, n):
        """A container over n files that waits for start, with one file changed: (id, its root as we see it, n)."""
        name = rt.new_id()
        self.call(rt, "create", "--image", f"files{n}", "-b", self.writable, name)
        told = subprocess.run(self.command(rt, "state", name), check=True, capture_output=True)
        root = f"/proc/{json.loads(told.stdout)['pid']}/root"
        pathlib.Path(f"{root}/etc/changed").write_text("once\n", encoding="utf-8")
        return name, root, n

    def _import(self, rt):
        """The machine's own files, packed by gzip. Each takes part in each round; the quicker of the two others counts."""
        layout = images.Layout(f"{self.place}/big")
        layout.image("big", _some_files(f"{self.place}/big.tar"))
        blob = max((e.path for e in os.scandir(f"{layout.path}/blobs/sha256")), key=os.path.getsize)
        target = f"{self.place}/target"

        def once(*argv):
            os.mkdir(target)
            wall = self.bench.stopwatch.time(argv).wall
            shutil.rmtree(target)
            return wall

        def ours():
            return once(rt.path, "--store", f"{target}/store", "layer", "import", "-q", f"oci:{layout.path}:big", "big")

        def theirs():
            walls = [once(shutil.which("tar"), "-xzf", blob, "-C", target)]
            if shutil.which("umoci"):
                walls.append(once(shutil.which("umoci"), "unpack", "--image", f"{layout.path}:big", f"{target}/bundle"))
            return min(walls)
        try:
            return self._paired(ours, theirs, IMPORT_ROUNDS)
        finally:
            shutil.rmtree(layout.path)


def _some_files(path):
    """A tar archive of so many bytes of /usr."""
    left = IMPORT_BYTES
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for top in ("/usr/share", "/usr/lib"):
            share = left // 2 if top == "/usr/share" else left
            for where, _, names in os.walk(top):
                for name in sorted(names):
                    full = f"{where}/{name}"
                    if os.path.islink(full) or not os.path.isfile(full) or os.path.getsize(full) > share:
                        continue
                    tar.add(full, full[1:])
                    share -= os.path.getsize(full)
                    left -= os.path.getsize(full)
    with open(path, "rb") as f:
        data = f.read()
    os.unlink(path)
    return data
