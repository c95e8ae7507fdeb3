# SPDX-License-Identifier: Apache-2.0
"""One real image in Docker and in the store, and what a container made of it: the same files, bytes, everything."""

import os
import subprocess
import sys

import debian
import images
from case import deadline, envs, eq, true
from engine import engine
from test_layers import layers, store_of, tree_of

WALL = ("process", "an engine with the process wall")

IMAGES = os.path.abspath(images.__file__)


def names_in_order(found):
    """os.walk's order is the file system's: which of a file's names came first says nothing."""
    first = {}
    for name in sorted(found):
        what = found[name]
        if len(what) > 6:
            what[6] = first.setdefault(what[6], name)
    return found


def in_docker(t, reference):
    """The files of a container of the image, by an overlay of what Docker says are its layers."""
    name = t.name()
    t.engine("create", "--name", name, reference).ok()
    data = t.engine("inspect", "-f", "{{.GraphDriver.Data.LowerDir}}", name).ok().out.strip().split(":")
    t.engine("rm", name).ok()
    lower = ":".join(data[1:])  # the first is Docker's own, with its /etc/hosts
    return names_in_order(t.engine.inside("unshare", "-m", "sh", "-c", f"mount -t overlay none -o ro,lowerdir={lower} /mnt && "
                                          f"{sys.executable} {IMAGES} /mnt").json)


def in_the_store(t, told, *above):
    lower = ":".join([*above, *(tree_of(t, x["diffId"][7:]) for x in reversed(told["layers"]))])
    options = f"ro,redirect_dir=follow,metacopy=on,lowerdir={lower}"
    return names_in_order(t.call(["unshare", "-m", "sh", "-c", f"mount -t overlay none -o {options} /mnt && "
                                  f"{sys.executable} {IMAGES} /mnt"]).json)


def same(mine, theirs):
    for name, what in mine.items():
        if name in theirs and (what[3] == 0 or name == "."):
            theirs[name][3] = what[3]  # a directory without an entry of its own: made just now by Docker
    eq(images.differences(mine, theirs), [])


@engine("docker")
@envs("hybrid")
@deadline(180)
def test_a_debian_image_has_the_files_it_has_in_docker(t):
    t.need("root", "libarchive", "overlay", "Debian image")
    source = debian.image("docker-archive", f"{t.tmp}/d.tar")
    t.engine("load", "-i", f"{t.tmp}/d.tar").ok()
    theirs = in_docker(t, f"{debian.TAG}:latest")
    t.engine("rmi", f"{debian.TAG}:latest").ok()
    mine = in_the_store(t, layers(t, "import", "-f", "json", source, "deb").json)
    true(len(mine) > 900, f"{len(mine)} files")
    same(mine, theirs)


CHANGES = """set -e
echo new >/srv/new; ln /srv/new /srv/hard; ln -s new /srv/soft; mkfifo /srv/pipe
rm -r /etc/security /usr/share/base-passwd; mkdir /etc/security; echo again >/etc/security/again
rm /etc/host.conf; mkdir /etc/host.conf
mv /etc/skeleton /etc/moved; mv /srv/work /srv/moved
chmod 4711 /bin/cat; chown 33:33 /etc/passwd; echo more >>/etc/group; touch -d @1000000000 /bin/ls
rm /srv/moved/second; truncate -s 9M /srv/sparse; mkdir -p /opt/a/b; chmod 1777 /opt/a
"""


def committed(t):
    """A container over the image, kept, and its commit: (what it sees, the layout's path)."""
    t.need("root", "libarchive", "overlay", "skopeo", "Debian image")
    told = layers(t, "import", "-f", "json", debian.image(), "deb").json
    b = t.bundle()
    b.config["root"] = {"readonly": False}
    b.config["process"]["args"] = ["/bin/sh", "-c", CHANGES]
    b.config["process"]["env"] = ["PATH=/usr/bin:/bin"]
    b.all_caps().save()
    name, store = t.name(), ("--store", store_of(t))
    t.runtime("run", "--keep", "-b", b.path, "--image", "deb", name, options=store).ok()
    seen = in_the_store(t, told, f"{store_of(t)}/sandboxes/{name}/upper")
    t.runtime("commit", name, f"oci:{t.tmp}/out:new", options=store).ok()
    t.runtime("delete", name, options=store).ok()
    layers(t, "verify").ok()
    return seen, f"{t.tmp}/out"


def copy(t, source, target):
    subprocess.run(["skopeo", "--insecure-policy", "--tmpdir", t.tmp, "copy", "-q", source, target], check=True, timeout=60)


def fleeting(seen):
    """What the runtime made for the container's own mounts is no part of the image."""
    return {name: what for name, what in seen.items() if name.split("/")[0] not in ("dev", "proc", "sys")}


@engine("docker")
@envs("hybrid")
@deadline(180)
def test_a_commit_has_in_docker_the_files_that_its_container_saw(t):
    seen, out = committed(t)
    true("srv/soft" in seen and "etc/skeleton" not in seen, "the changes")
    again = in_the_store(t, layers(t, "import", "-f", "json", f"oci:{out}:new", "again").json)
    eq(images.differences(fleeting(again), fleeting(seen)), [], "imported again")
    copy(t, f"oci:{out}:new", f"docker-archive:{t.tmp}/new.tar:new:latest")
    t.engine("load", "-i", f"{t.tmp}/new.tar").ok()
    same(fleeting(seen), fleeting(in_docker(t, "new:latest")))
    eq(t.engine("run", "--rm", "-w", "/", "new:latest", "cat /etc/security/*; id -un").ok().out, "again\ndaemon\n")
    t.engine("rmi", "new:latest").ok()


@engine("containerd")
@envs("hybrid")
@deadline(180)
def test_a_commit_runs_under_containerd_by_our_runtime_and_by_its_own(t):
    _, out = committed(t)
    copy(t, f"oci:{out}:new", f"oci-archive:{t.tmp}/new.tar")
    t.engine("images", "import", "--index-name", "new", f"{t.tmp}/new.tar").ok()
    reference = next(line.split()[0] for line in t.engine("images", "ls").ok().out.splitlines()[1:] if "box" not in line)
    argv = ("/bin/sh", "-c", "cat /etc/security/* /srv/hard; stat -c %a /bin/cat; ls /etc/moved -A")
    wanted = "again\nnew\n4711\n.bash_logout\n.profile\n"
    eq(t.engine.run(*argv, name=t.name(), image=reference).ok().out, wanted)
    if t.engine.inside("sh", "-c", "command -v runc").code == 0:
        eq(t.engine("run", "--rm", "--cgroup", f"{t.engine.parent}/ctr", reference, t.name(), *argv).ok().out, wanted)
    t.engine("images", "rm", reference).ok()
