#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build-deb.sh ARCHIVE OUTDIR [UPLOT_DIR [VERSION]]: builds Debian packages from the source in ARCHIVE.
# Needs dpkg-dev, debhelper, build-essential and the build dependencies of debian/control.  Tests of upgrades give a
# VERSION: the packages of the same source then have this version.
set -euo pipefail

archive=$(realpath "$1")
out=$(realpath -m "$2")
uplot=${3:+$(realpath "$3")}
version=${4:-}
missing=()
for p in dpkg-dev debhelper; do
	dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] || {
	echo "build-deb.sh: install these first: ${missing[*]}" >&2
	exit 1
}

mkdir -p "$out"
work=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/source"
tar -xf "$archive" -C "$work/source" --strip-components=1
cp -r "$work/source/contrib/packaging/debian" "$work/source/debian"
if [ -n "$version" ]; then
	# The build then runs autoreconf and configure again.
	sed -i "s/^AC_INIT(\[k6fleet\], \[[^]]*\]/AC_INIT([k6fleet], [$version]/" "$work/source/configure.ac"
	{
		printf 'k6fleet (%s) unstable; urgency=medium\n\n  * Version %s.\n\n' "$version" "$version"
		printf ' -- The k6fleet authors <k6fleet@example.org>  %s\n\n' "$(LC_ALL=C date -R)"
		cat "$work/source/contrib/packaging/debian/changelog"
	} >"$work/source/debian/changelog"
fi
(cd "$work/source" && UPLOT_DIR=$uplot DEB_BUILD_OPTIONS="nocheck parallel=$(nproc) ${DEB_BUILD_OPTIONS:-}" \
	dpkg-buildpackage -us -uc -b)
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out/"
ls -1 "$out"/*.deb
