#!/usr/bin/env bash
# All tests, from a checkout and a Rust toolchain alone: finds or installs a Vulkan driver, so that
# the shaders run even without a GPU, then the Rust tests, then the shaders through Tint.
#
#   UNMIXEL_GPU=auto      run shader tests if there is an adapter, else skip them loudly (default)
#   UNMIXEL_GPU=require   no adapter is a failure
#   UNMIXEL_GPU=skip      run none, install nothing
#   UNMIXEL_PYTHON=auto|require|skip   the same for the Python package (python/), and the formats
#                          that Python's libraries write and read (tests/formats/requirements.txt);
#                          PYTHON=python3 names the interpreter
#   UNMIXEL_PACKAGE=auto|skip   the Python package alone: it takes ten minutes on two cores
#   UNMIXEL_TINT=auto|require|skip   the same for Tint, which takes node and a download of 132 MB
#
# Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

export UNMIXEL_GPU="${UNMIXEL_GPU:-auto}"
export UNMIXEL_PYTHON="${UNMIXEL_PYTHON:-auto}"
tint_mode="${UNMIXEL_TINT:-auto}"
package_mode="${UNMIXEL_PACKAGE:-$UNMIXEL_PYTHON}"
for mode in "$UNMIXEL_GPU" "$UNMIXEL_PYTHON" "$tint_mode" "$package_mode"; do
    case "$mode" in
        auto | require | skip) ;;
        *)
            echo "run.sh: UNMIXEL_GPU, UNMIXEL_PYTHON, UNMIXEL_PACKAGE and UNMIXEL_TINT take" \
                "auto, require or skip, not '$mode'" >&2
            exit 2
            ;;
    esac
done
skipped=()

# True if the Vulkan loader and at least one driver are there. macOS and Windows bring their own
# graphics interface.
driver_found() {
    [ "$(uname -s)" = Linux ] || return 0
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep 'libvulkan\.so\.1' > /dev/null ||
        return 1
    # Loaders read a list of files from here and then look no further.
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
    local data="${XDG_DATA_HOME:-$HOME/.local/share}"
    compgen -G '/usr/share/vulkan/icd.d/*.json' > /dev/null ||
        compgen -G '/usr/local/share/vulkan/icd.d/*.json' > /dev/null ||
        compgen -G '/etc/vulkan/icd.d/*.json' > /dev/null ||
        compgen -G "$data/vulkan/icd.d/*.json" > /dev/null
}

# Package servers fail now and then.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        echo "run.sh: '$*' failed, try $try of 3" >&2
        sleep $((5 * try))
    done
    return 1
}

install_driver() {
    local root=()
    command -v apt-get > /dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2> /dev/null || return 1
        root=(sudo -n)
    fi
    echo "run.sh: no Vulkan driver; installing Mesa's software driver (mesa-vulkan-drivers)"
    retry "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        retry "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends libvulkan1 mesa-vulkan-drivers > /dev/null
}

if [ "$UNMIXEL_GPU" != skip ] && ! driver_found && ! { install_driver && driver_found; }; then
    echo "run.sh: NO VULKAN DRIVER. On Debian or Ubuntu:" \
        "apt-get install libvulkan1 mesa-vulkan-drivers" >&2
    [ "$UNMIXEL_GPU" = auto ] || exit 1
    skipped+=("shaders on a device: no Vulkan driver")
fi
[ "$UNMIXEL_GPU" != skip ] || skipped+=("shaders on a device: UNMIXEL_GPU=skip")

