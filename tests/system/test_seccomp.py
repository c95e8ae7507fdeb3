# SPDX-License-Identifier: Apache-2.0
"""Seccomp: actions, arguments, architectures, and the listener of user notifications."""

import errno
import fcntl
import json
import os
import socket
import struct
import threading

from case import each, envs, eq, facts, hasnt, true, wall

WALL = "both"


def profile(*rules, default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "syscalls": list(rules), **more}


def rule(names, action, **more):
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **more}


def filtered(t, *rules, **more):
    b = t.bundle()
    b.linux["seccomp"] = profile(*rules, **more)
    return b


def x86(t):
    """The numbers of system calls below are those of x86-64."""
    t.need("x86-64")


@envs("hybrid")
def test_errno_is_the_given_one_or_eperm(t):
    x86(t)
    eq(t.run(filtered(t, rule("getpriority", "ERRNO", errnoRet=33)).probe("syscall", 140)).out, "EDOM\n")
    eq(t.run(filtered(t, rule("getpriority", "ERRNO")).probe("syscall", 140)).out, "EPERM\n")
    eq(t.run(filtered(t, rule("getpriority", "ERRNO", errnoRet=0)).probe("syscall", 140)).out, "ok\n")


@envs("hybrid")
def test_the_default_action_takes_what_no_rule_names(t):
    x86(t)
    allowed = "read write close openat execve brk mmap mprotect munmap arch_prctl exit exit_group fstat newfstatat rt_sigaction " \
              "rt_sigprocmask set_tid_address ioctl writev readlink getrandom prlimit64 set_robust_list rseq futex fcntl lseek " \
              "chdir setuid setgid setgroups capget capset prctl getdents64 statx access faccessat2 close_range dup2 dup3 " \
              "execveat getpid gettid setsid fchown fchdir getcwd umask setresuid setresgid poll rt_sigreturn open wait4"
    b = filtered(t, rule(allowed, "ALLOW"), default="SCMP_ACT_ERRNO")
    eq(t.run(b.probe("syscall", 140)).out, "EPERM\n")
    b.linux["seccomp"]["defaultErrnoRet"] = 33
    eq(t.run(b.probe("syscall", 140)).out, "EDOM\n")


@each(case={"kill process": ("KILL_PROCESS", 159), "kill thread": ("KILL_THREAD", 159), "kill": ("KILL", 159), "trap": ("TRAP", 159)})
@envs("hybrid")
def test_actions_that_end_the_program(t, case):
    x86(t)
    action, code = case
    t.run(filtered(t, rule("getpriority", action)).probe("syscall", 140)).exits(code)


@each(action={a: a for a in ("LOG", "ALLOW")})
@envs("hybrid")
def test_actions_that_let_the_call_through(t, action):
    x86(t)
    eq(t.run(filtered(t, rule("getpriority", action)).probe("syscall", 140)).out, "ok\n")


@envs("hybrid")
def test_trace_without_a_tracer_is_enosys(t):
    x86(t)
    eq(t.run(filtered(t, rule("getpriority", "TRACE")).probe("syscall", 140)).out, "ENOSYS\n")


@each(case={
    "equal": ("EQ", 8, 0, {8: False, 9: True}), "not equal": ("NE", 8, 0, {8: True, 9: False}),
    "less": ("LT", 8, 0, {7: False, 8: True}), "less or equal": ("LE", 8, 0, {8: False, 9: True}),
    "greater": ("GT", 8, 0, {9: False, 8: True}), "greater or equal": ("GE", 8, 0, {8: False, 7: True}),
    "masked": ("MASKED_EQ", 12, 8, {8: False, 9: False, 4: True, 12: True}),
    "64 bits": ("EQ", 0x8000000000000001, 0, {-0x7fffffffffffffff: False, 1: True}),
})
@envs("hybrid")
def test_a_comparison_of_an_argument(t, case):
    x86(t)
    op, value, two, wanted = case
    b = filtered(t, rule("getpriority", "ERRNO", errnoRet=33,
                         args=[{"index": 2, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}]))
    for argument, passes in wanted.items():
        eq(t.run(b.probe("syscall", 140, 0, 0, argument)).out, "ok\n" if passes else "EDOM\n", f"argument {argument}")


