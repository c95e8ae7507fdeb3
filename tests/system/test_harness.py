# SPDX-License-Identifier: Apache-2.0
"""The harness itself: a census that misses a leak would make every other test worth less."""

import os
import subprocess
import time

import census
import host
import linux
from case import Skip, envs, eq, has, true

WALL = ("process", "the harness")


def sees(t, make):
    """The leaks that a census reports of what make() leaves, which it also removes."""
    before = census.Census(f"{t.token}x", [t.tmp])
    make()
    found = before.leaks()
    eq(census.Census(f"{t.token}x", [t.tmp]).leaks(), [], "the census does not clean up")
    return found


@envs("hybrid")
def test_a_clean_test_is_clean(t):
    eq(sees(t, lambda: None), [])


@envs("hybrid")
def test_a_mount_left_is_seen(t):
    linux.private_mounts()
    where = t.dir("m")
    has(sees(t, lambda: linux.mount("tmpfs", where, "tmpfs"))[0], "mount left", where)


@envs("hybrid")
def test_a_process_left_is_seen_and_a_zombie_is_not(t):
    def daemon():
        subprocess.Popen(["sleep", "1000"])
        subprocess.Popen(["true"])
    found = sees(t, daemon)
    eq(len(found), 1)
    has(found[0], "process left", "sleep 1000")


@envs("hybrid")
def test_a_grandchild_in_another_session_is_seen(t):
    found = sees(t, lambda: subprocess.run(["setsid", "-f", "sleep", "1000"], check=True))
    has(" ".join(found), "process left", "sleep 1000")


def test_a_cgroup_left_is_seen_with_its_processes(t):
    path = f"{t.cgroup_base}/{t.token}x-left"

    def leave():
        os.makedirs(f"{path}/inner")
        sleeper = subprocess.Popen(["sleep", "1000"])
        with open(f"{path}/inner/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(sleeper.pid))
    found = " ".join(sees(t, leave))
    has(found, "cgroup left", "x-left/inner", "process left")
    true(not os.path.exists(path), "the cgroup is still there")


@envs("hybrid")
def test_a_file_left_is_seen(t):
    has(sees(t, lambda: t.file(f"{t.token}x-state"))[0], "left behind", "x-state")


@envs("hybrid")
def test_a_skip_needs_a_feature_that_the_host_lacks(t):
    t.need("root")
    try:
        t.need("no root")
    except Skip as skip:
        has(str(skip), "root")
    else:
        raise AssertionError("a feature and its opposite are both there")
    try:
        host.lacks("a feature nobody defined")
    except KeyError:
        return
    raise AssertionError("an unknown feature is a reason to skip")


@envs("hybrid")
def test_a_command_that_hangs_is_killed_and_named(t):
    began = time.monotonic()
    try:
        t.call(["sleep", "1000"], timeout=0.3)
    except AssertionError as error:
        has(str(error), "sleep 1000", "did not end")
    else:
        raise AssertionError("a hanging command is fine")
    true(time.monotonic() - began < 5, "slow")


def test_the_environment_is_what_its_name_says(t):
    eq(host.is_unified(), t.env == "unified")
    true(os.path.exists(f"{t.cgroup_base}/cgroup.procs"), "no cgroup of our own")
