"""Scenes larger than memory: parts are the whole, whatever the chunks, workers and deaths."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import unmixel as ux
from conftest import QUICK

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
xr = pytest.importorskip("xarray")
distributed = pytest.importorskip("distributed")

from unmixel import _sampling  # noqa: E402
from unmixel import dask as uxd  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def cube_of(simulated, chunks):
    values = da.from_array(simulated.cube, chunks=chunks)
    coords = {
        "wavelength": ("band", simulated.wavelengths, {"units": "nm"}),
        "y": 100.0 - np.arange(24.0),
        "x": np.arange(30.0),
    }
    return xr.DataArray(values, dims=("y", "x", "band"), coords=coords, name="refl")


@pytest.fixture(scope="module")
def whole(simulated):
    return uxd.fit(cube_of(simulated, -1), 3, seed=7, scene={"scale": 1.0}, **QUICK)


@pytest.mark.parametrize("chunks", [(24, 30, 40), (5, 7, 11), (1, 30, 40), (24, 1, 40)])
def test_chunks_change_nothing(simulated, whole, chunks):
    with dask.config.set(scheduler="threads"):
        found = uxd.fit(cube_of(simulated, chunks), 3, seed=7, scene={"scale": 1.0}, **QUICK)
        for name in ("abundances", "abundances_sd", "residual", "brightness"):
            one, other = getattr(found, name).values, getattr(whole, name).values
            assert one.tobytes() == other.tobytes(), name
        assert found.interval().values.tobytes() == whole.interval().values.tobytes()


def test_maps_are_those_of_one_process(simulated, whole):
    scene = whole.learned.read(simulated.cube, axes="rows,columns,bands")
    wanted = whole.learned.apply(scene, device="cpu")
    assert whole.abundances.dims == ("endmember", "y", "x")
    assert isinstance(whole.abundances.data, da.Array)
    assert np.array_equal(whole.abundances.values, np.moveaxis(wanted.numpy(), 2, 0), True)
    assert np.array_equal(whole.abundances.y, 100.0 - np.arange(24.0))
    other = ux.dask.fit(cube_of(simulated, -1), 3, seed=8, scene={"scale": 1.0}, **QUICK)
    assert not np.array_equal(other.abundances.values, whole.abundances.values, True)


def test_axes_and_sources(simulated, whole, tmp_path):
    turned = cube_of(simulated, (9, 9, 9)).transpose("band", "y", "x")
    found = uxd.fit(turned, 3, seed=7, scene={"scale": 1.0}, **QUICK)
    assert np.array_equal(found.abundances.values, whole.abundances.values, True)
    plain = da.from_array(simulated.cube, chunks=(8, 8, 8))
    with pytest.raises(ValueError, match="axes"):
        uxd.fit(plain, 3, **QUICK)
    with pytest.raises(ValueError, match="no data"):
        uxd.fit(da.zeros((4, 5, 6)), 3, axes="rows,columns,bands", **QUICK)
    with pytest.raises(TypeError, match="typo"):
        uxd.fit(turned, 3, typo=1)
    pytest.importorskip("zarr")
    cube_of(simulated, (8, 8, 40)).to_zarr(tmp_path / "s.zarr")
    stored = uxd.fit(tmp_path / "s.zarr", 3, seed=7, scene={"scale": 1.0}, **QUICK)
    assert np.array_equal(stored.abundances.values, whole.abundances.values, True)
    with pytest.raises(ValueError, match="nothing"):
        uxd.fit(tmp_path / "s.zarr", 3, variable="nothing", **QUICK)
    later = uxd.apply(whole.learned, turned, device="cpu")
    assert np.array_equal(later.abundances.values, whole.abundances.values, True)
    with pytest.raises(ValueError, match="39 bands"):
        uxd.apply(whole.learned, turned[:39])
    # Workers take the device that is named, and say where there is none of the kind.
    with pytest.raises(ValueError, match="vax"):
        uxd.apply(whole.learned, turned, device="vax").abundances.compute()


def test_samples_do_not_depend_on_blocks():
    """A scene of more pixels than are learned from, with a rare material."""
    rng = np.random.default_rng(1)
    made = ux.simulate(60, 70, 20, 3, seed=2)
    cube = np.nan_to_num(made.cube)
    cube[31, 17] = 0.02 + 0.9 * (np.arange(20) % 2)
    most = ux._unmixel.Survey.most_pixels
    numbers = _sampling.numbers_of(slice(0, 60), slice(0, 70), 70)
    assert np.array_equal(numbers, np.arange(4200))
    samples = []
    for chunks in ((60, 70, 20), (7, 11, 20), (1, 70, 5)):
        lazy = uxd._Cube.of(da.from_array(cube, chunks=chunks), None, "rows,columns,bands", None)
        scene = uxd._learn(lazy, 3, 900, 5, {"scale": 1.0})
        samples.append(scene.reflectance().tobytes())
        assert 600 < scene.pixels < 1500
        # What chance would miss is there.
        spectra = scene.reflectance()[:, 0]
        assert np.abs(spectra - cube[31, 17][scene.band_indices]).max(axis=1).min() < 1e-6
    assert samples[0] == samples[1] == samples[2]
    other = uxd._learn(lazy, 3, 900, 6, {"scale": 1.0})
    assert other.reflectance().tobytes() != samples[0]
    taken = _sampling.chance(numbers, 3) < np.uint64(2**63)
    # Half of them, within four standard deviations of chance.
    assert abs(taken.sum() - 2100) < 4 * np.sqrt(1050) and most() >= 10_000
    del rng


def test_arrays_that_came_through_a_network_are_read():
    """Their bytes may begin anywhere."""

    def odd(array):
        raw = np.zeros(array.nbytes + 1, np.uint8)
        moved = raw[1:].view(array.dtype).reshape(array.shape)
        moved[...] = array
        assert not moved.flags.aligned
        return moved

    made = ux.simulate(12, 14, 20, 3, seed=2)
    scene = made.scene
    survey = ux._unmixel.Survey.of_sample(scene._raw, 3, 100, 1)
    axes, mean = survey.parts()
    numbers = _sampling.numbers_of(slice(0, 12), slice(0, 14), 14)
    plain = (axes, mean, 100, 1), made.cube, numbers
    moved = (odd(axes), mean, 100, 1), odd(made.cube), odd(numbers)
    found = []
    for told, cube, own in (plain, moved):
        parts = [_sampling.extremes(cube, own, told, scene._raw, None) for _ in range(2)]
        if told is not plain[0]:
            parts = [(tuple(map(odd, lists)), gathered) for lists, gathered in parts]
        found.append(_sampling.merged(parts, told))
    assert np.array_equal(found[0][1][0], found[1][1][0]) and len(found[0][1][0]) > 10
    with pytest.raises(TypeError, match="aligned"):
        ux._unmixel.axes_of(
            odd(made.cube),
            {"labels": ux._labels.plain("a"), "beside": [], "told": _sampling.NOTHING},
            ux._scene._used("rows,columns,bands", None, None, (), (), False),
        )


def test_stores_are_written_block_by_block(simulated, whole, tmp_path):
    pytest.importorskip("zarr")
    found = uxd.apply(whole.learned, cube_of(simulated, (7, 11, 40)), device="cpu")
    found.to_zarr(tmp_path / "m.zarr")
    with xr.open_zarr(tmp_path / "m.zarr") as read:
        assert read["abundances"].values.tobytes() == whole.abundances.values.tobytes()
        assert read["endmembers_mean"].shape[0] == 3
    with pytest.raises(FileExistsError):
        found.to_zarr(tmp_path / "m.zarr")
    found.to_zarr(tmp_path / "m.zarr", overwrite=True)


def test_geotiffs_are_written_block_by_block(simulated, whole, tmp_path):
    rioxarray = pytest.importorskip("rioxarray")
    cube = cube_of(simulated, (7, 11, 40)).rio.write_crs("EPSG:32633")
    found = uxd.apply(whole.learned, cube, device="cpu")
    found.to_geotiff(tmp_path / "m.tif")
    with rioxarray.open_rasterio(tmp_path / "m.tif") as read:
        assert read.values.tobytes() == whole.abundances.values.tobytes()
        assert read.rio.crs.to_epsg() == 32633 and read.rio.transform().f == 100.5
    found.to_geotiff(tmp_path / "r.tif", "residual")
    with pytest.raises(FileExistsError):
        found.to_geotiff(tmp_path / "m.tif")
    with pytest.raises(ValueError, match="nothing"):
        found.to_geotiff(tmp_path / "x.tif", "nothing")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tif", "r.tif"]


def test_a_cluster_gives_the_same(cluster, simulated, whole):
    found = uxd.fit(cube_of(simulated, (6, 10, 40)), 3, seed=7, scene={"scale": 1.0}, **QUICK)
    assert found.abundances.values.tobytes() == whole.abundances.values.tobytes()


def test_a_worker_that_dies_changes_nothing(cluster, simulated, whole):
    """Blocks wait a little, so that there is time to kill one of the two workers half-way."""

    def late(block):
        time.sleep(0.15)
        return block

    lazy = cube_of(simulated, (2, 15, 40))
    lazy = lazy.copy(data=lazy.data.map_blocks(late, dtype=lazy.dtype))
    found = uxd.apply(whole.learned, lazy, device="cpu")
    future = cluster.compute(found.abundances.data)
    pids = list(cluster.run(os.getpid).values())
    assert len(pids) == 2
    time.sleep(0.8)
    assert not future.done()
    os.kill(pids[0], signal.SIGKILL)
    assert np.asarray(future.result()).tobytes() == whole.abundances.values.tobytes()
    # It was replaced, by a process of its own.
    cluster.wait_for_workers(2, timeout=30)
    assert set(cluster.run(os.getpid).values()) != set(pids)
