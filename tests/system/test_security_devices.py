# SPDX-License-Identifier: Apache-2.0
"""Devices and terminals: which can be used against a model of the rules, and which terminal can be typed into."""

import array
import contextlib
import ctypes
import fcntl
import os
import random
import struct
import termios
import tty

import linux
from breach import install
from case import deadline, each, envs, eq, facts, has, hasnt, true, wall
from console import Session

WALL = "both"

# Of each class some: with a driver or not, in every rule's way.
DEVICES = [("c", 1, 3), ("c", 1, 5), ("c", 1, 7), ("c", 1, 8), ("c", 1, 9), ("c", 1, 12), ("c", 1, 14), ("c", 5, 0), ("c", 5, 1), ("c", 5, 2),
           ("c", 10, 200), ("c", 10, 229), ("c", 10, 232), ("c", 136, 77), ("c", 250, 3), ("b", 1, 3), ("b", 7, 0), ("b", 8, 0), ("b", 10, 229),
           ("b", 253, 1)]
# What every container may use, whatever its rules say, and the making of nodes, which grants nothing.
DEFAULTS = [("c", None, None, "m"), ("b", None, None, "m"), *(("c", 1, n, "rwm") for n in (3, 5, 7, 8, 9)), ("c", 5, 0, "rwm"), ("c", 5, 2, "rwm"),
            ("c", 136, None, "rwm"), ("c", 10, 200, "rwm")]


def rule(allow, kind=None, major=None, minor=None, access="rwm"):
    return allow, kind, major, minor, access


def model(rules, device):
    """The last rule that matches decides, for each kind of access by itself."""
    may = dict.fromkeys("mrw", False)
    for allow, kind, major, minor, access in [*rules, *(rule(True, *d) for d in DEFAULTS)]:
        if (kind in (None, "a") or kind == device[0]) and major in (None, -1, device[1]) and minor in (None, -1, device[2]):
            may.update(dict.fromkeys(access, allow))
    return "".join(a if may[a] else "-" for a in "mrw")


def entry(allow, kind, major, minor, access):
    found = {"allow": allow, "access": access}
    found.update({k: v for k, v in (("type", kind), ("major", major), ("minor", minor)) if v is not None})
    return found


