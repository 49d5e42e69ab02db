#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build-rpm.sh ARCHIVE OUTDIR [UPLOT_DIR]: builds RPM packages from the source in ARCHIVE with rpmbuild.  On a system
# whose libraries are not RPMs, the build requirements of the spec are not checked.
set -euo pipefail

archive=$(realpath "$1")
out=$(realpath -m "$2")
uplot=${3:+$(realpath "$3")}
command -v rpmbuild >/dev/null || {
	echo "build-rpm.sh: install rpmbuild first (Debian: rpm, Fedora: rpm-build)" >&2
	exit 1
}
nodeps=()
[ -e /etc/redhat-release ] || nodeps=(--nodeps)

mkdir -p "$out"
work=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/SOURCES"
cp "$archive" "$work/SOURCES/"
tar -xf "$archive" -C "$work" --strip-components=3 --wildcards '*/contrib/packaging/k6fleet.spec'
rpmbuild -bb "${nodeps[@]}" --define "_topdir $work" ${uplot:+--define "uplot_dir $uplot"} "$work/k6fleet.spec"
find "$work/RPMS" -name '*.rpm' -exec cp {} "$out/" \;
ls -1 "$out"/*.rpm
