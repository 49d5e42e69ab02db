#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# k6fleetctl on a terminal, in a shell's completion, and for programs that read JSON.

load helpers

setup() {
	setup_dir
	TMUX_SOCKET=$T/tmux
}
teardown() {
	if [ -S "$TMUX_SOCKET" ]; then tmux -S "$TMUX_SOCKET" kill-server; fi
	teardown_dir
}

# A missing tool skips the test, and fails it in CI.
need_tool() {
	command -v "$1" >/dev/null && return
	[ -z "${K6FLEET_MUST_WORK:-}" ] || { echo "$1 is not installed"; return 1; }
	skip "$1 is not installed"
}

# Makes agents with names, targets with labels, and runs with results.
start_busy_fleet() {
	start_server
	{
		printf "workers = 3\nmetrics_listen = ''\n"
		printf "target 'Front page' { url = '%s/front' vus = 1 duration = 2s interval = 3s max_agents = 2 }\n" "$SERVER"
		printf "target 'Checkout with a label that is much longer than any column' { url = '%s/checkout/a/long/path?with=a&long=query' vus = 2 duration = 30s interval = 1h }\n" "$SERVER"
		printf "target 'Odd: \"é\"' { url = '%s/odd' vus = 1 duration = 2s interval = 1h enabled = false }\n" "$SERVER"
	} | write_conf
	start_fleet
	retry 20 has_ended_run
	export K6FLEET_SOCKET=$SOCKET PATH=$top_builddir:$PATH
}

has_ended_run() {
	ctl --json runs | jq -e 'any(.[]; .status == "success")' >/dev/null
}

# on_terminal WIDTH HEIGHT COMMAND: prints the screen of a terminal of this size after the command, or during it.
on_terminal() {
	tmux -S "$TMUX_SOCKET" -f /dev/null new-session -d -x "$1" -y "$2" \
		"LC_ALL=C.UTF-8 sh -c '$3'; echo; echo THE-END; sleep 60"
	retry 10 terminal_shows "${4:-THE-END}"
}
terminal_shows() {
	tmux -S "$TMUX_SOCKET" capture-pane -p >"$T/screen"
	grep -q "$1" "$T/screen"
}
end_terminal() {
	tmux -S "$TMUX_SOCKET" kill-server
	rm -f "$TMUX_SOCKET"
}

@test "tables fit a terminal of 80 columns, and of 40; a pipe gets everything whole" {
	need_tool tmux
	start_busy_fleet
	for width in 80 40; do
		for verb in status targets runs; do
			on_terminal $width 50 "k6fleetctl $verb"
			# A line that is too long would fill its row to the edge and go on in the next row.
			python3 - "$T/screen" $width $verb <<-'PY'
				import sys, unicodedata
				path, width, verb = sys.argv[1], int(sys.argv[2]), sys.argv[3]
				lines = open(path).read().splitlines()
				head = next(i for i, l in enumerate(lines) if l.startswith(("AGENT", "ID", "RUN")))
				table = []
				for l in lines[head:]:
				    if not l: break
				    table.append(l)
				assert len(table) >= (4 if verb != "runs" else 2), table
				first = {"status": "k6agent-", "targets": "file:"}.get(verb)
				for l in table[1:]:
				    assert first is None or l.startswith(first), (verb, width, l, table)
				    assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in l) <= width, l
			PY
			end_terminal
		done
	done
	on_terminal 80 50 'k6fleetctl status'
	grep -qE '^AGENT +STATE +PID +UPTIME +RST +RUNNING +PROGRESS +MEMORY +LAST *$' "$T/screen"
	end_terminal
	on_terminal 80 50 'k6fleetctl runs'
	grep -qE '^[0-9a-f]{12}  [0-9]{2}:[0-9]{2}:[0-9]{2}  k6agent-[0-2]' "$T/screen"
	end_terminal
	ctl runs | grep -qE '^[0-9a-f]{8}-[0-9a-f-]{27}  20[0-9-]+T[0-9:.]+Z  k6agent-[0-2]  Front page'
	ctl targets | grep -q 'Checkout with a label that is much longer than any column'
	refute grep -q $'\033' <(ctl status)
}

