# SPDX-License-Identifier: Apache-2.0
"""The grammar of the command line, global options, help, version, logs and exit codes."""

import json
import os
import re
import signal
import subprocess
import time

import linux
from case import deadline, each, envs, eq, has, hasnt, true, wall

WALL = ("process", "the command line, before there is a wall")

COMMANDS = ("create delete events exec features kill list pause ps resume run spec start state update").split()


@envs("hybrid")
def test_version_names_itself_commit_and_spec_on_lines_engines_can_parse(t):
    for option in ("--version", "-v"):
        lines = t.call([t.binary, option]).ok().out.splitlines()
        # Docker splits the first line at "version"; both Docker and go-runc read the others by prefix.
        true(re.fullmatch(r"\S+ version \S.*", lines[0]), f"first line: {lines[0]!r}")
        true(any(re.fullmatch(r"commit: \S+", line) for line in lines), f"no commit: in {lines}")
        true(any(re.fullmatch(r"spec: 1\.\d+\.\d+\S*", line) for line in lines), f"no spec: in {lines}")


@envs("hybrid")
def test_help_goes_to_stdout_and_ends_with_zero(t):
    for argv in (["--help"], ["-h"], ["help"], ["h"], []):
        result = t.call([t.binary, *argv]).ok()
        has(result.out, "NAME:", "COMMANDS:")
        for command in COMMANDS:
            has(result.out, command)


@each(command={c: c for c in COMMANDS})
@envs("hybrid")
def test_every_command_explains_itself(t, command):
    for argv in ([command, "--help"], [command, "-h"], ["help", command]):
        result = t.call([t.binary, *argv]).ok()
        has(result.out, "NAME:", command, "USAGE:")


@envs("hybrid")
def test_unknown_command_is_refused_by_name(t):
    t.call([t.binary, "frobnicate"]).fails("frobnicate")


@envs("hybrid")
def test_unknown_option_is_refused_by_name(t):
    t.call([t.binary, "--frobnicate", "list"]).fails("frobnicate")
    t.runtime("list", "--frobnicate").fails("frobnicate")


@each(argv={
    "create without id": ["create"], "create with two ids": ["create", "a", "b"], "start without id": ["start"],
    "state without id": ["state"], "kill without id": ["kill"], "exec without id": ["exec"],
    "delete without id": ["delete"], "run without id": ["run"], "state with two": ["state", "a", "b"],
    "pause without id": ["pause"], "events without id": ["events"], "update without id": ["update"],
    "ps without id": ["ps"], "list with an argument": ["list", "a"], "features with an argument": ["features", "a"],
})
@envs("hybrid")
def test_wrong_number_of_arguments_is_named(t, argv):
    t.runtime(*argv).fails("argument")


@wall("both")
@envs("hybrid")
def test_option_spellings_are_equal(t):
    bundle = t.bundle().probe("exit", 5).save()
    for spelling in (["--bundle", bundle.path], [f"--bundle={bundle.path}"], ["-b", bundle.path]):
        t.runtime("run", *spelling, t.name()).exits(5)


@envs("hybrid")
def test_global_options_are_refused_after_the_command(t):
    t.call([t.binary, "list", "--root", t.root]).fails()


@envs("hybrid")
def test_booleans_take_explicit_values(t):
    t.runtime("list", "--quiet=true").ok()
    t.runtime("list", "--quiet=false").ok()


@envs("hybrid")
def test_double_dash_ends_the_options(t):
    t.runtime("state", "--", "-x").fails()
    t.runtime("delete", "--force", "--", t.name()).ok()


@envs("hybrid")
def test_root_cannot_be_the_top_directory(t):
    t.call([t.binary, "--root", "/", "list"]).fails("root")


@envs("hybrid")
def test_relative_root_means_the_callers_directory(t):
    c = t.up()
    relative = os.path.relpath(t.root, t.tmp)
    out = t.call([t.binary, "--root", relative, "list", "-q"], cwd=t.tmp).ok().out
    eq(out.split(), [c.id])


