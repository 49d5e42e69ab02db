#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares the table of routes with docs/openapi.yaml: each call must be in both.  Run from the top of the sources.

Pages and assets are no part of the API."""
import re
import sys

with open("src/dashboard/routes.c") as f:
    routes = {(method.lower(), path) for method, path in re.findall(r'^\t\{"([A-Z]+)", "([^"]+)"', f.read(), re.M)
              if path.startswith("/api/") or path.endswith("z")}
documented, path = set(), None
with open("docs/openapi.yaml") as f:
    for line in f:
        found = re.match(r"  (/\S+):$", line)
        if found:
            path = re.sub(r"\{\w+\}", "{}", found.group(1))
        elif re.match(r"\S", line):
            path = None
        found = re.match(r"    (get|post|put|patch|delete):$", line)
        if found and path:
            documented.add((found.group(1), path))
if not routes or not documented:
    sys.exit("routes.py: no routes in src/dashboard/routes.c or no paths in docs/openapi.yaml")
for method, path in sorted(routes - documented):
    print(f"docs/openapi.yaml has no {method} {path}, src/dashboard/routes.c has it")
for method, path in sorted(documented - routes):
    print(f"src/dashboard/routes.c has no {method} {path}, docs/openapi.yaml has it")
sys.exit(routes != documented)
