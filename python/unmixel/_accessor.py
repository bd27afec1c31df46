"""``DataArray.unmixel``: unmixing of what xarray and rioxarray hold."""

from __future__ import annotations

from typing import Any

import xarray as xr

from ._fit import Fit
from ._progress import Progress
from ._scene import Scene
from ._unmixing import Count, Unmixing

#: What :class:`Scene` takes beside the array; all else is a setting of :class:`Unmixing`.
_OF_SCENE = (
    "wavelengths",
    "wavelength_unit",
    "fwhm",
    "good_bands",
    "axes",
    "name",
    "crs",
    "transform",
    "mask",
    "scale",
    "no_data",
    "drop_bands",
    "drop_wavelengths",
    "keep_water_bands",
)


@xr.register_dataarray_accessor("unmixel")
class Accessor:
    """Unmixing of a ``DataArray`` of rows, columns and bands.

    >>> fit = da.unmixel.fit(3, seed=7)  # doctest: +SKIP
    """

    def __init__(self, da: xr.DataArray) -> None:
        self._da = da

    def scene(self, **options: Any) -> Scene:
        """The scene that it is; options are those of :class:`unmixel.Scene`, and ``band`` names the
        axis of the bands where nothing tells."""
        return Scene(self._da, **self._axes(options))

    def fit(
        self,
        endmembers: Any,
        *,
        names: Any = None,
        progress: Progress = None,
        **options: Any,
    ) -> Fit:
        """Fits it; options are those of :class:`unmixel.Unmixing` and :class:`unmixel.Scene`, and
        ``band`` names the axis of the bands where nothing tells.

        Raises
        ------
        TypeError
            For an option that neither has.
        """
        options = self._axes(options)
        of_scene = {key: options.pop(key) for key in _OF_SCENE if key in options}
        # Wrong settings are told before anything is read.
        unmixing = Unmixing(endmembers, **options)
        return unmixing.fit(Scene(self._da, **of_scene), names=names, progress=progress)

    def count(self, *, progress: Progress = None, **options: Any) -> Count:
        """How many endmembers it has; options are those of :class:`unmixel.Scene`."""
        return Unmixing("auto").count(self.scene(**options), progress=progress)

    def apply(self, fit: Fit, **options: Any) -> Fit:
        """Abundances of it under a fit of another scene; options are those of
        :class:`unmixel.Scene`."""
        return fit.apply(self.scene(**options))

    def _axes(self, options: dict[str, Any]) -> dict[str, Any]:
        """``band="wl"`` as an order of axes: the other two are rows, then columns."""
        band = options.pop("band", None)
        if band is None:
            return options
        if "axes" in options:
            raise ValueError("band and axes say the same thing; leave one of the two out")
        if band not in self._da.dims:
            raise ValueError(f"band {band!r}: the axes are {', '.join(map(str, self._da.dims))}")
        if self._da.ndim != 3:
            raise ValueError(f"band: the array has {self._da.ndim} axes, and a scene three")
        rest = iter(("rows", "columns"))
        axes = ",".join("bands" if dim == band else next(rest) for dim in self._da.dims)
        return {**options, "axes": axes}
