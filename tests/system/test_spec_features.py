# SPDX-License-Identifier: Apache-2.0
"""spec and features: the default bundle, and what this build says it can do."""

import json
import os
import stat

import host
from bundle import DEFAULT
from case import each, envs, eq, has, hasnt, true, wall

WALL = ("process", "no container")


def default(t, *options):
    where = t.dir(t.name("spec"))
    t.call([t.binary, "spec", *options], cwd=where).ok()
    return json.load(open(f"{where}/config.json", encoding="utf-8"))


@envs("hybrid")
def test_spec_writes_the_default_config_with_tabs(t):
    where = t.dir("b")
    eq(t.call([t.binary, "spec"], cwd=where).ok().out, "")
    text = open(f"{where}/config.json", encoding="utf-8").read()
    true(text.startswith('{\n\t"ociVersion"'), text[:40])
    eq(stat.S_IMODE(os.stat(f"{where}/config.json").st_mode), 0o644)


@envs("hybrid")
def test_the_default_is_what_callers_expect(t):
    spec = default(t)
    process = spec["process"]
    eq((process["terminal"], process["user"], process["args"], process["cwd"]), (True, {"uid": 0, "gid": 0}, ["sh"], "/"))
    eq(process["env"], ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"])
    for kind in ("bounding", "effective", "permitted"):
        eq(sorted(process["capabilities"][kind]), ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"])
    eq(process["rlimits"], [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}])
    eq(process["noNewPrivileges"], True)
    eq(spec["root"], {"path": "rootfs", "readonly": True})
    true(spec["hostname"], "no hostname")


@envs("hybrid")
def test_the_default_mounts_are_what_callers_expect(t):
    mounts = {m["destination"]: m for m in default(t)["mounts"]}
    wanted = {m["destination"]: m for m in DEFAULT["mounts"]}
    eq(list(mounts), list(wanted), "order")
    for destination, mount in wanted.items():
        eq(mounts[destination]["type"], mount["type"], destination)
        eq(sorted(mounts[destination].get("options", [])), sorted(mount.get("options", [])), destination)


@envs("hybrid")
def test_the_default_linux_part_is_what_callers_expect(t):
    linux = default(t)["linux"]
    eq(linux["resources"]["devices"], [{"allow": False, "access": "rwm"}])
    eq(sorted(n["type"] for n in linux["namespaces"]), ["cgroup", "ipc", "mount", "network", "pid", "uts"])
    eq(sorted(linux["maskedPaths"]), sorted(DEFAULT["linux"]["maskedPaths"]))
    eq(sorted(linux["readonlyPaths"]), sorted(DEFAULT["linux"]["readonlyPaths"]))


@envs("hybrid")
def test_spec_does_not_overwrite(t):
    where = t.dir("b")
    t.file("b/config.json", "mine")
    t.call([t.binary, "spec"], cwd=where).fails("config.json exists")
    eq(open(f"{where}/config.json", encoding="utf-8").read(), "mine")


@envs("hybrid")
def test_spec_writes_into_the_bundle_named(t):
    where = t.dir("b")
    for spelling in (["--bundle", where], ["-b", where]):
        t.call([t.binary, "spec", *spelling]).ok()
        os.unlink(f"{where}/config.json")


@envs("hybrid")
def test_spec_respects_the_umask(t):
    where = t.dir("b")
    t.call([t.binary, "spec"], cwd=where, preexec=lambda: os.umask(0o077)).ok()
    eq(stat.S_IMODE(os.stat(f"{where}/config.json").st_mode), 0o600)


@wall("both")
@envs("hybrid")
def test_the_default_runs(t):
    b = t.bundle()
    t.call([t.binary, "spec", "-b", b.path]).ok()
    path = f"{b.path}/config.json"
    spec = json.load(open(path, encoding="utf-8"))
    spec["process"].update(terminal=False, args=["sh", "-c", "hostname; id -u"])
    json.dump(spec, open(path, "w", encoding="utf-8"))
    eq(t.runtime("run", "-b", b.path, t.name()).ok().out, f"{spec['hostname']}\n0\n")


@envs("hybrid")
def test_the_rootless_default_maps_the_caller(t):
    spec = default(t, "--rootless")
    kinds = [n["type"] for n in spec["linux"]["namespaces"]]
    true("user" in kinds and "network" not in kinds, kinds)
    eq(spec["linux"]["uidMappings"], [{"containerID": 0, "hostID": os.geteuid(), "size": 1}])
    eq(spec["linux"]["gidMappings"], [{"containerID": 0, "hostID": os.getegid(), "size": 1}])
    true(not spec["linux"].get("resources"), "resources in a rootless default")
    sys_mount = [m for m in spec["mounts"] if m["destination"] == "/sys"][0]
    true("rbind" in sys_mount["options"] and "ro" in sys_mount["options"], sys_mount)
    for mount in spec["mounts"]:
        hasnt(" ".join(mount.get("options", [])), "uid=", "gid=")


def features(t):
    return t.call([t.binary, "features"]).json


@envs("hybrid")
def test_features_need_no_container_and_no_arguments(t):
    text = t.call([t.binary, "features"]).ok().out
    true(text.startswith('{\n    "'), text[:30])
    found = json.loads(text)
    eq(found["ociVersionMin"], "1.0.0")
    true(found["ociVersionMax"].startswith("1."), found["ociVersionMax"])


@envs("hybrid")
def test_features_name_hooks_namespaces_and_capabilities(t):
    found = features(t)
    eq(sorted(found["hooks"]), sorted(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]))
    eq(found["linux"]["namespaces"], ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"])
    true("CAP_CHECKPOINT_RESTORE" in found["linux"]["capabilities"] and len(found["linux"]["capabilities"]) == 41,
         found["linux"]["capabilities"])


@envs("hybrid")
def test_features_name_every_mount_option_sorted(t):
    options = features(t)["mountOptions"]
    eq(options, sorted(options), "order")
    for option in ("acl async atime bind defaults dev diratime dirsync exec idmap iversion lazytime loud mand noacl "
                   "noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid "
                   "nosymfollow private ratime rbind rdev rdiratime relatime remount rexec ridmap rnoatime rnodev "
                   "rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw "
                   "rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid "
                   "symfollow sync tmpcopyup unbindable").split():
        has(options, option)


@envs("hybrid")
def test_features_say_version_2_only_for_cgroups(t):
    cgroup = features(t)["linux"]["cgroup"]
    eq((cgroup["v1"], cgroup["v2"]), (False, True))


@envs("hybrid")
def test_features_describe_seccomp(t):
    seccomp = features(t)["linux"]["seccomp"]
    eq(seccomp["enabled"], True)
    for action in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP"):
        has(seccomp["actions"], f"SCMP_ACT_{action}")
    for operator in ("EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"):
        has(seccomp["operators"], f"SCMP_CMP_{operator}")
    has(seccomp["archs"], "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
    true(set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"]), "supported flags that are not known")


@envs("hybrid")
def test_features_list_idmap_time_and_annotations(t):
    found = features(t)
    eq(found["linux"]["mountExtensions"]["idmap"]["enabled"], True)
    true(isinstance(found.get("potentiallyUnsafeConfigAnnotations", []), list), "annotations")
    true(found.get("annotations", {}).get("org.opencontainers.runc.checkpoint.enabled") != "true", "checkpoint is claimed")


@wall("both")
@envs("hybrid")
def test_both_versions_that_features_name_are_accepted(t):
    found = features(t)
    for version in (found["ociVersionMin"], found["ociVersionMax"], "1.0.2-dev", "1.2.0-rc.1", "1.1.0+dev"):
        b = t.bundle().probe("exit", 0)
        b.config["ociVersion"] = version
        t.run(b).ok()
