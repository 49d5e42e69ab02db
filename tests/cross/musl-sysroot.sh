#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# musl-sysroot.sh DIR: builds the libraries that k6fleet links, and cmocka, with musl-gcc from Debian's source packages:
# DIR/include, DIR/lib with static libraries and their .pc files.  Builds them again only when a version or this script
# has changed.  curl has no TLS, which the unit tests do not need.  Needs musl-tools, autoconf, libtool, tclsh.
set -euo pipefail

DIR=$(readlink -m "$1") SELF=$(readlink -f "$0")
SOURCES=(jansson libev libconfuse libcap2 libseccomp libmicrohttpd sqlite3 curl cmocka)
jobs=$(nproc)
mkdir -p "$DIR"
work=$(mktemp -d "$DIR.XXXXXX")
trap 'rm -rf "$work"' EXIT

# apt reads the system's list of package archives as source archives, in a directory of its own.
mkdir -p "$work/apt/parts" "$work/apt/lists/partial" "$work/src"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian*.list /etc/apt/sources.list.d/debian*.sources; do
	[ -f "$list" ] || continue
	sed -E -e 's/^Types:.*/Types: deb-src/' -e 's/^deb /deb-src /' "$list" >"$work/apt/parts/$(basename "$list" | sed 's/^sources.list$/base.list/')"
done
cat >"$work/apt/conf" <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/apt/parts";
Dir::State::Lists "$work/apt/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "";
CONF
export APT_CONFIG=$work/apt/conf

# The wanted versions.  Without a network an existing root is used as it is, unless this script has changed.
script=$(sha256sum <"$SELF")
made=$(cat "$DIR/made" 2>/dev/null || true)
if ! apt-get update -qq >"$work/apt/log" 2>&1; then
	[ "${made#"$script"}" = "$made" ] || exit 0
	cat "$work/apt/log" >&2
	exit 1
fi
wanted=$script$(cd "$work/src" && apt-get source --print-uris --tar-only -qq "${SOURCES[@]}" | awk '{ print $2 }' | sort)
[ "$made" != "$wanted" ] || exit 0
rm -rf "$DIR"
mkdir -p "$DIR/include" "$DIR/lib/pkgconfig"
(cd "$work/src" && apt-get source --tar-only -qq "${SOURCES[@]}")

# musl has no kernel headers, and musl-gcc searches its own directories only.
multiarch=$(gcc -print-multiarch)
ln -s /usr/include/linux /usr/include/asm-generic "$DIR/include/"
ln -s "/usr/include/$multiarch/asm" "$DIR/include/asm"
# As bsd-compat-headers of Alpine has it.
mkdir "$DIR/include/sys"
ln -s "/usr/include/$multiarch/sys/queue.h" "$DIR/include/sys/"
export CC=musl-gcc CPPFLAGS="-I$DIR/include" LDFLAGS="-L$DIR/lib" CFLAGS=-O1 PKG_CONFIG_LIBDIR=$DIR/lib/pkgconfig

# unpack PACKAGE: unpacks its sources into $work/PACKAGE.
unpack() {
	local orig=("$work/src/$1"_*.orig.tar.*)
	mkdir "$work/$1"
	tar -xf "${orig[0]}" -C "$work/$1" --strip-components=1
	cd "$work/$1"
}

# with_configure PACKAGE ARGUMENTS...
with_configure() {
	local package=$1
	shift
	unpack "$package"
	[ -x configure ] || autoreconf -fi
	./configure --quiet --prefix="$DIR" --disable-shared --enable-static --disable-dependency-tracking "$@"
	make -s -j"$jobs" install
}

# a_pc NAME VERSION LIBRARIES
a_pc() {
	printf 'Name: %s\nDescription: %s\nVersion: %s\nCflags: -I%s/include\nLibs: -L%s/lib %s\n' \
		"$1" "$1" "$2" "$DIR" "$DIR" "$3" >"$DIR/lib/pkgconfig/$1.pc"
}

build_jansson() { with_configure jansson; }
build_libev() { with_configure libev; }
build_libconfuse() { with_configure libconfuse --disable-nls --disable-examples; }
build_libseccomp() { with_configure libseccomp; }
build_libmicrohttpd() { with_configure libmicrohttpd --disable-https --disable-doc --disable-examples --disable-curl; }
build_curl() {
	with_configure curl --without-ssl --without-zlib --without-brotli --without-zstd --without-libpsl --without-libidn2 \
		--without-nghttp2 --disable-ldap --disable-manual
}

build_libcap2() {
	unpack libcap2
	make -s -C libcap libcap.a CC="$CC" BUILD_CC=gcc "COPTS=-O1" SHARED=no
	cp libcap/libcap.a "$DIR/lib/"
	cp libcap/include/sys/capability.h "$DIR/include/sys/"
	a_pc libcap "$(version libcap2)" -lcap
}

build_sqlite3() {
	unpack sqlite3
	./configure --quiet CC=gcc CFLAGS= CPPFLAGS= LDFLAGS= --disable-tcl --disable-shared
	make -s sqlite3.c
	"$CC" "$CFLAGS" -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_ENABLE_MATH_FUNCTIONS -c sqlite3.c
	ar rcs "$DIR/lib/libsqlite3.a" sqlite3.o
	cp sqlite3.h "$DIR/include/"
	a_pc sqlite3 "$(version sqlite3)" '-lsqlite3 -lpthread -lm'
}

# The library is one file; its own build would need cmake.
build_cmocka() {
	unpack cmocka
	: >config.h
	"$CC" "$CFLAGS" -Iinclude -I. -D_GNU_SOURCE -DHAVE_CLOCK_GETTIME=1 -DHAVE_CLOCK_REALTIME=1 -DHAVE_STRUCT_TIMESPEC=1 -DHAVE_SIGNAL_H=1 \
		-DHAVE_STRSIGNAL=1 -DHAVE_UNISTD_H=1 -DHAVE_SETJMP_H=1 -DHAVE_INTTYPES_H=1 -DHAVE_STDINT_H=1 -DHAVE_MALLOC_H=1 -DHAVE_TIME_H=1 \
		-c src/cmocka.c
	ar rcs "$DIR/lib/libcmocka.a" cmocka.o
	cp include/*.h "$DIR/include/"
	a_pc cmocka "$(version cmocka)" -lcmocka
}

# version PACKAGE: prints the version of its sources.
version() {
	local orig=("$work/src/$1"_*.orig.tar.*)
	basename "${orig[0]}" | sed -E 's/^[^_]*_(.*)\.orig.*/\1/'
}

for s in "${SOURCES[@]}"; do
	echo "== $s"
	("build_$s") >"$work/$s.log" 2>&1 || {
		tail -20 "$work/$s.log" >&2
		exit 1
	}
done
printf '%s' "$wanted" >"$DIR/made"
