"""A fit from Python: what it gives, and that it is what the command line gives."""

from __future__ import annotations

import html
import json
import pickle

import numpy as np
import pytest
import unmixel as ux
from conftest import QUICK


def test_maps_are_those_of_the_truth(simulated, fit):
    mean = fit.numpy()
    assert mean.shape == (24, 30, 3) and mean.dtype == np.float32
    holes = np.isnan(simulated.cube).any(axis=2)
    assert np.array_equal(np.isnan(mean).all(axis=2), holes) and holes.any()
    inside = mean[~holes]
    # Seven digits of float32, summed.
    assert np.allclose(inside.sum(axis=1), 1.0, atol=1e-5)
    # Endmembers by their nearest truth, by angle.
    spectra = fit.numpy("endmembers")
    truth = simulated.endmembers[:, fit.scene.band_indices]
    cos = (spectra @ truth.T) / np.outer(
        np.linalg.norm(spectra, axis=1), np.linalg.norm(truth, axis=1)
    )
    order = cos.argmax(axis=0)
    assert sorted(order) == [0, 1, 2]
    # Peak convention: shares of peak-normalised spectra.
    peaks = truth.max(axis=1)
    wanted = simulated.abundances * peaks
    wanted = (wanted / wanted.sum(axis=2, keepdims=True))[~holes]
    assert np.sqrt(np.mean((inside[:, order] - wanted) ** 2)) < 0.05  # the demo has 0.015


def test_the_bytes_are_those_of_the_command_line(program, npz, tmp_path):
    program(
        "fit",
        npz,
        "-k",
        3,
        "--seed",
        7,
        "--steps",
        150,
        "--device",
        "cpu",
        "--draws",
        5,
        "--out",
        tmp_path / "program",
        "--save",
        "--names",
        "soil,tree,water",
    )
    scene = ux.open(npz)
    fit = ux.Unmixing(3, seed=7, draws=5, **QUICK).fit(scene, names=["soil", "tree", "water"])
    fit.to_folder(tmp_path / "python", save=True)
    names = sorted(p.name for p in (tmp_path / "program").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "python").iterdir())
    # These hold times, and the hashes of files that do.
    differ = {"report.json", "record.json", "fit.unmixel"}
    for name in names:
        one, other = (tmp_path / "program" / name).read_bytes(), (tmp_path / "python" / name)
        if name not in differ:
            assert one == other.read_bytes(), name
    reports = [
        json.loads((tmp_path / of / "report.json").read_text()) for of in ("program", "python")
    ]
    for report in reports:
        del report["run"]
    assert reports[0] == reports[1]
    mean = np.load(tmp_path / "program" / "abundance_mean.npy")
    assert mean.tobytes() == fit.numpy().tobytes()
    assert mean.tobytes() != ux.Unmixing(3, seed=8, **QUICK).fit(scene).numpy().tobytes()
    # A saved fit is one for both.
    back = ux.load(tmp_path / "program")
    assert back.numpy().tobytes() == mean.tobytes()
    on = ("--device", "cpu", "--out", tmp_path / "applied", "--format", "npy")
    program("apply", tmp_path / "python", npz, *on)
    applied = back.apply(scene, device="cpu").numpy()
    assert applied.tobytes() == np.load(tmp_path / "applied" / "abundance_mean.npy").tobytes()
    with pytest.raises(ValueError, match="vax"):
        back.apply(scene, device="vax")


def test_a_search_and_every_default_give_those_bytes(program, npz, tmp_path):
    program(
        "fit",
        npz,
        "-k",
        3,
        "--seed",
        2,
        "--device",
        "cpu",
        "--out",
        tmp_path / "o",
        "--format",
        "npy",
    )
    fit = ux.Unmixing(3, seed=2, device="cpu").fit(npz)
    for what, name in [("abundances", "mean"), ("abundances_sd", "sd"), ("abundances_q95", "q95")]:
        wanted = np.load(tmp_path / "o" / f"abundance_{name}.npy")
        assert fit.numpy(what).tobytes() == wanted.tobytes(), what
    assert fit.report["search"]["starts"] == 8
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert fit.trust == report["trust"] and fit.trust["sentence"].startswith("trust: ")
    assert fit.trust["sentence"] in html.unescape(fit._repr_html_())


