# SPDX-License-Identifier: Apache-2.0
"""The protocol of vm/wire/wire.h, as a command speaks it to a VMM."""

import array
import json
import os
import select
import socket
import struct
import tty

from case import PATIENCE

HELLO, REPLY, EXITED, OOM = 1, 2, 3, 4
START, EXEC, SIGNAL, RESIZE, PS, STATS, UPDATE, SYNC = range(32, 40)
WATCH = 65
TAGS = ("VERSION ERROR KERNEL PROCESS STATUS CONFIG ID BUNDLE STDIO FILTER KEYRING MOUNT NET TIME ENTROPY ENV "
        "PROCESS_JSON SIGNAL ALL ROWS COLUMNS GUEST_PID PS STATS RESOURCES OOM").split()
TAG = {name: i + 1 for i, name in enumerate(TAGS)}
STATS_NAMES = ("memory_current memory_peak memory_limit memory_file memory_anon swap_current oom oom_kill failcnt "
               "pids_current pids_limit guest_total guest_available").split()


class Refused(Exception):
    """A reply with an error: its errno."""

    def __init__(self, code):
        super().__init__(os.strerror(code))
        self.code = code


def item(tag, value):
    data = struct.pack("<I", value) if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    return struct.pack("<II", TAG[tag], len(data)) + data + b"\0" * (-len(data) % 4)


def number(data):
    return struct.unpack("<I", data)[0]


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10 * PATIENCE)
        self.socket.connect(path)
        self.last_id, self.events = 0, []
        assert self.frame()[0] == HELLO

    def close(self):
        self.socket.close()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        size, kind, request = struct.unpack("<III", self.read(12))
        payload, at, items = self.read(size), 0, {}
        while at < size:
            tag, n = struct.unpack_from("<II", payload, at)
            items.setdefault(TAGS[tag - 1], []).append(payload[at + 8:at + 8 + n])
            at += 8 + n + -n % 4
        return kind, request, items

    def ask(self, kind, items=b"", fds=()):
        self.last_id += 1
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([struct.pack("<III", len(items), kind, self.last_id) + items], rights)
        while True:
            frame = self.frame()
            if frame[:2] == (REPLY, self.last_id):
                break
            self.events.append(frame)
        if "ERROR" in frame[2]:
            raise Refused(struct.unpack_from("<i", frame[2]["ERROR"][0])[0])
        return frame[2]

    def event(self, kind):
        """The items of the next one of this kind."""
        while True:
            frame = self.events.pop(0) if self.events else self.frame()
            if frame[0] == kind:
                return frame[2]

    def stats(self):
        return dict(zip(STATS_NAMES, struct.unpack("<13Q", self.ask(STATS)["STATS"][0])))


class Execution:
    """A process in the guest, its input and output pipes of ours, or a terminal's master."""

    def __init__(self, path, *args, terminal=False, **more):
        process = {"args": list(args), "cwd": "/", "env": ["PATH=/bin"], "terminal": terminal, **more}
        self.client = Client(path)
        if terminal:
            self.input, theirs = os.openpty()
            tty.setraw(theirs)  # the guest's terminal does the work
            self.output, give, stdio = self.input, [theirs], (1, 0, 0, 1)
        else:
            read_in, self.input = os.pipe()
            self.output, write_out = os.pipe()
            give, stdio = [read_in, write_out], (1, 2, 0, 0)
        try:
            items = item("PROCESS_JSON", json.dumps(process)) + item("STDIO", struct.pack("<4I", *stdio))
            self.number = number(self.client.ask(EXEC, items, give)["PROCESS"][0])
        except Refused:
            self.close()
            raise
        finally:
            for fd in give:
                os.close(fd)

    def close(self):
        self.client.close()
        for fd in {self.input, self.output} - {None}:
            os.close(fd)

    def close_input(self):
        os.close(self.input)
        self.input = None

    def read_until(self, text):
        out = b""
        while text not in out:
            ready, _, _ = select.select([self.output], [], [], 10 * PATIENCE)
            data = os.read(self.output, 65536) if ready else b""
            if not data:
                raise AssertionError(f"{text} is not in {out}")
            out += data
        return out

    def finish(self):
        """Reads to the end. The exit status, and how many bytes and what came last."""
        n, last = 0, b""
        while True:
            data = os.read(self.output, 1 << 20)
            if not data:
                break
            n, last = n + len(data), (last + data)[-4096:]
        return self.status(), n, last

    def status(self):
        """Waits for it. The last thing that is done with an execution."""
        status = number(self.client.event(EXITED)["STATUS"][0])
        self.close()
        return status


def execute(path, *args, **more):
    x = Execution(path, *args, **more)
    x.close_input()
    return x.finish()
