#!/usr/bin/env python3
"""Ours and what people use instead, in turn on one machine: time, memory, error, intervals.

    benches/peers/run.py --out FOLDER                                   a simulated scene
    benches/peers/run.py --out FOLDER --scene S.npz --truth T.npz -k 3  a scene of yours
    benches/peers/run.py quality --out FOLDER --peers numpyro,daeu --seeds 0-2
    benches/peers/run.py speed --out FOLDER --rounds 3

`quality` fits the scene with every method, a round for each seed; `speed` makes the same steps with
ours and with NumPyro, `--rounds` times; without either, both. Every run is a process of its own,
measured whole. Packages of the peers are installed below target/peers (some 7 GB, most of it
PyTorch); a peer that does not install or fails is a row that says why.

Writes peers.json (all runs), peers.md (tables) and, where there is a truth, peers.png. The scene is
an .npz with `cube` (rows, columns, bands), the truth one with `endmembers` (K, bands) and
`abundances` (rows, columns, K). Exit status: 0 if ours ran, 1 if not, 2 for bad input; when it is
interrupted (130), what has run is written.
"""
import argparse
import ast
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import zipfile

import measure
import quality
import speed
import table
from environments import Environments
from methods import METHODS, OURS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What reading the head of an array may raise.
NO_ARRAY = (zipfile.BadZipFile, KeyError, ValueError, SyntaxError)