@test "the end of an id is enough to show a run and to cancel one" {
	start_busy_fleet
	id=$(ctl --json runs | jq -r '[.[] | select(.status == "success")][0].id')
	ctl show "${id##*-}" | grep -q "^id  *$id"
	going_on() {
		id=$(ctl --json status | jq -r '[.agents[].run | select(. != null and .durationMs == 30000)][0].id // empty')
		[ -n "$id" ]
	}
	retry 10 going_on
	[ "$(ctl --json cancel "${id##*-}" | jq -r .run)" = "$id" ]
	grep -q "run cancelled run=$id by=uid=" "$T/k6fleetd.log"
	cancelled() { ctl --json show "$id" | jq -e '.reason == "cancelled"' >/dev/null; }
	retry 10 cancelled
	run ctl show 0123456789ab
	[ "$status" -eq 1 ]
	run ctl show 0123
	[ "$status" -eq 2 ]
}

@test "colour only on a terminal, and not with NO_COLOR, --no-color or a dumb one" {
	need_tool tmux
	start_busy_fleet
	has_colour() { tmux -S "$TMUX_SOCKET" capture-pane -p -e | grep -q $'\033\\['; }
	on_terminal 100 40 'k6fleetctl status'
	has_colour
	end_terminal
	for how in 'NO_COLOR=1 k6fleetctl status' 'k6fleetctl --no-color status' 'k6fleetctl status --no-color' 'TERM=dumb k6fleetctl status'; do
		on_terminal 100 40 "$how"
		refute has_colour
		end_terminal
	done
}

@test "a view that stays on the screen is drawn over itself, fits it, and follows its size" {
	need_tool tmux
	start_busy_fleet
	ctl scale 30 --wait
	on_terminal 80 20 'k6fleetctl status -w' 'and [0-9]* more'
	[ "$(grep -c 'agents up' "$T/screen")" -eq 1 ]
	head -1 "$T/screen" | grep -q 'agents up'
	[ "$(tmux -S "$TMUX_SOCKET" display -p '#{history_size}')" -eq 0 ]
	# The screen is never cleared as a whole, which would flicker.
	timeout 3 script -qec "stty cols 80 rows 20; $top_builddir/k6fleetctl -s $SOCKET status -w" /dev/null >"$T/bytes" </dev/null || true
	[ "$(grep -c $'\033\\[H' "$T/bytes")" -ge 2 ]
	refute grep -q $'\033\\[2J' "$T/bytes"
	refute grep -q $'\033\\[H\033\\[J' "$T/bytes"
	tmux -S "$TMUX_SOCKET" resize-window -x 60 -y 12
	smaller() {
		terminal_shows 'and [0-9]* more' && [ "$(grep -c . "$T/screen")" -le 12 ] && [ "$(grep -c 'agents up' "$T/screen")" -eq 1 ]
	}
	retry 10 smaller
}

@test "progress on a terminal: a bar while it goes on, nothing of it left at the end" {
	need_tool tmux
	start_busy_fleet
	on_terminal 80 20 'k6fleetctl scale 40 --wait'
	grep -q '^40 agents are up' "$T/screen"
	refute grep -q '\[#' "$T/screen"
	end_terminal
	on_terminal 60 20 'k6fleetctl run --script '"$top_srcdir"'/contrib/examples/hello.js --follow --agents 2' '\[#'
	[ "$(grep -c '\[#' "$T/screen")" -eq 2 ]
	retry 20 terminal_shows 'All 2 together'
	retry 5 terminal_shows THE-END
	refute grep -q '\[#' "$T/screen"
}

# --- JSON -----------------------------------------------------------------------------------

# answers DEFINITION ARGUMENT...: checks the output of k6fleetctl --json ARGUMENT... against the schema's definition.
answers() {
	local name=$1
	shift
	ctl --json "$@" | /usr/bin/python3 "$top_srcdir/tests/program/schema.py" "$top_srcdir/docs/k6fleetctl.schema.json" "$name"
}

@test "--json of every verb is what the schema says" {
	start_busy_fleet
	for verb in status targets runs version ping metrics pause resume; do
		answers "$verb" "$verb"
	done
	answers 'status --check' status --check
	answers scale scale 4 --wait
	answers restart restart k6agent-3
	answers restart restart --wait
	answers drain drain k6agent-3
	answers scale scale 5 --wait
	answers reload reload
	sed -i 's/^workers = 3/workers = 3\nrun_grace = 3s\nhost_name = other/' "$T/k6fleetd.conf"
	answers reload reload
	answers run run 'Odd: "é"'
	answers 'run --follow' run --script "$top_srcdir/contrib/examples/hello.js" --duration 1s --follow
	id=$(ctl --json runs | jq -r '[.[] | select(.status == "success")][0].id')
	answers show show "$id"
	answers runs runs -n 100
	answers logs logs
	id=$(ctl --json run 'Odd: "é"' | jq -r '.runs[0].id')
	answers cancel cancel "$id"
	answers reload reload --binary
	answers stop stop --now
	retry 10 is_gone "$FLEET"
	# Every verb in the help is checked in this test.
	for v in $(verbs); do
		jq -e --arg v "$v" '."$defs" | has($v)' "$top_srcdir/docs/k6fleetctl.schema.json" >/dev/null || { echo "the schema lacks $v"; return 1; }
		grep -qE "answers '?$v|for verb in .*\b$v\b" "$BATS_TEST_FILENAME" || { echo "$v was not asked"; return 1; }
	done
}

verbs() {
	"$top_builddir/k6fleetctl" --help | sed -n '/^Verbs/,/^Exit/s/^  \([a-z]\+\).*/\1/p'
}

# --- help and completion ---------------------------------------------------------------------

@test "every verb has a help, its options are in the man page, and completion offers them" {
	page=$top_srcdir/man/k6fleetctl.1
	for v in $(verbs); do
		"$top_builddir/k6fleetctl" "$v" --help >"$T/help"
		head -1 "$T/help" | grep -q "^usage: k6fleetctl $v"
		"$top_builddir/k6fleetctl" __complete "$v" - | cut -f1 >"$T/offered"
		sed -n "/^\.It .*Cm $v\\b/,/^\.It Cm\|^\.It Xo/p" "$page" >"$T/entry"
		for o in $(sed -n 's/^  \(-[a-z-]*\).*/\1/p; s/^  -[a-z], \(--[a-z-]*\).*/\1/p' "$T/help"); do
			grep -q -e "Fl ${o#-}\\b" "$T/entry" || { echo "k6fleetctl.1 lacks $o of $v"; return 1; }
		done
		for o in $(sed -n 's/^  \(--[a-z-]*\).*/\1/p; s/^  -[a-z], \(--[a-z-]*\).*/\1/p' "$T/help"); do
			grep -qx -e "$o" "$T/offered" || { echo "completion of $v lacks $o"; return 1; }
		done
	done
	[ "$("$top_builddir/k6fleetctl" __complete '' | cut -f1 | sort)" = "$(verbs | sort)" ]
	# Without a daemon, completion offers no names, prints nothing else, and ends at once.
	run "$top_builddir/k6fleetctl" __complete -s "$T/nothing" drain ''
	[ "$status" -eq 3 ]
}

# The candidates that TAB offers after the words of a line, in each shell.
bash_offers() {
	bash --norc -c '
		. /usr/share/bash-completion/bash_completion
		. "$1/contrib/completion/k6fleetctl"
		COMP_LINE=$2 COMP_POINT=${#2}
		case $2 in
		*" ") eval "set -- $2 \"\"" ;;
		*) eval "set -- $2" ;;
		esac
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { echo "compopt $*"; }
		_k6fleetctl
		printf "%s\n" "${COMPREPLY[@]}"' bash "$top_srcdir" "$1"
}
fish_offers() {
	HOME=$T XDG_CONFIG_HOME=$T/fish fish --no-config -c "source $top_srcdir/contrib/completion/k6fleetctl.fish; complete -C $(printf %q "$1")" | cut -f1
}

@test "completion in bash: verbs, options, agents, targets, runs, files" {
	need_tool bash
	[ -e /usr/share/bash-completion/bash_completion ] || need_tool bash-completion
	start_busy_fleet
	[ "$(bash_offers 'k6fleetctl sc')" = scale ]
	bash_offers 'k6fleetctl scale -' | grep -qx -e --now
	[ "$(bash_offers 'k6fleetctl drain ' | wc -l)" -eq 3 ]
	[ "$(bash_offers 'k6fleetctl restart k6agent-0 k6agent-2')" = k6agent-2 ]
	[ "$(bash_offers 'k6fleetctl run Fr')" = 'Front\ page' ]
	[ "$(bash_offers 'k6fleetctl runs --target Ch')" = 'Checkout\ with\ a\ label\ that\ is\ much\ longer\ than\ any\ column' ]
	bash_offers 'k6fleetctl show ' | grep -qE '^[0-9a-f-]{36}$'
	bash_offers 'k6fleetctl run --script ./' | grep -q 'compopt -o default'
	bash_offers "k6fleetctl -s $SOCKET --json drain k6agent-1" | grep -qx k6agent-1
	# As typed in a shell on a terminal.
	need_tool tmux
	tmux -S "$TMUX_SOCKET" -f /dev/null new-session -d -x 100 -y 20 \
		'bash --norc -i'
	tmux -S "$TMUX_SOCKET" send-keys "PS1='ready> '; . /usr/share/bash-completion/bash_completion; . $top_srcdir/contrib/completion/k6fleetctl; clear" Enter
	retry 10 terminal_shows '^ready> *$'
	tmux -S "$TMUX_SOCKET" send-keys 'k6fleetctl run Fro' Tab
	retry 10 terminal_shows 'k6fleetctl run Front\\ page'
	tmux -S "$TMUX_SOCKET" send-keys C-u 'k6fleetctl drain k6agent-' Tab Tab
	retry 10 terminal_shows 'k6agent-0 *k6agent-1 *k6agent-2'
}

@test "completion in fish" {
	need_tool fish
	start_busy_fleet
	[ "$(fish_offers 'k6fleetctl sc')" = scale ]
	fish_offers 'k6fleetctl scale -' | grep -qx -e --now
	[ "$(fish_offers 'k6fleetctl drain ' | wc -l)" -eq 3 ]
	[ "$(fish_offers 'k6fleetctl run Fr')" = 'Front page' ]
	fish_offers 'k6fleetctl show ' | grep -qE '^[0-9a-f-]{36}$'
}

@test "completion in zsh, on a terminal" {
	need_tool zsh
	need_tool tmux
	start_busy_fleet
	mkdir "$T/zsh"
	printf 'fpath=(%s $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPS1="ready> "\n' "$top_srcdir/contrib/completion" >"$T/zsh/.zshrc"
	tmux -S "$TMUX_SOCKET" -f /dev/null new-session -d -x 100 -y 30 "ZDOTDIR=$T/zsh zsh -i"
	retry 10 terminal_shows '^ready>'
	tmux -S "$TMUX_SOCKET" send-keys 'k6fleetctl run Fro' Tab
	retry 10 terminal_shows 'k6fleetctl run Front\\ page'
	tmux -S "$TMUX_SOCKET" send-keys C-u 'k6fleetctl drain ' Tab Tab
	retry 10 terminal_shows 'k6agent-2'
	tmux -S "$TMUX_SOCKET" send-keys C-u 'k6fleetctl resta' Tab
	retry 10 terminal_shows 'k6fleetctl restart'
}
