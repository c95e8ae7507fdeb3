# SPDX-License-Identifier: Apache-2.0
"""Configs as Docker, containerd and podman really wrote them, run with their paths replaced by ones of this host."""

import json
import os
import pathlib
import subprocess

import host
import linux
from case import each, eq, facts, true
from console import ConsoleSocket

WALL = "both"

SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "data/engine-samples"
CONFIGS = {p.name[:-len("-config.json")]: p for p in sorted(SAMPLES.glob("*-config.json"))}

# A limit in the config, and the controller it needs.
LIMITS = {"memory/limit": "memory", "pids/limit": "pids", "cpu/quota": "cpu", "cpu/cpus": "cpuset"}


def network_namespace(t):
    """A fresh network namespace under a path, as podman's network set-up leaves it."""
    path = t.file("netns")
    subprocess.run(["unshare", "-n", "mount", "--bind", "/proc/self/ns/net", path], check=True)
    return path


def replace_paths(t, b):
    """Everything that named a file of the engine's host."""
    config = b.config
    config["root"]["path"] = b.rootfs
    for i, mount in enumerate(config["mounts"]):
        if not {"bind", "rbind"} & set(mount.get("options", [])):
            continue
        if mount["destination"].endswith("shm"):
            mount["source"] = t.dir(f"source{i}", 0o1777)
        elif mount["destination"].endswith("docker-init"):
            mount["source"] = t.script("docker-init", 'shift\nexec "$@"\n')
        else:
            mount["source"] = t.file(f"source{i}", f"content of {mount['destination']}\n")
    for hooks in (config.get("hooks") or {}).values():
        for hook in hooks:
            hook["path"] = "/bin/true"
    for namespace in config["linux"]["namespaces"]:
        if "path" in namespace:
            namespace["path"] = network_namespace(t)
    if config["linux"].get("cgroupsPath"):
        config["linux"]["cgroupsPath"] = f"{t.cgroup_path}/{t.name('engine')}"


def missing_controllers(config):
    missing = []
    for path, controller in LIMITS.items():
        at = config["linux"].get("resources") or {}
        for key in path.split("/"):
            at = (at or {}).get(key)
        if at and at != -1 and host.lacks(f"controller {controller}"):
            missing.append(controller)
    return missing


def load(t, path):
    b = t.bundle()
    b.config = json.loads(path.read_text(encoding="utf-8"))
    linux.private_mounts()
    replace_paths(t, b)
    if b.process["args"][0].endswith("docker-init"):
        b.process["args"] = [*b.process["args"][:2], "/bin/probe", "status"]
    else:
        b.process["args"] = ["/bin/probe", "status"]
    return b


def mask(names, granted):
    order = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
        NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
        SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
        SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
    bits = sum(1 << order.index(n[len("CAP_"):]) for n in names)
    return bits & granted


def bounding_of_this_host():
    return int(facts(linux.read("/proc/self/status"))["CapBnd"], 16)


@each(path=CONFIGS)
def test_a_config_of_an_engine_runs(t, path):
    b = load(t, path)
    config = b.config
    c = t.container(b)
    missing = missing_controllers(config)
    if missing:
        c.create().fails(missing[0])
        return
    if b.process.get("terminal"):
        with ConsoleSocket(f"{t.tmp}/console") as console:
            c.create("--console-socket", console.path).ok()
            _, master = console.receive()
        with master:
            c.start().ok()
            status = facts(master.read_until("nonvoluntary").replace("\r", ""))
    else:
        c.create().ok()
        c.start().ok()
        c.wait_out("nonvoluntary")
        status = facts(c.out)
    c.wait("stopped")
    wanted = mask(b.process["capabilities"]["bounding"], bounding_of_this_host() if not config["linux"].get("uidMappings")
                  else (1 << 41) - 1)
    eq(int(status["CapBnd"], 16), wanted, "bounding set")
    eq(status["NoNewPrivs"], "1" if b.process.get("noNewPrivileges") else "0")
    eq(status["Seccomp"], "2" if config["linux"].get("seccomp") else "0")
    eq(status["Uid"].split()[0], str(b.process["user"]["uid"]))


@each(name={n: n for n in ("docker", "containerd", "podman")})
def test_an_exec_of_an_engine_runs(t, name):
    b = load(t, CONFIGS[name])
    b.linux["resources"].pop("pids", None)
    b.process["args"] = ["/bin/probe", "sleep", "1000"]
    c = t.up(b)
    process = json.loads((SAMPLES / f"{name}-exec-process.json").read_text(encoding="utf-8"))
    process["args"] = ["/bin/probe", "status"]
    pid_file = f"{t.tmp}/pid"
    file = t.file("process.json", json.dumps(process))
    status = t.runtime("exec", "--process", file, "--pid-file", pid_file, c.id).facts
    eq(int(status["CapEff"], 16), mask(process["capabilities"]["effective"], bounding_of_this_host()))
    true(open(pid_file, encoding="ascii").read().isdigit(), "pid file")


@each(name={n: n for n in ("docker", "podman")})
def test_an_update_of_an_engine_works_or_names_the_missing_controller(t, name):
    c = t.up()
    text = (SAMPLES / f"{name}-update-resources.json").read_text(encoding="utf-8")
    result = t.runtime("update", "--resources", "-", c.id, input=text)
    missing = missing_controllers({"linux": {"resources": json.loads(text)}})
    if missing:
        result.fails()
        true(any(m in result.err for m in missing), str(result))
    else:
        result.ok()


def test_the_calls_of_a_shim_in_their_order(t):
    """create, state, start, exec, ps, kill, delete exactly as containerd's shim spells them."""
    b = t.bundle().probe("sleep", 1000).save()
    log = f"{t.tmp}/log.json"
    name = t.name()
    t.containers.append(name)
    call = lambda *argv: t.runtime(*argv, options=["--log", log, "--log-format", "json"])
    call("create", "--bundle", b.path, "--pid-file", f"{b.path}/init.pid", name).ok()
    pid = int(open(f"{b.path}/init.pid", encoding="ascii").read())
    eq(call("state", name).json["pid"], pid)
    call("start", name).ok()
    process = t.file("process", json.dumps({"args": ["/bin/probe", "sleep", "1000"], "cwd": "/", "env": []}))
    call("exec", "--process", process, "--detach", "--pid-file", f"{b.path}/e1.pid", name).ok()
    second = int(open(f"{b.path}/e1.pid", encoding="ascii").read())
    eq(sorted(call("ps", "--format", "json", name).json), sorted([pid, second]))
    call("pause", name).ok()
    call("resume", name).ok()
    call("kill", name, "9").ok()
    t.until(lambda: t.reap() or pid in t.reaped and second in t.reaped, 10, "both to end")
    call("kill", "--all", name, "9")
    call("delete", name).ok()
    call("delete", name).fails("does not exist")
    eq(os.WTERMSIG(t.reaped[pid]), 9)
