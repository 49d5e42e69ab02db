#!/bin/sh
# SPDX-License-Identifier: MIT
# lint.sh [--fix] SRCDIR TOOLS: checks scripts and style sheets of the web pages and the browser tests: layout with
# prettier, mistakes with eslint and stylelint.  --fix lays the files out instead of checking them.  TOOLS is the
# directory in which npm has installed package-lock.json (the makefile does that: `make lint-pages`, `make format-pages`).
set -u
layout=--check
if [ "$1" = --fix ]; then
	layout=--write
	shift
fi
cd "$1" || exit 1
tools=$2
bin=$tools/node_modules/.bin
status=0

"$bin/prettier" --config "$tools/prettier.config.mjs" --log-level warn --no-editorconfig "$layout" \
	'src/dashboard/www/**/*.{js,css}' 'tests/browser/*.mjs' 'tests/pages/*.mjs' || status=1
[ "$layout" = --check ] || exit "$status"
"$bin/eslint" --config "$tools/eslint.config.mjs" src/dashboard/www tests/browser tests/pages || status=1
"$bin/stylelint" --config "$tools/stylelint.config.mjs" 'src/dashboard/www/**/*.css' || status=1
exit "$status"
