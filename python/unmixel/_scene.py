"""Scenes: from files, and from arrays of NumPy and xarray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from . import _labels, _unmixel
from ._grid import Grid

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Scene", "SceneLike", "as_scene", "open"]

#: What a fit takes.
SceneLike = Union["Scene", npt.NDArray[Any], "xr.DataArray", str, "os.PathLike[str]"]
NoData = Union[float, Sequence[float], None]
Mask = Union[npt.ArrayLike, "xr.DataArray", None]


def _used(
    axes: str | Sequence[str] | None,
    scale: float | None,
    no_data: NoData,
    drop_bands: Sequence[int],
    drop_wavelengths: Sequence[tuple[float, float]],
    keep_water_bands: bool,
) -> dict[str, Any]:
    """What is used of a scene, as the compiled part takes it."""
    if axes is not None and not isinstance(axes, str):
        axes = ",".join(axes)
    if no_data is not None:
        no_data = [float(v) for v in np.atleast_1d(np.asarray(no_data, dtype=np.float64))]
    return {
        "axes": axes,
        "scale": scale,
        "no_data": no_data,
        "drop_bands": [int(band) for band in drop_bands],
        "drop_wavelengths": [(float(low), float(high)) for low, high in drop_wavelengths],
        "keep_water_bands": keep_water_bands,
    }


def _mask(mask: Mask) -> npt.NDArray[np.bool_] | None:
    if mask is None:
        return None
    found: npt.NDArray[np.bool_] = np.asarray(mask) != 0
    if found.ndim != 2:
        raise ValueError(f"mask: has {found.ndim} axes; give one of rows x columns")
    return found


def _described(
    values: Any,
    name: str | None,
    told: dict[str, Any],
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """The numbers of an array, and all that is said of them."""
    if hasattr(values, "dims") and hasattr(values, "coords"):
        own, beside = _labels.of_array(values, name or str(values.name or "array"))
        return _labels.usable(values.data), {"labels": own, "beside": beside, "told": told}
    labels = _labels.plain(name or "array")
    return _labels.usable(values), {"labels": labels, "beside": [], "told": told}


class Scene:
    """A scene ready to be fitted: valid pixels and good bands only, in reflectance.

    Parameters
    ----------
    values : array or DataArray
        A cube of three axes (others of length 1 may be among them), of any type of real numbers and
        any strides: it is read where it lies, a block of rows at a time, and not changed. The scene
        keeps the pixels in use in 32 bits. Nobody may write to the array meanwhile.

        Of a ``DataArray`` names of axes, coordinates and attributes are understood as those of
        files are: the axis of the bands, wavelengths and their unit, the place on earth, the scale,
        the value for no data. Results get its coordinates.
    wavelengths : sequence of float, optional
        Centre wavelengths, one a band of ``values``, nanometres (or in ``wavelength_unit``).
    wavelength_unit : str, optional
        Their unit: ``"nm"``, ``"um"``, ``"cm-1"`` and so on.
    fwhm : sequence of float, optional
        Widths of the bands at half of their maximum, nanometres.
    good_bands : sequence of bool, optional
        False for bands to be left out.
    axes : str or sequence of str, optional
        Order of the axes, as ``"rows,columns,bands"``. Default: what names, sizes, wavelengths and
        values say, which is among :attr:`notes`; where nothing tells, it is asked for.
    name : str, optional
        A short name, for titles and messages.
    crs : int, str or object, optional
        Coordinate system: EPSG number, well-known text, or an object of pyproj or rasterio.
    transform : Affine or six numbers, optional
        From pixels to coordinates; six numbers are in GDAL's order.
    mask : array, optional
        (rows, columns), 0 where pixels are left out.
    scale : float, optional
        Stored value of reflectance 1. Default: what is stated, or a rule, which is among the notes.
    no_data : float or sequence of float, optional
        Values that stand for no data, and no others; an empty list: none. NaN, infinity and zeros
        in all bands always do. Default: what is stated, and what the values say.
    drop_bands : sequence of int
        Bands to leave out, by their numbers, **from 1**, as files and the command line number them.
    drop_wavelengths : sequence of (float, float)
        Ranges of wavelengths to leave out, nanometres, both ends included.
    keep_water_bands : bool
        Keeps bands that look like noise in the windows of water vapour.

    Raises
    ------
    ValueError
        Where nothing in it can be fitted, and for what cannot be said of it.
    TypeError
        For an array that does not hold real numbers.
    """

    _raw: _unmixel.Scene
    _grid: Grid

    def __init__(
        self,
        values: npt.ArrayLike | xr.DataArray,
        wavelengths: Sequence[float] | npt.NDArray[Any] | None = None,
        *,
        wavelength_unit: str | None = None,
        fwhm: Sequence[float] | npt.NDArray[Any] | None = None,
        good_bands: Sequence[bool] | npt.NDArray[Any] | None = None,
        axes: str | Sequence[str] | None = None,
        name: str | None = None,
        crs: Any = None,
        transform: Any = None,
        mask: Mask = None,
        scale: float | None = None,
        no_data: NoData = None,
        drop_bands: Sequence[int] = (),
        drop_wavelengths: Sequence[tuple[float, float]] = (),
        keep_water_bands: bool = False,
    ) -> None:
        told = _told(wavelengths, wavelength_unit, fwhm, good_bands, crs, transform)
        array, described = _described(values, name, told)
        used = _used(axes, scale, no_data, drop_bands, drop_wavelengths, keep_water_bands)
        self._raw = _unmixel.Scene.from_array(array, described, used, _mask(mask))
        self._grid = _grid_of(values, self._raw, transform is not None)

    @classmethod
    def _of(cls, raw: _unmixel.Scene, grid: Grid | None = None) -> Scene:
        scene = cls.__new__(cls)
        scene._raw = raw
        scene._grid = grid or Grid.of_place(raw.georeference, raw.size)
        return scene

    @property
    def name(self) -> str:
        """A short name."""
        return self._raw.name

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, bands in use."""
        return (*self._raw.size, len(self._raw.band_indices))

    @property
    def pixels(self) -> int:
        """Number of pixels in use."""
        return self._raw.pixels

    @property
    def band_indices(self) -> npt.NDArray[np.int64]:
        """Positions of the bands in use among those of the file or array, from 0, (L)."""
        return self._raw.band_indices

    @property
    def wavelengths(self) -> npt.NDArray[np.float64] | None:
        """Centre wavelengths of the bands in use, nanometres, (L); ``None`` where unknown."""
        return self._raw.wavelengths

    @property
    def fwhm(self) -> npt.NDArray[np.float64] | None:
        """Widths of the bands in use, nanometres, (L); ``None`` where unknown."""
        return self._raw.fwhm

    @property
    def scaling(self) -> tuple[float, float, str]:
        """Gain and offset that made reflectance of stored values, and the rule as a sentence."""
        return self._raw.scaling

    @property
    def notes(self) -> list[str]:
        """What was done to the data on the way in, one sentence each."""
        return self._raw.notes

    @property
    def georeference(self) -> dict[str, Any] | None:
        """Where it lies on earth: ``epsg``, ``wkt``, ``transform`` (GDAL's six numbers), whether it
        is ``rotated``, and whether maps are put on that grid only when they are written
        (``lookup``); ``None`` where unknown."""
        return self._raw.georeference

    def reflectance(self) -> npt.NDArray[np.float32]:
        """A copy of the reflectance, (rows, columns, L), NaN where there are no data."""
        return self._raw.reflectance()

    def __repr__(self) -> str:
        rows, cols, bands = self.shape
        nm = self.wavelengths
        range_of = "" if nm is None else f", {nm[0]:.0f} to {nm[-1]:.0f} nm"
        return (
            f"<unmixel.Scene {self.name!r}: {rows} x {cols} pixels ({self.pixels} in use), "
            f"{bands} of {self._raw.file_bands} bands{range_of}>"
        )


