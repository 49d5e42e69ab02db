#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh BUILDDIR: checks that `make install` installs everything, keeps a changed
# configuration, and that `make uninstall` removes everything else.
set -eu
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
make -C "$1" DESTDIR="$dest" install
for f in usr/sbin/k6fleetd usr/sbin/k6fleet-dashboard usr/bin/k6fleetctl usr/libexec/k6fleet-supervisor \
	usr/lib/systemd/system/k6fleetd.service usr/lib/systemd/system/k6fleet-dashboard.service \
	usr/lib/systemd/system/k6fleet.target usr/lib/sysusers.d/k6fleet.conf usr/lib/tmpfiles.d/k6fleet.conf \
	usr/lib/systemd/system/k6fleetd.service.d/50-k6fleet-dashboard.conf usr/share/bash-completion/completions/k6fleetctl \
	usr/share/zsh/site-functions/_k6fleetctl usr/share/fish/vendor_completions.d/k6fleetctl.fish usr/share/k6fleet/examples/hello.js \
	usr/share/k6fleet/k6fleetctl.schema.json usr/share/man/man7/k6fleet.7 usr/share/man/man8/k6fleet-supervisor.8 \
	usr/share/k6fleet/www/index.html usr/share/k6fleet/www/index.html.gz usr/etc/k6fleet/k6fleetd.conf usr/etc/k6fleet/dashboard.conf; do
	test -s "$dest/$f" || { echo "missing: $f"; exit 1; }
done
test -s "$dest"/usr/share/k6fleet/www/assets/*/app.js || { echo "missing: the pages' modules"; exit 1; }
grep -q "^ExecStart=/usr/sbin/k6fleetd" "$dest/usr/lib/systemd/system/k6fleetd.service"
echo 'workers = 5' >"$dest/usr/etc/k6fleet/k6fleetd.conf"
make -C "$1" DESTDIR="$dest" install
grep -qx 'workers = 5' "$dest/usr/etc/k6fleet/k6fleetd.conf"
make -C "$1" DESTDIR="$dest" uninstall
left=$(cd "$dest" && find . -type f)
test "$left" = ./usr/etc/k6fleet/k6fleetd.conf || { echo "left behind: $left"; exit 1; }
