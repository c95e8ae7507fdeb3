# SPDX-License-Identifier: Apache-2.0
"""The first five minutes: tests/quickstart.sh does what it shows, and what it recommends works."""

import os
import pathlib
import re
import shlex

from case import envs, eq, has, true
from console import Session

WALL = "both"

SCRIPT = str(pathlib.Path(__file__).resolve().parent.parent / "quickstart.sh")


@envs("hybrid")
def test_the_quickstart_runs_a_container_and_its_advice_works(t):
    env = dict(os.environ, TMPDIR=t.tmp, BULKHEAD_STORE=f"{t.tmp}/store")
    out = t.call([SCRIPT, t.binary], env=env).ok().out
    has(out, "hello from", "where I am pid 1\n", "uid=0 gid=0", "It works")
    commands = re.findall(r"^  (/\S+ .*?) +#", out, re.MULTILINE)
    has(out, "\nfile\n")
    eq([c.split()[1] for c in commands], ["do", "run", "list", "exec"])
    # The commands use the default root; here they get the test's.
    over_host, run, listing, again = ([t.binary, "--root", t.root, *shlex.split(c)[1:]] for c in commands)
    with Session(t, ["env", f"BULKHEAD_STORE={t.tmp}/store", *over_host]) as shell:
        shell.terminal.read_until("#")
        shell.terminal.write("exit 6\n")
        eq(shell.wait(), 6)
    with Session(t, run) as shell:
        shell.terminal.read_until("#")
        has(t.call(listing).ok().out, "shell")
        has(t.call(again).ok().out, "ps")
        shell.terminal.write("exit 7\n")
        eq(shell.wait(), 7)
    true("shell" not in t.call(listing).ok().out, "the container is still listed")


@envs("hybrid")
def test_the_quickstart_says_what_it_wants(t):
    t.call([SCRIPT]).fails("usage", code=2)
    t.call([SCRIPT, "/no/such/binary"]).fails("usage", code=2)
