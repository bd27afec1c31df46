#!/usr/bin/env bash
# The library for a browser: compiles for wasm32-unknown-unknown, with the GPU and without.
#
#   UNMIXEL_WASM=auto      compile where the target is there or can be had, else say loudly that it
#                          was not (default)
#   UNMIXEL_WASM=require   no target is a failure
#   UNMIXEL_WASM=skip      do nothing
#
# The target comes from rustup. Where that fails, on Debian, from its packages of the compiler that
# browsers are built with, unpacked into a folder of their own: `build-std` then builds the standard
# library from source.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
mode="${UNMIXEL_WASM:-auto}"
case "$mode" in
    auto | require) ;;
    skip) echo "wasm.sh: SKIPPED, UNMIXEL_WASM=skip: nothing was compiled for browsers"; exit 0 ;;
    *) echo "wasm.sh: UNMIXEL_WASM takes auto, require or skip, not '$mode'" >&2; exit 2 ;;
esac
# What is built here is no use to native builds, and the other way round.
export CARGO_TARGET_DIR="${UNMIXEL_WASM_TARGET:-target/wasm}"
# A release that the packages hold, and the LLVM that it needs.
release="${UNMIXEL_WASM_RELEASE:-1.96}"
llvm="${UNMIXEL_WASM_LLVM:-libllvm22}"

has_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]
}

# The compiler of Debian's packages, below a folder that is no part of the project.
from_packages() {
    command -v apt-get > /dev/null && command -v dpkg > /dev/null || return 1
    local root="${XDG_CACHE_HOME:-$HOME/.cache}/unmixel/rust-web-$release"
    if [ ! -x "$root/usr/bin/rustc" ]; then
        mkdir -p "$root"
        (
            cd "$root"
            apt-get download rustc-web "libstd-rust-web-$release" libstd-rust-web-dev \
                rust-web-src "$llvm" > /dev/null
            for package in ./*.deb; do dpkg -x "$package" .; done
            rm -f ./*.deb
        ) || return 1
    fi
    export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu"
    export RUSTC="$root/usr/bin/rustc" RUSTC_BOOTSTRAP=1
    local lld
    lld="$(LD_LIBRARY_PATH='' rustc --print sysroot)/lib/rustlib"
    lld="$lld/x86_64-unknown-linux-gnu/bin/rust-lld"
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$lld"
    options=(-Zbuild-std=std,panic_abort)
}

options=()
if ! has_target &&
    ! { command -v rustup > /dev/null && rustup target add "$target" && has_target; }; then
    if ! from_packages; then
        echo "wasm.sh: SKIPPED, NO TARGET $target: nothing was compiled for browsers" >&2
        [ "$mode" != require ]
        exit
    fi
fi
for features in "" gpu; do
    echo "wasm.sh: the library for $target, features: ${features:-none}"
    cargo check --lib --no-default-features --features "$features" --target "$target" \
        "${options[@]}"
done
echo "wasm.sh: the library compiles for browsers"
