#!/usr/bin/env bash
# Ctrl-C, SIGTERM and SIGHUP at twenty random moments of every stage of fit, compare, count,
# calibrate and simulate: results are there, and how long it took.
#
#   scripts/interrupts.sh [MOMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."
UNMIXEL_MOMENTS="${1:-20}" cargo test --release --test cli -- --nocapture --test-threads 1 moments::
