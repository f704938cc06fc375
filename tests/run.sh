#!/usr/bin/env bash
# The one test command: everything that must hold before a change is finished.
#
#   bash tests/run.sh            formatting, lints, tests, documentation, the quick start
#   bash tests/run.sh --quick    without the lints of other feature sets, the checks of unsafe code,
#                                the fuzzing and the documentation
#   bash tests/run.sh --soak     with the long versions of the randomised tests
#
# Needs cargo, C and C++ compilers, Python 3 and a Redis server; installs all but cargo, and missing
# rustup components, where it may.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=false
for argument in "$@"; do
    case "$argument" in
        --quick) quick=true ;;
        --soak) export LARDER_SOAK=1 ;;
        -h | --help)
            sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *)
            echo "unknown option $argument; run with --help for the options there are" >&2
            exit 2
            ;;
    esac
done

# ── what is needed ──

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

need_cargo() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    command -v cargo >/dev/null ||
        die "cargo is missing. Install the Rust toolchain:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
}

# need_component NAME: a cargo subcommand that comes as a component of the toolchain.
need_component() {
    if cargo "$1" --version >/dev/null 2>&1; then
        return
    fi
    command -v rustup >/dev/null ||
        die "cargo $1 is missing. Install it with the package manager that brought cargo."
    rustup component add "$1" ||
        die "cargo $1 is missing and could not be installed. Run: rustup component add $1"
}

# cc links; c++ builds libFuzzer.
need_compilers() {
    if command -v cc >/dev/null && command -v c++ >/dev/null; then
        return
    fi
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y g++ libc6-dev ||
            die "a C++ compiler is missing and could not be installed. Run: apt-get install g++"
        return
    fi
    die "a C or C++ compiler (cc, c++) is missing. Install gcc or clang; on Debian: sudo apt-get install g++"
}

