#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A benchmark, run by hand: `make bench-pages`.

load ../program/helpers

setup() { setup_dir; }
teardown() { teardown_dir; }

@test "1,000 agents and 200 targets, live: first paint and longest frame of each page" {
	start_dashboard
	export DASH
	timeout 240 node "$PAGES/large.mjs"
}
