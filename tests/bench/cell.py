# SPDX-License-Identifier: Apache-2.0
"""A place of its own for a measurement, of which nothing is left afterwards.

The measuring process runs in

  - a cgroup of its own, with the v2 tree alone on /sys/fs/cgroup as if this cgroup were its
    root, wherever the host has that tree (a hybrid host has it below /sys/fs/cgroup/unified);
  - a mount namespace of its own; bundles and state are on a tmpfs that ends with it.

Its parent stays outside, and in the end kills what is still in the cgroup and removes it.
"""

import os
import pathlib
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import linux  # noqa: E402

CGROUPS = "/sys/fs/cgroup"
DRIVER = f"{CGROUPS}/driver"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _own_cgroup():
    """Directory of this process's cgroup in the v2 tree of the host."""
    mounts = [line.split() for line in linux.read("/proc/self/mounts").splitlines()]
    tree = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
    if tree is None:
        sys.exit("bench: this host has no cgroup v2 tree mounted")
    own = next(line[3:] for line in linux.read("/proc/self/cgroup").splitlines() if line.startswith("0::"))
    inside = f"{tree}{own}".rstrip("/")
    return inside if os.path.isdir(inside) else tree


def _write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def subgroups(directory):
    """The cgroups below a directory, deepest first."""
    return [path for path, _, _ in os.walk(directory, topdown=False) if path != directory]


def _types_at(place):
    mounts = [line.split() for line in linux.read("/proc/self/mounts").splitlines()]
    return [fields[2] for fields in mounts if fields[1] == place]


def _enter(cgroup, directory):
    _write(f"{cgroup}/cgroup.procs", "0")
    linux.unshare(linux.CLONE_NEWCGROUP)
    linux.private_mounts()
    if "cgroup2" in _types_at(CGROUPS):
        linux.umount(CGROUPS)  # of our namespace only; the same file system cannot cover itself
    linux.mount("cgroup2", CGROUPS, "cgroup2")
    linux.mount("tmpfs", directory, "tmpfs", 0, "mode=755")
    # A cgroup that has processes can hand no controller to its children.
    os.mkdir(DRIVER)
    _write(f"{DRIVER}/cgroup.procs", "0")
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)


def _remove(cgroup):
    try:
        _write(f"{cgroup}/cgroup.kill", "1")
    except OSError:
        pass
    for path in subgroups(cgroup) + [cgroup]:
        for _ in range(100):
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError:
                reap()
                time.sleep(0.02)


def reap():
    """Collects orphans that have ended; how many."""
    ended = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended += 1


def _leave(number, _):
    """Once: a second signal must not disturb the tidying up."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def inside(work):
    """Runs work(directory) in a cell and returns its exit code."""
    directory = tempfile.mkdtemp(prefix="bulkhead-bench.")
    cgroup = f"{_own_cgroup()}/bulkhead-bench.{os.getpid()}"
    os.mkdir(cgroup)
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    for number in SIGNALS:
        signal.signal(number, _leave)
    try:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                _enter(cgroup, directory)
                code = work(directory)
                sys.stdout.flush()
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                else:
                    code = end.code or 0
            except BrokenPipeError:
                pass  # nobody reads any further
            except BaseException:  # pylint: disable=broad-except
                sys.excepthook(*sys.exc_info())
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        _remove(cgroup)
        os.rmdir(directory)
