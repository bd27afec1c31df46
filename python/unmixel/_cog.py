"""A lazy map as a cloud-optimised GeoTIFF, written block by block."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr


def write(path: Path, maps: xr.DataArray, names: list[str]) -> None:
    """Writes ``maps``, (bands, rows, columns) or (rows, columns), whole or not at all: rows of
    blocks into a tiled file beside it, which GDAL then puts in order with its overviews."""
    try:
        import rasterio
        import rioxarray  # noqa: F401
        from rasterio.shutil import copy
        from rasterio.windows import Window
    except ImportError as error:
        raise ImportError(
            "GeoTIFFs of lazy maps need rioxarray: `pip install rioxarray`; Fit.to_zarr does not"
        ) from error
    stacked = maps if maps.ndim == 3 else maps.expand_dims("band")
    _, rows, cols = stacked.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": stacked.shape[0],
        "dtype": "float32",
        "nodata": float("nan"),
        "tiled": True,
        "BIGTIFF": "IF_SAFER",
    }
    y, x = maps.dims[-2:]
    placed = maps.rio.set_spatial_dims(x_dim=x, y_dim=y)
    if placed.rio.crs is not None and y in maps.coords and x in maps.coords:
        profile |= {"crs": placed.rio.crs, "transform": placed.rio.transform()}
    data = stacked.data
    with tempfile.TemporaryDirectory(dir=path.absolute().parent) as folder:
        plain, done = Path(folder) / "plain.tif", Path(folder) / "done.tif"
        with rasterio.open(plain, "w", **profile) as file:
            first = 0
            for height in data.chunks[1]:
                block = data[:, first : first + height].compute()
                file.write(block, window=Window(0, first, cols, height))
                first += height
            for i, name in enumerate(names):
                file.set_band_description(i + 1, name)
        copy(plain, done, driver="COG", compress="deflate", predictor="yes", BIGTIFF="IF_SAFER")
        os.replace(done, path)