def bundle_with(t, rules):
    b = t.bundle().writable().caps("CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
    b.linux["resources"] = {} if rules is None else {"devices": [entry(*r) for r in rules]}
    b.mount("/tmp", "tmpfs", "tmpfs", ["mode=1777"])  # no guest makes nodes in a root of the host's
    os.mkdir(f"{b.rootfs}/nodes")
    for kind, major, minor in DEVICES:
        path = f"{b.rootfs}/nodes/{kind}:{major}:{minor}"
        os.mknod(path, (0o020666 if kind == "c" else 0o060666), os.makedev(major, minor))
        os.chmod(path, 0o666)
    install(t, b, "hostile")
    return b


def ask(*prefix):
    return [*prefix, "/bin/hostile", "devices", "/tmp", *(f"{k}:{a}:{i}" for k, a, i in DEVICES)]


def answers(out):
    return dict(line.split() for line in out.splitlines())


def wanted_of(rules):
    return {f"{d[0]}:{d[1]}:{d[2]}": model(rules, d) for d in DEVICES}


def some_rules(seed):
    """Rules in any order, over the devices that are asked for and their neighbours; nothing or everything to begin with."""
    r = random.Random(seed)
    rules = [rule(r.random() < 0.2)]
    for _ in range(r.randint(0, 6)):
        kind, major, minor = r.choice(DEVICES)
        rules.append(rule(r.random() < 0.5, kind, major, r.choice((minor, minor, None)), r.choice(("r", "w", "rw", "rwm", "m"))))
    return rules


LISTS = {
    "no resources": None, "no rules": [], "deny all": [rule(False)], "deny everything by type a": [rule(False, "a")],
    "one device": [rule(False), rule(True, "c", 10, 229)], "one to read": [rule(False), rule(True, "c", 10, 229, "r")],
    "a major": [rule(False), rule(True, "c", 10)], "a major but one": [rule(False), rule(True, "c", 10), rule(False, "c", 10, 229)],
    "blocks": [rule(False), rule(True, "b")], "all": [rule(True)], "all but the disks": [rule(True), rule(False, "b", 8)],
    "all, then nothing": [rule(True), rule(False)], "given and taken back": [rule(False), rule(True, "c", 10, 232), rule(False, "c", 10, 232)],
    "half taken back": [rule(False), rule(True, "c", 10, 232), rule(False, "c", 10, 232, "w")],
}


@each(rules={**LISTS, **{f"list {n}": some_rules(n) for n in range(16)}})
@envs("hybrid")
def test_t13_every_device_is_as_the_rules_say(t, rules):
    # GHSA-g54h-m393-cpwq: exceptions from an open list. Naive: no rules, no program.
    b = bundle_with(t, rules)
    wanted = wanted_of(rules or [])
    c = t.up(b.args("/bin/probe", "sleep", "1000"))
    found = answers(c.exec(*ask()).ok().out)
    for device, may in wanted.items():
        eq(found[device], may, f"what may be done with {device} under {rules}")


@envs("hybrid")
def test_t13_the_model_has_teeth(t):
    eq(wanted_of([rule(False)])["b:8:0"], "m--")
    eq(wanted_of([rule(True)])["b:8:0"], "mrw")
    true(answers(t.run(bundle_with(t, [rule(True)]).args(*ask())).ok().out) != wanted_of([rule(False)]), "all lists are the same")


BPF_PROG_QUERY, BPF_CGROUP_DEVICE = 16, 6


def device_programs(cgroup):
    """The ids of the programs that are attached to a cgroup for devices (bpf(2))."""
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ids = array.array("I", [0] * 64)
        address, _ = ids.buffer_info()
        query = bytearray(struct.pack("IIIIQI", fd, BPF_CGROUP_DEVICE, 0, 0, address, len(ids)) + bytes(128))
        attributes = (ctypes.c_char * len(query)).from_buffer(query)
        if linux._libc.syscall(321, BPF_PROG_QUERY, attributes, len(query)) < 0:
            raise OSError(ctypes.get_errno(), "BPF_PROG_QUERY")
        return list(ids[:struct.unpack_from("I", query, 24)[0]])
    finally:
        os.close(fd)


@wall("process", "the program is attached in the guest")
@deadline(60)
@envs("hybrid")
def test_t13_one_program_is_attached_and_stays_it(t):
    # Attached once more with each update, until the kernel's limit of 64 lets the next one fail, open or shut.
    c = t.up(bundle_with(t, [rule(False), rule(True, "c", 10, 229)]).args("/bin/probe", "sleep", "1000"))
    programs = device_programs(c.cgroup)
    eq(len(programs), 1)
    for i in range(66):
        t.runtime("update", "-r", "-", c.id, input='{"pids": {"limit": %d}}' % (100 + i))
        if i % 7 == 0:
            c.exec("/bin/true").ok()
        if i % 10 == 0:
            c.pause().ok()
            c.resume().ok()
    eq(device_programs(c.cgroup), programs)
    eq(answers(c.exec(*ask()).ok().out)["c:10:229"], "mrw")
    eq(answers(c.exec(*ask()).ok().out)["c:10:232"], "m--")


@envs("hybrid")
def test_t13_a_container_cannot_take_its_program_off(t):
    b = bundle_with(t, [rule(False)]).all_caps()
    # It may even mount the tree anew and make cgroups below its own: those inherit.
    b.shell("mkdir /tmp/c && busybox mount -t cgroup2 none /tmp/c && mkdir /tmp/c/sub && echo 0 >/tmp/c/sub/cgroup.procs; exec " + " ".join(ask()))
    result = t.run(b)
    eq({k: v.replace("m", "-") for k, v in answers(result.ok().out).items() if k.startswith("b:")},
       {f"{k}:{a}:{i}": "---" for k, a, i in DEVICES if k == "b"})


# -- T14


def raw(slave):
    """Each byte counts by itself; what is there already stays, or the evidence would be gone."""
    tty.setraw(slave, termios.TCSANOW)


def pushed(slave):
    buffer = array.array("i", [0])
    fcntl.ioctl(slave, termios.FIONREAD, buffer)
    return buffer[0]


@contextlib.contextmanager
def terminal_of_an_admin():
    """A terminal that is nobody's controlling one here; raw, so that each pushed byte can be counted."""
    master, slave = os.openpty()
    raw(slave)
    try:
        yield slave
    finally:
        os.close(master)
        os.close(slave)


def typist(t, *caps):
    b = t.bundle().caps("CAP_KILL", *caps)
    install(t, b, "hostile")
    return b.args("/bin/hostile", "type")


@envs("hybrid")
def test_t14_nothing_is_typed_into_the_terminal_of_a_session(t):
    # CVE-2016-10124, CVE-2017-5226: TIOCSTI at the terminal one has been started from.
    for terminal in (False, True):
        b = typist(t)
        b.process["terminal"] = terminal
        b.save()
        with Session(t, t.command("run", "-b", b.path, t.name())) as session:
            raw(session.slave)
            session.terminal.read_until("TIOCSCTTY")
            session.wait()
            raw(session.slave)
            eq(pushed(session.slave), 0, f"bytes that were typed by a container with terminal {terminal}")
            if not terminal:
                hasnt(session.terminal.text, "TIOCSTI ok", "TIOCLINUX ok", "TIOCSCTTY ok")
    c = t.up(typist(t).probe("sleep", "1000"))
    for options in ((), ("--tty",)):
        with Session(t, t.command("exec", *options, c.id, "/bin/hostile", "type")) as session:
            raw(session.slave)
            session.terminal.read_until("TIOCSCTTY")
            session.wait()
            raw(session.slave)
            eq(pushed(session.slave), 0, f"bytes that were typed by an exec with {options}")
            if not options:
                hasnt(session.terminal.text, "TIOCSTI ok", "TIOCLINUX ok", "TIOCSCTTY ok")


@envs("hybrid")
def test_t14_nor_by_a_container_that_was_left_alone_with_one(t):
    for command in ("create", "run", "exec"):
        b = typist(t).save()
        holder = t.up() if command == "exec" else None
        if holder:
            install(t, holder.bundle, "hostile")
        with Session(t, ["sleep", "1000"]) as session:
            raw(session.slave)
            name = t.name()
            t.containers.append(name)
            argv = {"create": ("create", "-b", b.path, name), "run": ("run", "--detach", "-b", b.path, name),
                    "exec": ("exec", "--detach", holder and holder.id, "/bin/hostile", "type")}[command]
            process = t.spawn(t.command(*argv), stdin=session.slave, stdout=session.slave, stderr=session.slave)
            eq(process.wait(10), 0, f"{command}: {session.terminal.text}")
            if command == "create":
                t.runtime("start", name).ok()
            text = session.terminal.read_until("TIOCSCTTY")
            has(text, "TIOCSTI")
            hasnt(text, "TIOCSTI ok", "TIOCLINUX ok", "TIOCSCTTY ok")
            eq(pushed(session.slave), 0, f"bytes that were typed after {command}")


@envs("hybrid")
def test_t14_the_typist_can_type_where_it_may(t):
    # Its teeth: at one's own controlling terminal the same calls succeed, for root whatever legacy_tiocsti says.
    with Session(t, [t.programs["probe"], "tiocsti"]) as session:
        session.wait()
        raw(session.slave)
        eq(pushed(session.slave), 1)


@envs("hybrid")
def test_t14_a_container_has_no_controlling_terminal_but_its_own(t):
    with terminal_of_an_admin() as slave:
        b = t.bundle().shell("probe tty; probe session").save()
        with open(f"{t.tmp}/tty-out", "wb") as f:
            process = t.spawn(t.command("run", "-b", b.path, t.name()), stdin=slave, stdout=f, stderr=f)
            eq(process.wait(10), 0)
        found = facts(linux.read(f"{t.tmp}/tty-out"))
        eq((found["controlling"], found["sid"]), ("ENXIO", "1"))
