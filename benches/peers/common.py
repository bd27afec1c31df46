"""What the peers share: their contract, and the textbook methods that several of them begin from.

A peer is a program: it reads an .npz with `cube` (rows, columns, bands), writes an .npz with
`endmembers` (K, bands) and `abundances` (rows, columns, K), where it has intervals `abundances_q05`
and `abundances_q95`, too, and prints one line of JSON: its name, its device, seconds of its stages.
Abundances are shares of area; with `convention` "peak" in the file, of peak-normalised spectra.
"""
import argparse
import json
import time

import numpy as np


def parser(doc):
    """The options of every peer; `doc` is the docstring of its file."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--scene", required=True, help=".npz with an array `cube`")
    made.add_argument("--out", required=True, help=".npz for endmembers and abundances")
    made.add_argument("-k", "--endmembers", type=int, required=True)
    made.add_argument("--seed", type=int, default=0)
    return made


class Stages:
    """Seconds of each stage of a peer, from one call to the next."""

    def __init__(self):
        self.seconds = {}
        self.began = time.perf_counter()

    def done(self, name):
        now = time.perf_counter()
        self.seconds[name] = round(now - self.began, 3)
        self.began = now


def read(path):
    """The cube, float64."""
    return np.load(path)["cube"].astype(np.float64)


def write(args, peer, stages, endmembers, abundances, device="cpu", said=(), **others):
    """Writes the results and prints the line of JSON; `said` are further figures for it."""
    np.savez(args.out, endmembers=np.asarray(endmembers, np.float32),
             abundances=np.asarray(abundances, np.float32), **others)
    stages.done("write")
    print(json.dumps(dict(peer=peer, device=device, seconds=stages.seconds, **dict(said))))


def to_peak(abundances, endmembers):
    """Shares of peak-normalised spectra: of spectra (..., K, bands) and shares of area (..., K).

    They do not depend on the scale of spectra, which a loss of angles leaves open.
    """
    shares = abundances * endmembers.max(axis=-1)
    return shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1e-12)


def vca(spectra, count, rng):
    """Spectra (count, bands) by vertex component analysis of spectra (pixels, bands).

    Nascimento & Bioucas-Dias, IEEE TGRS 43(4), 2005: at a high ratio of signal to noise pixels are
    projected onto the plane through their mean projection; then the pixel that is furthest along a
    random direction, orthogonal to all found so far, is the next.
    """
    mean = spectra.mean(axis=0)
    second = spectra.T @ spectra / len(spectra)
    basis = np.linalg.svd(second)[0][:, :count]
    inside = spectra @ basis
    signal = (inside ** 2).sum(axis=1).mean()
    power = (spectra ** 2).sum(axis=1).mean()
    bands = spectra.shape[1]
    ratio = 10 * np.log10(max((signal - count / bands * power) / (power - signal), 1e-12))
    if ratio < 15 + 10 * np.log10(count):
        centred = spectra - mean
        axes = np.linalg.svd(centred.T @ centred / len(spectra))[0][:, :count - 1]
        low = centred @ axes
        height = np.sqrt((low ** 2).sum(axis=1).max())
        points = np.hstack([low, np.full((len(low), 1), height)])
    else:
        points = inside / (inside @ inside.mean(axis=0))[:, None]
    found = np.zeros((count, count))
    found[-1, 0] = 1.0
    places = []
    for place in range(count):
        draw = rng.normal(size=count)
        away = draw - found @ (np.linalg.pinv(found) @ draw)
        places.append(int(np.abs(points @ (away / np.linalg.norm(away))).argmax()))
        found[:, place] = points[places[-1]]
    return spectra[places]


def fcls(spectra, endmembers):
    """Shares (pixels, K) by fully constrained least squares: not negative, of sum one.

    Heinz & Chang, IEEE TGRS 39(3), 2001: the sum is one more, heavy, band.
    """
    from scipy.optimize import nnls

    heavy = 100.0 * np.abs(endmembers).max()
    system = np.vstack([endmembers.T, np.full(len(endmembers), heavy)])
    shares = np.array([nnls(system, np.append(pixel, heavy))[0] for pixel in spectra])
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
