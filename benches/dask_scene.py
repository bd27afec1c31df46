#!/usr/bin/env python3
"""A Zarr scene on a local cluster: seconds, the workers' peak memory, and whether the maps are
those of one process, also when a worker is killed half-way.

    benches/dask_scene.py --rows 4000 --cols 5000 --bands 100 --workers 2 --memory 1GiB --kill

The scene is made block by block, so that no machine holds it; figures of docs/performance.md.
"""

import argparse
import os
import resource
import signal
import tempfile
import threading
import time
from pathlib import Path

import dask.array as da
import numpy as np
import unmixel as ux
import xarray as xr
from dask.distributed import Client, LocalCluster


def block_of(spectra, block_info=None):
    """A block of the scene: three materials in smooth fields, noise, and a hole."""
    place = block_info[None]["array-location"]
    rows, cols = (np.arange(*ends, dtype=np.float32)[:, None] for ends in place[:2])
    cols = cols.T
    waves = [np.sin(rows / 97 + k) + np.cos(cols / (131 + 17 * k)) for k in range(3)]
    shares = np.exp(3 * np.stack(np.broadcast_arrays(*waves), axis=-1))
    shares /= shares.sum(axis=-1, keepdims=True)
    rng = np.random.default_rng(int(place[0][0]) * 100_003 + int(place[1][0]))
    cube = (shares @ spectra).astype(np.float32)
    cube += rng.normal(0, 0.01, cube.shape).astype(np.float32)
    cube[(rows % 500 < 5) & (cols % 500 < 5)] = np.nan
    return cube


def peak(dask_worker=None):
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--cols", type=int, default=1000)
    parser.add_argument("--bands", type=int, default=100)
    parser.add_argument("--side", type=int, default=250, help="of a chunk, pixels")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--kill", action="store_true", help="map once more, and kill a worker")
    parser.add_argument("--one", action="store_true", help="compare with one process, part by part")
    args = parser.parse_args()
    # One core a worker; two on one machine would share them.
    os.environ["RAYON_NUM_THREADS"] = "1"
    spectra = ux.simulate(4, 4, args.bands, 3).endmembers.astype(np.float32)
    nm = np.linspace(400, 2500, args.bands)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=args.workers,
            threads_per_worker=1,
            memory_limit=args.memory,
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        scene, maps = Path(folder) / "scene.zarr", Path(folder) / "maps.zarr"
        size = (args.rows, args.cols)
        chunks = tuple(da.core.normalize_chunks((args.side, args.side), size)) + ((args.bands,),)
        lazy = da.map_blocks(
            block_of, spectra, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
        )
        wavelength = ("band", nm, {"units": "nm"})
        cube = xr.DataArray(lazy, dims=("y", "x", "band"), coords={"wavelength": wavelength})
        begin = time.monotonic()
        cube.to_dataset(name="reflectance").to_zarr(scene)
        print(f"made: {time.monotonic() - begin:.1f} s", flush=True)
        settings = {} if args.steps is None else {"steps": args.steps}
        begin = time.monotonic()
        fit = ux.dask.fit(scene, 3, seed=1, device="cpu", **settings)
        print(
            f"learned from {fit.learned.scene.pixels} pixels: {time.monotonic() - begin:.1f} s",
            flush=True,
        )
        begin = time.monotonic()
        fit.to_zarr(maps)
        seconds = time.monotonic() - begin
        pixels = args.rows * args.cols
        print(f"mapped: {seconds:.1f} s, {pixels / seconds:.0f} pixels a second", flush=True)
        print(
            f"peak of the workers, MiB: {[round(v) for v in client.run(peak).values()]}", flush=True
        )
        written = xr.open_zarr(maps)["abundances"]
        if args.kill:
            victim = next(iter(client.run(os.getpid).values()))
            threading.Timer(seconds / 2, os.kill, (victim, signal.SIGKILL)).start()
            again = Path(folder) / "again.zarr"
            begin = time.monotonic()
            fit.to_zarr(again)
            left = set(client.run(os.getpid).values())
            same = bool(
                (xr.open_zarr(again)["abundances"].data == written.data).sum().compute()
                == np.isfinite(written.data).sum().compute()
            )
            print(
                f"a worker killed half-way ({victim not in left}): "
                f"{time.monotonic() - begin:.1f} s, same: {same}",
                flush=True,
            )
        if args.one:
            same = True
            for row in range(0, args.rows, 777):
                part = np.asarray(xr.open_zarr(scene)["reflectance"][row : row + 13])
                piece = fit.learned.read(part, axes="rows,columns,bands")
                own = fit.learned.apply(piece, device="cpu")
                there = written[:, row : row + 13].values
                same &= np.array_equal(np.moveaxis(own.numpy(), 2, 0), there, equal_nan=True)
            print(f"rows read by one process, without Dask: same: {same}")


if __name__ == "__main__":
    main()
