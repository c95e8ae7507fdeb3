# SPDX-License-Identifier: Apache-2.0
"""The bundles that are measured: the default of `spec` around a program that does nothing.

Beside each config.json lies what floor.c reads instead of it, see there.
"""

import copy
import ctypes
import json
import os
import pathlib
import shutil

import cell  # noqa: F401  (finds tests/system)
import linux
from bundle import DEFAULT

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = {"true": "/bin/true", "pause": "/bin/pause", "load": "/bin/load"}


class Bundles:
    """Paths of the bundles: true, pause, seccomp and overlay (whose rootfs is an overlay mount)."""

    def __init__(self, directory, programs):
        self.directory, self.programs = directory, programs
        self.no_filter = None  # why floor cannot have a filter
        self.true = self._make("true", "true", programs)
        self.pause = self._make("pause", "pause", programs)
        self.seccomp = self._make("seccomp", "true", programs, profile())
        self.overlay = self._make("overlay", "true", programs, overlay=True)

    def crowd(self, kind, size):
        """A bundle whose program is tests/helper/load.c with these arguments; made on first use."""
        path = f"{self.directory}/{kind}-{size}"
        return path if os.path.isdir(path) else self._make(f"{kind}-{size}", "load", self.programs, arguments=[kind, str(size)])

    def _make(self, name, program, programs, seccomp=None, overlay=False, arguments=()):
        path = f"{self.directory}/{name}"
        os.mkdir(path)
        config = copy.deepcopy(DEFAULT)
        config["process"]["args"] = [SCRIPT[program], *arguments]
        if seccomp:
            config["linux"]["seccomp"] = seccomp
            try:
                export_filter(seccomp, f"{path}/floor.bpf")
            except OSError as error:
                self.no_filter = str(error)
        rootfs = f"{path}/lower" if overlay else f"{path}/rootfs"
        for place in ("bin", "dev", "etc", "proc", "sys", "tmp"):
            os.makedirs(f"{rootfs}/{place}")
        for inmate in SCRIPT:
            shutil.copy(f"{programs}/{inmate}", f"{rootfs}/bin/{inmate}")
        if overlay:
            for place in ("upper", "work", "rootfs"):
                os.mkdir(f"{path}/{place}")
            linux.mount("overlay", f"{path}/rootfs", "overlay", 0,
                        f"lowerdir={rootfs},upperdir={path}/upper,workdir={path}/work")
        with open(f"{path}/floor.args", "w", encoding="utf-8") as f:
            f.write(SCRIPT[program] + "\n")
        with open(f"{path}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        return path


def profile():
    """Docker's default profile as Docker writes it into config.json, for a container without more capabilities."""
    with open(HERE / "seccomp.json", encoding="utf-8") as f:
        return json.load(f)


class _Comparison(ctypes.Structure):  # struct scmp_arg_cmp
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("datum_a", ctypes.c_uint64), ("datum_b", ctypes.c_uint64)]


_OPERATORS = {f"SCMP_CMP_{name}": value for value, name in
              enumerate(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"), 1)}
_ATTRIBUTE_OPTIMIZE, _BINARY_TREE = 8, 2  # enum scmp_filter_attr


def _action(name, number):
    if name == "SCMP_ACT_ALLOW":
        return 0x7fff0000
    if name == "SCMP_ACT_ERRNO":
        return 0x00050000 | (1 if number is None else number)
    raise OSError(f"no value known for {name}")


def export_filter(seccomp, path):
    """Compiles a profile with libseccomp: what a runtime that caches filters has at hand."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(
        ctypes.c_uint32(_action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet")))))
    library.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, ctypes.c_uint32(_BINARY_TREE))
    for name in seccomp["architectures"]:
        token = library.seccomp_arch_resolve_name(name.replace("SCMP_ARCH_", "").lower().encode())
        if token:
            library.seccomp_arch_add(context, ctypes.c_uint32(token))  # the native one is there already
    for rule in seccomp["syscalls"]:
        action = ctypes.c_uint32(_action(rule["action"], rule.get("errnoRet")))
        tests = [_Comparison(a["index"], _OPERATORS[a["op"]], a["value"], a.get("valueTwo", 0))
                 for a in rule.get("args") or []]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != -1:
                library.seccomp_rule_add_array(context, action, number, len(tests),
                                               (_Comparison * max(1, len(tests)))(*tests))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    result = library.seccomp_export_bpf(context, descriptor)
    os.close(descriptor)
    library.seccomp_release(context)
    if result < 0:
        raise OSError(-result, f"seccomp_export_bpf: {os.strerror(-result)}")
