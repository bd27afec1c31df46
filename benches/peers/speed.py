"""Steps of ours and of NumPyro on one model, and the whole processes, in turn."""
import json
import os
import pathlib

import measure
import quality
from methods import PLAIN

HERE = pathlib.Path(__file__).resolve().parent
ONE_CORE = dict(XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
# Name, cores, pixels a step, steps.
ON_CPU = [("one core, 500 pixels", 1, 500, 2000), ("one core, all pixels", 1, None, 300),
          ("all cores, 500 pixels", None, 500, 2000), ("all cores, all pixels", None, None, 300)]
ON_GPU = [("GPU, 500 pixels", None, 500, 2000), ("GPU, all pixels", None, None, 2000)]


def core_of(cores):
    """The core to run on, the last that this process may use; None for all of them."""
    able = hasattr(os, "sched_setaffinity")
    return max(os.sched_getaffinity(0)) if cores and able else None


def ours(args, device, setting):
    """Milliseconds a step of ours, and its whole process."""
    _, cores, pixels, steps = setting
    out = args.out / "speed"
    # NumPyro's program ends with a guide, and so does ours here.
    words = [args.unmixel, "fit", args.scene, "-k", args.endmembers, *PLAIN, "--particles", 1,
             "--posterior", "guide", "--no-early-stop", "--steps", steps, "--batch-size",
             pixels or args.pixels, "--device", device, "--out", out, "--force"]
    found = measure.run(words, dict(RAYON_NUM_THREADS="1") if cores else {}, core_of(cores),
                        args.limit)
    if "error" not in found:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        found["step_ms"] = 1e3 * report["run"]["seconds"]["steps"] / report["steps_run"]
    return found


def numpyro(args, device, setting, scan=1):
    """The same of NumPyro, with `scan` steps a call."""
    _, cores, pixels, steps = setting
    python = args.environments.interpreter("main")
    if python is None:
        return dict(error=args.environments.reasons["main"])
    words = [python, HERE / "numpyro_pmm.py", "--scene", args.scene, "-k", args.endmembers,
             "--steps", steps, "--batch", pixels or args.pixels, "--scan", scan]
    variables = {**quality.variables(device, cores or os.cpu_count()),
                 **(ONE_CORE if cores else {})}
    found = measure.run(words, variables, core_of(cores), args.limit)
    if "said" in found:
        found["step_ms"] = found["said"]["step_ms"]
    return found


def run(args, device, runs):
    """Appends the runs on one device: in each round every setting, ours and NumPyro in turn."""
    failed = set()
    for turn in range(args.rounds):
        for setting in ON_CPU if device == "cpu" else ON_GPU:
            tries = [("unmixel", lambda: ours(args, device, setting)),
                     ("numpyro", lambda: numpyro(args, device, setting))]
            if device == "gpu":
                tries.append(("numpyro-scan", lambda: numpyro(args, device, setting, 100)))
            for name, found in tries:
                if name in failed or (name != "unmixel" and "numpyro" not in args.methods):
                    continue
                found = found()
                runs.append(dict(part="speed", method=name, device=device, setting=setting[0],
                                 steps=setting[3], round=turn, **found))
                if "error" in found:
                    failed.add(name)
                told = found.get("error") or f"{found['step_ms']:.3f} ms a step"
                print(f"speed, {setting[0]}, {name}, round {turn}: {told}", flush=True)
