#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The version stands in configure.ac; the API's description and both packagings repeat it.
#
#   contrib/version.sh            prints the version of configure.ac
#   contrib/version.sh --check    compares the other files with it (part of `make lint`)
#   contrib/version.sh X.Y.Z      writes X.Y.Z to all files, with a new entry in debian/changelog
set -euo pipefail
cd "$(dirname "$0")/.."

openapi=docs/openapi.yaml
spec=contrib/packaging/k6fleet.spec
debian=contrib/packaging/debian/changelog

version_of() {
	case $1 in
	configure.ac) sed -n 's/^AC_INIT(\[k6fleet\], \[\([^]]*\)\].*/\1/p' configure.ac ;;
	"$openapi") sed -n 's/^  version: //p' "$openapi" | head -1 ;;
	"$spec") sed -n 's/^Version: *//p' "$spec" ;;
	"$debian") sed -n '1s/^k6fleet (\([^)]*\)).*/\1/p' "$debian" ;;
	esac
}

version=$(version_of configure.ac)
case ${1:-} in
'') echo "$version" ;;
--check)
	status=0
	for file in "$openapi" "$spec" "$debian"; do
		[ "$(version_of "$file")" = "$version" ] && continue
		echo "$file: version $(version_of "$file"), but $version in configure.ac"
		status=1
	done
	exit "$status"
	;;
[0-9]*.[0-9]*.[0-9]*)
	[[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || {
		echo "version.sh: not a version of the form X.Y.Z: $1" >&2
		exit 2
	}
	sed -i "s/^AC_INIT(\[k6fleet\], \[[^]]*\]/AC_INIT([k6fleet], [$1]/" configure.ac
	sed -i "0,/^  version: /s/^  version: .*/  version: $1/" "$openapi"
	sed -i "s/^Version: .*/Version:        $1/" "$spec"
	if [ "$(version_of "$debian")" != "$1" ]; then
		maintainer=$(sed -n 's/^Maintainer: //p' contrib/packaging/debian/control)
		entry=$(printf 'k6fleet (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s' \
			"$1" "$maintainer" "$(LC_ALL=C date -R)")
		printf '%s\n\n%s\n' "$entry" "$(cat "$debian")" >"$debian.new"
		mv "$debian.new" "$debian"
		sed -i "s/^%changelog\$/%changelog\n* $(LC_ALL=C date '+%a %b %d %Y') $maintainer - $1-1\n- See CHANGELOG.md.\n/" "$spec"
	fi
	exec "$0" --check
	;;
*)
	sed -n '3,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
