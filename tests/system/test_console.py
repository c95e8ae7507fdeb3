# SPDX-License-Identifier: Apache-2.0
"""Terminals: over a console socket for engines, in the foreground for people, their size, and exec's own."""

import os
import signal
import socket
import termios

import linux
from case import each, envs, eq, facts, has, hasnt, true, wall
from console import ConsoleSocket, Session

WALL = "both"


def terminal(t):
    b = t.bundle()
    b.process["terminal"] = True
    return b


def over_socket(t, b, *options):
    """A running container and the master of its terminal."""
    c = t.container(b)
    with ConsoleSocket(f"{t.tmp}/console") as console:
        c.create("--console-socket", console.path, *options).ok()
        name, master = console.receive()
    return c, name.decode(), master


def clean(text):
    return text.replace("\r", "")


@envs("hybrid")
def test_the_socket_gets_the_name_and_one_descriptor(t):
    c, name, master = over_socket(t, terminal(t).probe("tty"))
    with master:
        true(name.startswith("/dev/pts/"), name)
        c.start().ok()
        found = facts(clean(master.read_until("onlcr")))
    eq((found["fd0"], found["fd1"], found["fd2"]), (name, name, name))
    eq((found["controlling"], found["foreground"]), ("yes", "yes"))


@envs("hybrid")
def test_the_console_is_bound_and_belongs_to_the_user(t):
    b = terminal(t).shell("probe stat /dev/console; probe tty")
    b.process["user"] = {"uid": 1000, "gid": 1000}
    c, _, master = over_socket(t, b)
    with master:
        c.start().ok()
        text = clean(master.read_until("onlcr"))
    has(text, "type char")
    eq(facts(text)["owner"].split()[0], "1000")


@wall("both", quick=True)
@envs("hybrid")
def test_what_is_typed_arrives_and_what_is_printed_comes_back(t):
    c, _, master = over_socket(t, terminal(t).args("/bin/sh"))
    with master:
        c.start().ok()
        master.write("echo $((40+2)); exit 7\n")
        master.read_until("42")
        c.wait("stopped")


@envs("hybrid")
def test_control_c_interrupts_the_program(t):
    c, _, master = over_socket(t, terminal(t).shell("trap 'echo caught; exit' INT; echo ready; while :; do sleep 0.1; done"))
    with master:
        c.start().ok()
        master.read_until("ready")
        master.write("\x03")
        master.read_until("caught")


@envs("hybrid")
def test_the_size_of_the_config_is_there_from_the_first_moment(t):
    b = terminal(t).probe("tty")
    b.process["consoleSize"] = {"height": 33, "width": 111}
    c, _, master = over_socket(t, b)
    with master:
        eq(master.size(), (33, 111))
        c.start().ok()
        has(clean(master.read_until("onlcr")), "size 33 111\n")


@wall("both", quick=True)
@envs("hybrid")
def test_a_resize_of_the_master_reaches_the_program(t):
    c, _, master = over_socket(t, terminal(t).probe("winsize-watch", 1))
    with master:
        c.start().ok()
        master.read_until("size")
        master.resize(44, 55)
        master.read_until("size 44 55")


@envs("hybrid")
def test_the_runtime_keeps_no_end_of_the_terminal(t):
    c, _, master = over_socket(t, terminal(t).args("/bin/echo", "done"))
    with master:
        c.start().ok()
        has(master.read_all(), "done")


@envs("hybrid")
def test_a_console_socket_beyond_the_length_of_an_address(t):
    deep = t.dir("d" * 120)
    c = t.container(terminal(t).args("/bin/echo", "far"))
    with ConsoleSocket(f"{deep}/console") as console:
        c.create("--console-socket", console.path).ok()
        _, master = console.receive()
    with master:
        c.start().ok()
        master.read_until("far")


@envs("hybrid")
def test_a_console_socket_that_is_not_there_is_an_error_that_names_it(t):
    c = t.container(terminal(t))
    c.create("--console-socket", f"{t.tmp}/absent").fails("absent")
    t.runtime("state", c.id).fails("does not exist")


@envs("hybrid")
def test_a_console_socket_without_a_terminal_is_refused(t):
    with ConsoleSocket(f"{t.tmp}/console") as console:
        t.container(t.bundle()).create("--console-socket", console.path).fails("cannot use console socket")


@envs("hybrid")
def test_a_terminal_without_a_console_socket_is_refused_when_detached(t):
    t.container(terminal(t)).create().fails("cannot allocate tty", "console socket")
    t.container(terminal(t)).run_detached().fails("cannot allocate tty", "console socket")


@envs("hybrid")
def test_a_terminal_without_devpts_is_an_error(t):
    b = terminal(t).without_mount("/dev/pts")
    with ConsoleSocket(f"{t.tmp}/console") as console:
        t.container(b).create("--console-socket", console.path).fails()


@envs("hybrid")
def test_the_terminal_is_of_the_containers_own_devpts(t):
    c, name, master = over_socket(t, terminal(t).probe("sleep", 1000))
    with master:
        c.start().ok()
        eq(name, "/dev/pts/0")
        eq(sorted(c.probe("ls", "/dev/pts").ok().out.split()), ["0", "ptmx"])