# Python's libraries for files, in an environment of their own; the tests ask for the same modules.
python_found() {
    "$PYTHON" -c 'import rasterio, h5py, netCDF4, scipy, hdf5storage, zarr, xarray, rio_cogeo' \
        > /dev/null 2>&1
}
export PYTHON="${PYTHON:-python3}"
if [ "$UNMIXEL_PYTHON" != skip ] && ! python_found; then
    venv="${CARGO_TARGET_DIR:-target}/tmp/python"
    if "$PYTHON" -m venv "$venv" &&
        retry "$venv/bin/pip" install -q -r tests/formats/requirements.txt; then
        PYTHON="$PWD/$venv/bin/python"
        case "$venv" in /*) PYTHON="$venv/bin/python" ;; esac
    fi
    if ! python_found; then
        echo "run.sh: PYTHON LACKS the libraries of tests/formats/requirements.txt" >&2
        [ "$UNMIXEL_PYTHON" = auto ] || exit 1
        skipped+=("formats against Python's libraries: they are not installed")
    fi
fi
[ "$UNMIXEL_PYTHON" != skip ] ||
    skipped+=("formats against Python's libraries: UNMIXEL_PYTHON=skip")

# Mesa complains on every start without it.
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    XDG_RUNTIME_DIR="$(mktemp -d)"
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi

# With the Python package beside it, everything is built once, of the features of both.
packages=()
[ "$package_mode" = skip ] || packages=(-p unmixel -p unmixel-python)
cargo test ${packages[@]+"${packages[@]}"} "$@"

# The Python package, of the units that the tests above are built of, then its own tests; no library
# may be missing. `scripts/wheel.sh` builds it as users do.
python_package() {
    local target="${CARGO_TARGET_DIR:-target}" root="$PWD" venv files built
    case "$target" in /*) ;; *) target="$root/$target" ;; esac
    venv="$target/tmp/package-venv" files="$target/tmp/package"
    if ! { [ -x "$venv/bin/pip" ] || "$PYTHON" -m venv "$venv"; } ||
        ! retry "$venv/bin/pip" install \
            -q -r python/tests/requirements.txt -r tests/formats/requirements.txt; then
        echo "run.sh: PYTHON PACKAGE SKIPPED: no environment with python/tests/requirements.txt" >&2
        [ "$UNMIXEL_PYTHON" = auto ] || return 1
        skipped+=("the Python package: its libraries cannot be installed")
        return 0
    fi
    cargo build -q "${packages[@]}" --lib --bins --tests || return 1
    for built in "$target"/debug/lib_unmixel.so "$target"/debug/lib_unmixel.dylib; do
        [ ! -e "$built" ] || break
    done
    rm -rf "$files" && mkdir -p "$files" && cp -R python/unmixel "$files" || return 1
    cp "$built" "$files/unmixel/_unmixel.abi3.so" || return 1
    (cd "$target/tmp" && PYTHONPATH="$files" UNMIXEL_PYTHON=require \
        UNMIXEL_PROGRAM="$target/debug/unmixel" \
        "$venv/bin/python" -m pytest -q "$root/python/tests")
}

if [ "$package_mode" = skip ]; then
    skipped+=("the Python package: UNMIXEL_PACKAGE=skip")
else
    python_package
fi

# Says why Tint cannot run, if so. The shader texts come from the Rust tests.
tint_missing() {
    if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
        echo "node and npm are not installed"
    elif ! (cd tests/tint && [ -d node_modules/webgpu ] ||
        npm ci --ignore-scripts --no-audit --no-fund > /dev/null 2>&1); then
        echo "npm could not install webgpu 0.6.2"
    elif ! (cd tests/tint && node -e 'import("webgpu")' > /dev/null 2>&1); then
        echo "the webgpu package does not load on this machine"
    fi
}

if [ "$tint_mode" = skip ]; then
    reason="UNMIXEL_TINT=skip"
else
    reason="$(tint_missing)"
fi
if [ -n "$reason" ]; then
    echo "run.sh: TINT SKIPPED: $reason" >&2
    [ "$tint_mode" != require ] || exit 1
    skipped+=("Tint: $reason")
else
    node tests/tint/check.mjs "${CARGO_TARGET_DIR:-target}/tmp/shaders"
fi

if [ ${#skipped[@]} -eq 0 ]; then
    echo "run.sh: ALL TESTS PASSED, nothing skipped"
else
    echo "run.sh: all tests passed that ran; SKIPPED:"
    printf '  %s\n' "${skipped[@]}"
fi
