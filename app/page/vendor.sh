#!/bin/sh
# Copy the libraries that package-lock.json names, the charts of the page at / and the Swagger UI of the page at /docs
# (needs npm and the network; nothing else does).
#
#   sh app/page/vendor.sh           copies into app/page/vendor and app/openapi/vendor, and records the sums that the
#                                   tests check
#   sh app/page/vendor.sh FOLDER    copies into page/vendor and openapi/vendor of FOLDER
#
# To take another version: change it in package.json, then in app/page
#   npm install --package-lock-only --omit-lockfile-registry-resolved
# so that the lock holds the package's checksum and the name of no registry; and run this again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/..}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$folder"
# `ci` takes exactly what the lock names, and refuses a package whose checksum is another.
(cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null)
page=$target/page/vendor openapi=$target/openapi/vendor
mkdir -p "$page" "$openapi"
cp "$folder/node_modules/uplot/dist/uPlot.iife.min.js" "$page/uplot.js"
cp "$folder/node_modules/uplot/dist/uPlot.min.css" "$page/uplot.css"
cp "$folder/node_modules/uplot/LICENSE" "$page/uplot.LICENSE"
swagger=$folder/node_modules/swagger-ui-dist
cp "$swagger/swagger-ui-bundle.js" "$openapi/swagger-ui.js"
cp "$swagger/swagger-ui.css" "$openapi/swagger-ui.css"
cp "$swagger/LICENSE" "$openapi/swagger-ui.LICENSE"
cp "$swagger/NOTICE" "$openapi/swagger-ui.NOTICE"
cp "$swagger/swagger-ui-bundle.js.LICENSE.txt" "$openapi/swagger-ui-bundle.js.LICENSE.txt"
chmod 644 "$page"/uplot.* "$openapi"/swagger-ui*
(cd "$page" && sha256sum uplot.js uplot.css uplot.LICENSE >SHA256SUMS)
(cd "$openapi" && sha256sum swagger-ui* >SHA256SUMS)
