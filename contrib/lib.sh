# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What stack-up.sh and check.sh share: packages, k6, users, the build.  To be sourced.

# Go and the cache want a home; some CI systems give none.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

K6_VERSION=v2.2.0
K6_OLDER_VERSION=v1.8.1
GO_TOOLCHAIN=go1.26.8
# shellcheck disable=SC2034 # used by the scripts that source this
BUILD_PACKAGES=(autoconf automake gcc make pkg-config libc6-dev libev-dev libcurl4-openssl-dev
	libjansson-dev libcap-dev libseccomp-dev libmicrohttpd-dev libsqlite3-dev libconfuse-dev ca-certificates curl jq)

say() { printf '==> %s\n' "$*"; }
fail() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		fail "this needs root and there is no sudo; run as root: $*"
	fi
}

# Installs those of the named Debian packages that are missing; asks for root only then.
need_packages() {
	local missing=() p
	if ! command -v dpkg-query >/dev/null; then
		say "not a Debian system: make sure that the equivalents of these are installed: $*"
		return
	fi
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing packages: ${missing[*]}"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null ||
		say "apt-get update failed, trying with the lists that are there"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		"${missing[@]}" >/dev/null || fail "cannot install: ${missing[*]}"
}

# Node.js with npm, from wherever it is in PATH; Debian's packages else.
need_node() {
	if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
		need_packages nodejs npm
	fi
}

cache_dir() {
	printf '%s/k6fleet' "${XDG_CACHE_HOME:-$HOME/.cache}"
}

# Whether this Go can build k6, or fetch a toolchain that can (from 1.21 on).
go_is_recent() {
	local minor
	command -v go >/dev/null || return 1
	minor=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge 21 ]
}

# A Go that is too old to fetch toolchains itself can still fetch one as the module it is.
fetch_toolchain() {
	local arch module dir
	need_packages golang-go
	arch=$(go env GOARCH)
	module="golang.org/toolchain@v0.0.1-$GO_TOOLCHAIN.linux-$arch"
	say "fetching $GO_TOOLCHAIN: the packaged Go is too old for k6"
	dir=$(cd "$1" && go mod download -json "$module" | jq -r .Dir) || fail "cannot fetch $GO_TOOLCHAIN"
	chmod -R u+w "$dir" && chmod -R u+x "$dir/bin" "$dir/pkg/tool"
	PATH="$dir/bin:$PATH"
	export GOROOT="$dir"
}

# Grafana's own package, where their repository can be reached.
install_k6_package() {
	command -v apt-get >/dev/null && command -v curl >/dev/null || return 1
	local key
	key=$(mktemp)
	if ! curl -fsS --max-time 5 https://dl.k6.io/key.gpg -o "$key" 2>/dev/null; then
		rm -f "$key"
		return 1
	fi
	say "installing k6 from Grafana's package repository"
	need_packages gnupg
	as_root gpg --batch --yes --dearmor -o /usr/share/keyrings/k6-archive-keyring.gpg "$key" &&
		echo 'deb [signed-by=/usr/share/keyrings/k6-archive-keyring.gpg] https://dl.k6.io/deb stable main' |
		as_root tee /etc/apt/sources.list.d/k6.list >/dev/null &&
		as_root apt-get update -q >/dev/null && as_root apt-get install -y -q k6 >/dev/null
	local rc=$?
	rm -f "$key"
	return $rc
}

# build_k6 VERSION DEST: as a Go module, statically.  A module of our own that requires it does what
# `go install` does, and also works with proxies that list no versions.
build_k6() {
	local version=$1 dest=$2 module=go.k6.io/k6 tmp major=${1#v}
	major=${major%%.*}
	[ "$major" -lt 2 ] || module=$module/v$major
	tmp=$(mktemp -d)
	go_is_recent || fetch_toolchain "$tmp"
	say "building k6 $version with Go (some minutes, once)"
	printf 'module k6build\n\ngo 1.24\n\nrequire %s %s\n' "$module" "$version" >"$tmp/go.mod"
	printf 'package tools\n\nimport _ "%s"\n' "$module" >"$tmp/tools.go"
	mkdir -p "$(dirname "$dest")"
	if ! (cd "$tmp" && CGO_ENABLED=0 GOFLAGS='-mod=mod -trimpath -buildvcs=false' \
		go build -o "$dest.tmp" "$module") >"$tmp/log" 2>&1; then
		tail -5 "$tmp/log" >&2
		fail "cannot build k6; install it by hand and put it in PATH"
	fi
	mv "$dest.tmp" "$dest"
	rm -rf "$tmp"
}

# cached_k6 VERSION: where a k6 that was built here lies.
cached_k6() {
	printf '%s/k6-%s/k6' "$(cache_dir)" "$1"
}

# Sets K6_BINARY: the one given, one in PATH, Grafana's package, or one built here.
need_k6() {
	local cached
	cached=$(cached_k6 "$K6_VERSION")
	if [ -n "${K6_BINARY:-}" ]; then
		[ -x "$K6_BINARY" ] || fail "K6_BINARY=$K6_BINARY is not an executable file"
	elif command -v k6 >/dev/null; then
		K6_BINARY=$(command -v k6)
	elif [ -x "$cached" ]; then
		K6_BINARY=$cached
	elif install_k6_package; then
		K6_BINARY=$(command -v k6)
	else
		build_k6 "$K6_VERSION" "$cached"
		K6_BINARY=$cached
	fi
	K6_BINARY=$(realpath "$K6_BINARY")
	export K6_BINARY
	say "k6: $("$K6_BINARY" version | head -1) at $K6_BINARY"
}

# Sets K6_OLDER: one of the major version before, for the tests.
need_older_k6() {
	K6_OLDER=$(cached_k6 "$K6_OLDER_VERSION")
	[ -x "$K6_OLDER" ] || build_k6 "$K6_OLDER_VERSION" "$K6_OLDER"
	export K6_OLDER
	say "k6: $("$K6_OLDER" version | head -1) at $K6_OLDER"
}

# The users that k6fleetd and the dashboard become when they are started as root.
need_users() {
	local u
	for u in k6fleet k6agent k6fleet-dashboard; do
		id -u "$u" >/dev/null 2>&1 && continue
		say "making the system user $u"
		useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin "$u" || fail "cannot make the user $u"
	done
}

# build DIR CONFIGURE-ARGUMENTS...: out of tree; configures only when something about it changed.
build() {
	local dir=$1
	shift
	[ -x "$ROOT/configure" ] && [ "$ROOT/configure" -nt "$ROOT/configure.ac" ] ||
		(cd "$ROOT" && autoreconf -fi >"${TMPDIR:-/tmp}/k6fleet-autoreconf.$$" 2>&1) || {
		cat "${TMPDIR:-/tmp}/k6fleet-autoreconf.$$" >&2
		fail "autoreconf failed"
	}
	rm -f "${TMPDIR:-/tmp}/k6fleet-autoreconf.$$"
	mkdir -p "$dir"
	if [ ! -f "$dir/Makefile" ] || [ "$(cat "$dir/.configured" 2>/dev/null)" != "$*" ]; then
		(cd "$dir" && "$ROOT/configure" "$@" >configure.log 2>&1) || {
			tail -15 "$dir/configure.log" >&2
			fail "configure failed in $dir"
		}
		printf '%s' "$*" >"$dir/.configured"
	fi
	make -C "$dir" -j"$(nproc)" >"$dir/make.log" 2>&1 || {
		grep -E 'error|warning' "$dir/make.log" | head -20 >&2
		tail -5 "$dir/make.log" >&2
		fail "the build failed; see $dir/make.log"
	}
}
