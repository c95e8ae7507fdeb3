# SPDX-License-Identifier: Apache-2.0
"""One real image in Docker and in the store: the same files, the same bytes, the same everything."""

import os
import sys

import debian
import images
from case import deadline, envs, eq, true
from engine import engine
from test_layers import layers, tree_of

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


def in_the_store(t, told):
    lower = ":".join(tree_of(t, x["diffId"][7:]) for x in reversed(told["layers"]))
    return names_in_order(t.call(["unshare", "-m", "sh", "-c", f"mount -t overlay none -o ro,lowerdir={lower} /mnt && "
                                  f"{sys.executable} {IMAGES} /mnt"]).json)


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
    for name, what in mine.items():
        if what[3] == 0 and name in theirs:
            theirs[name][3] = 0  # a directory without an entry of its own: made just now by Docker
    eq(images.differences(mine, theirs), [])
