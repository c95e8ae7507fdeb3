# SPDX-License-Identifier: Apache-2.0
"""
What of the host enters a container with its processes: descriptors, the runtime's own program and memory,
environment, keys, libraries; and who may look at whom.
"""

import contextlib
import ctypes
import hashlib
import os
import shutil
import socket

import linux
from breach import SECRET, Canary, install, is_clean, program, touched
from case import deadline, each, envs, eq, facts, has, hasnt, true


@contextlib.contextmanager
def leaked(canary, directories=50):
    """What a careless caller leaves open: directories of the host, a socket, a memory file, a deleted file."""
    fds = [os.open(canary.dir, os.O_RDONLY | os.O_DIRECTORY) for _ in range(directories)]
    sockets = socket.socketpair()
    fds += [s.fileno() for s in sockets]
    fds.append(os.memfd_create("leak"))
    path = f"{canary.path}/../deleted"
    fds.append(os.open(path, os.O_CREAT | os.O_RDWR))
    os.unlink(path)
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        yield tuple(fds)
    finally:
        for s in sockets:
            fds.remove(s.fileno())
            s.close()
        for fd in fds:
            os.close(fd)


def numbers(out):
    return [line.split()[0] for line in out.splitlines()]


# -- T7


@envs("hybrid")
def test_t07_no_descriptor_of_the_caller_gets_in(t):
    # CVE-2024-21626. Naive: close-on-exec is the caller's business.
    canary = Canary(t)
    b = t.bundle().probe("fds").save()
    with leaked(canary) as fds:
        eq(numbers(t.runtime("run", "-b", b.path, t.name(), pass_fds=fds).ok().out), ["0", "1", "2"], "run")
        c = t.container(t.bundle().shell("probe fds; sleep 1000"))
        c.create(pass_fds=fds).ok()
        for fd in os.listdir(f"/proc/{c.pid}/fd"):
            true(not os.path.isdir(f"/proc/{c.pid}/fd/{fd}"), f"a waiting container holds {os.readlink(f'/proc/{c.pid}/fd/{fd}')}")
        t.runtime("start", c.id, pass_fds=fds).ok()
        c.wait_out("\n2 ")
        eq(numbers(c.out), ["0", "1", "2"], "create and start")
        eq(numbers(c.probe("fds", pass_fds=fds).ok().out), ["0", "1", "2"], "exec")
        out = c.probe("fds", options=("--preserve-fds", "0"), pass_fds=fds).ok().out
        eq(numbers(out), ["0", "1", "2"], "exec that keeps none")


@envs("hybrid")
def test_t07_those_that_are_given_are_the_only_ones(t):
    given = os.open(t.file("given", "text\n"), os.O_RDONLY)

    def place():
        os.dup2(given, 3)
        os.dup2(given, 4)
        os.dup2(given, 9)
    c = t.up()
    for command in (("exec", "--preserve-fds", "2", c.id, "/bin/probe", "fds"),
                    ("run", "--preserve-fds", "2", "-b", t.bundle().probe("fds").save().path, t.name())):
        out = t.runtime(*command, preexec=place, pass_fds=(given, 3, 4, 9)).ok().out
        eq(numbers(out), ["0", "1", "2", "3", "4"], command[0])
        for line in out.splitlines()[3:]:
            has(line, "/given")
    os.close(given)


@each(command={"exec": "exec", "run": "run", "create": "create"})
@each(command={"exec": (), "run": (), "create": (), "run with a log": ("--log", "log"), "exec with a log": ("--log", "log")})
@envs("hybrid")
def test_t07_a_descriptor_of_the_runtimes_own_is_not_one_that_was_given(t, command):
    # Naive: "descriptor 3 is open" is asked after something of the runtime's own has become descriptor 3.
    options = tuple(f"{t.tmp}/log" if o == "log" else o for o in command)
    verb = "exec" if "exec" in t_name(command) else "run"
    del options, verb


def t_name(command):
    return str(command)
