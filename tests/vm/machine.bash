# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Arguments and input of both kinds of machines.  To be sourced.

# take_arguments SECONDS [-t SECONDS] DIR INPUT COMMAND...: sets limit, dir, input and command.
# shellcheck disable=SC2034 # for whoever sources this
take_arguments() {
	limit=$1
	shift
	local OPTIND=1 o
	while getopts t: o; do
		case $o in
		t) limit=$OPTARG ;;
		*) exit 2 ;;
		esac
	done
	shift $((OPTIND - 1))
	dir=$(readlink -f "$1") input=$(readlink -f "$2")
	shift 2
	command=$*
}

# put_input DIR: copies the input to DIR and writes the command to a file there.
put_input() {
	mkdir "$1"
	cp -a "$input/." "$1/"
	printf '%s\n' "$command" >"$1/command"
}