def _told(
    wavelengths: Any, unit: str | None, fwhm: Any, good_bands: Any, crs: Any, transform: Any
) -> dict[str, Any]:
    def numbers(values: Any) -> list[float] | None:
        return None if values is None else [float(v) for v in np.asarray(values).ravel()]

    if unit is not None and wavelengths is None:
        raise ValueError("wavelength_unit: goes with wavelengths, and there are none")
    text, six = _labels.place(crs, transform)
    return {
        "wavelengths": numbers(wavelengths),
        "wavelength_unit": unit,
        "fwhm": numbers(fwhm),
        "good_bands": None if good_bands is None else [bool(g) for g in np.asarray(good_bands)],
        "crs": text,
        "transform": six,
    }


def _grid_of(values: Any, raw: _unmixel.Scene, placed: bool) -> Grid:
    if hasattr(values, "dims") and hasattr(values, "coords") and raw.axes and not placed:
        return Grid.of_array(values, raw.axes)
    return Grid.of_place(raw.georeference, raw.size)


def open(  # noqa: A001 - as rasterio and xarray call it, and always with the package's name.
    path: str | os.PathLike[str],
    *,
    rows: int | None = None,
    cols: int | None = None,
    variable: str | None = None,
    axes: str | Sequence[str] | None = None,
    pixel_order: str | None = None,
    window: tuple[slice, slice] | None = None,
    mask: Mask | str | os.PathLike[str] = None,
    scale: float | None = None,
    no_data: NoData = None,
    drop_bands: Sequence[int] = (),
    drop_wavelengths: Sequence[tuple[float, float]] = (),
    keep_water_bands: bool = False,
) -> Scene:
    """Reads a scene from a file: ENVI, MATLAB, NPY and NPZ, GeoTIFF, HDF5, NetCDF-4 (EMIT, PRISMA,
    NEON and any other array), Zarr; told apart by content.

    Parameters
    ----------
    path : path
        The file; of ENVI the header or the data, of Zarr the folder.
    rows, cols : int, optional
        Height and width in pixels, where the file does not say.
    variable : str, optional
        The array that is the scene, in a file of several.
    axes : str or sequence of str, optional
        Order of the array's axes, as ``"rows,columns,bands"`` or ``"bands,pixels"``.
    pixel_order : {"row", "column"}, optional
        Order of pixels that lie in one line.
    window : (slice, slice), optional
        Rows and columns to use, as ``np.s_[100:300, 50:250]``, counted from the first, without
        steps.
    mask : array or path, optional
        (rows, columns), or a raster of one band, 0 where pixels are left out.
    scale, no_data, drop_bands, drop_wavelengths, keep_water_bands
        As :class:`Scene` has them.

    Raises
    ------
    OSError
        For a file that cannot be read.
    ValueError
        For one that holds no scene, or does not say how; the message says what to give.
    """
    layout = {
        "rows": rows,
        "cols": cols,
        "variable": variable,
        "pixel_order": pixel_order,
        "mask_file": os.fspath(mask) if isinstance(mask, (str, os.PathLike)) else None,
        "window": _window(window),
    }
    used = _used(axes, scale, no_data, drop_bands, drop_wavelengths, keep_water_bands)
    own_mask = None if isinstance(mask, (str, os.PathLike)) else _mask(mask)
    return Scene._of(_unmixel.Scene.from_file(os.fspath(path), used, layout, own_mask))


def _window(window: tuple[slice, slice] | None) -> list[int | None] | None:
    if window is None:
        return None
    try:
        rows, cols = window
        ends = [rows.start, rows.stop, cols.start, cols.stop]
        steps = {rows.step, cols.step} - {None, 1}
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"window {window!r}: give two slices, as np.s_[100:300, 50:250]") from None
    if steps:
        raise ValueError(f"window {window!r}: a window has no steps")
    return ends


def as_scene(scene: SceneLike) -> Scene:
    """A scene of whatever a fit takes."""
    if isinstance(scene, Scene):
        return scene
    if isinstance(scene, (str, os.PathLike)):
        return open(scene)
    return Scene(scene)
