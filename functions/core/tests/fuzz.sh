#!/usr/bin/env bash
# Runs each fuzz target for FUZZ_MINUTES (default 10) with fresh cases: functions/core/tests/fuzz.sh [TARGET…]
#
# Says of each how many cases ran and what failed; a failure's smallest case is in the log it names.
set -euo pipefail
cd "$(dirname "$0")/../../.."

seconds=$(awk "BEGIN { print int(${FUZZ_MINUTES:-10} * 60) }")
cases=${FUZZ_CASES:-2000}
logs=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$logs"
# A parser that grows without bound fails here instead of taking the machine down.
ulimit -v 6000000

# All of the workspace, as `make test` builds it: nothing is compiled twice.
mapfile -t programs < <(cargo test --quiet --workspace --lib --bins --test fuzz --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

# A build beside it, of which there are many in ten minutes, takes none of them away.
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT

failed=0
for program in "${programs[@]}"; do
    mapfile -t targets < <("$program" --list --format terse 2>/dev/null | sed -n 's/^\(.*fuzz_[a-z_]*\): test$/\1/p')
    [ ${#targets[@]} -gt 0 ] || continue
    copy=$copies/${program##*/}
    cp "$program" "$copy"
    for target in "${targets[@]}"; do
        name=${target##*::}
        [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
        log=$logs/$name.log
        : >"$log"
        ran=0
        findings=0
        end=$((SECONDS + seconds))
        while [ $SECONDS -lt $end ] && [ $findings -eq 0 ]; do
            # As cargo would: next to the package's sources.
            if RUST_BACKTRACE=0 PROPTEST_CASES=$cases "$copy" --exact "$target" >>"$log" 2>&1; then
                ran=$((ran + cases))
            else
                findings=1
            fi
        done
        echo "$name: $ran cases, $findings findings$([ $findings -eq 0 ] || echo ": $log")"
        failed=$((failed + findings))
    done
done
[ $failed -eq 0 ]
