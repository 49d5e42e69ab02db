#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# arm64-sysroot.sh DIR: unpacks the headers and libraries of Debian's arm64 that k6fleet needs.  They are not
# installed, so no arm64 program runs here.  Unpacks them again only when the packages or this script have
# changed.  Needs mmdebstrap.  MIRROR: the Debian mirror; by default that of this machine's apt.
set -euo pipefail

DIR=$(readlink -m "$1") SELF=$(readlink -f "$0")
# shellcheck source=/dev/null
. /etc/os-release
PACKAGES=(libc6-dev linux-libc-dev libgcc-s1 libev-dev libcurl4-openssl-dev libjansson-dev libcap-dev libseccomp-dev
	libmicrohttpd-dev libsqlite3-dev libconfuse-dev libcmocka-dev)
wanted="$VERSION_CODENAME ${PACKAGES[*]} $(sha256sum <"$SELF")"
[ "$(cat "$DIR/made" 2>/dev/null)" != "$wanted" ] || exit 0
rm -rf "$DIR"
mkdir -p "$(dirname "$DIR")"

# shellcheck disable=SC2016 # apt expands that
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e backports | head -1)}
mmdebstrap --quiet --mode="$([ "$(id -u)" = 0 ] && echo root || echo chrootless)" --architectures=arm64 --variant=extract \
	--include="$(IFS=,; echo "${PACKAGES[*]}")" \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	"$VERSION_CODENAME" "$DIR" "$mirror"
printf '%s' "$wanted" >"$DIR/made"
