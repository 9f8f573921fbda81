#!/usr/bin/env bash
# Builds the programs for this machine, as `make release` does: infra/release.sh FOLDER [PACKAGE…]
#
# The same sources, toolchain and Cargo.lock give the same bytes wherever they are built: no path of this
# machine gets into a binary. infra/reproducible.sh checks that.
set -euo pipefail
cd "$(dirname "$0")/.."

to=$1
shift
programs=("${@:-}")
[ -n "${programs[0]}" ] || programs=(keywheel-sweep keywheel-rotate keywheel-webhook keywheel-compare keywheel-audit keywheel-notify keywheel)

target=${CARGO_TARGET_DIR:-$PWD/target}
# Encoded, for a folder's name may have a space in it. What a person sets in RUSTFLAGS is left out on purpose.
flags=(
    "--remap-path-prefix=$PWD=/keywheel"
    "--remap-path-prefix=$target=/target"
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
)
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# For *ring*'s C files: neither where they lie nor when they were compiled.
export CFLAGS="-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$target=/target"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

cargo build --quiet --release --locked "${programs[@]/#/--package=}"

mkdir -p "$to"
for program in "${programs[@]}"; do
    install -m 755 "$target/release/$program" "$to/"
done
(cd "$to" && sha256sum -- "${programs[@]}" >SHA256SUMS)
