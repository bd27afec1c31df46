"""Every method on one scene: whole processes in turn, a round for each seed."""
import json
import pathlib
import subprocess

import measure
from methods import METHODS, OURS, PLAIN

HERE = pathlib.Path(__file__).resolve().parent


def variables(device, threads):
    """What of the environment keeps a peer on its device, and its linear algebra to `threads`."""
    libraries = ("OPENBLAS", "OMP", "MKL")
    found = {f"{name}_NUM_THREADS": str(threads) for name in libraries}
    if device == "cpu":
        found.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
    return found


def ours(args, name, device, seed, out):
    """A fit of ours, into the folder `out`."""
    words = [args.unmixel, "fit", args.scene, "-k", args.endmembers, "--out", out, "--force",
             "--format", "npy", "--convention", "peak", "--drop-wavelengths", "none",
             "--seed", seed, "--device", device]
    if name == "unmixel-plain":
        words += [*PLAIN, "--spectra", "joint", "--common-mixture", "off",
                  "--concentration", args.endmembers]
    return measure.run(words, limit=args.limit)


def peer(args, name, device, seed, out):
    """A run of a peer, into the file `out`."""
    method = METHODS[name]
    python = args.environments.interpreter(method.environment)
    if python is None:
        return dict(error=args.environments.reasons[method.environment])
    words = [python, HERE / method.program, "--scene", args.scene, "-k", args.endmembers,
             "--seed", seed, "--out", out]
    return measure.run(words, variables(device, args.threads), limit=args.limit)


def run(args, device, runs):
    """Appends all runs on one device; a method that fails is not tried with the next seed."""
    names = [name for name in args.methods if device == "cpu" or METHODS[name].on_gpu]
    failed = set()
    for seed in args.seeds:
        for name in names:
            if name in failed:
                continue
            out = args.out / "results" / f"{name}-{device}-{seed}"
            out = out if name in OURS else out.with_suffix(".npz")
            found = (ours if name in OURS else peer)(args, name, device, seed, out)
            runs.append(dict(part="quality", method=name, device=device, seed=seed,
                             result=str(out), **found))
            if "error" in found:
                failed.add(name)
            told = found.get("error") or f"{found['seconds']:.1f} s"
            print(f"{METHODS[name].title}, {device}, seed {seed}: {told}", flush=True)


def score(args, runs):
    """Adds `scores` to the runs that have results, by a program with NumPy; else says why not."""
    results = [run["result"] for run in runs if "error" not in run]
    if not args.truth or not results:
        return "no truth is given" if results else None
    python = args.environments.interpreter("main")
    if python is None:
        return args.environments.reasons["main"]
    done = subprocess.run([python, str(HERE / "scores.py"), str(args.truth), *results],
                          capture_output=True, text=True)
    if done.returncode:
        return "the program that scores " + measure.sentence(done.returncode, done.stderr)
    scored = json.loads(done.stdout)
    for run in runs:
        run.update(scored.get(run["result"], {}))
    return None
