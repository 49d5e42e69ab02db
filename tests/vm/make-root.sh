#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make-root.sh DIR: makes a clean Debian with systemd and the dependencies of the packages, for the tests under a real
# systemd: DIR/root for systemd-nspawn, DIR/root.ext4 and DIR/vmlinuz for a guest.  Makes them once.  Needs root,
# mmdebstrap and e2fsprogs.  MIRROR: the Debian mirror; by default that of this machine's apt.
set -euo pipefail

DIR=$(readlink -m "$1") SELF=$(readlink -f "$0")
SUITE=bookworm
PACKAGES=(systemd systemd-sysv dbus procps iproute2 adduser passwd ca-certificates curl jq bats python3-minimal
	libev4 libcurl4 libjansson4 libcap2 libseccomp2 libmicrohttpd12 libsqlite3-0 libconfuse2)
# Remove parts that a guest does not need and that slow it down.
MASKED=(getty@.service serial-getty@.service console-getty.service systemd-udevd.service systemd-udevd-control.socket
	systemd-udevd-kernel.socket systemd-udev-trigger.service apt-daily.timer apt-daily-upgrade.timer
	dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service systemd-pstore.service)

mkdir -p "$DIR"
cd "$DIR"
wanted="$SUITE ${PACKAGES[*]} $(sha256sum <"$SELF")"
[ "$(cat made 2>/dev/null)" != "$wanted" ] || exit 0
rm -rf made root root.ext4 vmlinuz kernel

# shellcheck disable=SC2016 # apt expands that
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e backports | head -1)}
mmdebstrap --quiet --variant=essential --include="$(IFS=,; echo "${PACKAGES[*]}")" \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' "$SUITE" root "$mirror"
rm -rf root/var/cache/apt/* root/var/lib/apt/lists/*
# No file systems to wait for, a host name and a machine id of its own.
echo k6fleet-test >root/etc/hostname
: >root/etc/fstab
echo 0123456789abcdef0123456789abcdef >root/etc/machine-id
for unit in "${MASKED[@]}"; do
	ln -sf /dev/null "root/etc/systemd/system/$unit"
done

kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
mkdir kernel
(cd kernel && apt-get download -qq "$kernel" && dpkg-deb --fsys-tarfile linux-image-*.deb |
	tar -xO --wildcards './boot/vmlinuz-*' >../vmlinuz)
rm -rf kernel

# The guest runs the command on its second disk and reports the exit status on a serial line.
mkdir image
cp -a root/. image/
cat >image/usr/local/sbin/run-test <<'RUN'
#!/bin/sh
mkdir -p /test
for n in 1 2; do stty -F /dev/ttyS$n raw -echo; done
tar -xf /dev/nvme1n1 -C /test
systemctl is-system-running --wait >/dev/null 2>&1
cd /test && bash ./command </dev/null >/dev/ttyS1 2>&1
echo $? >/dev/ttyS2
sync
systemctl poweroff -f -f
RUN
chmod 755 image/usr/local/sbin/run-test
# Type exec: a oneshot unit would wait for itself in is-system-running.
cat >image/etc/systemd/system/run-test.service <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=exec
ExecStart=/usr/local/sbin/run-test
TasksMax=infinity
UNIT
truncate -s 1500M root.ext4
mke2fs -q -t ext4 -O ^has_journal -m 0 -d image root.ext4
rm -rf image
echo "$wanted" >made
