# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Functions of stack-up.sh and check.sh: packages, k6, users, the build.  To be sourced.

# Go and the cache need HOME; some CI systems do not set it.
export HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"

K6_VERSION=v2.2.0
GO_TOOLCHAIN=go1.26.8
# shellcheck disable=SC2034 # used by the scripts that source this
K6_OLDER_VERSION=v1.8.1
# shellcheck disable=SC2034
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

# What tells that the contents of a Debian package are there, on a system without its package manager: a command, a
# pkg-config name, a header, a Python module or a file.
provides() {
	case $1 in
	ca-certificates | fonts-dejavu-core) ;;
	autoconf) echo cmd autoreconf ;;
	autopoint | automake | gcc | make | pkg-config | curl | jq | bats | openssl | python3 | sqlite3 | chromium | tmux | zsh | fish | \
		lintian | mmdebstrap | clang | clang-format | clang-tidy | cppcheck | mandoc | shellcheck | flex | gperf | npm) echo cmd "$1" ;;
	libc6-dev) echo header stdio.h ;;
	libev-dev) echo header ev.h ;;
	libcurl4-openssl-dev) echo pc libcurl ;;
	libjansson-dev) echo pc jansson ;;
	libcap-dev) echo pc libcap ;;
	libseccomp-dev) echo pc libseccomp ;;
	libmicrohttpd-dev) echo pc libmicrohttpd ;;
	libsqlite3-dev) echo pc sqlite3 ;;
	libconfuse-dev) echo pc libconfuse ;;
	libcmocka-dev) echo pc cmocka ;;
	systemtap-sdt-dev) echo header sys/sdt.h ;;
	util-linux) echo cmd unshare ;;
	procps) echo cmd pgrep ;;
	xz-utils) echo cmd xz ;;
	prometheus) echo cmd promtool ;;
	python3-venv) echo python venv ;;
	python3-yaml) echo python yaml ;;
	python3-jsonschema) echo python jsonschema ;;
	bash-completion) echo file /usr/share/bash-completion/bash_completion ;;
	dpkg-dev) echo cmd dpkg-buildpackage ;;
	debhelper) echo cmd dh ;;
	rpm) echo cmd rpmbuild ;;
	systemd-container) echo cmd systemd-nspawn ;;
	qemu-system-x86) echo cmd qemu-system-x86_64 ;;
	e2fsprogs) echo cmd mke2fs ;;
	musl-tools) echo cmd musl-gcc ;;
	libtool) echo cmd libtoolize ;;
	tcl) echo cmd tclsh ;;
	gcc-aarch64-linux-gnu) echo cmd aarch64-linux-gnu-gcc ;;
	qemu-user) echo cmd qemu-aarch64 ;;
	golang-go) echo cmd go ;;
	nodejs) echo cmd node ;;
	gnupg) echo cmd gpg ;;
	*) echo unknown "$1" ;;
	esac
}

# Whether the contents of the package are there.
is_provided() {
	local kind what
	read -r kind what <<<"$(provides "$1")"
	case $kind in
	cmd) command -v "$what" >/dev/null ;;
	pc) pkg-config --exists "$what" 2>/dev/null ;;
	header)
		# shellcheck disable=SC2086 # CC may be words, as "ccache gcc"
		echo "#include <$what>" | ${CC:-cc} -E - >/dev/null 2>&1
		;;
	python) python3 -c "import $what" 2>/dev/null ;;
	file) [ -e "$what" ] ;;
	unknown) return 1 ;;
	esac
}

