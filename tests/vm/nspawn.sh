#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# nspawn.sh [-t SECONDS] ROOT INPUT COMMAND...: boots systemd as pid 1 in a container over a temporary overlay of
# ROOT, with INPUT copied to /test, and runs COMMAND there.  Prints its output and returns its exit status; 125: the
# container did not start.  One boot takes about a second.  cgroups are delegated, but have no controllers: see guest.sh.
set -uo pipefail
# shellcheck source=tests/vm/machine.bash
. "$(dirname "$0")/machine.bash"
take_arguments 300 "$@"
root=$dir

dir=$(mktemp -d /tmp/k6fleet-nspawn.XXXXXX) name=k6fleet$$
# On a host with cgroup v1 the container gets a cgroup of its own in the v2 hierarchy, if that is mounted.
groups=()
for base in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do
	[ -w "$base/cgroup.procs" ] && groups+=("$base/$name")
done
# When nspawn itself is killed, the container goes on: end it by its cgroup, which contains no other process.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
	for g in "${groups[@]}"; do
		[ -w "$g/cgroup.kill" ] && echo 1 >"$g/cgroup.kill"
	done
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null
		ls -d "${groups[@]}" >/dev/null 2>&1 || break
		sleep 0.2
	done
	rm -rf "$dir"
}
trap clean_up EXIT
mkdir "${groups[@]}"
put_input "$dir/input"
cat >"$dir/run-test.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=exec
TasksMax=infinity
WorkingDirectory=/test/input
ExecStart=/bin/sh -c 'bash ./command </dev/null >/test/out 2>&1; echo $$? >/test/status'
ExecStopPost=/bin/systemctl poweroff --no-block
UNIT
: >"$dir/out"
tail -f -n +1 "$dir/out" --pid=$$ &
reader=$!
(
	for g in "${groups[@]}"; do
		echo "$BASHPID" >"$g/cgroup.procs"
	done
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec timeout -k 10 "$limit" systemd-nspawn -q --keep-unit --register=no -M "$name" \
		-D "$root" --volatile=overlay --private-network --bind="$dir:/test" \
		--bind-ro="$dir/run-test.service:/etc/systemd/system/run-test.service" \
		--boot --console=pipe -- systemd.wants=run-test.service systemd.show_status=0
) </dev/null >"$dir/console" 2>&1
sleep 0.3
kill "$reader" 2>/dev/null
wait "$reader" 2>/dev/null
if ! status=$(cat "$dir/status" 2>/dev/null); then
	echo "nspawn.sh: the container did not start, or did not end within $limit s:" >&2
	tail -30 "$dir/console" >&2
	exit 125
fi
exit "$status"
