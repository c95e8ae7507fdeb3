# SPDX-License-Identifier: Apache-2.0
"""Streams of a virtual machine whose other end does nothing: the machine's loop serves everybody, and must not wait."""

import os
import pty
import termios

from case import deadline, each, eq, has

WALL = "vm"
FLOOD = "while :; do echo flood flood flood flood flood flood flood flood; done"


class Stuck:
    """An open file description that is ours and blocking, as a shell's are; the program's output goes there."""

    def __init__(self, kind):
        self.kind = kind
        self.reader, self.writer = os.pipe() if kind == "pipe" else pty.openpty()
        if kind == "stopped":
            self.stop()

    def stop(self):
        termios.tcflow(self.writer, termios.TCOOFF)

    def go(self):
        if self.kind == "stopped":
            termios.tcflow(self.writer, termios.TCOON)

    def as_output(self):
        os.dup2(self.writer, 1)

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


@deadline(90)
@each(output={"a pipe that nobody reads": "pipe", "a terminal that nobody reads": "unread", "a stopped terminal": "stopped"})
def test_output_that_nobody_takes_delays_no_command(t, output):
    stuck = Stuck(output)
    b = t.bundle().shell(FLOOD)
    c = t.container(b)
    b.save()
    t.runtime("run", "--detach", "--bundle", b.path, c.id, timeout=40, preexec=stuck.as_output).ok()
    eq(c.exec("/bin/echo", "here", timeout=10).ok().out, "here\n")
    t.runtime("exec", "--detach", c.id, "/bin/sh", "-c", FLOOD, timeout=10, preexec=stuck.as_output).ok()
    eq(c.exec("/bin/echo", "and here", timeout=10).ok().out, "and here\n")
    eq(c.status, "running")
    eq(os.get_blocking(stuck.writer), True)

    # Who begins to read gets it, and the one who stops again ends the machine as quickly.
    stuck.go()
    seen = b""
    while len(seen) < 1 << 18:
        t.wait_fd(stuck.reader, 10, "more output")
        seen += os.read(stuck.reader, 65536)
    has(seen.decode(errors="replace"), "flood flood")
    if output == "stopped":
        stuck.stop()
    eq(c.exec("/bin/echo", "still here", timeout=10).ok().out, "still here\n")
    c.kill("KILL").ok()
    c.wait("stopped", 5)
    c.delete().ok()
    stuck.close()
