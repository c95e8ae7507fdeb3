# SPDX-License-Identifier: Apache-2.0
"""list and ps: what is there, for people and for programs."""

import json
import os
import pwd
import re

from case import deadline, envs, eq, has, hasnt, true, wall

WALL = "both"


@envs("hybrid")
def test_list_is_a_table_with_the_columns_people_parse(t):
    c = t.up()
    lines = t.runtime("list").ok().out.splitlines()
    eq(lines[0].split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
    fields = lines[1].split()
    eq(fields[:4], [c.id, str(c.pid), "running", c.bundle.path])
    true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", fields[4]), fields[4])
    eq(fields[5], pwd.getpwuid(os.getuid()).pw_name)


@envs("hybrid")
def test_columns_are_aligned_and_at_least_12_wide(t):
    t.up()
    head, row = t.runtime("list").ok().out.splitlines()
    for word in ("PID", "STATUS", "BUNDLE", "CREATED", "OWNER"):
        at = head.index(word)
        eq(row[at - 1], " ", f"the character before the column {word}")
        true(row[at] != " ", f"the column {word} does not begin below its head")


@envs("hybrid")
def test_list_is_sorted_by_name(t):
    b = t.bundle().probe("sleep", 1000)
    for suffix in ("z", "a", "m"):
        t.up(b, name=f"{t.token}-{suffix}")
    eq(t.runtime("list", "-q").ok().out.split(), [f"{t.token}-{s}" for s in ("a", "m", "z")])


@envs("hybrid")
def test_list_json_is_one_line_of_state_objects(t):
    b = t.bundle().probe("sleep", 1000)
    b.config["annotations"] = {"a": "b"}
    c = t.up(b)
    for option in (["--format", "json"], ["-f", "json"], ["--format=json"]):
        out = t.runtime("list", *option).ok().out
        eq(out.count("\n"), 1 if out.endswith("\n") else 0)
        found, = json.loads(out)
        for key in ("id", "pid", "status", "bundle", "rootfs", "created", "annotations", "ociVersion"):
            eq(found[key], c.state()[key], key)
        eq(found["owner"], pwd.getpwuid(os.getuid()).pw_name)


@envs("hybrid")
def test_list_json_of_nothing_is_null(t):
    eq(t.runtime("list", "-f", "json").ok().out.strip(), "null")


@envs("hybrid")
def test_list_quiet_is_ids_only(t):
    c = t.up()
    for option in ("-q", "--quiet"):
        eq(t.runtime("list", option).ok().out, f"{c.id}\n")


@envs("hybrid")
def test_list_refuses_another_format(t):
    t.runtime("list", "-f", "yaml").fails("format")


@envs("hybrid")
def test_a_broken_entry_is_told_and_the_others_are_listed(t):
    c = t.up()
    broken = f"{t.token}-broken"
    os.mkdir(f"{t.root}/{broken}")
    with open(f"{t.root}/{broken}/state.json", "w", encoding="ascii") as f:
        f.write("{")
    result = t.runtime("list").ok()
    has(result.out, c.id)
    has(result.err, broken)
    t.runtime("delete", "--force", broken)


@wall("both", quick=True)
def test_list_shows_every_state(t):
    created = t.created(t.bundle())
    running = t.up()
    paused = t.up()
    paused.pause().ok()
    stopped = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    states = {c["id"]: c["status"] for c in t.runtime("list", "-f", "json").json}
    eq(states, {created.id: "created", running.id: "running", paused.id: "paused", stopped.id: "stopped"})
    pids = {c["id"]: c["pid"] for c in t.runtime("list", "-f", "json").json}
    eq(pids[stopped.id], 0)


@wall("process", "the pids of a guest are its own: test_vm")
def test_ps_json_is_every_host_pid_of_the_subtree(t):
    c = t.up(t.bundle().probe("tree", 3)).wait_out("ready")
    os.mkdir(f"{c.cgroup}/inner")
    c.probe("sleep", 1000, options=["-d"]).ok()
    pids = c.pids()
    eq(len(pids), 5)
    with open(f"{c.cgroup}/inner/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(pids[-1]))
    eq(sorted(t.runtime("ps", "--format", "json", c.id).json), pids)
    eq(sorted(t.runtime("ps", "-f", "json", c.id).json), pids)


@wall("process", "the pids of a guest are its own: test_vm")
@envs("hybrid")
def test_ps_is_a_table_of_the_hosts_ps(t):
    c = t.up(t.bundle().probe("tree", 2)).wait_out("ready")
    lines = t.runtime("ps", c.id).ok().out.splitlines()
    has(lines[0], "PID", "CMD")
    at = lines[0].split().index("PID")
    eq(sorted(int(line.split()[at]) for line in lines[1:]), c.pids())


@wall("process", "options of ps are refused: test_vm")
@envs("hybrid")
def test_ps_passes_options_on(t):
    c = t.up()
    lines = t.runtime("ps", c.id, "-e", "-o", "pid,comm").ok().out.splitlines()
    eq(lines[0].split(), ["PID", "COMMAND"])
    eq(lines[1].split(), [str(c.pid), "probe"])


@wall("process", "options of ps are refused: test_vm")
@envs("hybrid")
def test_ps_without_a_pid_column_is_refused(t):
    c = t.up()
    t.runtime("ps", c.id, "-e", "-o", "comm").fails("pid")


def test_ps_of_a_stopped_container_is_empty(t):
    c = t.up(t.bundle().probe("exit", 0)).wait("stopped")
    true(t.runtime("ps", "-f", "json", c.id).json in ([], None), "pids of a stopped container")


@envs("hybrid")
def test_ps_of_an_unknown_container_says_so(t):
    t.runtime("ps", "nothere").fails("does not exist")


@envs("hybrid")
def test_state_stays_right_when_the_name_of_init_looks_like_its_stat(t):
    # The command name in /proc/PID/stat is free text: "x) Z 1 1" must not be read as a state.
    b = t.bundle().probe("sleep", 1000)
    os.link(f"{b.rootfs}/bin/probe", f"{b.rootfs}/bin/x) Z 1 2 3")
    b.args("/bin/x) Z 1 2 3", "sleep", "1000")
    eq(t.up(b).status, "running")


@deadline(90)
@envs("hybrid")
def test_list_of_twenty_is_complete(t):
    b = t.bundle().probe("exit", 0)
    names = [f"{t.token}-n{i:02}" for i in range(20)]
    for name in names:
        t.up(b, name=name)
    eq(t.runtime("list", "-q").ok().out.split(), names)
    hasnt(t.runtime("list").ok().err, "error")
