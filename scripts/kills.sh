#!/usr/bin/env bash
# Kills: at every write, sync, rename and removal in turn; 1,000 at random moments; and 200 of fits
# that then go on from their checkpoints.
#
#   scripts/kills.sh [NUMBER [OF_FITS_THAT_GO_ON]]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --release --lib -- --nocapture results::faults
UNMIXEL_KILLS="${1:-1000}" cargo test --release --test cli -- --nocapture kills::
UNMIXEL_KILLS="${2:-200}" cargo test --release --test cli -- --nocapture resume::
