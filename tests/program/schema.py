#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks a line of JSON on standard input against a definition of docs/k6fleetctl.schema.json.

usage: schema.py SCHEMA DEFINITION
"""
import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))
schema["$ref"] = "#/$defs/" + sys.argv[2]
lines = sys.stdin.read().splitlines()
if len(lines) != 1:
    sys.exit(f"{sys.argv[2]}: {len(lines)} lines instead of one")
try:
    jsonschema.Draft202012Validator(schema).validate(json.loads(lines[0]))
except jsonschema.ValidationError as e:
    sys.exit(f"{sys.argv[2]}: {'/'.join(map(str, e.absolute_path))}: {e.message}")
