#!/usr/bin/env python3
"""Does the search choose well? Simulated scenes, a planted hard case, and a real scene.

    benches/search.py choice [--seeds 0-19]     the chosen start against full fits from each start
    benches/search.py hard [--seeds 0-9]        a rare material close to another: found or not
    benches/search.py rank [--seeds 0-19]       the number of endmembers
    benches/search.py scene SCENE --truth T [-k 3] [--seeds 0-4]

What follows -- are options of all fits.

Needs a release build (or --unmixel PROGRAM), and NumPy. Everything is written below --out, a
temporary folder if none is given. No figure of a truth reaches the program: it scores when all is
done.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

STARTS = [
    "vca",
    "vca-normalised",
    "nfindr",
    "clusters",
    "simplex",
    "simplex-normalised",
    "nfindr-normalised",
    "random",
]
# Of two solutions, one as good as the other: the measure of the project.
NEAR = 1.10
# The rare material is 0.12 rad from its neighbour: nearer to the truth than half of that is found.
CLOSE, FOUND = 0.12, 0.06


def run(args, *words):
    """Runs the program; what it says on stdout and stderr."""
    done = subprocess.run([args.unmixel, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")
    return done.stdout, done.stderr


def small(seed):
    return ["--rows", 40, "--cols", 40, "--bands", 60 + 10 * (seed % 5)]


def simulate(args, name, seed, *options):
    out = args.out / name
    run(args, "simulate", "--out", out, "--force", "--seed", seed, *options)
    return out / "scene.npz", out / "truth.npz"


def fit(args, scene, truth, k, seed, *options):
    """The report of a fit, and its spectra in the order of the truth."""
    out = args.out / "fit"
    run(
        args,
        "fit",
        scene,
        "-k",
        k,
        "--out",
        out,
        "--force",
        "--seed",
        seed,
        "--truth",
        truth,
        *options,
        *args.options,
    )
    return json.loads((out / "report.json").read_text())


def scores(report):
    own = report["scores"][report["settings"]["convention"]]
    return own["abundance_rmse"], own["mean_sad"], own["sad"]


def choice(args):
    good = []
    for seed in args.seeds:
        k, pure = 3 + seed % 4, seed // 4 % 2 == 0
        options = ["-k", k, "--brightness", 0.3, "--variability", 0.03]
        scene, truth = simulate(
            args, "choice", seed, *small(seed), *options, *([] if pure else ["--no-pure-pixels"])
        )
        chosen, sad, _ = scores(fit(args, scene, truth, k, seed))
        single = [scores(fit(args, scene, truth, k, seed, "--init", start))[0] for start in STARTS]
        good.append(chosen <= NEAR * min(single))
        each = " ".join(f"{one:.4f}" for one in single)
        pixels = "pure" if pure else "mixed"
        print(
            f"seed {seed} K {k} {pixels:5} chosen {chosen:.4f} (SAD {sad:.4f}) single {each} "
            f"{'' if good[-1] else 'WORSE'}",
            flush=True,
        )
    print(f"chosen within 10 % of the best single start: {sum(good)} of {len(good)}")


def hard(args):
    counts = dict.fromkeys(["search", *STARTS], 0)
    for seed in args.seeds:
        options = ["--rows", 60, "--cols", 60, "--bands", 80, "-k", 4, "--brightness", 0.3]
        scene, truth = simulate(args, "hard", seed, *options, "--rare", 0.003, "--close", CLOSE)
        angles = {}
        for start in counts:
            init = [] if start == "search" else ["--init", start]
            angles[start] = scores(fit(args, scene, truth, 4, seed, *init))[2][-1]
            counts[start] += angles[start] < FOUND
        print(
            f"seed {seed} " + " ".join(f"{start} {angle:.3f}" for start, angle in angles.items()),
            flush=True,
        )
    for start, count in counts.items():
        print(f"{start} finds the rare material in {count} of {len(args.seeds)}")


def rank(args):
    right = 0
    for seed in args.seeds:
        k = 2 + seed % 5
        options = [
            "-k",
            k,
            "--brightness",
            0.3,
            "--variability",
            0.03,
            "--band-correlation",
            [0, 0.7][seed // 5 % 2],
        ]
        scene, _ = simulate(args, "rank", seed, *small(seed), *options)
        found = json.loads(run(args, "rank", scene, "--json")[0])
        right += found["recommended"] == k
        said = " ".join(str(one["endmembers"]) for one in found["estimates"])
        print(f"seed {seed} K {k} recommended {found['recommended']} of {said}", flush=True)
    print(f"right in {right} of {len(args.seeds)}")


def scene(args):
    figures = []
    for seed in args.seeds:
        report = fit(args, args.scene, args.truth, args.endmembers, seed)
        rmse, sad, _ = scores(report)
        seconds = sum(report["run"]["seconds"].values())
        figures.append((rmse, sad, seconds))
        print(f"seed {seed} RMSE {rmse:.4f} mean SAD {sad:.4f} seconds {seconds:.1f}", flush=True)
    for name, column in zip(["RMSE", "mean SAD", "seconds"], np.array(figures).T):
        print(f"{name}: median {np.median(column):.4f}, worst {column.max():.4f}")


def seeds(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--unmixel", default=str(root / "target/release/unmixel"))
    parser.add_argument("--out", type=pathlib.Path)
    whats = parser.add_subparsers(required=True)
    for what, default in [(choice, "0-19"), (hard, "0-9"), (rank, "0-19"), (scene, "0-4")]:
        one = whats.add_parser(what.__name__)
        one.set_defaults(what=what)
        one.add_argument("--seeds", type=seeds, default=seeds(default))
        if what is scene:
            one.add_argument("scene")
            one.add_argument("--truth", required=True)
            one.add_argument("-k", "--endmembers", type=int, default=3)
    # argparse takes no options of another program, not even after --.
    words = sys.argv[1:]
    own = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:own])
    args.options = words[own + 1 :]
    with tempfile.TemporaryDirectory() as scratch:
        args.out = args.out or pathlib.Path(scratch)
        args.what(args)


if __name__ == "__main__":
    main()
