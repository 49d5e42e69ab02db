#!/bin/sh
# SPDX-License-Identifier: MIT
# stage-www.sh SOURCE OUT [UPLOT]: lays the web pages out as the dashboard serves them.  All files are below assets/HASH,
# where HASH is a hash over all of them, so that browsers may cache them for ever.  Each file has a compressed copy
# beside it.  UPLOT is the directory of the npm package uplot.
set -eu
source=$1 out=$2 uplot=${3:-}

rm -rf "$out"
mkdir -p "$out/assets/new"
(cd "$source" && tar cf - --exclude=index.html --exclude='package*.json' .) | (cd "$out/assets/new" && tar xf -)
charts=no
if [ -n "$uplot" ]; then
	charts=yes
	mkdir "$out/assets/new/uplot"
	cp "$uplot/dist/uPlot.iife.min.js" "$out/assets/new/uplot/uplot.js"
	cp "$uplot/dist/uPlot.min.css" "$out/assets/new/uplot/uplot.css"
	cp "$uplot/LICENSE" "$out/assets/new/uplot/LICENSE.txt"
fi
chmod -R u+w,a+rX "$out"
hash=$(cd "$out/assets/new" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-16)
mv "$out/assets/new" "$out/assets/$hash"
sed "s|@ASSETS@|/assets/$hash|g; s|@CHARTS@|$charts|" "$source/index.html" >"$out/index.html"
find "$out" -type f ! -name '*.gz' -exec gzip -9nk {} +
