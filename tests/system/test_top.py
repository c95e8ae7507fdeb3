# SPDX-License-Identifier: Apache-2.0
"""top: the screen, its keys, and a terminal that is as it was afterwards, however the program ends."""

import json
import os
import re
import signal
import time

from case import deadline, each, envs, eq, has, hasnt, true
from console import Session
from test_cpugroup_cli import groups

WALL = "both"

ALL = ("hybrid", "host")
ENTER, LEAVE = "\033[?1049h", "\033[?1049l"


def top(t, *argv, rows=24, columns=80, term="xterm", **env):
    os.environ.update({"TERM": term, "LC_ALL": "C", **env})
    return Session(t, t.command("top", *argv), rows, columns)


def screens(text):
    """What each frame left on the screen, line by line, without its control sequences."""
    frames = text.split("\033[H")[1:]
    return [[re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in f.split("\r\n")] for f in frames]


def last(terminal):
    return screens(terminal.text)[-1]


def until(t, session, condition, what):
    """Reads the terminal until a whole frame fulfils the condition."""
    def reached():
        session.terminal.text += os.read(session.terminal.fd, 65536).decode(errors="replace")
        found = screens(session.terminal.text)
        try:
            return found and condition(found[-1])
        except IndexError:
            return False  # a frame of which the end has not come yet
    t.until(reached, 10, what)


def expect_restored(session, status):
    eq(session.wait(), status)
    text = session.terminal.read_until(LEAVE)
    has(text, "\033[?25h", "\033[?7h")
    true(text.rindex(LEAVE) > text.rindex("\033[H"), "something was drawn after the end")
    eq(session.settings(), session.before, "settings of the terminal")


# ---- on a terminal

@envs(*ALL)
def test_groups_and_members_are_a_tree_and_the_rest_is_below(t):
    with groups(t, "gold", "gold/batch") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        job = g.up("gold/batch", t.bundle().probe("sleep", "1000"))
        alone = t.up()
        with top(t, "--interval", "200ms", "--sort", "name") as s:
            s.terminal.read_until("q quit")
            lines = last(s.terminal)
            names = [re.match(r" *\S*", line)[0] for line in lines[2:7]]
            eq(names[0::2], ["gold", "  batch", "(no"])
            eq(names[1], f"  {web.id}"[:len(names[1])])
            eq(names[3], f"    {job.id}"[:len(names[3])])
            has(lines[0], "2 groups, 3 members, by name")
            has(lines[3], "running", t.wall)
            true(any(alone.id[:8] in line for line in lines), lines)
            s.terminal.write("q")
            expect_restored(s, 0)


@envs(*ALL)
def test_keys_sort_pause_and_are_told(t):
    with groups(t, "gold") as g:
        with top(t, "--interval", "100ms") as s:
            s.terminal.read_until("by cpu")
            for key, word in (("t", "throttled"), ("p", "pressure"), ("m", "memory"), ("n", "name"), ("c", "cpu")):
                s.terminal.write(key)
                until(t, s, lambda lines, w=word: lines[0].endswith(f"by {w}"), word)
            s.terminal.write(" ")
            until(t, s, lambda lines: lines[0].endswith("PAUSED"), "the pause")
            time.sleep(0.3)
            drawn = len(screens(s.terminal.text))
            g("create", "late").ok()
            time.sleep(0.3)
            s.terminal.write("n")  # drawn again, but of the old moment
            until(t, s, lambda lines: "by name - PAUSED" in lines[0], "a screen while paused")
            eq(len(screens(s.terminal.text)), drawn + 1, "screens while paused")
            true(not any("late" in line for line in last(s.terminal)), "a sample while paused")
            s.terminal.write(" ")
            until(t, s, lambda lines: any("late" in line for line in lines), "the new group")
            s.terminal.write("q")
            expect_restored(s, 0)


@envs(*ALL)
def test_another_size_is_drawn_at_once(t):
    with groups(t, *(f"g{i}" for i in range(6))):
        with top(t, "--interval", "1h", rows=24, columns=80) as s:
            s.terminal.read_until("q quit")
            s.terminal.resize(6, 30)
            until(t, s, lambda lines: len(lines) <= 6 and max(map(len, lines)) <= 30, "the small screen")
            s.terminal.write("\033[B\033[B"[:3])
            until(t, s, lambda lines: lines[2].startswith("g1"), "the second group on top")
            s.terminal.resize(40, 200)
            until(t, s, lambda lines: len(lines) == 40, "the large screen")
            s.terminal.write("q")
            expect_restored(s, 0)


@envs("hybrid")
@each(size={"1x1": (1, 1), "1x80": (1, 80), "2x5": (2, 5), "3x40": (3, 40), "24x1": (24, 1)})
def test_a_tiny_terminal_is_enough(t, size):
    with groups(t, "gold", "silver"):
        with top(t, "--interval", "50ms", rows=size[0], columns=size[1]) as s:
            s.terminal.read_until("\033[J")
            lines = last(s.terminal)
            true(len(lines) <= size[0] and max(map(len, lines)) <= size[1], lines)
            s.terminal.write("q")
            expect_restored(s, 0)


@envs(*ALL)
@each(signo={"TERM": signal.SIGTERM, "HUP": signal.SIGHUP, "QUIT": signal.SIGQUIT})
def test_a_signal_ends_it_with_the_terminal_restored(t, signo):
    with groups(t, "gold"):
        with top(t) as s:
            s.terminal.read_until("gold")
            os.kill(s.process.pid, signo)
            expect_restored(s, -signo)


