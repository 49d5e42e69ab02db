#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compile-commands.py BUILDDIR: writes BUILDDIR/compile_commands.json for clangd and clang-tidy.  It compiles nothing.

For each OBJECT.o, automake also writes a rule `OBJECT.obj: SOURCE.c`.  No .obj file ever exists, so `make -n` prints
the compiler's command for each of them, no matter what is built already."""
import json
import os
import re
import shlex
import subprocess
import sys


def source_of(quoted, build):
    """The source file of a command that ends in `if test -f 'A'; then echo 'A'; else echo 'DIR/A'; fi`."""
    inside, outside = re.search(r"if test -f '([^']+)'.*'([^']+)'; fi$", quoted).groups()
    return inside if os.path.exists(os.path.join(build, inside)) else outside


def compiler_words(command):
    """The words of a command without ccache, the options that write dependency files, and one that older clangs refuse."""
    words = iter(shlex.split(command))
    for word in words:
        if word in ("-MT", "-MF"):
            next(words)
        elif word not in ("ccache", "-MD", "-MP", "-ftrivial-auto-var-init=zero"):
            yield word


def main():
    build = os.path.abspath(sys.argv[1])
    with open(os.path.join(build, "Makefile")) as f:
        objects = re.findall(r"^(\S+\.obj): \S+\.c$", f.read(), re.M)
    plan = subprocess.run(["make", "-C", build, "-n", "V=1", "--no-print-directory", *objects],
                          check=True, capture_output=True, text=True).stdout.replace("\\\n", " ")
    entries = []
    for command, target, quoted in re.findall(r"^(.* -c) -o (\S+)\.obj `([^`]+)`", plan, re.M):
        source = source_of(quoted, build)
        entries.append({"directory": build, "file": os.path.normpath(os.path.join(build, source)),
                        "arguments": [*compiler_words(command), "-o", target + ".o", source]})
    if not entries or len(entries) != len(objects):
        sys.exit(f"compile-commands: {len(objects)} objects, but {len(entries)} commands in {build}/Makefile")
    with open(os.path.join(build, "compile_commands.json"), "w") as f:
        json.dump(entries, f, indent=1)
        f.write("\n")
    print(f"{len(entries)} commands are in {build}/compile_commands.json")


main()
