#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# release.sh --check SRCDIR: whether the commit that is checked out can be released.
# release.sh SRCDIR ARCHIVE: releases it: a tag vX.Y.Z, and beside ARCHIVE its checksum.
#
# `make release` does the first, makes the archive, whose bytes depend on the commit only, and does the second.
# docs/releasing.md has the steps around it.
#
# Refuses a work tree with changes, a version that the files do not agree on, a version without an entry in
# CHANGELOG.md, an existing tag, and an archive that lacks a file.  The tag is signed, and so is the checksum, if git
# knows a key (user.signingkey).  Pushes nothing.  RELEASE_DRY_RUN=1 makes and checks everything but the tag.
set -euo pipefail

check_only=
if [ "$1" = --check ]; then
	check_only=1
	shift
fi
source=$(realpath "$1")
[ -n "$check_only" ] || archive=$(realpath "$2")
cd "$source"
dry_run=${RELEASE_DRY_RUN:-}
version=$(contrib/version.sh)
tag=v$version
# Files of the repository that are no part of the archive: they serve a clone only.
only_in_clone='^(\.gitignore|\.github/.*|\.ci/.*)$'

say() { printf 'release: %s\n' "$*"; }
fail() {
	printf 'release: %s\n' "$*" >&2
	exit 1
}

changes=$(git status --porcelain)
[ -z "$changes" ] || fail "the work tree has changes:"$'\n'"$changes"
contrib/version.sh --check || fail "the files do not agree on the version; contrib/version.sh $version sets it"
grep -qE "^## $version( |$)" CHANGELOG.md || fail "CHANGELOG.md has no section \"## $version\""
[ -z "$(git tag -l "$tag")" ] || fail "the tag $tag exists"
[ -z "$check_only" ] || exit 0
case $(basename "$archive") in
"k6fleet-$version.tar.xz") ;;
*) fail "$archive is no archive of version $version" ;;
esac

missing=$(comm -23 \
	<(git ls-files | grep -vE "$only_in_clone" | LC_ALL=C sort) \
	<(tar -tf "$archive" | sed 's|^[^/]*/||' | LC_ALL=C sort))
[ -z "$missing" ] || fail "the archive lacks:"$'\n'"$missing"

cd "$(dirname "$archive")"
rm -f SHA256SUMS.asc
sha256sum "$(basename "$archive")" >SHA256SUMS
key=$(git -C "$source" config user.signingkey || true)
if [ -z "$key" ]; then
	say "git knows no key (user.signingkey): neither tag nor checksum will be signed"
elif [ "$(git -C "$source" config gpg.format || echo openpgp)" = openpgp ]; then
	gpg --batch --yes --local-user "$key" --armor --detach-sign SHA256SUMS
else
	say "the key is no OpenPGP key: the tag is signed, the checksum is not"
fi

cd "$source"
notes=$(awk -v head="## $version" 'index($0, head) == 1 { found = 1; next } /^## / { found = 0 } found' CHANGELOG.md)
if [ -n "$dry_run" ]; then
	say "dry run: no tag $tag for $(git rev-parse --short HEAD)"
else
	printf 'k6fleet %s\n\n%s\n' "$version" "$notes" |
		git tag "$([ -n "$key" ] && echo --sign || echo --annotate)" --cleanup=verbatim --file=- "$tag"
	say "tagged $(git rev-parse --short HEAD) as $tag; push it with: git push origin $tag"
fi
say "$archive"
say "$(dirname "$archive")/SHA256SUMS"
