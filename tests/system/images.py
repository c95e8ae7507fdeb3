# SPDX-License-Identifier: Apache-2.0
"""Images for tests, written byte by byte: what no honest tool writes is what these are for."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def entry(name, data=None, kind=None, link="", mode=None, **more):
    """One member of a layer: a file with data, else a directory, unless kind says what it is."""
    e = tarfile.TarInfo(name)
    e.type = kind or (tarfile.DIRTYPE if data is None else tarfile.REGTYPE)
    e.mode = mode if mode is not None else 0o755 if e.type == tarfile.DIRTYPE else 0o644
    e.linkname, e.mtime = link, 1600000000
    e.size = len(data or b"") if e.type == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(e, key, value)
    return e, data or b""


def link(name, target):
    return entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name, target):
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def layer(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for e, data in entries:
            tar.addfile(e, io.BytesIO(data))
    return out.getvalue()


def packed(data, how):
    if how == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-qc", "-1"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}


class Layout:
    """An OCI image layout directory."""

    def __init__(self, path):
        self.path, self.manifests = path, []
        os.makedirs(f"{path}/blobs/sha256")
        with open(f"{path}/oci-layout", "w", encoding="utf-8") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data):
        with open(f"{self.path}/blobs/sha256/{sha256(data)}", "wb") as f:
            f.write(data)
        return {"digest": f"sha256:{sha256(data)}", "size": len(data)}

    def json(self, value):
        return self.blob(json.dumps(value).encode())

    def image(self, tag, *layers, how="gzip", diff_ids=None, config=None):
        """Adds an image of these tar archives."""
        kind = "application/vnd.oci.image."
        ids = [f"sha256:{sha256(data)}" for data in layers] if diff_ids is None else diff_ids
        made = self.json({"architecture": "amd64", "os": "linux", "config": config or {},
                          "rootfs": {"type": "layers", "diff_ids": ids}})
        manifest = self.json({
            "schemaVersion": 2, "config": {"mediaType": f"{kind}config.v1+json", **made},
            "layers": [{"mediaType": f"{kind}layer.v1.tar{SUFFIX[how]}", **self.blob(packed(data, how))}
                       for data in layers]})
        self.add(tag, {"mediaType": f"{kind}manifest.v1+json", **manifest})
        return self

    def add(self, tag, descriptor):
        self.manifests.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})
        with open(f"{self.path}/index.json", "w", encoding="utf-8") as f:
            json.dump({"schemaVersion": 2, "manifests": self.manifests}, f)

    def archive(self, path, mode="w"):
        with tarfile.open(path, mode) as tar:
            tar.add(self.path, ".")
        return path


def docker_archive(path, tags, *layers, config_name=None, mode="w"):
    """What `docker save` wrote up to version 24; a layer that is there twice is a link, as it was there."""
    ids = [f"sha256:{sha256(data)}" for data in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux",
                         "rootfs": {"type": "layers", "diff_ids": ids}}).encode()
    name = config_name or f"{sha256(config)}.json"
    names, seen = [], {}
    with tarfile.open(path, mode) as tar:
        def add(member, data):
            tar.addfile(*[(e, io.BytesIO(d)) for e, d in [entry(member, data)]][0])
        for i, data in enumerate(layers):
            names.append(f"l{i}/layer.tar")
            if data in seen:
                tar.addfile(link(names[-1], f"../{seen[data]}")[0])
            else:
                add(names[-1], data)
                seen[data] = names[-1]
        add(name, config)
        add("manifest.json", json.dumps([{"Config": name, "RepoTags": tags, "Layers": names}]).encode())
    return path


def tree(path, times=False, leave_out=()):
    """What is below path: type, mode, owner, content, target, attributes, and which names are one file; and when."""
    found, inodes = {}, {}
    for top, dirs, files in os.walk(path):
        dirs[:] = [name for name in dirs if os.path.normpath(f"{top}/{name}") not in leave_out]
        for name in ["."] * (top == path) + dirs + files:
            full = os.path.normpath(f"{top}/{name}")
            st = os.lstat(full)
            what = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns if times else 0]
            if os.path.islink(full):
                what.append(os.readlink(full))
            elif os.path.isfile(full):
                with open(full, "rb") as f:
                    what += [st.st_size, sha256(f.read()), inodes.setdefault(st.st_ino, os.path.relpath(full, path))]
            elif not os.path.isdir(full):
                what.append(st.st_rdev)
            what.append({n: os.getxattr(full, n, follow_symlinks=False).hex()
                         for n in sorted(os.listxattr(full, follow_symlinks=False)) if not n.startswith("trusted.")})
            found[os.path.relpath(full, path)] = what
    return found


def differences(mine, theirs):
    """Of two trees, as sentences."""
    return ([f"{name!r} is not there" for name in theirs if name not in mine] +
            [f"{name!r} is there" for name in mine if name not in theirs] +
            [f"{name!r}: {mine[name]}, theirs {theirs[name]}" for name in mine if mine[name] != theirs.get(name, mine[name])])


if __name__ == "__main__":  # in another mount namespace
    print(json.dumps(tree(sys.argv[1], times=True)))
