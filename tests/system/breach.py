# SPDX-License-Identifier: Apache-2.0
"""What the security tests share: a tree of the host that nobody may touch, hostile programs, and the host's view of a process."""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess

import linux
from case import eq

HELPERS = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../helper")
SECRET = "canary-secret-of-the-host"


def program(t, name):
    """tests/helper/NAME.c as a static program, built once for all workers of a run."""
    directory = os.path.dirname(t.programs["probe"])
    path = f"{directory}/{name}"
    with open(f"{directory}/.{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            compiler = shutil.which("musl-gcc") or "gcc"
            subprocess.run([compiler, "-D_GNU_SOURCE", "-static", "-O1", "-Wall", "-o", f"{path}.new",
                            f"{HELPERS}/{name}.c"], check=True)
            os.rename(f"{path}.new", path)
    return path


def install(t, bundle, name):
    """The helper as /bin/NAME of the image. A copy: hostile programs write to what they find."""
    path = f"{bundle.rootfs}/bin/{name}"
    shutil.copy2(program(t, name), path)
    return path


class Canary:
    """
    Directories and files of the host with all their attributes. A path that is followed out of the
    container leaves a trace here: a new name, another time, owner, mode or byte.
    """

    def __init__(self, t, name="canary"):
        self.path = f"{t.tmp}/{name}"
        self.dir, self.file = f"{self.path}/dir", f"{self.path}/file"
        for directory in ("dir/pts", "dir/shm", "dir/fs/cgroup", "dir/self"):
            os.makedirs(f"{self.path}/{directory}")
        for file in ("file", "dir/null", "dir/console", "dir/passwd", "dir/ptmx", "dir/secret"):
            with open(f"{self.path}/{file}", "w", encoding="ascii") as f:
                f.write(f"{SECRET}\n")
        self.before = self._take()

    def _take(self):
        found = {}
        for top, directories, files in os.walk(self.path):
            for name in [".", *directories, *files]:
                path = os.path.normpath(f"{top}/{name}")
                st = os.lstat(path)
                text = os.readlink(path) if os.path.islink(path) else ""
                if os.path.isfile(path) and not text:
                    with open(path, "rb") as f:
                        text = hashlib.sha256(f.read()).hexdigest()
                found[os.path.relpath(path, self.path)] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_rdev, st.st_size,
                                                           st.st_mtime_ns, st.st_ctime_ns, st.st_ino, text)
        return found

    def differences(self):
        now = self._take()
        return sorted({f"{name} is {'new' if name not in self.before else 'gone' if name not in now else 'changed'}"
                       for name in now.keys() | self.before.keys() if now.get(name) != self.before.get(name)})

    def unharmed(self, when):
        found = self.differences()
        if found:
            raise AssertionError(f"the host was changed by {when}: {', '.join(found)}")


# How an image can lead a path away. Each gives the text of the link that stands for `name`.
LINKS = {
    "absolute": lambda canary: canary.dir,
    "to a file": lambda canary: canary.file,
    "relative": lambda canary: "../" * 40 + canary.dir.lstrip("/"),
    "dangling": lambda canary: f"{canary.dir}/nothing-here",
    "through itself": lambda canary: f"/proc/self/root{canary.dir}",
    "through init": lambda canary: f"/proc/1/root{canary.dir}",
    "through a chain": lambda canary: canary.dir,
}
CHAIN = 38  # and the first one: the kernel follows 40


@contextlib.contextmanager
def planted(rootfs, name, kind, canary):
    """The image with a link of this kind in the place of `name`, and as it was afterwards."""
    path = f"{rootfs}{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    kept = f"{rootfs}/.kept"
    had = os.path.lexists(path)
    if had:
        os.rename(path, kept)
    target = LINKS[kind](canary)
    chain = []
    if kind == "through a chain":
        for i in range(CHAIN):
            chain.append(f"{rootfs}/.link{i}")
            os.symlink(target, chain[-1])
            target = f"/.link{i}"
    os.symlink(target, path)
    try:
        yield
    finally:
        remove(path)
        for link in chain:
            remove(link)
        if had:
            os.rename(kept, path)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def is_clean(result, when, silent=False):
    """Success, or a refusal in words: no signal, no silence."""
    if result.code < 0 or result.code - 128 in (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS):
        raise AssertionError(f"{when} ended in a crash: {result}")
    if result.code != 0 and not result.err.strip() and not silent:
        raise AssertionError(f"{when} ended without a word: {result}")
    return result.code == 0


@contextlib.contextmanager
def swapping(t, *names):
    """Processes that exchange names, pair by pair, as fast as the host can."""
    swapper = subprocess.Popen([program(t, "hostile"), "swap", *names])
    t._spawned.add(swapper.pid)
    try:
        yield
    finally:
        swapper.kill()
        swapper.wait()


# -- traces

CALL = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>(?:\(deleted\))?, "((?:[^"\\]|\\.)*)"')


def touched(trace, rootfs, entry="pivot_root"):
    """Every path below the container's root that a traced run named in any call, with its parents. After `entry` "/" is that root."""
    found, inside = set(), set()
    for line in trace.splitlines():
        pid, _, call = line.partition(" ")
        call = call.lstrip()
        if call.startswith(("read", "write", "recv", "send")):
            continue  # what follows the descriptor is data
        for directory, name in CALL.findall(call):
            if directory == rootfs or directory.startswith(f"{rootfs}/"):
                at = directory[len(rootfs):]
            elif pid in inside:
                at = directory
            else:
                continue
            path = os.path.normpath(f"/{name}" if name.startswith("/") else f"{at}/{name}")
            path = "/" + path.lstrip("/")
            while path != "/":
                found.add(path)
                path = os.path.dirname(path)
        if call.startswith(entry):
            inside.add(pid)
    return sorted(found)


# -- the kernel


def status_of(pid):
    """/proc/PID/status as a dictionary: what the host's kernel says, whatever the process says of itself."""
    return {k: v.strip() for k, _, v in (line.partition(":") for line in linux.read(f"/proc/{pid}/status").splitlines())}


def in_namespace_of(pid, kind, function):
    """Calls function in a child that has joined one namespace of pid; what it returns, as text."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
            if linux._libc.setns(fd, 0) < 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.write(into, str(function()).encode())
            os._exit(0)
        except BaseException as error:
            os.write(into, f"{error}".encode())
            os._exit(1)
    os.close(into)
    with os.fdopen(out, encoding="utf-8") as f:
        text = f.read()
    eq(os.waitpid(child, 0)[1], 0, f"a look into the {kind} namespace: {text}")
    return text


@contextlib.contextmanager
def bystander(t):
    """A process of the host that has to survive."""
    process = t.spawn(["sleep", "1000"], start_new_session=True)
    try:
        yield process
        if process.poll() is not None:
            raise AssertionError("a process of the host was killed")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
