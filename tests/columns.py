#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines that are too wide: comments in C beyond 100 columns, scripts and style sheets of the pages beyond 120.

usage: columns.py [--fix [FILE...]]    from the top of the sources; --fix wraps the comments of these files, or of all

Code is laid out by clang-format (100) and prettier (120).  clang-format leaves comments, string literals and
tables between "clang-format off" and "on" as they are: the last two may be wide, so that a message can be found
by its text and a row of a table is one line.
"""
import pathlib
import re
import sys
import textwrap

COMMENT, PAGES, TAB = 100, 120, 8
ROOTS = ("src", "tests")


def width(line):
    return len(line.expandtabs(TAB))


def comments(lines):
    """(first, last) of each comment that begins its line."""
    n = 0
    while n < len(lines):
        if lines[n].lstrip().startswith("/*"):
            first = n
            while "*/" not in lines[n] and n + 1 < len(lines):
                n += 1
            yield first, n
        n += 1


def in_table(lines):
    """The numbers of the lines between clang-format off and on."""
    off = False
    for n, line in enumerate(lines):
        off = "clang-format off" in line or (off and "clang-format on" not in line)
        if off:
            yield n


def too_wide(lines):
    table = set(in_table(lines))
    for first, last in comments(lines):
        yield from (n for n in range(first, last + 1) if width(lines[n]) > COMMENT and n not in table)
    # A comment behind code, which clang-format does not break either.
    for n, line in enumerate(lines):
        if n not in table and width(line) > COMMENT and re.search(r"[;{,)] /\*.*\*/$", line):
            yield n


def wrapped(block):
    """The comment in lines of at most COMMENT columns: paragraphs as they were, lists and pictures untouched."""
    indent = re.match(r"\s*", block[0])[0]
    body = "\n".join(line.strip() for line in block)
    starred = block[0].strip() == "/*"
    text = [re.sub(r"^\* ?", "", line) for line in body[2:-2].strip("\n").split("\n")]
    text = [line.rstrip() for line in text]
    text[0] = text[0].lstrip()
    if starred and not text[-1]:
        text.pop()
    paragraphs, current = [], []
    for line in text:
        if not line or re.match(r"\s|[-*|0-9]", line):
            paragraphs += [current, [line]]
            current = []
        else:
            current.append(line)
    paragraphs.append(current)
    room = COMMENT - width(indent)
    out = []
    for p in filter(None, paragraphs):
        if p == [""]:
            out.append("")
            continue
        lead = re.match(r"\s*", p[0])[0]
        out += textwrap.wrap(" ".join(x.strip() if i else x.rstrip() for i, x in enumerate(p)), room - 6,
                             subsequent_indent=lead, break_long_words=False, break_on_hyphens=False)
    if starred:
        lines = ["/*"] + [f" * {x}".rstrip() for x in out] + [" */"]
    elif len(out) == 1:
        lines = [f"/* {out[0]} */"]
    else:
        lines = [f"/* {out[0]}"] + [f" * {x}".rstrip() for x in out[1:]]
        lines[-1] += " */"
    return [indent + x for x in lines]


def fix(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    table = set(in_table(lines))
    for n, line in enumerate(lines):
        # A ruler behind a heading is not text.
        if width(line) > COMMENT and re.search(r"-{9,} \*/$", line):
            lines[n] = re.sub(r"-{9,} \*/$", lambda m: "-" * (len(m[0]) - 3 - width(line) + COMMENT) + " */", line)
    for first, last in reversed(list(comments(lines))):
        if first in table or not lines[last].rstrip().endswith("*/"):
            continue
        if any(width(line) > COMMENT for line in lines[first:last + 1]):
            lines[first:last + 1] = wrapped(lines[first:last + 1])
    path.write_text("\n".join(lines), encoding="utf-8")


def main():
    found = 0
    c = sorted(p for root in ROOTS for p in pathlib.Path(root).rglob("*.[ch]"))
    if sys.argv[1:2] == ["--fix"]:
        for path in map(pathlib.Path, sys.argv[2:]) if sys.argv[2:] else c:
            fix(path)
    for path in c:
        lines = path.read_text(encoding="utf-8").split("\n")
        for n in sorted(set(too_wide(lines))):
            print(f"{path}:{n + 1}: {width(lines[n])} columns, {COMMENT} may be")
            found += 1
    pages = [p for p in pathlib.Path("src/dashboard/www").rglob("*") if p.suffix in (".js", ".css")]
    for path in sorted(pages + list(pathlib.Path("tests/browser").glob("*.mjs"))):
        for n, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if width(line) > PAGES:
                print(f"{path}:{n}: {width(line)} columns, {PAGES} may be")
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
