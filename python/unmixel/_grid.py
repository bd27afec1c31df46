"""How maps lie in xarray: the axes and coordinates of the scene that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

Attributes = Mapping[str, Any]

#: Attributes of a cube that belong to where it lies, and hold for maps of it.
PLACE = ("grid_mapping", "crs", "transform", "res")


@dataclass(frozen=True)
class Grid:
    """Names of the rows and columns, and coordinates along them."""

    rows: str = "y"
    cols: str = "x"
    #: For each coordinate its axes, values and attributes.
    coords: Mapping[str, tuple[tuple[str, ...], npt.NDArray[Any], Attributes]] = field(
        default_factory=dict
    )
    #: Attributes that maps get.
    attrs: Attributes = field(default_factory=dict)
    #: The variable that has the coordinate system, where there is one.
    mapping: str | None = None

    @staticmethod
    def of_place(place: Mapping[str, Any] | None, size: tuple[int, int]) -> Grid:
        """The grid of a scene that lies at ``place``, as the compiled part describes it: centres of
        pixels as ``y`` and ``x``, and ``spatial_ref`` as rioxarray has it."""
        if place is None or place["lookup"]:
            # In the geometry of the sensor; maps are put on the grid when they are written.
            return Grid()
        transform: list[float] = place["transform"]
        x0, dx, rx, y0, ry, dy = transform
        attrs: dict[str, Any] = {"GeoTransform": " ".join(repr(float(v)) for v in transform)}
        if place["wkt"]:
            attrs = {"crs_wkt": place["wkt"], "spatial_ref": place["wkt"], **attrs}
        coords: dict[str, Any] = {"spatial_ref": ((), np.array(0), attrs)}
        if not place["rotated"]:
            coords["y"] = (("y",), y0 + dy * (np.arange(size[0]) + 0.5), {})
            coords["x"] = (("x",), x0 + dx * (np.arange(size[1]) + 0.5), {})
        return Grid(coords=coords, mapping="spatial_ref")

    @staticmethod
    def of_array(da: xr.DataArray, axes: tuple[int, int, int]) -> Grid:
        """The grid of a cube: its own names and coordinates of rows and columns, and all that has
        neither bands nor another axis."""
        rows, cols = str(da.dims[axes[0]]), str(da.dims[axes[1]])
        kept: dict[str, Any] = {}
        for name, coord in da.coords.items():
            if set(coord.dims) <= {rows, cols} and name not in ("band", "wavelength"):
                dims = tuple(str(dim) for dim in coord.dims)
                kept[str(name)] = (dims, np.asarray(coord.values), dict(coord.attrs))
        mapping = da.encoding.get("grid_mapping") or da.attrs.get("grid_mapping")
        if mapping is None and "spatial_ref" in kept:
            mapping = "spatial_ref"
        attrs = {key: da.attrs[key] for key in PLACE if key in da.attrs and key != "grid_mapping"}
        return Grid(rows, cols, kept, attrs, mapping if mapping in kept else None)

    def array(
        self,
        values: npt.NDArray[Any],
        leading: Mapping[str, Any],
        name: str,
        attrs: Mapping[str, Any],
    ) -> xr.DataArray:
        """``values`` as a ``DataArray``; ``leading`` are the axes before rows and columns, each
        with its coordinate."""
        import xarray as xr

        dims = [*leading, self.rows, self.cols]
        coords: dict[str, Any] = {key: at for key, at in self.coords.items()}
        coords.update({key: (key, list(at)) for key, at in leading.items()})
        da = xr.DataArray(
            values, dims=dims, coords=coords, name=name, attrs={**self.attrs, **attrs}
        )
        # NaN stands for no data; as rioxarray and the CF conventions say it.
        da.encoding["_FillValue"] = np.float32(np.nan)
        if self.mapping is not None:
            da.encoding["grid_mapping"] = self.mapping
        return da


def need_xarray(what: str) -> None:
    """Says what to do where xarray is not installed."""
    try:
        import xarray  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{what} is given as an xarray.DataArray, and xarray is not installed; "
            "`pip install xarray`, or take Fit.numpy for plain arrays"
        ) from error