@envs("hybrid")
def test_root_is_not_created_by_commands_that_only_look(t):
    root = f"{t.tmp}/nowhere"
    t.call([t.binary, "--root", root, "state", "x"]).fails("does not exist")
    t.call([t.binary, "--root", root, "delete", "--force", "x"])
    true(not os.path.exists(root), "a command that only looks created the root")


@envs("hybrid")
def test_the_default_root_is_below_run_and_may_be_missing(t):
    linux.private_mounts()
    linux.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": f"{t.tmp}/ignored-for-root"}
    eq(t.call([t.binary, "list", "-q"], env=env).ok().out, "")
    b = t.bundle().probe("sleep", 1000).save()
    t.call([t.binary, "run", "-d", "-b", b.path, "c1"], env=env, out=f"{t.tmp}/out", err=f"{t.tmp}/err").ok()
    try:
        eq(t.call([t.binary, "list", "-q"], env=env).ok().out, "c1\n")
        homes = [n for n in os.listdir("/run") if os.path.isdir(f"/run/{n}/c1")]
        eq(len(homes), 1)
        eq(os.stat(f"/run/{homes[0]}").st_mode & 0o066, 0, "others may read the root")
    finally:
        t.call([t.binary, "delete", "-f", "c1"], env=env).ok()
    linux.umount("/run")


@envs("hybrid")
def test_explicit_root_that_is_missing_is_an_error_for_list(t):
    t.call([t.binary, "--root", f"{t.tmp}/nowhere", "list"]).fails("nowhere")


@envs("hybrid")
def test_log_file_holds_the_error_and_stderr_too(t):
    log = f"{t.tmp}/log"
    result = t.runtime("state", "nothere", options=["--log", log]).fails("does not exist")
    with open(log, encoding="utf-8") as f:
        has(f.read(), "level=error", "does not exist")
    has(result.err, "does not exist")


