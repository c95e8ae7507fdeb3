# SPDX-License-Identifier: Apache-2.0
"""What an exec is on both sides of the VM wall: its proxy on the host, and the process inside. Every signal, and KILL."""

import os
import signal
import subprocess

import linux
from case import deadline, eq, has, hasnt
from test_sandbox import image, rt

WALL = "vm"


def status_of(pid):
    return dict(line.split(":\t", 1) for line in linux.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)


@deadline(60)
def test_who_stands_for_a_process_has_no_rights_and_a_filter(t):
    c = t.up()
    t.runtime("exec", "--detach", "--pid-file", f"{t.tmp}/pid", c.id, "/bin/sleep", "1000", timeout=20).ok()
    pid = int(linux.read(f"{t.tmp}/pid"))
    status = status_of(pid)
    eq((status["Seccomp"].strip(), status["NoNewPrivs"].strip(), status["CapEff"].strip(), status["CapPrm"].strip()),
       ("2", "1", "0" * 16, "0" * 16))
    eq(status["Uid"].split(), ["65534"] * 4)
    os.kill(pid, signal.SIGTERM)
    t.until(lambda: (t.reap(), pid in t.reaped)[1], 10, "the proxy to end with the process")
    eq(os.waitstatus_to_exitcode(t.reaped[pid]), 128 + signal.SIGTERM)


@deadline(60)
def test_arguments_environment_and_directory_are_bytes(t):
    b = t.bundle().probe("sleep", "1000")
    os.makedirs(os.fsencode(b.rootfs) + b"/\xe9t\xe9")
    c = t.up(b)
    argv = [*map(os.fsencode, t.command("exec")), b"--env", b"NAME=\xff\xfe", b"--cwd", b"/\xe9t\xe9", os.fsencode(c.id), b"/bin/sh", b"-c",
            b'printf "%s|%s|%s|%s" "$NAME" "$PWD" "$1" "$2"', b"sh", b"\x80arg\xc3", b""]
    process = t.spawn(argv, stdout=subprocess.PIPE)
    out = process.communicate(timeout=200)[0]
    eq((process.returncode, out), (0, b"\xff\xfe|/\xe9t\xe9|\x80arg\xc3|"))


@deadline(60)
def test_a_large_request_is_no_forbidden_one(t):
    # A buffer that grows beyond 128 KiB moves, by a system call of its own.
    c = t.up()
    many = ["x" * 1000] * 400
    eq(c.exec("/bin/sh", "-c", 'echo $#', "sh", *many, timeout=20).ok().out, "400\n")
    eq(c.status, "running")


@deadline(90)
def test_every_signal_reaches_the_program(t):
    # 64 takes the machine's own vCPUs out of the guest; 32 to 34 are what C libraries keep for themselves.
    numbers = (10, 12, 34, 50, 63, 64)
    c = t.up(t.bundle().shell(f"for n in {' '.join(map(str, numbers))}; do trap \"echo got $n\" $n; done; echo ready; "
                              "while :; do sleep 1000 & wait $!; done")).wait_out("ready", 20)
    for n in numbers:
        c.kill(str(n)).ok()
        c.wait_out(f"got {n}\n", 10)
    for _ in range(5):
        c.kill("64").ok()
    t.until(lambda: c.out.count("got 64\n") >= 2, 10, "another SIGRTMAX")
    eq(c.status, "running")


@deadline(90)
def test_who_may_trace_inside_sees_nothing_of_the_agents(t):
    b = t.bundle().writable().caps("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL").shell(
        "echo ready; while :; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) ;; *) "
        "for f in $p/fd/*; do l=$(readlink $f 2>/dev/null) && echo \"$l\"; done; readlink $p/exe; esac; done; done")
    c = t.up(b).wait_out("ready", 20)
    for _ in range(6):
        c.exec("/bin/true", timeout=20).ok()
    c.exec("/bin/sleep", "2", timeout=20).ok()
    has(c.out, "/bin/busybox")
    hasnt(c.out, "vport", "/dev/console", "/dev/kmsg")


@deadline(90)
def test_kill_leaves_what_the_program_wrote(t):
    t.need("libarchive")
    name = t.name()
    b = t.bundle().shell("echo from the guest > /etc/written; echo ready; sleep 1000")
    where = image(t, b)
    b.save()
    t.containers.append(name)
    out = f"{t.tmp}/{name}.out"
    t.runtime("run", "--detach", "-b", b.path, "--image", where, "--sandbox", "keep", name,
              options=("--store", f"{t.tmp}/store"), timeout=40, out=out, err=f"{t.tmp}/{name}.err").ok()
    t.until(lambda: "ready" in linux.read(out), 20, "the program to have written")
    t.runtime("pause", name).ok()
    rt(t, "diff", name).fails("is paused", "resume it first")
    t.runtime("resume", name).ok()
    t.runtime("kill", name, "KILL").ok()
    t.until(lambda: (t.reap(), t.runtime("state", name).json["status"] == "stopped")[1], 10, "the end")
    has(rt(t, "diff", name).ok().out, "etc/written")
    upper = next(os.path.join(top, "written") for top, _, files in os.walk(f"{t.tmp}/store/sandboxes") if "written" in files)
    eq(linux.read(upper), "from the guest\n")
    rt(t, "delete", "--force", name).ok()
    t.containers.remove(name)
    rt(t, "sandbox", "remove", name).ok()
