#!/usr/bin/env bash
# The Python package as users get it: `pip install ./python` into a fresh environment (optimised,
# some minutes), a fit of a file, then the package's tests against what was installed.
#
#   PYTHON=python3 names the interpreter; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
case "$target" in /*) ;; *) target="$PWD/$target" ;; esac
mkdir -p "$target/tmp"
folder="$(mktemp -d "$target/tmp/wheel.XXXXXX")"
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
CARGO_TARGET_DIR="$target" "$folder/venv/bin/pip" install -q ./python
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import unmixel as ux

made = ux.simulate(20, 20, 30, 3)
np.savez("scene.npz", cube=made.cube, wavelength=made.wavelengths)
fit = ux.Unmixing(3, seed=7).fit(ux.open("scene.npz"))
assert fit.abundances.shape == (3, 20, 20)
print(f"wheel.sh: {ux.__file__}: {fit}")
PYTHON
"$folder/venv/bin/pip" install -q -r "$OLDPWD/python/tests/requirements.txt" \
    -r "$OLDPWD/tests/formats/requirements.txt"
"$folder/venv/bin/python" -m pytest -q "$OLDPWD/python/tests" "$@"
echo "wheel.sh: passed"