@envs("hybrid")
def test_json_log_is_one_object_a_line_with_level_msg_and_time(t):
    log = f"{t.tmp}/log.json"
    t.runtime("state", "nothere", options=["--log", log, "--log-format", "json"]).fails()
    with open(log, encoding="utf-8") as f:
        entries = [json.loads(line) for line in f]
    errors = [e for e in entries if e["level"] == "error"]
    true(errors, f"no error entry in {entries}")
    has(errors[-1]["msg"], "does not exist")
    true(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*", errors[-1]["time"]), errors[-1]["time"])


@wall("both")
@envs("hybrid")
def test_json_log_survives_quotes_newlines_and_bytes_above_ascii(t):
    log = f"{t.tmp}/log.json"
    b = t.bundle().args('/no "quotes"\n\tand\\ ü\x01')
    b.save()
    t.runtime("run", "-b", b.path, t.name(), options=["--log", log, "--log-format", "json"]).fails()
    with open(log, encoding="utf-8") as f:
        entries = [json.loads(line) for line in f]
    has([e for e in entries if e["level"] == "error"][-1]["msg"], 'no "quotes"')


@envs("hybrid")
def test_log_is_appended_to(t):
    log = t.file("log", "before\n")
    t.runtime("state", "nothere", options=["--log", log]).fails()
    with open(log, encoding="utf-8") as f:
        text = f.read()
    true(text.startswith("before\n") and len(text) > 7, text)


@wall("both")
@envs("hybrid")
def test_successful_commands_log_nothing(t):
    log = f"{t.tmp}/log"
    b = t.bundle().save()
    result = t.runtime("run", "-b", b.path, t.name(), options=["--log", log]).ok()
    eq(result.err, "", "stderr")
    eq(open(log, encoding="utf-8").read() if os.path.exists(log) else "", "", "log")


@envs("hybrid")
def test_log_format_is_checked(t):
    t.runtime("list", options=["--log-format", "yaml"]).fails("log-format")


@wall("both")
@envs("hybrid")
def test_debug_adds_debug_lines(t):
    log = f"{t.tmp}/log"
    b = t.bundle().save()
    t.runtime("run", "-b", b.path, t.name(), options=["--debug", "--log", log]).ok()
    with open(log, encoding="utf-8") as f:
        has(f.read(), "level=debug")


@envs("hybrid")
def test_systemd_cgroup_is_refused_loudly_where_systemd_does_not_run(t):
    t.need("no systemd")
    b = t.bundle()
    b.linux["cgroupsPath"] = f"system.slice:bh:{t.name()}"
    b.save()
    t.runtime("run", "-b", b.path, t.name(), options=["--systemd-cgroup"]).fails("systemd")


@envs("hybrid")
def test_rootless_option_is_accepted(t):
    for value in ("auto", "true", "false"):
        t.runtime("list", options=["--rootless", value]).ok()


@wall("both")
def test_run_returns_the_status_of_the_program(t):
    for code in (0, 1, 3, 127, 255):
        t.run(t.bundle().probe("exit", code)).exits(code)


@wall("process", "a guest has a pid namespace of its own")
@each(number={"KILL": 9, "TERM": 15, "SEGV": 11, "HUP": 1})
def test_run_returns_128_and_the_signal_that_killed_the_program(t, number):
    # In the host's pid namespace: pid 1 of its own would not die of a signal it sends itself.
    t.run(t.bundle().without_namespace("pid").probe("die", number)).exits(128 + number)


@wall("both")
def test_run_returns_137_when_pid_1_is_killed_from_outside(t):
    c = t.container(t.bundle().probe("sleep", 1000))
    with t.foreground(c) as runtime:
        os.kill(c.pid, signal.SIGKILL)
        eq(runtime.wait(10), 128 + 9, "status")


@wall("both")
def test_stdio_of_a_foreground_run_is_the_callers(t):
    result = t.run(t.bundle().shell("cat; echo error >&2; exit 4"), input="hello\n").exits(4)
    eq(result.out, "hello\n")
    has(result.err, "error")


@wall("both")
def test_a_megabyte_of_output_arrives_whole(t):
    eq(len(t.run(t.bundle().probe("bytes", 1 << 20)).ok().out), 1 << 20)


@wall("both")
@envs("hybrid")
def test_a_closed_stdin_does_not_break_a_run(t):
    b = t.bundle().shell("exit 6").save()
    t.call(["/bin/sh", "-c", f"exec <&-; {' '.join(t.command('run', '-b', b.path, t.name()))}"]).exits(6)


@wall("both")
@each(name={n: n for n in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "CONT")})
@envs("hybrid")
def test_signals_to_a_foreground_run_reach_the_program(t, name):
    number = getattr(signal, f"SIG{name}")
    c = t.container(t.bundle().probe("signal-wait"))
    with t.foreground(c) as runtime:
        c.wait_out("ready")
        runtime.send_signal(number)
        c.wait_out(f"signal {int(number)}\n")
        if name not in ("INT", "QUIT", "TERM"):
            runtime.send_signal(signal.SIGTERM)
            number = signal.SIGTERM
        eq(runtime.wait(10), 100 + number)


@wall("both")
@envs("hybrid")
@deadline(20)
def test_two_runtimes_on_one_id_give_one_container(t):
    b = t.bundle().probe("sleep", 1000).save()
    c = t.container(b)
    both = [t.spawn_runtime("run", "-d", "-b", b.path, c.id, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(8)]
    codes = sorted(p.wait(15) == 0 for p in both)
    eq(codes, [False] * 7 + [True], "successes")
    eq(c.status, "running")


@wall("both")
@envs("hybrid")
def test_the_empty_id_and_missing_bundle_are_named(t):
    t.runtime("run", "-b", f"{t.tmp}/nobundle", t.name()).fails("nobundle")
    b = t.bundle().save()
    t.runtime("run", "-b", b.path, "").fails()


@wall("both")
@envs("hybrid")
def test_bundle_defaults_to_the_current_directory(t):
    b = t.bundle().probe("exit", 9).save()
    t.runtime("run", t.name(), cwd=b.path).exits(9)


@envs("hybrid")
def test_commands_end_quickly_when_nothing_is_there(t):
    began = time.monotonic()
    for command in ("state", "start", "kill", "pause", "resume", "ps", "events"):
        result = t.runtime(command, "nothere").fails("does not exist")
        hasnt(result.err, "panic")
    true(time.monotonic() - began < 5, "slow")
