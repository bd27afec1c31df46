"""How near a result is to a known truth: one scoring for all methods, ours included."""
import json
import pathlib
import sys

import numpy as np

import common

# Abundances are written as float32.
ROUNDING = 1e-6


def angles(first, second):
    """Spectral angles, radians, between every two of spectra (a, bands) and (b, bands)."""
    def units(spectra):
        return spectra / np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), 1e-12)
    return np.arccos(np.clip(units(first) @ units(second).T, -1.0, 1.0))


def result(path):
    """What a peer wrote, its abundances in the peak convention."""
    with np.load(path) as file:
        found = {name: file[name] for name in file}
    if str(found.get("convention", "reflectance")) != "peak":
        found["abundances"] = common.to_peak(found["abundances"], found["endmembers"])
    return found


def ours(folder):
    """The same of a folder that `unmixel fit --convention peak --format npy` wrote."""
    folder = pathlib.Path(folder)
    with open(folder / "endmembers.csv", encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
        rows = np.array([[float(one or "nan") for one in line.split(",")] for line in file])
    means = [place for place, name in enumerate(names) if name.endswith("_mean")]
    parts = dict(abundances="mean", abundances_q05="q05", abundances_q95="q95")
    found = {key: np.load(folder / f"abundance_{part}.npy") for key, part in parts.items()}
    return dict(found, endmembers=rows[:, means].T)


def truth(path):
    """Known endmembers (K, bands) and abundances (rows, columns, K), peak convention."""
    with np.load(path) as file:
        endmembers, shares = file["endmembers"].astype(float), file["abundances"].astype(float)
    return dict(endmembers=endmembers, abundances=common.to_peak(shares, endmembers))


def matched(found, known):
    """`found` with its materials in the order of the truth: the matching of least total angle."""
    from scipy.optimize import linear_sum_assignment

    order = linear_sum_assignment(angles(known["endmembers"], found["endmembers"]))[1]
    ordered = dict(found, endmembers=found["endmembers"][order])
    for name in ("abundances", "abundances_q05", "abundances_q95"):
        if name in found:
            ordered[name] = found[name][..., order]
    return ordered


def score(found, known):
    """RMSE of abundances, mean spectral angle, and the share that 90 % intervals hold."""
    ordered = matched(found, known)
    shares = known["abundances"]
    each = np.diag(angles(known["endmembers"], ordered["endmembers"]))
    scores = dict(rmse=float(np.sqrt(((ordered["abundances"] - shares) ** 2).mean())),
                  sad=float(each.mean()), sad_each=[float(one) for one in each])
    if "abundances_q05" in ordered:
        low, high = ordered["abundances_q05"] - ROUNDING, ordered["abundances_q95"] + ROUNDING
        scores["held"] = float(((shares >= low) & (shares <= high)).mean())
    return scores


def main():
    """`scores.py TRUTH RESULT ...` prints JSON: scores, or an error, of each result."""
    known, every = truth(sys.argv[1]), {}
    for path in sys.argv[2:]:
        try:
            found = ours(path) if pathlib.Path(path).is_dir() else result(path)
            every[path] = dict(scores=score(found, known))
        except (OSError, KeyError, ValueError) as error:
            every[path] = dict(error=f"its results cannot be scored: {error}")
    print(json.dumps(every))


if __name__ == "__main__":
    main()
