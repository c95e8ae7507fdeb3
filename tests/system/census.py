# SPDX-License-Identifier: Apache-2.0
"""What exists before and after a test: mounts, cgroups, processes, state, keys of /run. A difference is a leak."""

import os
import signal
import time

import host
import linux


def mounts():
    """(mount point, type, root in its file system) of every mount of this namespace, with counts."""
    found = {}
    for line in linux.read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        key = (fields[4], right.split()[0], fields[3])
        found[key] = found.get(key, 0) + 1
    return found


def cgroups(token):
    """Every v2 cgroup whose path holds the worker's token."""
    tree = host.v2_tree()
    found = set()
    for top, names, _ in os.walk(tree) if tree else ():
        relative = os.path.relpath(top, tree)
        found.update(os.path.normpath(f"{relative}/{n}") for n in names if token in f"{relative}/{n}")
    return found


def entries(directory, token=""):
    try:
        return {f"{directory}/{n}" for n in os.listdir(directory) if token in n}
    except FileNotFoundError:
        return set()


class Census:
    """Taken by a worker around each test. Nothing may be left in `places`; the pids of `ours` are to stay."""

    def __init__(self, token, places, ours=()):
        self.token, self.places, self.ours = token, places, set(ours)
        self.before = self._take()

    def _take(self):
        names = set()
        for place in self.places:
            names |= entries(place, self.token)
        return {"mounts": mounts(), "cgroups": cgroups(self.token), "names": names}

    def leaks(self):
        """Sentences about what is left; and takes it away, so that the next test starts clean."""
        found = self._processes()
        now = self._take()
        for key, count in now["mounts"].items():
            extra = count - self.before["mounts"].get(key, 0)
            if extra > 0:
                found.append(f"mount left: {key[1]} on {key[0]}" + (f" ({extra} times)" if extra > 1 else ""))
                for _ in range(extra):
                    try:
                        linux.umount(key[0])
                    except OSError:
                        pass
        for key in self.before["mounts"]:
            if key not in now["mounts"]:
                found.append(f"mount of the host gone: {key[1]} on {key[0]}")
        for path in sorted(now["cgroups"] - self.before["cgroups"], reverse=True):
            found.append(f"cgroup left: {path}")
            self._remove_cgroup(path)
        for path in sorted(now["names"] - self.before["names"]):
            found.append(f"left behind: {path}")
            import shutil
            shutil.rmtree(path, ignore_errors=True)
        return found

    @staticmethod
    def _remove_cgroup(path):
        full = f"{host.v2_tree()}/{path}"
        try:
            with open(f"{full}/cgroup.kill", "w", encoding="ascii") as f:
                f.write("1")
        except OSError:
            pass
        for _ in range(100):
            try:
                os.rmdir(full)
                return
            except OSError:
                time.sleep(0.01)

    def _processes(self):
        """Orphans of the test come to the worker, which is a subreaper. Zombies are only late; others are leaks."""
        found = []
        end = time.monotonic() + 1
        while True:
            reap()
            alive = [pid for pid, state in linux.children().items() if state not in "ZX" and pid not in self.ours]
            if not alive or time.monotonic() > end:
                break
            time.sleep(0.01)
        for pid in alive:
            found.append(f"process left: {linux.describe(pid)}")
        for _ in range(50):
            alive = set(linux.children()) - self.ours
            if not alive:
                break
            for pid in alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            reap()
            time.sleep(0.01)
        return found


def reap():
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
