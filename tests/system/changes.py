# SPDX-License-Identifier: Apache-2.0
"""Containers with a sandbox over an image of busybox, and what their changes are compared with."""

import hashlib
import json
import os
import tarfile

import image
from images import Layout, entry, layer, link, tree


def store_of(t):
    return f"{t.tmp}/store"


def call(t, *argv, **more):
    return t.runtime(*argv, options=("--store", store_of(t)), **more)


# What an image of the tests has besides programs.
FILES = (entry("dir"), entry("dir/a", b"a"), entry("dir/b", b"b"), entry("dir/sub"), entry("dir/sub/c", b"c"),
         entry("gone"), entry("gone/x", b"x"), entry("keep", b"k"), link("soft", "keep"))


def base(t, **config):
    """An image of two layers in a layout and in the store."""
    layout = Layout(f"{t.tmp}/base").image("base", image.layer(t.programs), layer(*FILES),
                                           config={"Env": [f"PATH={image.PATH}"], "Cmd": ["/bin/sh"], **config})
    call(t, "layer", "import", "-q", f"oci:{layout.path}:base", "base").ok()
    return layout


def running(t, script="", *options, then="echo done; exec sleep 1000"):
    """A container over the base that has run the script and lives on."""
    if not os.path.exists(store_of(t)):
        base(t)
    bundle = t.bundle().writable().all_caps().shell(f"{script}\n{then}")
    c = t.container(bundle)
    os.environ["BULKHEAD_STORE"] = store_of(t)
    c.run_detached("--image", "base", *options).ok()
    c.wait_out("done") if "done" in then else None
    return c


def changes(t, name):
    return call(t, "diff", name).ok().out.splitlines()


def commit(t, c, *options, tag="new", layout="out"):
    """The path of the layout."""
    path = f"{t.tmp}/{layout}"
    call(t, "commit", *options, c.id, f"oci:{path}:{tag}").ok()
    return path


def seen(c):
    """What the container sees but for what is mounted in it. A machine has the guest's root below its own, once that has written."""
    root = f"/proc/{c.pid}/root"
    if c.case.wall == "vm":
        c.exec("sync").ok()
        root += "/root"
    with open(f"/proc/{c.pid}/mountinfo", encoding="utf-8") as f:
        mounted = {root + line.split()[4] for line in f} - {f"{root}/"}
    found = tree(root, leave_out=mounted)
    return {path: what for path, what in found.items() if path != "." and f"{root}/{path}" not in mounted}


def without(found, names):
    return {path: what for path, what in found.items() if path in names}


def check_layout(path):
    """A layout has to be one at any moment: all that its index leads to is there, whole. Its tags."""
    def blob(descriptor):
        with open(f"{path}/blobs/sha256/{descriptor['digest'][7:]}", "rb") as f:
            data = f.read()
        if hashlib.sha256(data).hexdigest() != descriptor["digest"][7:] or len(data) != descriptor["size"]:
            raise AssertionError(f"a broken blob: {descriptor}")
        return data
    if not os.path.exists(f"{path}/index.json"):
        return []
    with open(f"{path}/index.json", encoding="utf-8") as f:
        index = json.load(f)
    with open(f"{path}/oci-layout", encoding="utf-8") as f:
        if json.load(f) != {"imageLayoutVersion": "1.0.0"}:
            raise AssertionError("oci-layout")
    for descriptor in index["manifests"]:
        manifest = json.loads(blob(descriptor))
        config = json.loads(blob(manifest["config"]))
        for one in manifest["layers"]:
            blob(one)
        if len(config["rootfs"]["diff_ids"]) != len(manifest["layers"]):
            raise AssertionError("layers and diff_ids")
    return sorted(d["annotations"]["org.opencontainers.image.ref.name"] for d in index["manifests"])


def manifest_of(path, tag):
    with open(f"{path}/index.json", encoding="utf-8") as f:
        index = json.load(f)
    (digest,) = [d["digest"] for d in index["manifests"]
                 if d["annotations"]["org.opencontainers.image.ref.name"] == tag]
    with open(f"{path}/blobs/sha256/{digest[7:]}", encoding="utf-8") as f:
        return json.load(f)


def config_of(path, tag):
    with open(f"{path}/blobs/sha256/{manifest_of(path, tag)['config']['digest'][7:]}", encoding="utf-8") as f:
        return json.load(f)


def members(path, tag):
    """The top layer's entries, by name."""
    layer_ = manifest_of(path, tag)["layers"][-1]
    with tarfile.open(f"{path}/blobs/sha256/{layer_['digest'][7:]}") as tar:
        return {m.name: m for m in tar}