@envs("hybrid")
def test_comparisons_of_two_arguments_must_both_hold(t):
    x86(t)
    b = filtered(t, rule("getpriority", "ERRNO", errnoRet=33, args=[
        {"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 5, "op": "SCMP_CMP_EQ"}]))
    eq(t.run(b.probe("syscall", 140, 0, 0, 5)).out, "EDOM\n")
    eq(t.run(b.probe("syscall", 140, 0, 0, 6)).out, "ok\n")


@envs("hybrid")
def test_comparisons_of_one_argument_are_alternatives(t):
    x86(t)
    b = filtered(t, rule("getpriority", "ERRNO", errnoRet=33, args=[
        {"index": 2, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 6, "op": "SCMP_CMP_EQ"}]))
    for argument, out in ((5, "EDOM\n"), (6, "EDOM\n"), (7, "ok\n")):
        eq(t.run(b.probe("syscall", 140, 0, 0, argument)).out, out)


@envs("hybrid")
def test_a_rule_equal_to_the_default_and_unknown_names_do_no_harm(t):
    x86(t)
    b = filtered(t, rule("getpriority", "ALLOW"), rule("no_such_call getuid", "ALLOW"), rule("nothing_at_all", "ERRNO"))
    eq(t.run(b.probe("syscall", 140)).out, "ok\n")


@envs("hybrid")
def test_a_call_newer_than_the_profile_is_enosys_under_a_denying_default(t):
    # glibc falls back on ENOSYS, not on EPERM: clone3, openat2 and their like.
    x86(t)
    b = filtered(t, rule("read write writev close openat execve brk mmap mprotect munmap arch_prctl exit exit_group fstat newfstatat "
                         "rt_sigaction rt_sigprocmask set_tid_address ioctl chdir setuid setgid setgroups capset capget prctl open "
                         "fcntl getdents64 fchown umask setsid close_range dup2 dup3 execveat poll fchdir getcwd futex setresuid "
                         "setresgid getpid gettid statx lseek access wait4", "ALLOW"),
                 default="SCMP_ACT_ERRNO", defaultErrnoRet=1)
    eq(t.run(b.probe("syscall", 470)).out, "ENOSYS\n")


@envs("hybrid")
def test_the_status_of_the_process_says_filter(t):
    out = facts(t.probe(filtered(t, rule("mkdir", "ERRNO")), "seccomp-status"))
    eq((out["Seccomp"], out["NoNewPrivs"]), ("2", "1"))
    eq(facts(t.probe(t.bundle(), "seccomp-status"))["Seccomp"], "0")


@envs("hybrid")
def test_a_filter_without_no_new_privileges(t):
    x86(t)
    b = filtered(t, rule("getpriority", "ERRNO", errnoRet=33))
    b.process["noNewPrivileges"] = False
    eq(t.run(b.shell("probe nnp; probe syscall 140")).out, "0\nEDOM\n")


@envs("hybrid")
def test_the_compat_gate_is_filtered_when_its_architecture_is_listed(t):
    x86(t)
    b = filtered(t, rule("getpid", "ERRNO", errnoRet=33), architectures=["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"])
    out = t.run(b.probe("syscall32", 20))
    true(out.out == "EDOM\n" or out.code > 128, str(out))


@envs("hybrid")
def test_the_compat_gate_kills_when_its_architecture_is_not_listed(t):
    x86(t)
    b = filtered(t, rule("getpid", "ERRNO", errnoRet=33), architectures=["SCMP_ARCH_X86_64"])
    hasnt(t.run(b.probe("syscall32", 20)).out, "ok")


@each(case={
    "unknown action": profile(rule("mkdir", "MAYBE")), "unknown default": profile(default="SCMP_ACT_NO"),
    "no default": {"syscalls": []}, "notify as default": profile(default="SCMP_ACT_NOTIFY"),
    "no names": profile({"names": [], "action": "SCMP_ACT_ERRNO"}), "no action": profile({"names": ["mkdir"]}),
    "unknown operator": profile(rule("mkdir", "ERRNO", args=[{"index": 0, "value": 0, "op": "SCMP_CMP_X"}])),
    "index 6": profile(rule("mkdir", "ERRNO", args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}])),
    "errno on allow": profile(rule("mkdir", "ALLOW", errnoRet=1)), "unknown architecture": profile(architectures=["SCMP_ARCH_Z80"]),
    "unknown flag": profile(flags=["SECCOMP_FILTER_FLAG_X"]), "notify on write": profile(rule("write", "NOTIFY"), listenerPath="/x"),
    "notify without listener": profile(rule("mkdir", "NOTIFY")), "metadata without listener": profile(listenerMetadata="x"),
})
@envs("hybrid")
def test_a_profile_that_cannot_be_is_refused(t, case):
    b = t.bundle()
    b.linux["seccomp"] = case
    t.run(b).fails("seccomp")


@each(flags={"log": ["SECCOMP_FILTER_FLAG_LOG"], "tsync": ["SECCOMP_FILTER_FLAG_TSYNC"],
             "speculation": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], "none": [],
             "all": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]})
@envs("hybrid")
def test_known_flags_are_taken(t, flags):
    eq(facts(t.probe(filtered(t, rule("mkdir", "ERRNO"), flags=flags), "seccomp-status"))["Seccomp"], "2")


@envs("hybrid")
def test_the_same_profile_twice_and_a_changed_one_behave_as_written(t):
    # A runtime may cache compiled programs: the second run and the change must not be mixed up.
    x86(t)
    for number, name in ((33, "EDOM"), (33, "EDOM"), (34, "ERANGE"), (33, "EDOM")):
        eq(t.run(filtered(t, rule("getpriority", "ERRNO", errnoRet=number)).probe("syscall", 140)).out, f"{name}\n")