# -- in the foreground


def session(t, b, *options, rows=24, columns=80):
    b.save()
    return Session(t, t.command("run", "--bundle", b.path, *options, t.name()), rows, columns)


@wall("both", quick=True)
@envs("hybrid")
def test_a_foreground_run_copies_both_ways_and_passes_the_status(t):
    with session(t, terminal(t).shell("read x; echo got $x; exit 5")) as s:
        s.terminal.write("word\n")
        s.terminal.read_until("got word")
        eq(s.wait(), 5)


@envs("hybrid")
def test_the_callers_terminal_is_raw_meanwhile_and_restored_after(t):
    with session(t, terminal(t).shell("echo ready; read x")) as s:
        s.terminal.read_until("ready")
        t.until(lambda: not s.settings()[3] & termios.ICANON, 5, "the raw mode")
        s.terminal.write("x\r")
        eq(s.wait(), 0)
        eq(s.settings(), s.before)


@envs("hybrid")
def test_the_callers_terminal_is_restored_after_a_failure(t):
    with session(t, terminal(t).args("nosuchprogram")) as s:
        true(s.wait() != 0, "no failure")
        eq(s.settings(), s.before)


@envs("hybrid")
def test_the_size_of_the_callers_terminal_is_taken_over_and_followed(t):
    with session(t, terminal(t).probe("winsize-watch", 1), rows=31, columns=101) as s:
        s.terminal.read_until("size 31 101")
        s.terminal.resize(32, 102)
        s.process.send_signal(signal.SIGWINCH)
        s.terminal.read_until("size 32 102")
        eq(s.wait(), 0)


@envs("hybrid")
def test_the_size_is_right_at_the_first_look_each_time(t):
    for _ in range(10):
        with session(t, terminal(t).probe("tty"), rows=37, columns=97) as s:
            s.terminal.read_until("size 37 97")
            eq(s.wait(), 0)


@envs("hybrid")
def test_line_ends_are_not_doubled(t):
    with session(t, terminal(t).shell("printf 'a\\nb\\n'")) as s:
        eq(s.wait(), 0)
        s.terminal.read_until("b\r\n")
        hasnt(s.terminal.text, "\r\r\n")


@envs("hybrid")
def test_a_lot_of_output_arrives_whole(t):
    with session(t, terminal(t).shell("seq 1 20000; echo the-end")) as s:
        s.terminal.read_until("the-end", 20)
        eq(s.wait(), 0)
        numbers = [x for x in clean(s.terminal.text).split("\n") if x.isdigit()]
        eq(numbers, [str(n) for n in range(1, 20001)])


@envs("hybrid")
def test_control_c_goes_to_the_program_and_not_to_the_runtime(t):
    with session(t, terminal(t).shell("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done")) as s:
        s.terminal.read_until("ready")
        s.terminal.write("\x03")
        s.terminal.read_until("caught")
        eq(s.wait(), 3)


@envs("hybrid")
def test_a_terminal_where_there_is_none_is_an_error(t):
    b = terminal(t).save()
    t.runtime("run", "-b", b.path, t.name(), preexec=os.setsid).fails("tty")


@envs("hybrid")
def test_the_container_cannot_type_into_the_callers_terminal(t):
    with session(t, t.bundle().probe("tiocsti")) as s:
        s.wait()
        hasnt(s.terminal.text, "ok")


# -- exec


@wall("both", quick=True)
@envs("hybrid")
def test_exec_with_a_console_socket(t):
    c = t.up()
    process = t.file("process.json", '{"terminal":true,"args":["/bin/probe","tty"],"cwd":"/","env":[],'
                                     '"consoleSize":{"height":12,"width":34}}')
    with ConsoleSocket(f"{t.tmp}/console") as console:
        t.runtime("exec", "-d", "-p", process, "--console-socket", console.path, "--pid-file", f"{t.tmp}/pid", c.id).ok()
        name, master = console.receive()
    with master:
        found = facts(clean(master.read_until("onlcr")))
    eq((found["fd0"], found["controlling"], found["size"]), (name.decode(), "yes", "12 34"))
    true(linux.read(f"{t.tmp}/pid").isdigit(), "no pid file")


@envs("hybrid")
def test_exec_on_the_callers_terminal(t):
    c = t.up()
    with Session(t, t.command("exec", "--tty", c.id, "/bin/sh", "-c", "probe tty; exit 6"), 28, 82) as s:
        s.terminal.read_until("onlcr")
        eq(s.wait(), 6)
        found = facts(clean(s.terminal.text))
        eq((found["controlling"], found["size"]), ("yes", "28 82"))
        eq(s.settings(), s.before)


@each(option={"create": "create", "exec": "exec"})
@envs("hybrid")
def test_a_socket_that_nobody_listens_on_is_an_error(t, option):

    path = f"{t.tmp}/dead"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(path)
    if option == "create":
        t.container(terminal(t)).create("--console-socket", path).fails("dead", "connection refused")
    else:
        c = t.up()
        process = t.file("process.json", '{"terminal":true,"args":["/bin/true"],"cwd":"/","env":[]}')
        t.runtime("exec", "-d", "-p", process, "--console-socket", path, c.id).fails("dead", "connection refused", code=255)
