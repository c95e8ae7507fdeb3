# SPDX-License-Identifier: Apache-2.0
"""The life of a guest as its VMM leads it: tests/vm/session, with an agent that runs nothing or breaks the rules."""

import os
import pathlib

import host
from case import deadline, envs, has

WALL = ("process", "a session alone, without a container")

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BULKHEAD", TOP / "build/bulkhead")).parent / "tests/vm"


def lead(t, *words, do, input=""):
    argv = [str(BUILD / "session"), "-k", host.guest_kernel("stock"), *words, str(BUILD / "echo_agent"), f"do={do}"]
    env = {**os.environ, "BOOT_CACHE": t.dir("kernels")}
    return t.call(argv, env=env, input=input, timeout=270).out


@envs("host")
@deadline(280)
def test_a_session_carries_the_streams_and_ends_as_the_program_does(t):
    out = lead(t, do="echo", input="a line from the host\n")
    has(out, "created", "started", "the guest is here\na line from the host\n", "vmm: status 42", "end: status 42")


@envs("host")
@deadline(280)
def test_an_agent_that_breaks_the_rules_is_told_to_the_creator(t):
    out = lead(t, do="liar")
    has(out, "created: the guest's agent does not keep to the protocol: what has exited was not there",
        "the guest died", "end: status 137")
