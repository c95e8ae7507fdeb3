# SPDX-License-Identifier: Apache-2.0
"""An unprivileged caller: a user namespace, no cgroup of one's own, no ids but one's own."""

import json
import os
import shutil

from case import envs, eq, facts, has, hasnt, true

UID = 1000


def become():
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


class User:
    """The runtime as a plain user calls it, with a state root and a bundle that belong to that user."""

    def __init__(self, t):
        t.need("unprivileged user namespace")
        self.t = t
        self.home = t.dir("home")
        os.chmod(t.tmp, 0o711)
        shutil.copy2(t.binary, f"{self.home}/runtime")
        self.bundle = t.bundle("home/bundle")
        self.bundle.own_programs()
        self.call("spec", "--rootless", "--bundle", self.bundle.path, privileged=True).ok()
        with open(f"{self.bundle.path}/config.json", encoding="utf-8") as f:
            self.bundle.config = json.load(f)
        self.bundle.process["terminal"] = False
        for kind in ("uidMappings", "gidMappings"):
            self.bundle.linux[kind] = [{"containerID": 0, "hostID": UID, "size": 1}]
        self.own()

    def own(self):
        for top, directories, files in os.walk(self.home):
            for name in [".", *directories, *files]:
                os.lchown(os.path.join(top, name), UID, UID)

    def call(self, *argv, privileged=False, **more):
        env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": f"{self.home}/run", "HOME": self.home}
        return self.t.call([f"{self.home}/runtime", *argv], env=env, preexec=None if privileged else become, **more)

    def run(self, *options):
        self.bundle.save()
        os.makedirs(f"{self.home}/run", exist_ok=True)
        self.own()
        return self.call("run", "--bundle", self.bundle.path, *options, "c1")


@envs("hybrid")
def test_a_container_runs_without_any_privilege(t):
    user = User(t)
    user.bundle.shell("id -u; cat /proc/self/uid_map; hostname; ls /dev/null")
    out = user.run().ok().out
    eq(out.split()[:4], ["0", "0", str(UID), "1"])
    has(out, "/dev/null")


@envs("hybrid")
def test_the_state_is_below_the_runtime_directory_of_the_user(t):
    user = User(t)
    user.bundle.probe("sleep", 1000).save()
    user.own()
    os.makedirs(f"{user.home}/run", exist_ok=True)
    os.chown(f"{user.home}/run", UID, UID)
    user.call("run", "-d", "--bundle", user.bundle.path, "c1", out=f"{t.tmp}/out", err=f"{t.tmp}/err").ok()
    eq(len([d for d, _, _ in os.walk(f"{user.home}/run") if d.endswith("/c1")]), 1)
    eq(user.call("list", "-q").ok().out, "c1\n")
    eq(user.call("state", "c1").json["status"], "running")
    eq(facts(user.call("exec", "c1", "/bin/probe", "ids").ok().out)["uid"], "0 0 0")
    user.call("kill", "c1", "KILL").ok()
    t.until(lambda: t.reap() or user.call("state", "c1").json["status"] == "stopped", 10, "the end")
    user.call("delete", "c1").ok()


@envs("hybrid")
def test_what_a_plain_user_cannot_have_is_named(t):
    user = User(t)
    user.bundle.without_namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        del user.bundle.linux[kind]
    result = user.run().fails("user")
    hasnt(result.err, "panic")


@envs("hybrid")
def test_a_map_beyond_the_own_id_needs_newuidmap(t):
    user = User(t)
    user.bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": 500000, "size": 10}]
    result = user.run()
    true(result.code != 0 and result.err, str(result))


@envs("hybrid")
def test_additional_groups_are_refused(t):
    user = User(t)
    user.bundle.process["user"]["additionalGids"] = [5]
    user.run().fails()


@envs("hybrid")
def test_a_limit_without_permission_is_an_error(t):
    user = User(t)
    user.bundle.linux["resources"] = {"unified": {"cgroup.max.depth": "3"}}
    user.run().fails("cgroup")
