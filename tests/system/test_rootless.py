# SPDX-License-Identifier: Apache-2.0
"""An unprivileged caller: a user namespace, no cgroup of one's own, no ids but one's own."""

import json
import os
import shutil

from case import envs, eq, has, hasnt

WALL = ("process", "a plain user has no virtual machine")

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
def test_a_plain_user_is_told_that_rootless_containers_are_not_supported_yet(t):
    user = User(t)
    user.bundle.shell("id -u")
    result = user.run().fails("rootless containers are not supported yet")
    hasnt(result.err, "panic")
    eq([d for d, _, _ in os.walk(f"{user.home}/run") if d.endswith("/c1")], [])


@envs("hybrid")
def test_a_plain_user_may_look(t):
    user = User(t)
    eq(user.call("list", "-q").ok().out, "")
    has(user.call("features").ok().out, "ociVersionMax")
    user.call("state", "c1").fails("does not exist")
