#!/usr/bin/env bash
# The first minutes on a machine with a GPU, where nothing can be built or fetched: everything is
# prepared elsewhere, and one script measures what tells most, in the order of what tells most.
#
#   benches/hardware.sh prepare FOLDER [SCENE]   builds for release; fills FOLDER (75 MB, 30 as tgz)
#   FOLDER/hardware.sh run OUT [SECONDS]         there: at most SECONDS (340), logs and JSON in OUT
#
# SCENE is a real scene that travels along, fitted at defaults with three endmembers. A step that
# would outlast what is left of the time is cut off, and OUT/steps.json says so.
#
#   UNMIXEL_GPU=require   a machine without an adapter fails (default); auto: a software one will do
#   HARDWARE_PIXELS=N     rows and columns of the large scene (1000)
#   HARDWARE_COPIES=N     copies of it, one below the other, that make the scene which is streamed
#                         (20, 16 GB; 0: none)
set -euo pipefail

# Tests of shaders against their twins on the CPU, and of fits on a device.
TESTS=(twins pixel_kernels spectra profile low_rank covariance)

prepare() {
    local folder="$1" scene="${2:-}" test found
    cd "$(dirname "$0")/.."
    mkdir -p "$folder/tests"
    cargo build --release
    cp "${CARGO_TARGET_DIR:-target}/release/unmixel" "$folder/"
    for test in "${TESTS[@]}"; do
        found="$(cargo test --no-run --test "$test" 2>&1 |
            sed -n 's/.*Executable .*(\(.*\))$/\1/p' | tail -1)"
        cp "$found" "$folder/tests/$test"
    done
    strip "$folder/unmixel" "$folder"/tests/*
    cp "$0" benches/peers/numpyro_pmm.py "$folder/"
    [ -z "$scene" ] || cp "$scene" "$folder/"
    [ -z "$scene" ] || basename "$scene" > "$folder/scene.name"
    du -sh "$folder"
}

run() {
    out="$1"
    here="$(cd "$(dirname "$0")" && pwd)"
    mkdir -p "$out"
    out="$(cd "$out" && pwd)"
    end=$(($(date +%s) + ${2:-340}))
    export UNMIXEL_GPU="${UNMIXEL_GPU:-require}"
    work="$(mktemp -d)"
    steps=()
    trap finish EXIT
    watch_power "$out/power.csv"
    cd "$work"

    step devices 20 "$here/unmixel" devices --json
    # Without a cache of the driver the first run compiles, the second shows what the cache saves.
    small=(fit "$work/s/scene.npz" -k 3 --steps 1 --init vca --device gpu --force)
    step scene 20 "$here/unmixel" simulate --rows 95 --cols 95 --bands 156 --out "$work/s"
    step compile-first 40 "$here/unmixel" "${small[@]}" --out "$out/compile-first"
    step compile-again 40 "$here/unmixel" "${small[@]}" --out "$out/compile-again"
    step fit-defaults 60 "$here/unmixel" fit "$work/s/scene.npz" -k 3 --device gpu --out "$out/fit"
    if [ -f "$here/scene.name" ]; then
        step fit-scene 60 "$here/unmixel" fit "$here/$(cat "$here/scene.name")" -k 3 --device gpu \
            --out "$out/fit-scene"
    fi
    for test in "${TESTS[@]}"; do
        step "test-$test" 60 "$here/tests/$test" --test-threads 1
    done
    step bench-quick 60 "$here/unmixel" bench --quick --out "$out/bench-quick"
    peers
    local side="${HARDWARE_PIXELS:-1000}"
    step scene-large 60 "$here/unmixel" simulate --rows "$side" --cols "$side" --bands 200 -k 6 \
        --out "$work/l"
    for device in gpu cpu; do
        step "fit-large-$device" 90 "$here/unmixel" fit "$work/l/scene.img" -k 6 --save \
            --truth "$work/l/truth.npz" --device "$device" --out "$out/fit-large-$device"
    done
    step apply-large-gpu 60 "$here/unmixel" apply "$out/fit-large-gpu" "$work/l/scene.img" \
        --device gpu --out "$out/apply-large-gpu"
    # Steps that take all pixels, with spectra in 32 and in 16 bits.
    for cube in f32 f16; do
        step "steps-large-$cube" 40 "$here/unmixel" fit "$work/l/scene.img" -k 6 --init vca \
            --posterior guide --no-early-stop --steps 2000 --batch-size 10000 --cube "$cube" \
            --device gpu --format png --out "$out/steps-large-$cube"
    done
    streamed "$side" "${HARDWARE_COPIES:-20}"
    step bench 120 "$here/unmixel" bench --out "$out/bench"
}

# A scene that is larger than the memory that it is given: read by rows, its pixels on the GPU.
streamed() {
    local side="$1" copies="$2" from="$work/l/scene"
    [ "$copies" -gt 0 ] && [ -f "$from.hdr" ] || return 0
    sed "s/^lines *=.*/lines = $((side * copies))/" "$from.hdr" > "$work/streamed.hdr"
    step streamed-written 60 bash -c "for i in \$(seq $copies); do cat '$from.img'; done > \
        '$work/streamed.img'"
    step streamed 240 "$here/unmixel" fit "$work/streamed.img" -k 6 --memory 2GiB --device gpu \
        --format png --out "$out/streamed"
    rm -f "$work/streamed.img"
}