def test_auto_counts_endmembers(simulated):
    found = ux.Unmixing("auto", seed=1, steps=150, device="cpu").fit(simulated.scene)
    count = ux.Unmixing("auto", seed=1, device="cpu").count(simulated.scene)
    assert found.k == count.recommended == 3
    assert str(count.recommended) in count.reason or count.reason
    assert [k for k, _ in count.evidence][:3] == [1, 2, 3]


def test_intervals_come_from_quantiles_and_draws(fit, simulated):
    xr = pytest.importorskip("xarray")
    nine = fit.interval()
    assert isinstance(nine, xr.DataArray) and nine.dims == ("quantile", "endmember", "y", "x")
    assert nine.dtype == np.float32 and list(nine["quantile"]) == [0.05, 0.95]
    assert np.array_equal(nine[0].values, np.moveaxis(fit.numpy("abundances_q05"), 2, 0), True)
    half = fit.interval(0.5)
    inside = np.isfinite(half.values)
    width = [float((i[1] - i[0]).mean()) for i in (half, nine)]
    assert 0.0 < width[0] < width[1] and inside.any() and not inside.all()
    plain = ux.Unmixing(3, **QUICK).fit(simulated.scene)
    with pytest.raises(ValueError, match="draws"):
        plain.interval(0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit.interval(1.0)
    draws = fit.draws
    assert draws["abundances"].dims == ("draw", "endmember", "y", "x")
    assert draws["endmembers"].shape == (30, 3, fit.scene.shape[2])
    with pytest.raises(ValueError, match="draws"):
        plain.draws


def test_saved_pickled_and_renamed_fits_are_the_fit(fit, tmp_path):
    fit.save(tmp_path / "f.unmixel")
    named = fit.named(["soil", "tree & bush", "water"])
    for other in (ux.load(tmp_path / "f.unmixel"), pickle.loads(pickle.dumps(named))):
        assert np.array_equal(other.numpy(), fit.numpy(), equal_nan=True)
        assert other.report["settings"] == fit.report["settings"]
    assert pickle.loads(pickle.dumps(named)).names == ["soil", "tree & bush", "water"]
    turned = named.in_order([2, 0, 1])
    assert turned.names == ["water", "soil", "tree & bush"]
    assert np.array_equal(turned.numpy(), fit.numpy()[..., [2, 0, 1]], equal_nan=True)
    with pytest.raises(ValueError, match="2 names for 3"):
        fit.named(["a", "b"])
    with pytest.raises(ValueError, match="each of the 3"):
        fit.in_order([0, 0, 1])
    (tmp_path / "broken.unmixel").write_bytes((tmp_path / "f.unmixel").read_bytes()[:-100])
    with pytest.raises(ValueError, match="broken.unmixel"):
        ux.load(tmp_path / "broken.unmixel")


def test_what_a_notebook_shows(fit):
    page = fit.named(["a<b", "c", "d"])._repr_html_()
    assert page.count("data:image/png;base64,") == 2 and "a&lt;b" in page and "a<b" not in page
    assert "24 x 30 pixels" in repr(fit) and "endmember 1" in repr(fit)
    assert "abundance" in str(fit.report["estimates"])
    assert len(fit.trace) == 150 and not fit.interrupted and fit.seconds


def test_doubts_are_warnings(simulated):
    with pytest.warns(ux.UnmixelWarning, match="nearly"):
        odd = ux.Unmixing(6, seed=1, **QUICK).fit(simulated.scene)
    assert odd.warnings


def test_starts_from_spectra_and_families(simulated, tmp_path):
    scene = simulated.scene
    truth = simulated.endmembers
    held = ux.Unmixing(3, init=truth, spectra="given", convention="reflectance", **QUICK).fit(scene)
    # Held as they are, but for what float32 and the transform keep of them.
    assert np.allclose(held.numpy("endmembers"), truth, rtol=1e-3, atol=1e-3)
    third = {"init": truth[:, ::3], "init_wavelengths": simulated.wavelengths[::3]}
    assert ux.Unmixing(3, **third, **QUICK).fit(scene).k == 3
    table = "\n".join(",".join(map(str, row)) for row in (simulated.wavelengths, *truth))
    (tmp_path / "lib.csv").write_text(table)
    from_file = ux.Unmixing(3, init=tmp_path / "lib.csv", spectra="given", **QUICK).fit(scene)
    assert "given spectra" in from_file.report["settings"]["start"]
    assert (
        "clusters"
        in ux.Unmixing(2, init="clusters", **QUICK).fit(scene).report["settings"]["start"]
    )
    with pytest.raises(ValueError, match="no such file"):
        ux.Unmixing(3, init="nothing.csv")
    with pytest.raises(ValueError, match="leave one of the two out"):
        ux.Unmixing(3, init="vca", restarts=3)
    with pytest.raises(ValueError, match="2 bands"):
        ux.Unmixing(3, init=truth[:, :2], **QUICK).fit(scene)


def test_baselines_and_devices(simulated):
    spectra, maps = ux.baseline(simulated.scene, 3)
    assert spectra.shape == (3, 40) and maps.shape == (24, 30, 3)
    assert np.allclose(np.nansum(maps, axis=2)[~np.isnan(maps[..., 0])], 1.0, atol=1e-5)
    assert not np.allclose(np.nansum(ux.baseline(simulated.scene, 3, inversion="nnls")[1], 2), 1.0)
    assert ux.devices()[0]["backend"] == "cpu"
    with pytest.raises(ValueError, match="at most|no more"):
        ux.baseline(simulated.scene, 41)


def test_files_of_maps(fit, tmp_path):
    fit.to_netcdf(tmp_path / "m.nc")
    fit.to_geotiff(tmp_path / "m.tif", "abundance_sd")
    fit.to_zarr(tmp_path / "m.zarr")
    with pytest.raises(FileExistsError):
        fit.to_netcdf(tmp_path / "m.nc")
    fit.to_netcdf(tmp_path / "m.nc", overwrite=True)
    with pytest.raises(ValueError, match="this fit has"):
        fit.to_geotiff(tmp_path / "x.tif", "nothing")
    assert not (tmp_path / "x.tif").exists()
    with pytest.raises(ValueError, match="m.zarr"):
        fit.to_zarr(tmp_path / "m.zarr")
    fit.to_zarr(tmp_path / "m.zarr", overwrite=True)
    with pytest.raises(OSError):
        fit.to_netcdf(tmp_path / "none" / "m.nc")
    with pytest.raises(ValueError, match="png, npy"):
        fit.to_folder(tmp_path / "f", formats=["jpeg"])
    xr = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    with xr.open_dataset(tmp_path / "m.nc") as read:
        wanted = np.moveaxis(fit.numpy(), 2, 0)
        found = read["abundance_mean"].transpose("endmember", "y", "x").values
        assert np.array_equal(found, wanted, equal_nan=True)
    pytest.importorskip("zarr")
    with xr.open_zarr(tmp_path / "m.zarr") as read:
        found = read["abundance_sd"].transpose("endmember", "y", "x").values
        assert np.array_equal(found, np.moveaxis(fit.numpy("abundances_sd"), 2, 0), equal_nan=True)


def test_the_figure(fit, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    figure = fit.plot()
    # Two maps of each endmember, a scale of each row, the spectra.
    assert len(figure.axes) == 9
    figure.savefig(tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000
    lines = figure.axes[-1].get_lines() or figure.axes[6].get_lines()
    assert lines is not None
