# SPDX-License-Identifier: Apache-2.0
"""Terminals for tests: the socket that receives a console, and a pseudo-terminal around a foreground run."""

import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import termios
import time

from case import PATIENCE


class ConsoleSocket:
    """What an engine's shim is for --console-socket: takes one message with the master's descriptor."""

    def __init__(self, path):
        self.path = path
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory, name = os.path.split(path)
        # A path beyond 107 bytes is bound from its directory.
        before = os.open(".", os.O_RDONLY)
        os.chdir(directory)
        try:
            self.server.bind(name)
        finally:
            os.fchdir(before)
            os.close(before)
        self.server.listen()
        self.server.settimeout(10)

    def receive(self):
        """(name, Terminal); the connection has to be closed by the other side."""
        connection, _ = self.server.accept()
        connection.settimeout(10)
        with connection:
            name, fds, _, _ = socket.recv_fds(connection, 4096, 4)
            more = connection.recv(1)
        if len(fds) != 1 or more:
            raise AssertionError(f"the console message holds {len(fds)} descriptors and is followed by {more!r}")
        return name, Terminal(fds[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()


class Terminal:
    """The master side of a pseudo-terminal."""

    def __init__(self, fd):
        self.fd = fd
        self.text = ""

    def read_until(self, wanted, seconds=10):
        end = time.monotonic() + seconds * PATIENCE
        while wanted not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"no {wanted!r} on the terminal within {seconds} s: {self.text!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: the last slave is closed
                data = b""
            if not data:
                raise AssertionError(f"the terminal closed before {wanted!r}: {self.text!r}")
            self.text += data.decode(errors="replace")
        return self.text

    def read_all(self, seconds=10):
        end = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return self.text
            if not data:
                return self.text
            self.text += data.decode(errors="replace")
        raise AssertionError(f"the terminal stays open: {self.text!r}")

    def write(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def size(self):
        return struct.unpack("HHHH", fcntl.ioctl(self.fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    """A program on a pseudo-terminal of its own, as a user's shell would start it."""

    def __init__(self, case, argv, rows=24, columns=80):
        master, slave = pty.openpty()
        self.terminal = Terminal(master)
        self.terminal.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave

        def own():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = case.spawn(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own)

    def wait(self, seconds=10):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.process.args} did not end; terminal: {self.terminal.text!r}") from None

    def settings(self):
        return termios.tcgetattr(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        self.terminal.close()
