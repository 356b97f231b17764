#!/bin/sh
# Copy the chart library that package-lock.json names into vendor/ (needs npm and the network; nothing else does).
#
#   sh app/page/vendor.sh           copies into app/page/vendor, and records the sums that the tests check
#   sh app/page/vendor.sh FOLDER    copies into FOLDER
#
# To take another version: change it in package.json, then in app/page
#   npm install --package-lock-only --omit-lockfile-registry-resolved
# so that the lock holds the package's checksum and the name of no registry; and run this again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/vendor}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$folder"
# `ci` takes exactly what the lock names, and refuses a package whose checksum is another.
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
mkdir -p "$target"
cp "$folder/node_modules/uplot/dist/uPlot.iife.min.js" "$target/uplot.js"
cp "$folder/node_modules/uplot/dist/uPlot.min.css" "$target/uplot.css"
cp "$folder/node_modules/uplot/LICENSE" "$target/uplot.LICENSE"
chmod 644 "$target"/uplot.*
(cd "$target" && sha256sum uplot.js uplot.css uplot.LICENSE >SHA256SUMS)
