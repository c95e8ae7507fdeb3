# SPDX-License-Identifier: Apache-2.0
"""Images that are made to mislead their reader: ambiguous, cut off, in parts, too deep to be kept."""

import json
import os
import tarfile

from case import deadline, envs, eq
from images import Layout, docker_archive, entry, layer, packed, sha256
from test_layers import layers, left

WALL = ("process", "the store, without a container")


def config_of(layout, text):
    """Puts another config into the layout's only image."""
    (chosen,) = layout.manifests
    with open(f"{layout.path}/blobs/sha256/{chosen['digest'][7:]}", encoding="utf-8") as f:
        manifest = json.load(f)
    manifest["config"].update(layout.blob(text.encode()))
    layout.manifests = []
    layout.add("a", {"mediaType": chosen["mediaType"], **layout.json(manifest)})
    return layout


@envs("hybrid")
def test_layer_import_refuses_a_config_that_would_make_the_store_unreadable(t):
    """The config becomes part of a record: one level deeper, some bytes longer."""
    good = layer(entry("f", b"x"))
    ids = f'"os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{sha256(good)}"]}}'
    for what, text in {"nested more than 64": f'{{{ids},"x":{"[" * 63}{"]" * 63}}}',
                       "larger than 4194304": f'{{{ids},"x":"{"y" * ((4 << 20) - 200)}"}}',
                       "there twice": f'{{{ids},"x":1,"x":2}}',
                       "for windows, not for linux": f'{{{ids.replace("linux", "windows")}}}'}.items():
        layout = config_of(Layout(f"{t.tmp}/{what[:6]}").image("a", good), text)
        layers(t, "import", f"oci:{layout.path}").fails(what, code=1)
        eq(left(t), [], what)
    layout = config_of(Layout(f"{t.tmp}/just").image("a", good), f'{{{ids},"x":{"[" * 62}{"]" * 62}}}')
    layers(t, "import", f"oci:{layout.path}", "just").ok()
    eq(layers(t, "list", "-q").ok().out, "just\n")


@envs("hybrid")
def test_layer_import_refuses_an_index_that_is_a_manifest_too(t):
    layout = Layout(f"{t.tmp}/l").image("a", layer(entry("f", b"x")))
    (chosen,) = layout.manifests
    with open(f"{layout.path}/blobs/sha256/{chosen['digest'][7:]}", encoding="utf-8") as f:
        both = {**json.load(f), "manifests": [{**chosen, "platform": {"os": "linux", "architecture": "amd64"}}]}
    layout.manifests = []
    layout.add("a", {"mediaType": chosen["mediaType"], **layout.json(both)})
    layers(t, "import", f"oci:{layout.path}").fails("index that is a manifest")
    layout = Layout(f"{t.tmp}/sha512").image("a", layer(entry("f", b"x")), diff_ids=["sha512:" + "0" * 128])
    layers(t, "import", f"oci:{layout.path}").fails("no sha256 digest")
    eq(left(t), [])


@envs("hybrid")
def test_layer_import_reads_the_last_of_two_members_of_one_name(t):
    one, two = layer(entry("f", b"1")), layer(entry("f", b"2"))
    path = docker_archive(f"{t.tmp}/d.tar", ["a:1"], one)
    docker_archive(f"{t.tmp}/e.tar", ["a:1"], two)
    with tarfile.open(path, "a") as tar, tarfile.open(f"{t.tmp}/e.tar") as more:
        for member in more.getmembers():
            tar.addfile(member, more.extractfile(member))
    told = layers(t, "import", "-f", "json", f"docker-archive:{path}", "img").json
    eq(told["layers"][0]["diffId"], f"sha256:{sha256(two)}")
    with tarfile.open(f"{t.tmp}/none.tar", "w") as tar:
        tar.addfile(entry("d")[0])
    layers(t, "import", f"docker-archive:{t.tmp}/none.tar").fails("has no files")


@envs("hybrid")
def test_layer_import_reads_blobs_of_several_parts(t):
    """eStargz and zstd:chunked layers, and what parallel compressors write, are many streams one after the other."""
    t.need("zstd")
    data = layer(entry("a", b"1" * 5000), entry("b", os.urandom(5000)))
    for how, skippable in (("gzip", b""), ("zstd", b"\x50\x2a\x4d\x18\x04\x00\x00\x00meta")):
        parts = b"".join(packed(data[i:i + 3000], how) for i in range(0, len(data), 3000)) + skippable
        layout = Layout(f"{t.tmp}/{how}").image("a", data, how=how)
        (chosen,) = layout.manifests
        with open(f"{layout.path}/blobs/sha256/{chosen['digest'][7:]}", encoding="utf-8") as f:
            manifest = json.load(f)
        manifest["layers"][0].update(layout.blob(parts))
        layout.manifests = []
        layout.add("a", {"mediaType": chosen["mediaType"], **layout.json(manifest)})
        eq(layers(t, "import", "-f", "json", f"oci:{layout.path}", how).json["layers"][0]["bytes"], 10000)
        layers(t, "remove", how).ok()


@envs("hybrid")
@deadline(60)
def test_layer_import_of_a_file_that_is_cut_off_leaves_nothing(t):
    data = layer(*[entry(f"f{i}", os.urandom(3000)) for i in range(10)])
    for how in ("w", "w:gz"):
        path = docker_archive(f"{t.tmp}/d{how[1:]}.tar", ["a:1"], data, mode=how)
        whole = os.path.getsize(path) - (how == "w") * 10240  # what a tar ends in may be missing
        for size in range(0, whole, whole // 12):
            with open(path, "rb") as f, open(f"{t.tmp}/cut", "wb") as g:
                g.write(f.read(size))
            layers(t, "import", f"docker-archive:{t.tmp}/cut").fails(code=1)
            eq(left(t), [], f"cut at {size}")
