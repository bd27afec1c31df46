#!/usr/bin/env python3
"""Entropic descent archetypal analysis (EDAA) of Zouaoui et al. 2023: our implementation in NumPy.

    edaa.py --scene scene.npz -k 3 --out result.npz [--seed 0] [--starts 50]

Zouaoui, Muhawenayo, Rasti, Chanussot & Mairal, "Entropic Descent Archetypal Analysis for Blind
Hyperspectral Unmixing", IEEE Transactions on Image Processing 32, 2023. Archetypal analysis of
pixels of norm one, both factors by mirror descent, as the paper sets it: 50 starts with a random
factor of the step, 100 outer iterations with five of each factor; of the starts whose absolute
error is within 5 % of the least, the one whose spectra correlate least is taken. Float32.
"""
import numpy as np

import common

OUTER, INNER, TOLERANCE = 100, 5, 0.05


def descend(values, gradient):
    """One step of mirror descent on columns of sum one."""
    logs = np.log(np.maximum(values, 1e-30)) - gradient
    logs -= logs.max(axis=0)
    np.exp(logs, out=logs)
    return logs / logs.sum(axis=0)


def start(pixels, count, rng):
    """One start: spectra (bands, K), shares (K, pixels), absolute error; of (bands, pixels)."""
    number = pixels.shape[1]
    shares = np.full((count, number), 1.0 / count, np.float32)
    weights = np.exp(0.1 * rng.random((number, count), dtype=np.float32))
    weights /= weights.sum(axis=0)
    spectra = pixels @ weights
    step = np.float32(2.0 ** rng.integers(-3, 4) / np.linalg.norm(spectra, 2) ** 2)
    step_weights = step * np.float32(np.sqrt(count / number))
    for _ in range(OUTER):
        of_pixels, of_spectra = spectra.T @ pixels, spectra.T @ spectra
        for _ in range(INNER):
            shares = descend(shares, step * (of_spectra @ shares - of_pixels))
        back, products = pixels @ shares.T, shares @ shares.T
        for _ in range(INNER):
            inner = (pixels @ weights) @ products - back
            weights = descend(weights, step_weights * (pixels.T @ inner))
        spectra = pixels @ weights
    return spectra, shares, float(np.abs(pixels - spectra @ shares).sum())


def likeness(spectra):
    """The largest correlation between two spectra."""
    return (np.corrcoef(spectra.T) - 2 * np.eye(spectra.shape[1])).max()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--starts", type=int, default=50)
    args = parser.parse_args()
    stages = common.Stages()
    cube = common.read(args.scene)
    spectra = cube.reshape(-1, cube.shape[-1]).T
    norms = np.maximum(np.linalg.norm(spectra, axis=0), 1e-12)
    pixels = np.ascontiguousarray(spectra / norms, np.float32)
    rng = np.random.default_rng(args.seed)
    found = [start(pixels, args.endmembers, rng) for _ in range(args.starts)]
    least = min(one[2] for one in found)
    near = [one for one in found if one[2] - least < TOLERANCE * one[2]]
    endmembers, shares, _ = min(near, key=lambda one: likeness(one[0]))
    stages.done("fit")
    abundances = shares.T.reshape(*cube.shape[:2], -1)
    common.write(args, "edaa", stages, endmembers.T, abundances)


if __name__ == "__main__":
    main()
