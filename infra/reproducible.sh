#!/usr/bin/env bash
# Builds keywheel-rotate twice, of the same commit in two fresh folders, and compares the bytes.
# Two whole builds with a fat link: some ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

# One name is longer than the other: a path in the binary would move all that follows.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset CARGO_TARGET_DIR
for folder in one another-folder; do
    mkdir -p "$scratch/$folder"
    git archive HEAD | tar -x -C "$scratch/$folder"
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) "$scratch/$folder/infra/release.sh" "$scratch/$folder/dist" keywheel-rotate
    (cd "$scratch/$folder/dist" && sha256sum keywheel-rotate | sed "s|\$| ($folder)|")
done
cmp "$scratch/one/dist/keywheel-rotate" "$scratch/another-folder/dist/keywheel-rotate"
echo 'the same bytes'
