#!/usr/bin/env bash
# Builds keywheel-rotate twice, of the same commit in two fresh folders, and compares the bytes.
# Two whole builds with a fat link: some ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

kept=$PWD/target/reproducible
mkdir -p "$kept"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset CARGO_TARGET_DIR
# Once: somebody may commit meanwhile.
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
# One name is longer than the other: a path in the binary would move all that follows.
for folder in one another-folder; do
    mkdir -p "$scratch/$folder"
    git archive "$commit" | tar -x -C "$scratch/$folder"
    "$scratch/$folder/infra/release.sh" "$scratch/$folder/dist" keywheel-rotate
    cp "$scratch/$folder/dist/keywheel-rotate" "$kept/$folder"
    rm -rf "$scratch/$folder"
done
(cd "$kept" && sha256sum one another-folder)
cmp "$kept/one" "$kept/another-folder"
echo "the same bytes, of $commit"
