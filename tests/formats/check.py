"""Opens the results that unmixel wrote for `scene` with rasterio, netCDF4 and xarray, and compares
place and values.

    check.py RESULTS SCENE

Prints what differs and ends with 1, else prints how much was compared.
"""

import sys
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import rasterio

try:
    import xarray
    from rio_cogeo import cog_validate
except ImportError:
    xarray = None

warnings.filterwarnings("ignore")
results, scene = Path(sys.argv[1]), sys.argv[2]
# Against the place of the scene as GDAL has it, unless another is given: six numbers, an EPSG code
# and the size.
if len(sys.argv) > 3:
    transform = rasterio.Affine.from_gdal(*map(float, sys.argv[3:9]))
    crs = rasterio.crs.CRS.from_epsg(int(sys.argv[9]))
    size = tuple(map(int, sys.argv[10:12]))
else:
    with rasterio.open(scene) as source:
        transform, crs, size = source.transform, source.crs, (source.height, source.width)
failures, compared = [], 0


def expect(what, good):
    global compared
    compared += 1
    if not good:
        failures.append(what)


def corners(affine):
    rows, cols = size
    return np.array([affine * point for point in ((0, 0), (cols, 0), (0, rows), (cols, rows))])


arrays = {
    "abundance_mean": np.load(results / "abundance_mean.npy"),
    "abundance_sd": np.load(results / "abundance_sd.npy"),
}
names = {}
for name in ("abundance_mean", "abundance_sd", "residual", "brightness"):
    layers = []
    for file in (
        results / f"{name}.tif",
        results / f"{name}.img",
        f"netcdf:{results}/unmixing.nc:{name}",
    ):
        with rasterio.open(file) as raster:
            values = raster.read()
            label = f"{file}".rsplit("/", 1)[-1]
            # Coordinates in metres: below a millionth of a pixel.
            near = np.abs(corners(raster.transform) - corners(transform)).max() <= 1e-6 * abs(
                transform.a or transform.b
            )
            expect(f"{label}: corners {raster.transform} instead of {transform}", near)
            expect(f"{label}: size {raster.shape} instead of {size}", raster.shape == size)
            expect(
                f"{label}: CRS {raster.crs} instead of {crs}",
                raster.crs == crs or raster.crs.to_epsg() == crs.to_epsg(),
            )
            nodata = raster.nodata
            expect(f"{label}: no-data {nodata}", nodata is not None)
            values = np.where(values == nodata, np.nan, values)
            layers.append(values)
            if label.endswith(".tif"):
                names[name] = raster.descriptions
                expect(f"{label}: band names {raster.descriptions}", all(raster.descriptions))
                expect(f"{label}: units {raster.units}", set(raster.units) == {"1"})
                expect(f"{label}: history", "unmixel" in raster.tags().get("history", ""))
                expect(
                    f"{label}: {raster.profile}",
                    raster.profile["tiled"] and raster.compression.name == "deflate",
                )
                if xarray:
                    valid, errors, warned = cog_validate(
                        results / f"{name}.tif", strict=True, quiet=True
                    )
                    expect(f"{label}: no COG: {errors} {warned}", valid)
                if max(size) > 256:
                    expect(f"{label}: overviews {raster.overviews(1)}", raster.overviews(1))
            elif label.endswith(".img"):
                described = [text.split("(")[0].strip() for text in raster.descriptions]
                expect(
                    f"{label}: band names {described} {names[name]}", list(names[name]) == described
                )
    expect(
        f"{name}: the three formats differ",
        all(np.array_equal(layers[0], other, equal_nan=True) for other in layers),
    )
    if name in arrays and size == arrays[name].shape[:2]:
        expect(
            f"{name}: not the values of the npy",
            np.array_equal(np.moveaxis(layers[0], 0, 2), arrays[name], equal_nan=True),
        )

with netCDF4.Dataset(results / "unmixing.nc") as data:
    expect("conventions", data.Conventions == "CF-1.8" and "unmixel" in data.history)
    # netCDF4 makes strings of characters whose encoding is given.
    found = [str(n) for n in data["endmember_name"][:]]
    expect(
        f"endmember names {found} {names['abundance_mean']}", found == list(names["abundance_mean"])
    )
    table = np.genfromtxt(
        results / "endmembers.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    expect(
        "wavelengths", np.array_equal(data["wavelength"][:].filled(np.nan), table["wavelength_nm"])
    )
    for k, name in enumerate(found):
        column = [c for c in table.dtype.names if c.endswith("_mean")][k]
        expect(
            f"spectrum of {name}",
            np.array_equal(data["spectrum_mean"][k].filled(np.nan), table[column]),
        )
        library = np.fromfile(results / "endmembers.sli", "<f8").reshape(len(found), -1)
        expect(f"library spectrum of {name}", np.array_equal(library[k], table[column]))

if xarray and (results / "unmixing.zarr").exists():
    with xarray.open_zarr(results / "unmixing.zarr") as store, xarray.open_dataset(
        results / "unmixing.nc"
    ) as other:
        expect(
            f"variables of Zarr {sorted(store.variables)} and NetCDF",
            set(store.variables) == set(other.variables),
        )
        for name in other.variables:
            a, b = other[name].values, store[name].values
            if name == "endmember_name":
                b = np.char.encode(b.astype(str), "utf-8")
                a = (
                    np.array([bytes(v) for v in a])
                    if a.dtype.kind == "S"
                    else np.char.encode(a.astype(str), "utf-8")
                )
            same = a.shape == b.shape and a.dtype.kind == b.dtype.kind
            same = same and (
                np.array_equal(a, b, equal_nan=True)
                if a.dtype.kind == "f"
                else np.array_equal(a, b)
            )
            expect(f"{name}: Zarr and NetCDF differ", same)
            expect(f"{name}: axes {store[name].dims}", store[name].dims == other[name].dims)
            for key in (
                "units",
                "long_name",
                "grid_mapping",
                "standard_name",
                "crs_wkt",
                "GeoTransform",
            ):
                expect(
                    f"{name}: {key} of Zarr",
                    store[name].attrs.get(key) == other[name].attrs.get(key),
                )
        expect("history of Zarr", store.attrs["history"] == other.attrs["history"])

print("\n".join(failures) or f"{compared} comparisons")
sys.exit(bool(failures))
