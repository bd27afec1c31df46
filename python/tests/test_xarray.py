"""xarray and rioxarray, in and out."""

from __future__ import annotations

import numpy as np
import pytest
import unmixel as ux
from conftest import QUICK

xr = pytest.importorskip("xarray")


def cube_of(simulated, dims=("y", "x", "band"), **attrs):
    """The simulated scene as a cube of these axes."""
    size = dict(zip(("y", "x", "band"), (24, 30, 40)))
    values = xr.DataArray(
        simulated.cube,
        dims=("y", "x", "band"),
        coords={
            "wavelength": ("band", simulated.wavelengths / 1000, {"units": "um"}),
            "y": 5_000_000.0 - 30.0 * np.arange(size["y"]) - 15.0,
            "x": 500_000.0 + 30.0 * np.arange(size["x"]) + 15.0,
            "spatial_ref": ((), 0, {"crs_wkt": "EPSG:32633"}),
            "time": np.datetime64("2026-11-26"),
        },
        attrs=attrs,
        name="refl",
    )
    return values.transpose(*dims)


@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "y", "x"), ("x", "band", "y")])
def test_results_have_the_coordinates_of_the_scene(simulated, dims):
    da = cube_of(simulated, dims)
    fit = da.unmixel.fit(3, seed=7, names=["a", "b", "c"], **QUICK)
    maps = fit.abundances
    assert maps.dims == ("endmember", "y", "x") and list(maps.endmember.values) == ["a", "b", "c"]
    for name in ("y", "x", "spatial_ref", "time"):
        assert maps[name].identical(
            da[name].drop_vars("wavelength", errors="ignore")
        ) or np.array_equal(maps[name].values, da[name].values)
    assert np.isnan(maps.encoding["_FillValue"])
    assert np.allclose(fit.scene.wavelengths, simulated.wavelengths[fit.scene.band_indices])
    assert fit.scene.georeference["epsg"] == 32633
    assert fit.scene.georeference["transform"] == [500_000, 30, 0, 5_000_000, 0, -30]
    # The numbers are those of the plain array.
    plain = ux.Unmixing(3, seed=7, **QUICK).fit(
        ux.Scene(simulated.cube, simulated.wavelengths, axes="rows,columns,bands")
    )
    assert np.array_equal(maps.values, plain.abundances.values, equal_nan=True)
    assert fit.endmembers["mean"].dims == ("endmember", "band")
    assert fit.endmembers["wavelength"].attrs["units"] == "nm"
    whole = fit.dataset
    assert {"abundances", "abundances_sd", "brightness", "endmembers_mean"} <= set(whole)


def test_other_names_of_axes_stay(simulated):
    da = cube_of(simulated).rename({"y": "lat", "x": "lon", "band": "wl"})
    fit = da.unmixel.fit(3, **QUICK)
    assert fit.abundances.dims == ("endmember", "lat", "lon")
    odd = cube_of(simulated).drop_vars(["wavelength", "y", "x"])
    odd = odd.rename({"y": "a", "x": "b", "band": "c"})
    told = odd.unmixel.fit(3, band="c", **QUICK)
    assert told.abundances.dims == ("endmember", "a", "b")
    first = odd.transpose("c", "a", "b").unmixel.scene(band="c")
    assert first.shape[:2] == (24, 30)
    with pytest.raises(ValueError, match="the axes are a, b, c"):
        odd.unmixel.fit(3, band="z")
    with pytest.raises(ValueError, match="leave one"):
        odd.unmixel.fit(3, band="c", axes="rows,columns,bands")
    with pytest.raises(TypeError, match="typo"):
        odd.unmixel.fit(3, typo=1)
    assert da.unmixel.count().recommended == 3
    assert da.unmixel.apply(fit).abundances.dims == ("endmember", "lat", "lon")


def test_a_piece_lies_where_it_was_cut(simulated):
    da = cube_of(simulated)
    da["spatial_ref"].attrs["GeoTransform"] = "500000 30 0 5000000 0 -30"
    piece = da[4:14, 6:20]
    fit = piece.unmixel.fit(3, **QUICK)
    assert fit.scene.georeference["transform"] == [500_180, 30, 0, 4_999_880, 0, -30]
    assert np.array_equal(fit.abundances.y, piece.y) and np.array_equal(fit.abundances.x, piece.x)


def test_scale_and_no_data_of_attributes_hold(simulated):
    counts = np.round(np.nan_to_num(simulated.cube, nan=-0.5) * 10_000).astype(np.int16)
    da = cube_of(simulated, scale_factor=1e-4, _FillValue=-5000).copy(data=counts)
    scene = da.unmixel.scene()
    assert scene.scaling[0] == 1e-4
    holes = np.isnan(simulated.cube).all(axis=2)
    assert np.array_equal(np.isnan(scene.reflectance()).all(axis=2), holes)
    assert da.unmixel.scene(scale=20_000.0).scaling[0] == 1 / 20_000


def test_rioxarray_reads_what_it_gave(simulated, tmp_path):
    rioxarray = pytest.importorskip("rioxarray")
    da = cube_of(simulated, ("band", "y", "x")).drop_vars("time")
    da = da.rio.write_crs("EPSG:32633").rio.write_nodata(np.nan)
    da.rio.to_raster(tmp_path / "scene.tif")
    with rioxarray.open_rasterio(tmp_path / "scene.tif") as opened:
        fit = opened.unmixel.fit(3, seed=7, wavelengths=simulated.wavelengths, **QUICK)
    maps = fit.abundances
    assert maps.rio.crs.to_epsg() == 32633
    assert maps.rio.transform().to_gdal() == (500_000, 30, 0, 5_000_000, 0, -30)
    assert np.isnan(maps.rio.nodata) or np.isnan(maps.rio.encoded_nodata)
    maps.rio.to_raster(tmp_path / "maps.tif")
    fit.to_geotiff(tmp_path / "own.tif")
    for name in ("maps.tif", "own.tif"):
        with rioxarray.open_rasterio(tmp_path / name) as back:
            assert back.rio.crs.to_epsg() == 32633 and back.rio.transform() == maps.rio.transform()
            assert np.array_equal(back.values, maps.values, equal_nan=True)
    # From the file itself the place is the same.
    scene = ux.open(tmp_path / "scene.tif")
    own = ux.Unmixing(3, seed=7, **QUICK).fit(scene).abundances
    assert own.rio.crs == maps.rio.crs and own.rio.transform() == maps.rio.transform()


def test_netcdf_by_xarray(simulated, fit, tmp_path):
    pytest.importorskip("netCDF4")
    fit.dataset.to_netcdf(tmp_path / "d.nc")
    with xr.open_dataset(tmp_path / "d.nc") as back:
        assert np.array_equal(back["abundances"], fit.abundances, equal_nan=True)
