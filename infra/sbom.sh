#!/usr/bin/env bash
# Writes a CycloneDX SBOM of each program into a folder: infra/sbom.sh FOLDER
#
# Of what is linked for this machine, or for SBOM_TARGET. cargo-cyclonedx follows Cargo.lock. With SOURCE_DATE_EPOCH it writes no serial number, and the commit's time:
# the same commit gives the same bytes, up to the folder's own name, which is taken out here.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "$1"
to=$(cd "$1" && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

for package in sweep rotate webhook audit notify cli; do
    "${CYCLONEDX:-cargo-cyclonedx}" cyclonedx --quiet --format json --spec-version 1.5 --describe binaries \
        --no-build-deps --manifest-path "functions/$package/Cargo.toml" ${SBOM_TARGET:+--target "$SBOM_TARGET"}
done
# It writes next to every member's Cargo.toml, tests' programs included.
find functions tests -name '*_bin.cdx.json' | while read -r file; do
    name=$(basename "$file" _bin.cdx.json)
    case $name in
    keywheel | keywheel-sweep | keywheel-rotate | keywheel-webhook | keywheel-audit | keywheel-notify) sed "s|file://$PWD|file:///keywheel|g; s|path+file:///[^\"#]*/functions|path+file:///keywheel/functions|g" "$file" >"$to/$name.cdx.json" ;;
    esac
    rm "$file"
done
