#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks responses of the dashboard against docs/openapi.yaml.

usage: validate.py OPENAPI DIR    each FILE.meta in DIR holds "METHOD URL STATUS CONTENT-TYPE", FILE.body the body
"""
import json
import pathlib
import re
import sys
import urllib.parse

import jsonschema
import yaml


def resolve(spec, node):
    while isinstance(node, dict) and "$ref" in node:
        for part in node["$ref"][2:].split("/"):
            found = spec if part == node["$ref"][2:].split("/")[0] else found
            found = found[part]
        node = found
    return node


def find_operation(spec, method, path):
    exact = [p for p in spec["paths"] if p == path]
    for template in exact + sorted(spec["paths"]):
        pattern = "^" + re.sub(r"\{[^}]+\}", "[^/]+", template) + "$"
        if re.match(pattern, path):
            return spec["paths"][template].get(method.lower())
    return None


def complaint(spec, meta, body):
    method, url, status, *kind = meta.split()
    path = urllib.parse.urlsplit(url).path
    operation = find_operation(spec, method, path)
    if operation is None:
        # A path or status that the document lacks is an error.
        return None if status in ("404", "405") or not path.startswith("/api/") else "is not in the document, but answered"
    response = resolve(spec, operation["responses"].get(status))
    if response is None:
        return "status %s is not in the document" % status
    content = response.get("content")
    if not content:
        return "has a body" if body and status not in ("304",) else None
    if not kind or kind[0].rstrip(";") not in content:
        return "content type %s is not in the document" % kind
    if "json" not in kind[0]:
        return None
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": spec["components"], **content["application/json"]["schema"]}
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(body)))
    return "; ".join("%s at %s" % (e.message[:200], "/".join(map(str, e.absolute_path))) for e in errors[:3]) or None


def main():
    metas = sorted(pathlib.Path(sys.argv[2]).glob("*.meta"))
    spec = yaml.safe_load(open(sys.argv[1])) if metas else None
    bad = 0
    for meta in metas:
        text = meta.read_text().strip()
        body_file = meta.with_suffix(".body")
        what = complaint(spec, text, body_file.read_bytes() if body_file.exists() else b"") if text else None
        if what:
            print("%s: %s" % (text, what))
            bad += 1
    sys.exit(1 if bad else 0)


main()
