#!/usr/bin/env bash
# Fuzzes every decoder for some seconds with libFuzzer.
#
#   bash tests/fuzz.sh                    each target for 2 seconds
#   bash tests/fuzz.sh --seconds 600      longer
#   bash tests/fuzz.sh json envelope      only these targets
#
# What is found lies in target/fuzz/found; to run it again:
#   LARDER_FUZZ=TARGET target/fuzz/*/fuzz/larder-fuzz FILE
# Inputs that took new paths stay in target/fuzz/corpus for the next run.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=2
only=()
while [ $# -gt 0 ]; do
    case "$1" in
        --seconds)
            seconds=${2:?--seconds needs a number}
            shift
            ;;
        -h | --help)
            sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) only+=("$1") ;;
    esac
    shift
done

command -v c++ >/dev/null || {
    echo "a C++ compiler is missing, which builds libFuzzer; on Debian: sudo apt-get install g++" >&2
    exit 1
}

# Coverage that libFuzzer reads. A target of its own keeps it out of build scripts and macros.
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --quiet --locked --profile fuzz -p larder-fuzz --target "$host" --target-dir target/fuzz
fuzzer=target/fuzz/$host/fuzz/larder-fuzz
mkdir -p target/fuzz/corpus target/fuzz/found
targets=$(LARDER_FUZZ_SEEDS=target/fuzz/corpus "$fuzzer" 2>/dev/null)
if [ ${#only[@]} -gt 0 ]; then
    targets="${only[*]}"
fi
for target in $targets; do
    log=target/fuzz/$target.log
    if ! LARDER_FUZZ=$target "$fuzzer" "target/fuzz/corpus/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
        -artifact_prefix="target/fuzz/found/$target-" -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "$target failed; the input lies in target/fuzz/found" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    paths=$(ls "target/fuzz/corpus/$target" | wc -l)
    printf '   %-20s %9s runs, %5s inputs in the corpus\n' "$target" "$runs" "$paths"
done
