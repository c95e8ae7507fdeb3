# SPDX-License-Identifier: Apache-2.0
"""Images made on the spot from busybox and probe, in the archive format that docker load, ctr import and podman load take."""

import hashlib
import io
import json
import os
import tarfile
import tempfile

from bundle import PATH, make_rootfs


def layer(programs):
    """The uncompressed layer of the test image."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(programs["probe"])) as tmp:
        make_rootfs(f"{tmp}/rootfs", programs["busybox"], programs["probe"])
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            def clean(member):
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mtime = 0
                return member
            tar.add(f"{tmp}/rootfs", arcname=".", filter=clean)
        return out.getvalue()


def archive(path, programs, tag, **config):
    """Writes an image archive to path; config adds to the image's Config (Cmd, User, Healthcheck …)."""
    blob = layer(programs)
    document = {
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z",
        "config": {"Env": [f"PATH={PATH}"], "Cmd": ["/bin/sh"], **config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(blob).hexdigest()}"]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "tests"}],
    }
    text = json.dumps(document).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for member, data in ((name, text), ("layer.tar", blob), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
