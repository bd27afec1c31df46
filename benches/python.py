#!/usr/bin/env python3
"""What Python costs on top of the command line, and what a scene takes of memory.

    benches/python.py --program target/release/unmixel --size 100 --size 1000

Both read the same file, fit with the same settings and write the mean abundances; processor seconds
of the whole process are compared, the import of the package apart, the least of several rounds.
Memory is the growth of the process's peak while a scene is made of an array that is there already.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FIT = """
import resource, sys, numpy as np, unmixel as ux
own = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
begin = own()
settings = {settings}
fit = ux.Unmixing(3, seed=1, device="cpu", **settings).fit(ux.open(sys.argv[1]))
fit.to_folder(sys.argv[2], formats=["npy"])
print(begin, own() - begin)
"""

MEMORY = """
import resource, sys, numpy as np, unmixel as ux
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
size, kind = int(sys.argv[1]), sys.argv[2]
made = ux.simulate(8, 8, 100, 3)
rng = np.random.default_rng(1)
bands_first = sys.argv[3] == "bands"
cube = np.empty((100, size, size) if bands_first else (size, size, 100), kind)
flat = cube.reshape(100, -1).T if bands_first else cube.reshape(-1, 100)
for first in range(0, len(flat), 4096):
    share = rng.dirichlet(np.ones(3), len(flat[first:first + 4096]))
    part = share @ made.endmembers + rng.normal(0, 0.01, (len(share), 100))
    counts = np.dtype(kind).kind == "u"
    flat[first:first + 4096] = np.round(part.clip(0) * 10_000) if counts else part
before = peak()
axes = "bands,rows,columns" if bands_first else "rows,columns,bands"
scene = ux.Scene(cube, made.wavelengths, axes=axes, keep_water_bands=True)
grown = peak() - before
print(cube.nbytes, size * size * 112 * 4, grown)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="target/release/unmixel")
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=1000)
    args = parser.parse_args()
    for size in args.size or [100, 1000]:
        quick = size > 300
        settings = {"steps": 300, "posterior": "guide"} if quick else {}
        flags = ["--steps", "300", "--posterior", "guide"] if quick else []
        with tempfile.TemporaryDirectory() as folder:
            made = [
                args.program,
                "simulate",
                "--rows",
                size,
                "--cols",
                size,
                "--bands",
                100,
                "--out",
                folder,
            ]
            subprocess.run([*map(str, made), "--force"], check=True, capture_output=True)
            scene = f"{folder}/scene.hdr"
            rows = []
            for turn in range(args.rounds):
                out = f"{folder}/program{turn}"
                command = [
                    args.program,
                    "fit",
                    scene,
                    "-k",
                    "3",
                    "--seed",
                    "1",
                    "--device",
                    "cpu",
                    "--format",
                    "npy",
                    "--out",
                    out,
                    *flags,
                ]
                program = seconds([str(part) for part in command])
                code = FIT.format(settings=settings)
                printed = subprocess.run(
                    [sys.executable, "-c", code, scene, f"{folder}/python{turn}"],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
                begin, own = map(float, printed.split())
                rows.append((program, own, begin))
                same = (Path(out) / "abundance_mean.npy").read_bytes() == Path(
                    f"{folder}/python{turn}/abundance_mean.npy"
                ).read_bytes()
                assert same, "other bytes"
            program, own, begin = (min(column) for column in zip(*rows))
            print(
                f"{size} x {size}: program {program:.2f} s, Python {own:.2f} s "
                f"({own / program - 1:+.1%}), import {begin:.2f} s; same bytes",
                flush=True,
            )
    for kind, order in (
        ("float32", "pixels"),
        ("float32", "bands"),
        ("uint16", "bands"),
        ("float64", "pixels"),
    ):
        command = [sys.executable, "-c", MEMORY, str(args.memory), kind, order]
        nbytes, cube, grown = map(
            int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
        print(
            f"{kind}, {order} first: array {nbytes / 1e6:.0f} MB, the scene's cube "
            f"{cube / 1e6:.0f} MB, peak grew by {grown / 1e6:.0f} MB",
            flush=True,
        )


def seconds(command):
    """Processor seconds of a process and its threads."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
        "print(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    main()