def seeds(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["speed", "quality", "both"], default="both")
    parser.add_argument("--unmixel", default=str(ROOT / "target/release/unmixel"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--scene", type=pathlib.Path, help="without it one is simulated")
    parser.add_argument("--truth", type=pathlib.Path, help="known spectra and abundances")
    parser.add_argument("-k", "--endmembers", type=int, default=3)
    parser.add_argument("--simulate", default="", metavar="OPTIONS",
                        help="of `unmixel simulate`, in one word, as '--noise 0.005 --seed 1'")
    parser.add_argument("--title", help="of the scene, for table and picture")
    parser.add_argument("--seeds", type=seeds, default=seeds("0-2"))
    parser.add_argument("--rounds", type=int, default=3, help="of speed")
    parser.add_argument("--peers", default=",".join(METHODS), help="those to run beside ours")
    parser.add_argument("--keep", action="store_true",
                        help="keep what peers.json has of methods that do not run this time")
    parser.add_argument("--device", choices=["cpu", "gpu", "auto"], default="auto",
                        help="auto: the CPU, and an NVIDIA GPU where there is one")
    parser.add_argument("--threads", type=int, default=1,
                        help="of the linear algebra of NumPy and PyTorch (1: more make these peers "
                        "slower where others use the cores, too)")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that a run may take")
    parser.add_argument("--python", help="interpreter that has all packages; installs nothing")
    parser.add_argument("--no-install", action="store_true", help="run with what is there")
    args = parser.parse_args()
    check(parser, args)
    return args


def check(parser, args):
    """Ends with a sentence and status 2 where the arguments cannot be meant."""
    names = [name for name in args.peers.split(",") if name]
    for name in names:
        if name not in METHODS:
            parser.error(f"there is no peer {name!r}; there are {', '.join(METHODS)}")
    args.methods = [name for name in METHODS if name in names or name in OURS]
    if not args.seeds or args.rounds < 1 or args.endmembers < 2:
        parser.error("seeds, rounds and two endmembers at least must be there")
    for path in (args.scene, args.truth):
        if path and not path.is_file():
            parser.error(f"there is no file {path}")
    if args.truth and not args.scene:
        parser.error("--truth goes with --scene")
    if args.python and not shutil.which(args.python):
        parser.error(f"there is no interpreter {args.python}")
    if shutil.which(args.unmixel) is None:
        parser.error(f"there is no program {args.unmixel}; `cargo build --release` makes it")
    there = has_gpu()
    if args.device == "gpu" and not there:
        parser.error("nvidia-smi finds no GPU here")
    args.devices = dict(cpu=["cpu"], gpu=["gpu"], auto=["cpu", "gpu"] if there else ["cpu"])[
        args.device]


def has_gpu():
    if not shutil.which("nvidia-smi"):
        return False
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0


def gpu_name():
    words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "a GPU"


def shape_of(path, name):
    """Shape of one array of an .npz, without NumPy, which is not in this interpreter."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        head = file.read(12)
        size = int.from_bytes(head[8:10] if head[6] == 1 else head[8:12], "little")
        text = (head[10:] if head[6] == 1 else b"") + file.read(size)
    text = text.decode("latin-1")
    return ast.literal_eval(text[:text.rindex("}") + 1])["shape"]


def refuse(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(2)


def scene(args):
    """The scene's paths and size; simulates one if none is given."""
    if not args.scene:
        folder = args.out / "scene"
        options = shlex.split(args.simulate)
        done = measure.run([args.unmixel, "simulate", "--out", folder, "--force", "-k",
                            args.endmembers, *options])
        if "error" in done:
            refuse(f"no scene can be simulated: {done['error']}")
        args.scene, args.truth = folder / "scene.npz", folder / "truth.npz"
        args.title = args.title or f"simulated ({' '.join(options) or 'defaults'})"
    try:
        rows, columns, bands = shape_of(args.scene, "cube")
    except NO_ARRAY:
        refuse(f"{args.scene} is no .npz with an array `cube` of (rows, columns, bands)")
    if args.truth:
        try:
            shapes = [shape_of(args.truth, name) for name in ("endmembers", "abundances")]
        except NO_ARRAY:
            refuse(f"{args.truth} is no .npz with arrays `endmembers` and `abundances`")
        wanted = [(args.endmembers, bands), (rows, columns, args.endmembers)]
        if shapes != wanted:
            refuse(f"{args.truth} has arrays of {shapes}, where {wanted} go with the scene and -k")
    args.pixels = rows * columns
    args.title = (f"{args.title or args.scene.stem}: {rows} x {columns} pixels, {bands} bands, "
                  f"{args.endmembers} endmembers")


def machine():
    """Processor and how many cores of it may be used."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(": ", 1)[1].strip() for line in file
                         if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores" + (f", {gpu_name()}" if has_gpu() else "")


def write(args, runs, unscored):
    """peers.json, peers.md and peers.png."""
    version = subprocess.run([args.unmixel, "--version"], capture_output=True, text=True)
    record = dict(command=shlex.join(["benches/peers/run.py", *sys.argv[1:]]), scene=args.title,
                  date=datetime.date.today().isoformat(), machine=machine(),
                  unmixel=version.stdout.strip(), unscored=unscored, runs=runs)
    (args.out / "peers.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    page = table.markdown(record)
    (args.out / "peers.md").write_text(page, encoding="utf-8")
    print("\n" + page)
    python = args.environments.interpreter("main")
    if python and args.truth and any("scores" in run for run in runs):
        done = subprocess.run(
            [python, str(HERE / "picture.py"), str(args.out / "peers.json"), "--truth",
             str(args.truth), "--out", str(args.out / "peers.png")], capture_output=True, text=True)
        if done.returncode:
            print(f"no picture: {measure.sentence(done.returncode, done.stderr)}")


def kept(args, runs):
    """Earlier runs of this folder whose part, method and device have no new ones."""
    new = {(run["part"], run["method"], run["device"]) for run in runs}
    text = (args.out / "peers.json").read_text(encoding="utf-8")
    return [run for run in json.loads(text)["runs"]
            if (run["part"], run["method"], run["device"]) not in new]


def main():
    args = arguments()
    args.out = args.out.resolve()
    (args.out / "results").mkdir(parents=True, exist_ok=True)
    scene(args)
    args.environments = Environments(args.python, not args.no_install, "gpu" in args.devices)
    runs, interrupted = [], False
    try:
        for device in args.devices:
            if args.what != "speed":
                quality.run(args, device, runs)
            if args.what != "quality":
                speed.run(args, device, runs)
    except KeyboardInterrupt:
        interrupted = True
    if args.keep and (args.out / "peers.json").exists():
        runs += kept(args, runs)
    ran = any(run["method"] == "unmixel" and "error" not in run for run in runs)
    unscored = quality.score(args, [run for run in runs if run["part"] == "quality"])
    write(args, runs, unscored)
    sys.exit(130 if interrupted else 0 if ran else 1)


if __name__ == "__main__":
    main()
