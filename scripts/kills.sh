#!/usr/bin/env bash
# Kills: at every write, sync, rename and removal in turn, and 1,000 at random moments.
#
#   scripts/kills.sh [NUMBER]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --release --lib -- --nocapture results::faults
UNMIXEL_KILLS="${1:-1000}" cargo test --release --test cli -- --nocapture kills::