# -- the listener


class Listener:
    """Accepts containers at a path and answers each notification of their filters (seccomp_unotify(2))."""

    RECV, SEND = 0xC0502100, 0xC0182101

    def __init__(self, path, error):
        self.path, self.error = path, error
        self.states, self.calls = [], []
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(path)
        self.server.listen()
        self.server.settimeout(10)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            connection, _ = self.server.accept()
        except OSError:
            return
        with connection:
            text, fds, _, _ = socket.recv_fds(connection, 1 << 16, 4)
            while not self._whole(text):
                text += connection.recv(1 << 16)
        self.states.append((json.loads(text), len(fds)))
        try:
            self._answer(fds[0])
        finally:
            for fd in fds:
                os.close(fd)

    @staticmethod
    def _whole(text):
        """The other side need not close the connection for us to go on."""
        try:
            json.loads(text)
            return True
        except ValueError:
            return False

    def _answer(self, fd):
        while True:
            request = bytearray(80)
            try:
                fcntl.ioctl(fd, self.RECV, request)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return
            identity, pid, _, number = struct.unpack_from("QIIi", request)
            self.calls.append((pid, number))
            response = bytearray(struct.pack("QqiI", identity, 0, -self.error, 0))
            try:
                fcntl.ioctl(fd, self.SEND, response)
            except OSError:
                pass
            return

    def close(self):
        self.server.close()
        self.thread.join(10)


@wall("process", "a listener of the host's is refused: test_vm")
@envs("hybrid")
def test_a_listener_gets_the_descriptor_and_decides(t):
    x86(t)
    listener = Listener(f"{t.tmp}/listener", errno.EDOM)
    try:
        b = filtered(t, rule("getpriority", "NOTIFY"), listenerPath=listener.path, listenerMetadata="some metadata")
        b.config["annotations"] = {"org.test": "value"}
        name = t.name()
        eq(t.run(b.probe("syscall", 140), name=name).out, "EDOM\n")
    finally:
        listener.close()
    (state, fds), = listener.states
    eq(fds, 1)
    eq((state["fds"], state["metadata"]), (["seccompFd"], "some metadata"))
    true(state["pid"] > 0 and state["ociVersion"].startswith("1."), state)
    inner = state["state"]
    eq((inner["id"], inner["status"], inner["bundle"]), (name, "creating", b.path))
    eq(inner["annotations"], {"org.test": "value"})
    eq([number for _, number in listener.calls], [140])


@wall("process", "a listener of the host's is refused: test_vm")
@envs("hybrid")
def test_an_exec_has_a_listener_of_its_own(t):
    x86(t)
    path = f"{t.tmp}/listener"
    first = Listener(path, errno.EDOM)
    c = t.up(filtered(t, rule("getpriority", "NOTIFY"), listenerPath=path).probe("sleep", 1000))
    t.until(lambda: first.states, 10, "the first state")
    os.unlink(path)
    first.server.close()
    second = Listener(path, errno.ERANGE)
    try:
        eq(c.probe("syscall", 140).out, "ERANGE\n")
    finally:
        second.close()
    (state, _), = second.states
    eq((state["state"]["status"], state["state"]["pid"]), ("running", c.pid))
    true(state["pid"] != c.pid, "the pid of the exec'ed process")
    c.delete("--force").ok()
    first.thread.join(10)


@wall("process", "a listener of the host's is refused: test_vm")
@envs("hybrid")
def test_a_listener_that_is_not_there_is_an_error_that_names_it(t):
    b = filtered(t, rule("getpriority", "NOTIFY"), listenerPath=f"{t.tmp}/absent")
    t.run(b).fails("absent")


@wall("process", "a listener of the host's is refused: test_vm")
@envs("hybrid")
def test_a_listener_without_a_notify_rule_is_not_contacted(t):
    t.run(filtered(t, rule("getpriority", "ERRNO"), listenerPath=f"{t.tmp}/absent")).ok()


@envs("hybrid")
def test_a_large_profile_works(t):
    x86(t)
    names = [n for n in "read write open close stat fstat lstat poll lseek mmap mprotect munmap brk ioctl pread64 pwrite64 readv writev "
             "access pipe select sched_yield mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep".split()]
    rules = [rule(n, "LOG") for n in names] + [rule("personality", "ERRNO", errnoRet=33, args=[
        {"index": 0, "value": v, "op": "SCMP_CMP_EQ"}]) for v in range(100, 160)]
    b = filtered(t, *rules)
    eq(t.run(b.probe("syscall", 135, 130)).out, "EDOM\n")


@wall("both", quick=True)
@envs("hybrid")
def test_a_start_container_hook_is_under_the_filter(t):
    b = filtered(t, rule("mkdir mkdirat", "ERRNO", errnoRet=33))
    b.hook("startContainer", "/bin/sh", args=["sh", "-c", "mkdir /dev/shm/made 2>/dev/null; exit 0"])
    hasnt(t.run(b.shell("ls /dev/shm")).ok().out, "made")
