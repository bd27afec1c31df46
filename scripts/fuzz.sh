#!/usr/bin/env bash
# A million mutated inputs for each reader, with a plain harness (tests/fuzz.rs).
#
#   scripts/fuzz.sh                     every reader, 1,000,000 inputs each
#   scripts/fuzz.sh npz 50000           one reader, so many
#   scripts/fuzz.sh libfuzzer npz 600   libFuzzer, with coverage and AddressSanitizer: seconds
#
# The last needs a nightly toolchain and `cargo install cargo-fuzz`; dependencies are instrumented.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = libfuzzer ]; then
    reader="${2:?name a reader, as in fuzz/fuzz_targets}"
    case "${reader//-/_}" in
        npy | npz | truth_npz) words=npy ;;
        mat | truth_mat) words=mat ;;
        bench | record | checkpoint | fit) words=json ;;
        enmap) words=xml ;;
        *) words="$reader" ;;
    esac
    cargo test --quiet --test fuzz -- --ignored corpus
    exec cargo +nightly fuzz run "${reader//-/_}" -- \
        -dict="fuzz/dictionaries/$words.dict" -max_total_time="${3:-600}" -max_len=65536 \
        -rss_limit_mb=2048
fi

[ -z "${1:-}" ] || export UNMIXEL_FUZZ_READER="$1"
export UNMIXEL_FUZZ_RUNS="${2:-1000000}"
cargo test --release --test fuzz -- --nocapture readers_survive_any_bytes
