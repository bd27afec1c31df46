#!/usr/bin/env python3
"""Scenes of twelve kinds, most of them unlike the model: is a fit ever worse than the classics?

    benches/kinds.py run --out FOLDER [--seeds 0-3] [--kinds a,b] [--jobs 2]
    benches/kinds.py table --out FOLDER
    benches/kinds.py trust --out FOLDER

`run` simulates, fits and has the classics of `unmixel compare` fitted; `table` says what came of it
and needs NumPy. What follows -- are options of all fits. Each scene is scored in the convention of
its fit. A loss is an RMSE above 1.1 times that of the better of VCA + FCLS and N-FINDR + FCLS.
"Held" is the share of the abundances inside of the 90 % intervals. `trust` holds what each fit says
of its own error against that error; sizes and numbers of bands and endmembers vary with `--vary`.
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import random
import subprocess
import sys
import time

# Options of `simulate` beside size, K and seed.
KINDS = {
    "model": ["--maps", "dirichlet", "--brightness", 0.2, "--variability", 0.05],
    "mixed": ["--brightness", 0.2, "--variability", 0.03, "--no-pure-pixels"],
    "dominant": ["--maps", "dominant", "--no-pure-pixels", "--noise", 0.005],
    "dominant-pure": ["--maps", "dominant", "--brightness", 0.1, "--noise", 0.005],
    "few": ["--maps", "dirichlet", "--brightness", 0.2, "--variability", 0.03, "--rows", 12,
            "--cols", 15],
    "intimate": ["--mixing", "intimate", "--noise", 0.005],
    "shared": ["--maps", "dirichlet", "--brightness", 0.15, "--shared-variability", 0.06,
               "--noise", 0.005],
    "shared-ar": ["--brightness", 0.15, "--shared-variability", 0.06, "--noise", 0.005,
                  "--band-correlation", 0.9],
    "signal": ["--maps", "dirichlet", "--brightness", 0.2, "--signal-noise", 0.03,
               "--noise", 0.003],
    "zeros-dark": ["--maps", "dirichlet", "--brightness", 0.2, "--least-abundance", 0.1,
                   "--dark", 0.1, "--noise", 0.005, "--shared-variability", 0.03],
    "flat": ["--maps", "flat", "--brightness", 0.15, "--variability", 0.03, "--noise", 0.005],
    "outliers": ["--maps", "dirichlet", "--brightness", 0.2, "--variability", 0.03, "--noise",
                 0.005, "--outliers", 0.003],
}
CLASSICS = ["VCA + FCLS", "N-FINDR + FCLS"]
WORSE = 1.1


def names(args):
    return [(kind, seed) for kind in args.kinds for seed in args.seeds]


def one(args, kind, seed):
    """Simulates a scene, fits it and has the classics fitted."""
    k, side, bands = 3 + (seed + list(KINDS).index(kind)) % 3, 40, 60
    if args.vary:
        chance = random.Random(f"{kind}{seed}")
        k = chance.choice([3, 3, 4, 4, 5, 6])
        side, bands = chance.choice([25, 40, 40, 60]), chance.choice([40, 60, 60, 100])
    here = args.out / f"{kind}-{seed}"
    options = [*map(str, KINDS[kind])]
    size = [] if "--rows" in options else ["--rows", side, "--cols", side]

    def run(*words):
        done = subprocess.run([args.unmixel, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr}")

    scene, truth = here / "scene/scene.npz", here / "scene/truth.npz"
    run("simulate", "--out", here / "scene", "--force", "--bands", bands, "-k", k, "--seed", seed,
        *size, *options)
    common = ["-k", k, "--force", "--seed", seed, "--truth", truth, "--device", "cpu",
              "--drop-wavelengths", "none"]
    begin = time.time()
    run("fit", scene, "--out", here / "fit", "--format", "npy", *common, *args.options)
    seconds = time.time() - begin
    if not args.no_classics:
        # A fit of no worth, so that the command is quick: its other rows are asked for.
        run("compare", scene, "--out", here / "classics", "--steps", 20,
            "--posterior", "guide", *common)
    (here / "seconds").write_text(str(seconds))
    print(kind, seed, f"{seconds:.1f} s", flush=True)


def run(args):
    args.out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(one, args, *name) for name in names(args)]:
            done.result()


def table(args):
    import numpy as np

    rows = []
    for kind, seed in names(args):
        here = args.out / f"{kind}-{seed}"
        if not (here / "seconds").exists():
            continue
        report = json.loads((here / "fit/report.json").read_text())
        convention = report["settings"]["convention"]
        scores = report["scores"][convention]
        classics = {}
        for line in json.loads((here / "classics/comparison.json").read_text())["methods"]:
            classics[line["method"]] = line[convention]["abundance_rmse"]
        truth = np.load(here / "scene/truth.npz")
        shares = truth["abundances"].astype(float)
        if convention == "peak":
            shares = shares * truth["endmembers"].max(1)
            shares /= shares.sum(2, keepdims=True)
        matching = scores["matching"]
        low, high = (np.load(here / f"fit/abundance_{q}.npy") for q in ("q05", "q95"))
        low, high = low[..., matching], high[..., matching]
        # Rounding of f32.
        held = float(((shares >= low - 1e-6) & (shares <= high + 1e-6)).mean())
        best = min(classics[name] for name in CLASSICS)
        rows.append((kind, seed, scores["abundance_rmse"], scores["mean_sad"], best, held,
                     report["settings"]["posterior"], float((here / "seconds").read_text())))
        rmse, sad = rows[-1][2:4]
        print(f"{kind:14} {seed} K {shares.shape[2]} RMSE {rmse:.4f} SAD {sad:.4f} "
              f"classics {best:.4f} ratio {rmse / best:.2f} held {100 * held:.0f} % "
              f"{rows[-1][6]} {rows[-1][7]:.1f} s"
              f"{' LOSS' if rmse > WORSE * best else ''}")

    def line(name, of):
        ratios = [row[2] / row[4] for row in of]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        losses = sum(ratio > WORSE for ratio in ratios)
        held = 100 * sum(row[5] for row in of) / len(of)
        print(f"| {name} | {len(of)} | {mean:.2f} | {max(ratios):.2f} | {losses} | {held:.0f} |")

    print("| kind | scenes | ratio of RMSE, geometric mean | largest | losses | held, % |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in args.kinds:
        of = [row for row in rows if row[0] == kind]
        if of:
            line(kind, of)
    if rows:
        line("all", rows)


def trust(args):
    """What fits say of their own error, and the error."""
    groups = {}
    for kind, seed in names(args):
        here = args.out / f"{kind}-{seed}"
        if not (here / "seconds").exists():
            continue
        report = json.loads((here / "fit/report.json").read_text())
        said = report["trust"]
        rmse = report["scores"][report["settings"]["convention"]]["abundance_rmse"]
        grade = ", ".join(said["reasons"]) or ("high" if said["high"] else "much left open")
        groups.setdefault(grade, []).append((rmse, said))
        share = said["nonlinear_share"]
        print(f"{kind:14} {seed} RMSE {rmse:.4f} stated {said['stated_rmse']:.4f} "
              f"below {said['rmse_below']:.4f} nonlinear "
              f"{'unknown' if share is None else f'{share:.3f}'} {grade}"
              f"{' ABOVE' if rmse >= said['rmse_below'] else ''}")
    print("| what is said | scenes | RMSE, median | largest | below what is said |")
    print("| --- | --- | --- | --- | --- |")
    for grade, of in sorted(groups.items()):
        errors = sorted(rmse for rmse, _ in of)
        held = sum(rmse < said["rmse_below"] for rmse, said in of)
        print(f"| {grade} | {len(of)} | {errors[len(of) // 2]:.3f} | {errors[-1]:.3f} | {held} |")


def seeds(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("what", choices=["run", "table", "trust"])
    parser.add_argument("--unmixel", default=str(root / "target/release/unmixel"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=seeds, default=seeds("0-3"))
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(KINDS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--vary", action="store_true", help="sizes and numbers by chance")
    parser.add_argument("--no-classics", action="store_true", help="fit alone; not for table")
    words = sys.argv[1:]
    own = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:own])
    args.options = words[own + 1 :]
    {"run": run, "table": table, "trust": trust}[args.what](args)


if __name__ == "__main__":
    main()
