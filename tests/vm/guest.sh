#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# guest.sh [-t SECONDS] DIR INPUT COMMAND...: boots a machine in qemu from the files that make-root.sh has put into DIR,
# with INPUT at /test, and runs COMMAND there as root.  Prints its output and returns its exit status; 125: the machine did
# not start.  The machine has a real kernel with cgroup v2 and all controllers.  Without /dev/kvm the processor is emulated,
# which is at least ten times slower.
set -uo pipefail
# shellcheck source=tests/vm/machine.bash
. "$(dirname "$0")/machine.bash"
take_arguments 600 "$@"

work=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
put_input "$work/input"
# An archive serves as a raw disk; qemu would cut off an incomplete last sector.
tar -C "$work/input" --blocking-factor=2048 -cf "$work/input.tar" .
: >"$work/status"
# Emulation in software works everywhere, and no test here needs speed.
timeout -k 5 "$limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-machine q35,sata=off,smbus=off,i8042=off,vmport=off -accel tcg,thread=multi -cpu Nehalem -smp 2 -m 2048 \
	-kernel "$dir/vmlinuz" \
	-append "root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 panic=-1 quiet mitigations=off apparmor=0 audit=0 nokaslr random.trust_cpu=on cryptomgr.notests systemd.wants=run-test.service systemd.show_status=0" \
	-drive if=none,id=root,format=raw,file="$dir/root.ext4",snapshot=on,cache=unsafe,file.locking=off -device nvme,drive=root,serial=root \
	-drive if=none,id=in,format=raw,file="$work/input.tar",readonly=on -device nvme,drive=in,serial=in \
	-device virtio-rng-pci \
	-serial file:"$work/console" -chardev stdio,id=out,signal=off -serial chardev:out -serial file:"$work/status" </dev/null
ended=$?
status=$(tr -dc 0-9 <"$work/status")
if [ -z "$status" ]; then
	echo "guest.sh: no exit status came out of the guest (qemu: $ended; 124 is its time limit of $limit s)" >&2
	tail -40 "$work/console" >&2
	exit 125
fi
exit "$status"