# Installs the missing ones of the named Debian packages, and needs root only for that.  On another system it fails
# with the names of the packages whose contents are missing.
need_packages() {
	local missing=() p
	if ! command -v dpkg-query >/dev/null; then
		for p in "$@"; do
			is_provided "$p" || missing+=("$p ($(provides "$p"))")
		done
		[ ${#missing[@]} -eq 0 ] ||
			fail "not a Debian system: install what these packages of Debian have: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"
		return 0
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

# Makes sure that there is Node.js with npm: from PATH, or else Debian's packages.
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

# A Go that is too old to fetch a toolchain itself can fetch it as a module.
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

# Installs Grafana's own package, if its repository can be reached.
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

# build_k6 VERSION DEST: builds k6 from its Go module, statically.  A module that requires k6 has the same effect as
# `go install`, and also works with proxies that list no versions.
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

# cached_k6 VERSION: prints the path of a k6 that was built here.
cached_k6() {
	printf '%s/k6-%s/k6' "$(cache_dir)" "$1"
}

# k6_major FILE: prints the major version of a k6; fails if FILE is no binary program.
k6_major() {
	[ "$(head -c 4 "$1" | od -An -tx1 | tr -d ' ')" = 7f454c46 ] || return 1
	"$1" version 2>/dev/null | sed -n '1s/^k6 v\([0-9][0-9]*\)\..*/\1/p' | grep .
}

# Sets K6_BINARY: the given one, a k6 of version 1 or later in PATH, Grafana's package, or the path at which
# build_missing_k6 will build one.
choose_k6() {
	local cached major
	cached=$(cached_k6 "$K6_VERSION")
	if [ -n "${K6_BINARY:-}" ]; then
		[ -x "$K6_BINARY" ] || fail "K6_BINARY=$K6_BINARY is not an executable file"
		major=$(k6_major "$K6_BINARY") || fail "K6_BINARY=$K6_BINARY is not k6"
		[ "$major" -ge 1 ] || fail "K6_BINARY=$K6_BINARY is older than version 1: $("$K6_BINARY" version | head -1)"
	elif major=$(k6_major "$(command -v k6)" 2>/dev/null) && [ "$major" -ge 1 ]; then
		K6_BINARY=$(command -v k6)
	elif [ ! -x "$cached" ] && install_k6_package && major=$(k6_major "$(command -v k6)") && [ "$major" -ge 1 ]; then
		K6_BINARY=$(command -v k6)
	else
		K6_BINARY=$cached
	fi
	K6_BINARY=$(realpath -m "$K6_BINARY")
	export K6_BINARY
}

# build_missing_k6 VERSION FILE: builds this version unless FILE exists; prints its version.
build_missing_k6() {
	[ -x "$2" ] || build_k6 "$1" "$2"
	k6_major "$2" >/dev/null || fail "$2 is not k6"
	say "k6: $("$2" version | head -1) at $2"
}

# Sets K6_BINARY to a k6 that exists.
need_k6() {
	choose_k6
	build_missing_k6 "$K6_VERSION" "$K6_BINARY"
}

# Makes the users that k6fleetd and the dashboard become when root starts them.
need_users() {
	local u
	for u in k6fleet k6agent k6fleet-dashboard; do
		id -u "$u" >/dev/null 2>&1 && continue
		say "making the system user $u"
		useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin "$u" || fail "cannot make the user $u"
	done
}

# Prints the compiler, with ccache in front if it is installed.
cached_compiler() {
	if command -v ccache >/dev/null; then
		export CCACHE_BASEDIR=$ROOT
		echo "ccache $1"
	else
		echo "$1"
	fi
}

# Makes ./configure and Makefile.in if they are older than their sources.
need_configure() {
	local log
	[ ! -x "$ROOT/configure" ] || [ ! -f "$ROOT/Makefile.in" ] ||
		[ -n "$(find "$ROOT"/configure.ac "$ROOT"/Makefile.am "$ROOT"/*/local.mk "$ROOT"/*/*/local.mk -newer "$ROOT/Makefile.in")" ] || return 0
	log=$(mktemp)
	(cd "$ROOT" && autoreconf -fi) >"$log" 2>&1 || {
		cat "$log" >&2
		fail "autoreconf failed"
	}
	rm -f "$log"
}

# build DIR CONFIGURE-ARGUMENTS...: builds in DIR; configures only if the arguments or configure have changed.
build() {
	local dir=$1
	shift
	need_configure
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
