# SPDX-License-Identifier: Apache-2.0
"""The agent of a guest, asked what commands ask it: tests/vm/session is its VMM. One boot for all of it, since that is
what takes the time."""

import json
import os
import pathlib
import signal
import struct

import host
import wire
from bundle import DEFAULT
from case import deadline, envs, eq, has, true
from wire import Execution, Refused, execute, item

WALL = ("process", "an agent without a wall")

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BULKHEAD", TOP / "build/bulkhead")).parent
MIB = 1 << 20
PROGRAM = "trap 'echo heard' USR1; echo up; while true; do sleep 1000 & wait $!; done"


def refused(code, path, *args, **more):
    try:
        execute(path, *args, **more)
    except Refused as e:
        eq(e.code, code)
    else:
        raise AssertionError(f"{args} was executed")


def streams(sock):
    x = Execution(sock, "sh", "-c", "wc -c; exit 3")
    os.write(x.input, b"x" * 50000)
    x.close_input()
    eq(x.finish(), (3, 6, b"50000\n"))
    eq(execute(sock, "sh", "-c", "id -u; echo again >/dev/stdout", user={"uid": 1000, "gid": 1000})[2], b"1000\nagain\n")
    refused(2, sock, "/nonesuch")
    refused(2, sock, "sh", cwd="/nonesuch")


def slow_reader(sock, root):
    """A reader that takes nothing stops its own process and no other."""
    x = Execution(sock, "sh", "-c", "dd if=/dev/zero bs=1M count=8 2>/dev/null; touch /tmp/written")
    x.close_input()
    eq(execute(sock, "echo", "meanwhile")[2], b"meanwhile\n")
    true(not (root / "tmp/written").exists(), "all was written, but nobody read")
    eq(x.finish()[:2], (0, 8 * MIB))
    true((root / "tmp/written").exists(), "the process did not get to its end")


def terminal(sock):
    x = Execution(sock, "sh", "-c", "tty; read line; stty size; sleep 1000", terminal=True)
    has(x.read_until(b"pts/").decode(), "/dev/pts/")
    x.client.ask(wire.RESIZE, item("PROCESS", x.number) + item("ROWS", 31) + item("COLUMNS", 91))
    os.write(x.input, b"go\n")
    x.read_until(b"31 91")
    os.write(x.input, b"\x03")
    eq(x.status(), 128 + signal.SIGINT)


def numbers(client, sock, root):
    pids = {struct.unpack_from("<II", ps)[0] for ps in client.ask(wire.PS)["PS"]}
    true(1 in pids and len(pids) == 2, str(pids))
    stats = client.stats()
    eq((stats["memory_limit"], stats["pids_limit"]), (64 * MIB, 50))
    update = {"memory": {"limit": 48 * MIB}, "pids": {"limit": 40}, "cpu": {"shares": 5}}
    client.ask(wire.UPDATE, item("RESOURCES", json.dumps(update)))
    stats = client.stats()
    eq((stats["memory_limit"], stats["pids_limit"]), (48 * MIB, 40))
    eq(execute(sock, "sh", "-c", "echo text >/tmp/file")[0], 0)
    client.ask(wire.SYNC)
    eq((root / "tmp/file").read_text(encoding="ascii"), "text\n")


def memory(sock):
    watch = wire.Client(sock)
    watch.ask(wire.WATCH)
    eq(execute(sock, "tail", "/dev/zero")[0], 128 + signal.SIGKILL)
    kills, limit, peak = struct.unpack("<3Q", watch.event(wire.OOM)["OOM"][0])
    eq((kills, limit), (1, 48 * MIB))
    true(peak <= limit, f"{peak} is the peak")
    watch.close()


@envs("host")
@deadline(60)
def test_the_agent_executes_measures_limits_and_tells_ends(t):
    image = t.bundle()
    root = pathlib.Path(image.rootfs)
    os.makedirs(root / "tmp", exist_ok=True)
    config = json.loads(json.dumps(DEFAULT))
    config["process"]["args"] = ["sh", "-c", PROGRAM]
    config["root"]["readonly"] = False
    config["linux"]["resources"].update(memory={"limit": 64 * MIB}, pids={"limit": 50})
    sock = f"{t.dir('run')}/vm.sock"
    out = t.file("out")
    with open(out, "w", encoding="utf-8") as sink:
        vmm = t.spawn([str(BUILD / "tests/vm/session"), "-k", host.guest_kernel("stock"), "-r", str(root), "-b", "300",
                       "-f", t.file("config.json", json.dumps(config)), "-l", sock, str(BUILD / "vm/agent/agent")],
                      stdout=sink, stderr=sink, env={**os.environ, "BOOT_CACHE": t.dir("kernels", 0o700)})
    said = pathlib.Path(out)
    t.until(lambda: "up\n" in said.read_text(encoding="utf-8"), 30, "the program in the guest")

    client = wire.Client(sock)
    streams(sock)
    slow_reader(sock, root)
    terminal(sock)
    numbers(client, sock, root)
    memory(sock)
    client.ask(wire.SIGNAL, item("PROCESS", 0) + item("SIGNAL", int(signal.SIGUSR1)))
    t.until(lambda: "heard\n" in said.read_text(encoding="utf-8"), 10, "the handler of the signal")
    left = Execution(sock, "sleep", "1000")
    client.ask(wire.SIGNAL, item("PROCESS", 0) + item("SIGNAL", int(signal.SIGKILL)))
    eq(left.status(), 128 + signal.SIGKILL)
    client.close()
    vmm.wait(60)
    has(said.read_text(encoding="utf-8"), "vmm: status 137\n", "end: status 137")
