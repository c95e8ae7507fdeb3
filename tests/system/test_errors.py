# SPDX-License-Identifier: Apache-2.0
"""What people read when a config or an image is wrong: the member, the reason, and never a half-made container."""

import json
import os
import stat
import struct

from case import each, envs, eq, has, hasnt, true

WALL = "both"


def change(path, value):
    """A change of one member of the config, by JSON pointer; None removes it."""
    def apply(b):
        *parents, last = path.strip("/").split("/")
        at = b.config
        for key in parents:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        if value is None:
            del at[last]
        elif isinstance(at, list):
            at[int(last)] = value
        else:
            at[last] = value
    return apply


# (change, what the message has to hold)
CONFIGS = {
    "no version": (change("/ociVersion", None), ["ociVersion"]),
    "version is a number": (change("/ociVersion", 1), ["/ociVersion"]),
    "version is no version": (change("/ociVersion", "one"), ["/ociVersion"]),
    "another major version": (change("/ociVersion", "2.0.0"), ["ociVersion"]),
    "no root": (change("/root", None), ["root"]),
    "empty root path": (change("/root/path", ""), ["/root/path"]),
    "root is a string": (change("/root", "rootfs"), ["/root"]),
    "readonly is a string": (change("/root/readonly", "yes"), ["/root/readonly"]),
    "no process": (change("/process", None), ["process"]),
    "no args": (change("/process/args", None), ["args"]),
    "empty args": (change("/process/args", []), ["/process/args"]),
    "args hold a number": (change("/process/args", ["/bin/true", 1]), ["/process/args/1"]),
    "no cwd": (change("/process/cwd", None), ["cwd"]),
    "relative cwd": (change("/process/cwd", "tmp"), ["/process/cwd", "tmp"]),
    "negative uid": (change("/process/user/uid", -1), ["/process/user/uid"]),
    "uid beyond 32 bits": (change("/process/user/uid", 1 << 32), ["/process/user/uid"]),
    "uid is a fraction": (change("/process/user/uid", 1.5), ["/process/user/uid"]),
    "uid is a string": (change("/process/user/uid", "0"), ["/process/user/uid"]),
    "unknown rlimit": (change("/process/rlimits/0/type", "RLIMIT_X"), ["RLIMIT_X", "/process/rlimits/0"]),
    "soft above hard": (change("/process/rlimits/0/soft", 4096), ["RLIMIT_NOFILE"]),
    "rlimit twice": (change("/process/rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2), ["RLIMIT_CORE"]),
    "oom score out of range": (change("/process/oomScoreAdj", 1001), ["oom"]),
    "bad affinity": (change("/process/execCPUAffinity", {"initial": "3-1"}), ["execCPUAffinity"]),
    "console size without width": (change("/process/consoleSize", {"height": 1}), ["consoleSize"]),
    "no destination": (change("/mounts/0", {"type": "proc", "source": "proc"}), ["/mounts/0"]),
    "options are a string": (change("/mounts/0/options", "ro"), ["/mounts/0/options"]),
    "mounts is an object": (change("/mounts", {}), ["/mounts"]),
    "unknown namespace": (change("/linux/namespaces/0/type", "pids"), ["pids", "/linux/namespaces/0"]),
    "relative namespace path": (change("/linux/namespaces/0/path", "ns/pid"), ["/linux/namespaces/0"]),
    "relative masked path": (change("/linux/maskedPaths/0", "proc/acpi"), ["/linux/maskedPaths/0"]),
    "unknown personality": (change("/linux/personality", {"domain": "MINIX"}), ["MINIX"]),
    "annotation is a number": (change("/annotations", {"a": 1}), ["/annotations"]),
    "annotation without a key": (change("/annotations", {"": "x"}), ["annotation"]),
    "hostname is a list": (change("/hostname", ["a"]), ["/hostname"]),
    "hook without path": (change("/hooks", {"prestart": [{"args": ["x"]}]}), ["/hooks/prestart/0"]),
    "sysctl is a number": (change("/linux/sysctl", {"net.ipv4.ip_forward": 1}), ["/linux/sysctl"]),
    "hugepage size": (change("/linux/resources/hugepageLimits", [{"pageSize": "2M", "limit": 1}]), ["pageSize"]),
    "rdma without limits": (change("/linux/resources/rdma", {"mlx5_1": {}}), ["rdma"]),
    "swap below memory": (change("/linux/resources/memory", {"limit": 100 << 20, "swap": 50 << 20}), ["swap"]),
    "swap without memory": (change("/linux/resources/memory", {"swap": 50 << 20}), ["swap"]),
}


@each(case=CONFIGS)
@envs("hybrid")
def test_a_wrong_member_is_named(t, case):
    apply, parts = case
    b = t.bundle()
    apply(b)
    c = t.container(b)
    result = c.create().fails(*parts)
    hasnt(result.err, "panic", "assert", "Success")
    eq(t.state_names(), [], "state after the failure")
    true(not os.path.exists(f"{t.cgroup_base}/{c.id}"), "the cgroup is left")


@each(text={
    "empty": "", "blank": " \n", "null": "null", "number": "1", "string": '"config"', "array": "[]", "object that ends early": '{"a":',
    "two documents": "{}{}", "trailing comma": '{"ociVersion":"1.0.0",}', "comment": '// x\n{"ociVersion":"1.0.0"}',
    "single quotes": "{'ociVersion':'1.0.0'}", "garbage": "\x00\x01\x02", "not utf-8": b'{"ociVersion":"1.0.0\xff"}',
    "utf-16": '{"ociVersion":"1.0.0"}'.encode("utf-16"), "byte order mark": '\ufeff{"ociVersion":"1.0.0"}',
})
@envs("hybrid")
def test_a_file_that_is_no_config_is_refused(t, text):
    b = t.bundle().save()
    with open(f"{b.path}/config.json", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    result = t.runtime("run", "-b", b.path, t.name()).fails("config")
    hasnt(result.err, "panic")


@envs("hybrid")
def test_a_missing_config_is_named_with_its_place(t):
    b = t.bundle()
    t.runtime("run", "-b", b.path, t.name()).fails("config.json", "no such file or directory")


@envs("hybrid")
def test_unknown_members_are_no_error(t):
    b = t.bundle().probe("exit", 3)
    b.config["x-future"] = {"deep": [1, {"a": None}]}
    b.process["future"] = True
    b.linux["future"] = [1, 2, 3]
    b.config["mounts"][0]["future"] = "x"
    b.config["windows"] = {"layerFolders": ["C:\\"]}
    b.config["solaris"] = {"milestone": "x"}
    t.run(b).exits(3)


@envs("hybrid")
def test_duplicate_members_are_refused(t):
    b = t.bundle().save()
    path = f"{b.path}/config.json"
    text = open(path, encoding="utf-8").read()
    for old, new in (('"hostname":', '"hostname": "first", "hostname":'), ('"uid": 0', '"uid": 1000, "uid": 0')):
        true(old in text, old)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new, 1))
        t.runtime("run", "-b", b.path, t.name()).fails("twice")


@envs("hybrid")
def test_the_message_says_where_in_the_config(t):
    b = t.bundle()
    b.config["mounts"][2]["options"].append("colour=blue")
    t.run(b).fails("/mounts/2")


@envs("hybrid")
def test_the_error_is_said_once(t):
    b = t.bundle().args("nosuchprogram")
    result = t.run(b).fails()
    eq(result.err.count("executable file not found"), 1, result.err)


# -- programs that cannot be executed: the sentence says why, not just the errno


def image(t, name, content, mode=0o755):
    b = t.bundle().args(f"/opt/{name}")
    path = f"{b.rootfs}/opt/{name}"
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return b


def elf(machine=62, bits=2, interpreter=None):
    """The head of an ELF file that the kernel refuses, or whose loader is missing."""
    ident = b"\x7fELF" + bytes([bits, 1, 1]) + b"\0" * 9
    text = (interpreter or "").encode() + b"\0"
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    kind = 3 if interpreter else 1
    program = struct.pack("<IIQQQQQQ", kind, 5, 120, 0x400078, 0x400078, len(text), len(text), 1)
    return head + program + text + b"\0" * 64


PROGRAMS = {
    "absent": (None, ["/opt/absent", "no such file or directory"]),
    "not executable": (("plain", "#!/bin/sh\n", 0o644), ["/opt/plain", "permission denied", "execut"]),
    "missing interpreter of a script": (("script", "#!/no/such/shell\nexit 0\n"), ["/no/such/shell"]),
    "windows line ends": (("crlf", "#!/bin/sh\r\nexit 0\r\n"), ["/bin/sh", "carriage return"]),
    "no format": (("text", "just text\n"), ["/opt/text", "exec format error"]),
    "empty file": (("empty", ""), ["/opt/empty", "exec format error"]),
    "another architecture": (("arm", elf(machine=183)), ["/opt/arm", "aarch64"]),
    "missing loader": (("dynamic", elf(interpreter="/lib/ld-no.so.1")), ["/lib/ld-no.so.1"]),
    "interpreter is a directory": (("dir", "#!/etc\n"), ["/etc"]),
}


@each(case=PROGRAMS)
@envs("hybrid")
def test_a_program_that_cannot_be_executed_is_explained(t, case):
    made, parts = case
    b = image(t, *made) if made else t.bundle().args("/opt/absent")
    t.run(b).fails(*parts)


@envs("hybrid")
def test_a_directory_a_noexec_mount_and_a_forbidden_directory_are_explained(t):
    t.run(t.bundle().args("/etc")).fails("/etc", "directory")
    source = t.dir("source")
    t.file("source/tool", "#!/bin/sh\n", 0o755)
    t.run(t.bundle().bind(source, "/data", "noexec").args("/data/tool")).fails("/data/tool", "noexec")
    b = image(t, "tool", "#!/bin/sh\n")
    os.chmod(f"{b.rootfs}/opt", 0o700)
    b.process["user"] = {"uid": 1000, "gid": 1000}
    t.run(b).fails("/opt", "permission denied")


@envs("hybrid")
def test_a_program_in_no_directory_of_the_path_names_the_program(t):
    t.run(t.bundle().args("nosuchprogram")).fails("nosuchprogram", "executable file not found in $PATH")


@envs("hybrid")
def test_a_program_without_any_path_is_looked_up_in_the_usual_places_or_refused(t):
    b = t.bundle().args("true")
    b.process["env"] = []
    result = t.run(b)
    true(result.code == 0 or "executable file not found" in result.err, str(result))


# -- the host


@envs("hybrid")
def test_a_bundle_that_is_a_file_is_named(t):
    path = t.file("plain")
    t.runtime("run", "-b", path, t.name()).fails("plain", "not a directory")


@envs("hybrid")
def test_a_root_that_cannot_be_made_is_named(t):
    path = t.file("plain")
    b = t.bundle().save()
    t.call([t.binary, "--root", f"{path}/below", "run", "-b", b.path, t.name()]).fails("plain", "not a directory")


@envs("hybrid")
def test_a_log_that_cannot_be_opened_is_named(t):
    t.runtime("list", options=["--log", f"{t.tmp}/no/such/log"]).fails("no/such/log")


@envs("hybrid")
def test_errors_in_the_json_log_carry_the_whole_sentence(t):
    b = t.bundle()
    b.config["ociVersion"] = "2.0.0"
    b.save()
    log = f"{t.tmp}/log"
    t.runtime("create", "-b", b.path, t.name(), options=["--log", log, "--log-format", "json"]).fails()
    entries = [json.loads(line) for line in open(log, encoding="utf-8")]
    has([e for e in entries if e["level"] == "error"][-1]["msg"], "ociVersion")
    true(stat.S_IMODE(os.stat(log).st_mode) & 0o022 == 0, "the log may be written by others")