@envs(*ALL)
def test_control_c_is_a_way_to_end(t):
    with groups(t, "gold"):
        with top(t) as s:
            s.terminal.read_until("gold")
            s.terminal.write("\x03")
            expect_restored(s, 0)


@envs(*ALL)
def test_a_stop_gives_the_terminal_back_and_takes_it_again(t):
    with groups(t, "gold"):
        with top(t, "--interval", "100ms") as s:
            s.terminal.read_until("gold")
            s.terminal.write("\x1a")
            s.terminal.read_until(LEAVE)
            eq(os.WIFSTOPPED(os.waitpid(s.process.pid, os.WUNTRACED)[1]), True)
            eq(s.settings(), s.before, "settings while stopped")
            s.terminal.text = ""
            os.kill(s.process.pid, signal.SIGCONT)
            s.terminal.read_until(ENTER)
            s.terminal.read_until("gold")
            s.terminal.write("q")
            expect_restored(s, 0)


@envs("hybrid")
def test_a_frame_is_one_write(t):
    t.need("strace")
    with groups(t, "gold"):
        log = f"{t.tmp}/trace"
        os.environ.update({"TERM": "xterm", "LC_ALL": "C"})
        with Session(t, ["strace", "-f", "-e", "trace=write", "-e", "write=none", "-o", log,
                         *t.command("top", "--interval", "50ms", "-n", "4")]) as s:
            eq(s.wait(), 0)
            frames = [line for line in open(log, encoding="ascii") if '"\\33[H' in line]
            eq(len(frames), 4)
            # Two more: to enter and to leave.
            eq(len([line for line in open(log, encoding="ascii") if "write(1," in line]), 6)


@envs("hybrid")
@each(colour={"as usual": True, "not wanted": False})
def test_a_frozen_group_is_coloured_unless_nobody_wants_it(t, colour):
    with groups(t, "gold") as g:
        g("freeze", "gold").ok()
        with top(t, NO_COLOR="" if colour else "1") as s:
            text = s.terminal.read_until("q quit")
            has(text, "frozen")
            eq("\033[36m" in text, colour)
            s.terminal.write("q")
            expect_restored(s, 0)


# ---- without one

@envs(*ALL)
def test_without_a_terminal_blocks_follow_each_other(t):
    with groups(t, "gold"):
        result = t.runtime("top", "-n", "3", "--interval", "50ms").ok()
        hasnt(result.out, "\033", "\r")
        blocks = result.out.split("\n\n")
        eq(len(blocks), 3)
        for block in blocks:
            lines = block.strip().splitlines()
            eq(lines[1].split()[:2], ["NAME", "STATE"])
            eq(lines[2].split()[:2], ["gold", "empty"])


@envs(*ALL)
def test_a_dumb_terminal_gets_plain_text(t):
    with groups(t, "gold"):
        with top(t, "-n", "2", "--interval", "50ms", term="dumb") as s:
            eq(s.wait(), 0)
            os.set_blocking(s.terminal.fd, False)
            text = os.read(s.terminal.fd, 65536).decode()
            hasnt(text, "\033")
            eq(text.count("NAME"), 2)


@envs(*ALL)
def test_once_prints_one_screen_and_json_says_more(t):
    with groups(t, "gold", "gold/batch") as g:
        web = g.up("gold", t.bundle().probe("sleep", "1000"))
        eq(t.runtime("top", "--once").ok().out.count("NAME"), 1)
        out = t.runtime("top", "--format", "json", "-n", "2", "--interval", "60ms").ok().out.splitlines()
        eq(len(out), 2)
        rows = {r["name"]: r for r in json.loads(out[1])["rows"]}
        eq(set(rows), {"gold", "gold/batch", web.id})
        eq([rows[web.id]["status"], rows[web.id]["isolation"]], ["running", t.wall])
        true(rows["gold"]["rate"]["cpus"] >= 0, rows["gold"])
        only = json.loads(t.runtime("top", "gold/batch", "--format", "json", "--once").ok().out)["rows"]
        eq([r["name"] for r in only], ["gold/batch"])
        has(t.runtime("top", "--format", "prom").ok().out, 'bulkhead_cpugroup_populated{group="gold"} 1\n')


@envs("hybrid")
def test_what_is_wrong_is_told(t):
    with groups(t, "gold"):
        t.runtime("top", "tin").fails('no CPU group "tin"', code=1)
        t.runtime("top", "--interval", "1ms").fails("at least 50 ms", code=1)
        found = t.runtime("top", "tin", "--format", "json").exits(1)
        eq(json.loads(found.out)["error"]["kind"], "not-found")


@envs("hybrid")
def test_nobody_reading_is_a_normal_end(t):
    with groups(t, "gold"):
        read, write = os.pipe()
        process = t.spawn_runtime("top", "--interval", "50ms", stdout=write)
        os.close(write)
        os.read(read, 100)
        os.close(read)
        eq(process.wait(10), 0)


@envs("host")
@deadline(60)
def test_usage_is_measured_against_the_cap(t):
    from load import working
    t.need("two cpus")  # one that spins, and one that measures it
    with groups(t) as g:
        g("create", "gold", "--cap", "0.5").ok()
        web = g.up("gold", working(t, "spin")).wait_out("spinning")
        row = {r["name"]: r for r in json.loads(
            t.runtime("top", "--once", "--format", "json", "--interval", "2s").ok().out)["rows"]}["gold"]
        true(row["rate"]["percentOfCap"] > 60, row["rate"])
        true(row["rate"]["throttledPercent"] > 20, row["rate"])
        has(t.runtime("top", "--once", env={**os.environ, "LC_ALL": "C"}).ok().out, "###", web.id)
