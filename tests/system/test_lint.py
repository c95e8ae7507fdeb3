# SPDX-License-Identifier: Apache-2.0
"""tests/lint/run.sh finds what it is there to find, and nothing in a house that is in order."""

import os
import pathlib
import shutil
import subprocess

from case import each, envs, has, hasnt

WALL = ("process", "the source tree")

LINT = pathlib.Path(__file__).resolve().parent.parent / "lint/run.sh"
HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"
ROOMS = ["spec/base:", "spec:spec/base", "namespaces:spec,spec/base", "cgroups:spec,spec/base",
         "runtime:namespaces,cgroups,spec,spec/base"]


def house(t):
    """A small project in order, as a git repository of its own."""
    top = t.dir("house")
    files = {
        "spec/base/path.h": "#pragma once\n", "spec/spec.h": '#pragma once\n#include "spec/base/path.h"\n',
        "namespaces/namespaces.h": '#pragma once\n#include "spec/spec.h"\n',
        "namespaces/plan.h": "#pragma once\n", "namespaces/plan.c": '#include "namespaces/plan.h"\nint x;\n',
        "cgroups/cgroups.h": "#pragma once\n",
        "runtime/create.c": '#include "namespaces/namespaces.h"\n#include "cgroups/cgroups.h"\nint y;\n',
    }
    for name, text in files.items():
        write(top, name, HEAD + text)
    os.makedirs(f"{top}/tests/lint")
    shutil.copy2(LINT, f"{top}/tests/lint/run.sh")
    subprocess.run(["git", "init", "-q", top], check=True)
    return top


def write(top, name, text):
    path = pathlib.Path(top, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lint(t, top):
    return t.call([f"{top}/tests/lint/run.sh", *ROOMS], env=dict(os.environ, GIT_CEILING_DIRECTORIES=t.tmp))


@envs("hybrid")
def test_a_house_in_order_passes(t):
    has(lint(t, house(t)).ok().out, "in order")


@each(breach={
    "a sideways include": ("namespaces/a.c", HEAD + '#include "cgroups/cgroups.h"\n', "namespaces/a.c:2: namespaces/ may not include"),
    "an upward include": ("spec/a.c", HEAD + '#include "namespaces/namespaces.h"\n', "spec/ may not include"),
    "a private header": ("runtime/a.c", HEAD + '#include "namespaces/plan.h"\n', "private to namespaces/"),
    "a relative include sideways": ("namespaces/a.c", HEAD + '#  include "cgroups/cgroups.h" // x\n', "may not include"),
    "open of a path": ("namespaces/a.c", HEAD + "int f(char *p)\n{\n\treturn open(p, 0);\n}\n", "namespaces/a.c:4"),
    "mkdir in the runtime": ("runtime/a.c", HEAD + "int f(char *p)\n{\n\treturn mkdir(p, 0);\n}\n", "runtime/a.c:4"),
    "no licence": ("spec/a.c", "int x;\n", "spec/a.c:1: no SPDX line"),
    "no licence in a script": ("tests/a.sh", "#!/bin/sh\n", "tests/a.sh:1: no SPDX line"),
    "a long file": ("spec/a.c", HEAD + "int x;\n" * 700, "lines"),
    "a header without guard": ("spec/a.h", HEAD + "int x;\n", "no #pragma once"),
    "own feature macro": ("spec/a.c", HEAD + "#define _GNU_SOURCE\n", "_GNU_SOURCE"),
    "blanks at the end": ("spec/a.c", HEAD + "int x; \n", "blanks at the end"),
    "a message that says failed": ("spec/a.c", HEAD + 'int f(void)\n{\n\treturn error_set(err, 1, "open failed");\n}\n', "not that it failed"),
    "a path of the makers": ("man/a.md", "see /wo" + "rk/here\n", "no meaning outside"),
    "a row of theirs": ("spec/a.c", HEAD + "/* OC" + "I-123 */\n", "no meaning outside"),
    "shell that does not parse": ("tests/a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\nif\n", "does not parse"),
    "python that does not parse": ("tests/a.py", "# SPDX-License-Identifier: Apache-2.0\ndef\n", "does not parse"),
})
@envs("hybrid")
def test_a_breach_is_found(t, breach):
    name, text, wanted = breach
    top = house(t)
    write(top, name, text)
    result = lint(t, top)
    has(result.fails().out, wanted)


@each(text={
    "a comment": "/* open(path) is what we avoid */\nint x;\n", "a string": 'const char *s = "open(path)";\n',
    "a call with an fd": "int f(int fd)\n{\n\treturn openat(fd, p, 0) + fs_open(p) + s->open(p);\n}\n",
    "a literal": 'int f(void)\n{\n\treturn open("/proc/self/status", 0);\n}\n',
    "a marked line": "int f(char *p)\n{\n\treturn open(p, 0); /* path-ok: the state root is ours */\n}\n",
    "a marked line above": "int f(char *p)\n{\n\t/* path-ok: ours */\n\treturn open(p, 0);\n}\n",
    "a comment over lines": "/*\n * open(path)\n * mkdir(path)\n */\nint x;\n",
})
@envs("hybrid")
def test_what_is_no_breach_is_not_called_one(t, text):
    top = house(t)
    write(top, "namespaces/a.c", HEAD + text)
    hasnt(lint(t, top).out, "namespaces/a.c")