# The model of the peer and ours on one card: one draw, mean-field, noise a band, 2,000 steps.
peers() {
    python3 -c 'import numpyro' 2> /dev/null || return 0
    local batch
    for batch in 500 9025; do
        step "peer-numpyro-$batch" 40 python3 "$here/numpyro_pmm.py" --batch "$batch"
        step "peer-numpyro-scan-$batch" 40 \
            python3 "$here/numpyro_pmm.py" --batch "$batch" --scan 100
        step "peer-ours-$batch" 20 "$here/unmixel" fit "$work/s/scene.npz" -k 3 --init vca \
            --brightness off --variability off --guide mean-field --effective-bands all \
            --particles 1 --noise band --no-early-stop --steps 2000 --batch-size "$batch" \
            --device gpu --out "$out/peer-ours-$batch"
    done
}

# Power, clock and load, five times a second, where NVIDIA's or the kernel's counters are there.
watch_power() {
    if command -v nvidia-smi > /dev/null; then
        nvidia-smi > "$(dirname "$1")/nvidia-smi.txt" 2>&1 || true
        nvidia-smi --query-gpu=timestamp,power.draw,utilization.gpu,clocks.sm,memory.used \
            --format=csv,noheader -lms 200 > "$1" 2> /dev/null &
        watcher=$!
    fi
}

# Runs one step, at most so many seconds and as long as there is time; never ends the script.
step() {
    local name="$1" most="$2" left code=0 begin
    shift 2
    left=$((end - $(date +%s)))
    if [ "$left" -lt 3 ]; then
        steps+=("{\"step\":\"$name\",\"code\":null,\"seconds\":0}")
        return
    fi
    [ "$most" -le "$left" ] || most="$left"
    begin="$(date +%s.%N)"
    timeout -k 5 "$most" "$@" > "$out/$name.log" 2>&1 < /dev/null || code=$?
    local took
    took="$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f", b - a }')"
    steps+=("{\"step\":\"$name\",\"code\":$code,\"seconds\":$took}")
    echo "$name: code $code, $took s"
}

finish() {
    [ -z "${watcher:-}" ] || kill "$watcher" 2> /dev/null || true
    # Maps of a million pixels are no figures.
    find "$out" -name '*.npy' -size +1M -delete -o -name '*.tif' -size +1M -delete
    local IFS=,
    printf '{"host":"%s","steps":[%s]}\n' "$(uname -srm)" "${steps[*]}" > "$out/steps.json"
    rm -rf "$work"
}

case "${1:-}" in
    prepare) prepare "${2:?name a folder}" "${3:-}" ;;
    run) run "${2:?name a folder for the results}" "${3:-340}" ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