# The serializer `pickle` is compared with a real Python.
need_python() {
    if command -v "${PYTHON:-python3}" >/dev/null; then
        return
    fi
    if [ -z "${PYTHON:-}" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y python3 ||
            die "python3 is missing and could not be installed. Run: apt-get install python3"
        return
    fi
    die "${PYTHON:-python3} is missing. Install Python 3.8 or later; on Debian: sudo apt-get install python3"
}

# Fault tests start servers, sentinels and clusters of their own, on free ports. The package starts
# one more when it is installed, where there is somebody to start it; nobody here talks to it.
need_redis() {
    if command -v "${LARDER_REDIS_SERVER:-redis-server}" >/dev/null && command -v redis-cli >/dev/null; then
        return
    fi
    if [ -z "${LARDER_REDIS_SERVER:-}" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y redis-server redis-tools ||
            die "redis-server is missing and could not be installed. Run: apt-get install redis-server"
        return
    fi
    die "${LARDER_REDIS_SERVER:-redis-server} or redis-cli is missing. Install Redis 7.0 or later; on Debian: sudo apt-get install redis-server redis-tools"
}

# The plugin in C is run under valgrind where it is there: another look at memory, not a must.
want_valgrind() {
    if command -v valgrind >/dev/null || ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        return
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y valgrind >/dev/null 2>&1 ||
        echo "no valgrind: the plugin in C is tried without it"
}

# ── sections ──

sections=0

# section TITLE COMMAND...: runs the command under a headline and says how long it took.
section() {
    local title=$1 start=$SECONDS
    shift
    printf '\n━━ %s\n' "$title"
    # Under `set -e` a command in a condition would run on after a failure inside it.
    "$@"
    printf '   %s: ok, %d s\n' "$title" "$((SECONDS - start))"
    sections=$((sections + 1))
}

scratch=$(mktemp -d)

finish() {
    local status=$?
    rm -rf "$scratch"
    if [ "$status" != 0 ]; then
        printf '\nFAILED after %d s, %d sections were ok; the failure stands above\n' \
            "$SECONDS" "$sections" >&2
    fi
}
trap finish EXIT

lint() {
    cargo clippy --locked "$@" -- -D warnings
}

# Only crates that have features are built again, so that the matrix stays cheap.
lint_other_feature_sets() {
    local manifest crate
    for manifest in $(grep -l '^\[features\]' config-schema/Cargo.toml {framework,plugins}/*/Cargo.toml); do
        crate=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)
        echo "$crate: no features"
        lint -p "$crate" --no-default-features
        echo "$crate: all features"
        lint -p "$crate" --all-features
    done
}

# The engines are features that no other test turns on. With the workspace, so that only `larder` is
# built again.
test_disk_engines() {
    cargo test --workspace --locked --features larder/foyer,larder/redb --test disk_engines
}

# Loom tries every order in which readers and writers can meet.
try_every_order() {
    RUSTFLAGS="--cfg loom" cargo test --release --locked -p larder-store --lib \
        --target-dir target/loom epoch::model
}

# has_nightly TEST...: whether there is a nightly toolchain with which the test succeeds.
has_nightly() {
    command -v rustup >/dev/null && rustup toolchain list | grep -q '^nightly' && "$@" >/dev/null 2>&1
}

# The store's own tests and some of those of libraries again, with a checker of every memory access: each finds what the other
# cannot. Both need a nightly toolchain and are passed over without one.
check_memory() {
    if has_nightly true; then
        RUSTFLAGS="-Zsanitizer=address" cargo +nightly test --locked -p larder-store --lib \
            --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir target/asan
    else
        echo "no nightly toolchain, so no address sanitizer: rustup toolchain install nightly"
    fi
    if has_nightly cargo +nightly miri --version; then
        MIRIFLAGS="-Zmiri-strict-provenance" cargo +nightly miri test --locked -p larder-store \
            --lib --target-dir target/miri -- "${MIRI_TESTS[@]}"
        MIRIFLAGS="-Zmiri-strict-provenance" cargo +nightly miri test --locked -p larder-abi \
            --test abi --target-dir target/miri -- extensible::what extensible::a_struct
        # Libraries and their threads stay until the process ends, and so does what they stand on.
        MIRIFLAGS="-Zmiri-ignore-leaks" cargo +nightly miri test --locked -p larder-dynamic \
            --lib --target-dir target/miri -- "${MIRI_TESTS_OF_LIBRARIES[@]}"
    else
        echo "no Miri: rustup component add --toolchain nightly miri"
    fi
}

# What touches raw memory, in a size that Miri can bear.
MIRI_TESTS=(chunks epoch ids index slot::tests store::tests::many:: store::tests::reads
    store::tests::split store::tests::threads threads::tests)

# Both sides of the boundary in one process, as far as Miri knows the system.
MIRI_TESTS_OF_LIBRARIES=(change:: guard:: host::buffer borrow:: adapt::keeper::place
    adapt::tests::protocol)

# The paths of the file backend for other systems are compiled, where their standard library can
# be had; they are not run.
compile_for_other_systems() {
    local target
    for target in x86_64-pc-windows-gnu x86_64-apple-darwin; do
        if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then
            cargo check --locked -p larder-file --target "$target" --target-dir target/other
        else
            echo "no standard library for $target: rustup target add $target"
        fi
    done
}

# A program that is linked statically can load no library, and has to say so.
test_static_programs() {
    local target
    target=$(uname -m)-unknown-linux-musl
    if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then
        cargo test --locked -p larder-dynamic --test loading --target "$target" \
            --target-dir target/other -- linked_statically
    else
        echo "no standard library for $target: rustup target add $target"
    fi
}

build_documentation() {
    RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --no-deps --locked
}

# The quick start keeps its cache in the folder of the variable: the first run fills it, and a
# second process must be answered from there.
run_quick_start() {
    local first second
    export LARDER_QUICKSTART_DIR=$scratch/quickstart
    first=$(cargo run --quiet --locked -p larder-examples --example quickstart)
    second=$(cargo run --quiet --locked -p larder-examples --example quickstart)
    printf 'first run:\n%s\nsecond run:\n%s\n' "$first" "$second"
    expect_file_tier "$first" "$second"
}

# expect_file_tier FIRST SECOND: what the two runs of the quick start must and must not say.
expect_file_tier() {
    local phrase='from the file tier'
    ! grep -qi -- "$phrase" <<<"$1" || die "the first run found values in an empty folder"
    grep -qi -- "$phrase" <<<"$2" || die "the second run was not answered $phrase"
}

need_cargo
need_compilers
need_python
need_redis
want_valgrind
need_component fmt
need_component clippy

section "formatting" cargo fmt --all --check
section "lints" lint --workspace --all-targets
if ! $quick; then
    section "lints of other feature sets" lint_other_feature_sets
fi
section "tests and doc tests" cargo test --workspace --locked
section "disk engines through a config" test_disk_engines
if ! $quick; then
    section "every order of readers and writers" try_every_order
    section "memory accesses of the store and of libraries" check_memory
    section "fuzzing, briefly" bash tests/fuzz.sh
    section "files on other systems" compile_for_other_systems
    section "documentation" build_documentation
fi
if cargo deny --version >/dev/null 2>&1; then
    # Advisories need the network and change by the day, so they are no part of a test.
    section "licences and sources" cargo deny --locked check bans licenses sources
fi
if [ -n "${LARDER_SOAK:-}" ]; then
    section "programs that are linked statically" test_static_programs
fi
section "quick start, twice" run_quick_start

printf '\nOK: %d sections in %d s\n' "$sections" "$SECONDS"
