"""Scenes larger than memory, on whatever cluster Dask has.

:func:`fit` learns spectra, noise and variability from a fair sample of the pixels that the
workers gather, the extremes of the scene among them; then each pixel gets its own posterior, block
by block, where the block lies. Maps are lazy, and the same to the last bit whatever the chunks, the
workers and their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

try:
    import dask
    import dask.array as da
    import xarray as xr
except ImportError as error:
    raise ImportError(
        "unmixel.dask needs dask and xarray: `pip install 'dask[array]' xarray`"
    ) from error

from . import _labels, _sampling, _unmixel
from ._fit import Fit as LearnedFit
from ._fit import _free, dataset_of
from ._grid import PLACE, Grid
from ._progress import Progress
from ._scene import Scene, _used
from ._unmixing import Unmixing

if TYPE_CHECKING:
    from ._scene import NoData

__all__ = ["Fit", "apply", "fit"]

#: Bytes of a block, about, where the array's own chunks are larger or have a part of the bands.
BLOCK_BYTES = 32 << 20
#: Parts that are put together at once on a worker.
FAN_IN = 8
#: Maps a pixel beside those of each endmember.
_SINGLE = ("residual", "brightness")
_STATISTICS = ("abundances", "abundances_sd", "abundances_q05", "abundances_q95")


def fit(
    array: Any,
    endmembers: Any,
    *,
    names: Sequence[str] | None = None,
    progress: Progress = None,
    variable: str | None = None,
    axes: str | Sequence[str] | None = None,
    wavelengths: npt.ArrayLike | None = None,
    no_data: NoData = None,
    scene: dict[str, Any] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Fit:
    """Learns a scene and gives its maps, lazy.

    The array is read twice here (once for a fair sample, once for extremes) and once more when maps
    are computed. The fit itself runs in this process, on a sample of some 30,000 pixels.

    Parameters
    ----------
    array : DataArray, dask array or path
        A cube of three axes; a path is that of a Zarr store or another file that xarray opens.
    endmembers : int or "auto"
        Number of endmembers.
    names : sequence of str, optional
        Names of the endmembers.
    progress : bool or callable, optional
        Of the fit, as :meth:`unmixel.Unmixing.fit` has it; Dask shows its own.
    variable : str, optional
        The cube in a store of several arrays.
    axes : str, optional
        Order of the axes, as ``"bands,rows,columns"``, where their names do not tell.
    wavelengths : array, optional
        Centre wavelengths, nanometres, one a band.
    no_data : float or sequence of float, optional
        Values that stand for no data. Default: what the attributes state, -9999 and -32768 where
        they fill a pixel; zeros, NaN and infinity always.
    scene : dict, optional
        What else :class:`unmixel.Scene` takes: ``scale``, ``drop_bands``, ``good_bands``, ...
    seed, **settings
        As :class:`unmixel.Unmixing` has them. ``device`` is where this process fits, and what each
        worker looks for: with ``"auto"`` its hardware GPU if it has one, else its CPU. Workers with
        the same devices give the same bytes.

    Returns
    -------
    Fit
        Lazy maps; its attribute ``learned`` is the :class:`unmixel.Fit` of the sample.

    Raises
    ------
    ValueError
        Where nothing tells how the axes lie, or nothing in the scene can be fitted.
    """
    # Wrong settings are told before anything is read.
    unmixing = Unmixing(endmembers, seed=seed, **settings)
    cube = _Cube.of(array, variable, axes, no_data)
    options = dict(scene or {})
    if wavelengths is not None:
        options["wavelengths"] = wavelengths
    sample = _learn(cube, endmembers, _unmixel.Survey.most_pixels(), seed, options)
    learned = unmixing.fit(sample, names=names, progress=progress)
    return Fit(learned, cube, settings.get("device", "auto"))


def apply(
    learned: LearnedFit,
    array: Any,
    *,
    variable: str | None = None,
    axes: str | Sequence[str] | None = None,
    no_data: NoData = None,
    device: str = "auto",
) -> Fit:
    """Lazy maps of an array under a fit: of another date or scene of the same product. The array's
    bands and scale are taken to be those of the fit's scene. Each worker computes its blocks on the
    ``device`` that it has, as :class:`unmixel.Unmixing` names them.

    Raises
    ------
    ValueError
        For an array of another number of bands.
    """
    cube = _Cube.of(array, variable, axes, no_data)
    bands, known = cube.data.shape[2], learned._raw.scene.file_bands
    if bands != known:
        raise ValueError(f"the array has {bands} bands, and the scene of the fit {known}")
    return Fit(learned, cube, device)


class _Cube:
    """A cube as blocks of (rows, columns, all bands)."""

    def __init__(
        self, data: da.Array, grid: Grid, told: xr.DataArray | None, bands: Any, no_data: NoData
    ):
        self.data = data
        self.grid = grid
        #: What attributes and coordinates of the bands say, and the name of their axis.
        self.told = told
        self.bands = bands
        self.no_data = None if no_data is None else [float(v) for v in np.atleast_1d(no_data)]

    @staticmethod
    def of(
        array: Any, variable: str | None, axes: str | Sequence[str] | None, no_data: NoData
    ) -> _Cube:
        if isinstance(array, (str, os.PathLike)):
            array = _opened(array, variable)
        elif variable is not None:
            raise ValueError("variable: names an array of a file; this is an array already")
        labelled = isinstance(array, xr.DataArray)
        if labelled and not isinstance(array.data, da.Array):
            array = array.chunk()
        data = array.data if labelled else da.asarray(array)
        if not labelled and axes is None:
            raise ValueError(
                "axes: a plain array does not say how it lies; give them, as "
                'axes="rows,columns,bands"'
            )
        order = _order(array, data, axes)
        grid = Grid.of_array(array, order) if labelled else Grid()
        rest = [axis for axis in range(data.ndim) if axis not in order]
        data = data.transpose([*order, *rest])
        for _ in rest:
            data = data[..., 0]
        chunks: dict[int, Any] = {2: -1}
        bytes_of = max(data.chunks[0]) * max(data.chunks[1]) * data.shape[2] * data.dtype.itemsize
        if bytes_of > 2 * BLOCK_BYTES:
            chunks |= {0: "auto", 1: "auto"}
        data = data.rechunk(chunks, block_size_limit=BLOCK_BYTES)
        told = array if labelled else None
        if no_data is None and told is not None:
            stated = [told.attrs[key] for key in ("_FillValue", "nodata") if key in told.attrs]
            # NaN never is data.
            no_data = [float(v) for v in stated if np.isfinite(v)] or None
        bands = array.dims[order[2]] if labelled else "band"
        return _Cube(data, grid, told, bands, no_data)

    def blocks(self) -> list[tuple[Any, slice, slice]]:
        """Every block, lazy, with its rows and columns."""
        rows, cols = (np.cumsum((0, *c)) for c in self.data.chunks[:2])
        lazy = self.data.to_delayed()
        return [
            (
                lazy[i, j, 0],
                slice(int(rows[i]), int(rows[i + 1])),
                slice(int(cols[j]), int(cols[j + 1])),
            )
            for i in range(len(rows) - 1)
            for j in range(len(cols) - 1)
            if rows[i + 1] > rows[i] and cols[j + 1] > cols[j]
        ]


def _opened(path: str | os.PathLike[str], variable: str | None) -> xr.DataArray:
    store = Path(path)
    is_zarr = store.is_dir() or str(path).rstrip("/").endswith(".zarr")
    # Values as stored: what the attributes say of them is the compiled part's to understand.
    options: dict[str, Any] = {"chunks": {}, "mask_and_scale": False}
    data = xr.open_zarr(path, **options) if is_zarr else xr.open_dataset(path, **options)
    cubes = [str(name) for name, found in data.data_vars.items() if found.ndim >= 3]
    if variable is None:
        if len(cubes) != 1:
            raise ValueError(f"{path}: holds {', '.join(cubes) or 'no cube'}; name one as variable")
        variable = cubes[0]
    if variable not in data:
        raise ValueError(f"{path}: has no array {variable!r}; it holds {', '.join(cubes)}")
    return data[variable]


def _order(array: Any, data: da.Array, axes: Any) -> tuple[int, int, int]:
    """Which axes are rows, columns and bands, by what is told or named, not by values."""
    empty = np.broadcast_to(np.zeros((), data.dtype.newbyteorder("=")), data.shape)
    used = _used(axes, None, None, (), (), False)
    if not isinstance(array, xr.DataArray):
        told = {"labels": _labels.plain("array"), "beside": [], "told": _sampling.NOTHING}
        return tuple(_unmixel.axes_of(empty, told, used))  # type: ignore[return-value]
    labels, beside = _labels.of_array(array, str(array.name or "array"))
    described = {"labels": labels, "beside": beside, "told": _sampling.NOTHING}
    return tuple(_unmixel.axes_of(empty, described, used))  # type: ignore[return-value]


@dataclass(frozen=True)
class _Sample:
    """Stored spectra of some pixels, and how to read them: what travels to the workers."""

    spectra: npt.NDArray[Any]
    attrs: dict[str, Any]
    #: Coordinates of the bands.
    coords: dict[str, Any]
    options: dict[str, Any]

    @staticmethod
    def of(cube: _Cube, found: _sampling.Gathered, options: dict[str, Any]) -> _Sample:
        attrs: dict[str, Any] = {}
        coords: dict[str, Any] = {}
        if cube.told is not None:
            attrs = {k: v for k, v in cube.told.attrs.items() if k not in PLACE}
            for name, coord in cube.told.coords.items():
                if coord.dims == (cube.bands,):
                    coords[str(name)] = (("band",), np.asarray(coord.values), dict(coord.attrs))
            if cube.bands in coords:
                coords["band"] = coords.pop(cube.bands)
                if str(cube.bands) != "band":
                    # Its name may say that it has wavelengths.
                    coords[str(cube.bands)] = coords["band"]
        return _Sample(found[1], attrs, coords, {"no_data": cube.no_data, **options})

    def scene(self) -> Scene:
        """The pixels as a scene of one column."""
        values = xr.DataArray(
            self.spectra[:, np.newaxis, :],
            dims=("y", "x", "band"),
            coords=self.coords,
            attrs=self.attrs,
            name="sample",
        )
        return Scene(values, axes="rows,columns,bands", **self.options)


#: What a worker has made of samples and fits, by their names, so that it does it once.
_MADE: dict[str, Any] = {}


def _once(key: str, make: Callable[[], Any]) -> Any:
    if key not in _MADE:
        while len(_MADE) > 3:
            _MADE.pop(next(iter(_MADE)))
        _MADE[key] = make()
    return _MADE[key]


def _learn(cube: _Cube, endmembers: Any, most: int, seed: int, options: dict[str, Any]) -> Scene:
    """The scene that is learned from: a fair sample of the pixels, and a tenth of extremes."""
    rows, cols, _ = cube.data.shape
    codes = [-9999.0, -32768.0] if cube.no_data is None else cube.no_data
    # Twice what is wanted, so that a scene that is half empty gives enough.
    share = min(1.0, 2.0 * most / max(rows * cols, 1))
    blocks = cube.blocks()
    fair = dask.delayed(_fair, pure=True)
    parts = [fair(block, down, across, cols, share, seed, codes) for block, down, across in blocks]
    found: _sampling.Gathered = _tree(parts, dask.delayed(_sampling.together, pure=True))
    if len(found[0]) == 0:
        raise ValueError("every pixel of the array is no data; see no_data")
    everything = share >= 1.0 and len(found[0]) <= most
    found = _sampling.fewest(found, most if everything else most - most // 10, seed)
    sample = _Sample.of(cube, found, options)
    scene = sample.scene()
    if everything:
        return scene
    count = Unmixing("auto").count(scene).recommended if endmembers == "auto" else int(endmembers)
    count = min(count, scene.shape[2], scene.pixels)
    survey = _unmixel.Survey.of_sample(scene._raw, count, most, seed)
    told = (*survey.parts(), most, seed)
    sent = dask.delayed(sample, pure=True, traverse=False)
    look, merge = dask.delayed(_look, pure=True), dask.delayed(_sampling.merged, pure=True)
    key = dask.base.tokenize(sample.spectra, sample.attrs, sample.coords, sample.options)
    lists = [
        look(block, down, across, cols, told, sent, key, cube.no_data)
        for block, down, across in blocks
    ]
    _, extreme = _tree(lists, lambda some: merge(some, told))
    return _Sample.of(cube, _sampling.together([found, extreme]), options).scene()


def _fair(
    block: npt.NDArray[Any],
    rows: slice,
    cols: slice,
    width: int,
    share: float,
    seed: int,
    codes: list[float],
) -> _sampling.Gathered:
    return _sampling.fair(block, _sampling.numbers_of(rows, cols, width), share, seed, codes)


def _look(
    block: npt.NDArray[Any],
    rows: slice,
    cols: slice,
    width: int,
    survey: tuple[npt.NDArray[np.float64], float, int, int],
    sample: _Sample,
    key: str,
    no_data: list[float] | None,
) -> _sampling.Found:
    scene = _once(key, sample.scene)
    numbers = _sampling.numbers_of(rows, cols, width)
    return _sampling.extremes(block, numbers, survey, scene._raw, no_data)


def _tree(parts: list[Any], join: Callable[[list[Any]], Any]) -> Any:
    """All parts in one, a few at a time, where they lie."""
    while len(parts) > 1:
        parts = [join(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return dask.compute(parts[0])[0]


def _maps(
    block: npt.NDArray[Any],
    learned: LearnedFit,
    key: str,
    no_data: list[float] | None,
    device: str,
) -> npt.NDArray[np.float32]:
    """All maps of a block, (maps, rows, columns)."""
    rows, cols, _ = block.shape
    planes = len(_STATISTICS) * learned.k + len(_SINGLE)
    if rows == 0 or cols == 0:
        return np.empty((planes, rows, cols), np.float32)
    described = {"labels": _labels.plain("block"), "beside": [], "told": _sampling.NOTHING}
    used = _used("rows,columns,bands", None, no_data, (), (), False)
    scene = learned._raw.read(_labels.usable(block), described, used, None)
    found = LearnedFit(learned._raw.apply(scene, device), learned.names, Grid())
    maps = [np.moveaxis(found.numpy(what), 2, 0) for what in _STATISTICS]
    residual, brightness = found._raw.map("residual"), found._raw.map("brightness")
    assert residual is not None
    missing = np.full_like(residual, np.nan) if brightness is None else brightness
    return np.concatenate([*maps, residual[np.newaxis], missing[np.newaxis]])


class Fit:
    """Lazy maps of a scene, and the fit that they follow from. Axes are (endmember, rows, columns),
    with the names and coordinates of the array; values are those of :class:`unmixel.Fit`."""

    def __init__(self, learned: LearnedFit, cube: _Cube, device: str) -> None:
        #: The fit of the sample: ``endmembers``, ``report``, ``save``, and all else.
        self.learned = learned
        self._cube = cube
        self._device = device

    @property
    def names(self) -> list[str]:
        """Names of the endmembers."""
        return self.learned.names

    @cached_property
    def _all(self) -> da.Array:
        """Every map, (maps, rows, columns), a block a block."""
        data, k = self._cube.data, self.learned.k
        planes = len(_STATISTICS) * k + len(_SINGLE)
        key = dask.base.tokenize(self.learned._raw.to_bytes())
        return da.map_blocks(
            _maps,
            data,
            dask.delayed(self.learned, name=f"unmixel-fit-{key}", traverse=False),
            key,
            self._cube.no_data,
            self._device,
            dtype=np.float32,
            chunks=((planes,), data.chunks[0], data.chunks[1]),
            drop_axis=2,
            new_axis=0,
            meta=np.empty((0, 0, 0), np.float32),
        )

    def _of(self, what: str, title: str) -> xr.DataArray:
        k, at = self.learned.k, _STATISTICS.index(what)
        maps = self._all[at * k : (at + 1) * k]
        attrs = {"long_name": title, "units": "1", "convention": self.learned.convention}
        return self._cube.grid.array(maps, {"endmember": self.names}, what, attrs)

    @property
    def abundances(self) -> xr.DataArray:
        """Posterior means, (endmember, rows, columns), lazy."""
        return self._of("abundances", "abundance, posterior mean")

    @property
    def abundances_sd(self) -> xr.DataArray:
        """Posterior standard deviations, (endmember, rows, columns), lazy."""
        return self._of("abundances_sd", "abundance, posterior standard deviation")

    def interval(self) -> xr.DataArray:
        """Ends of 90 % intervals, (quantile, endmember, rows, columns), lazy."""
        ends = [self._of(what, "abundance, 90 % interval") for what in _STATISTICS[2:]]
        both = xr.concat(ends, dim=xr.Variable("quantile", [0.05, 0.95]))
        return both.rename("abundances_interval")

    @property
    def residual(self) -> xr.DataArray:
        """Root mean square over bands of what the mean fit leaves, (rows, columns), lazy."""
        attrs = {"long_name": "root mean square of data minus fit, reflectance", "units": "1"}
        return self._cube.grid.array(self._all[-2], {}, "residual", attrs)

    @property
    def brightness(self) -> xr.DataArray | None:
        """Mean brightness of each pixel, (rows, columns), lazy.

        ``None`` for shares of area in a model without brightness.
        """
        if self.learned._raw.map("brightness") is None:
            return None
        attrs = {"long_name": "brightness, posterior mean", "units": "1"}
        return self._cube.grid.array(self._all[-1], {}, "brightness", attrs)

    @property
    def dataset(self) -> xr.Dataset:
        """All maps, lazy, and the spectra; what is computed of it is computed once."""
        return dataset_of(self, self.learned)

    def to_zarr(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, compute: bool = True
    ) -> Any:
        """Writes all maps and spectra to a Zarr store, block by block, where they are computed.

        Parameters
        ----------
        path : path or URL
            The store, which all workers must reach.
        overwrite : bool
            Whether an earlier store may be replaced.
        compute : bool
            ``False`` gives what Dask is to compute.

        Raises
        ------
        FileExistsError
            When there is such a store and ``overwrite`` is not given.
        """
        if "://" not in str(path):
            _free(path, overwrite)
        whole = self.dataset.drop_encoding()
        # Chunks of a store are of one size; blocks follow them, so that no two write to one.
        rows, cols = self._cube.grid.rows, self._cube.grid.cols
        whole = whole.chunk({rows: _even(self._all.chunks[1]), cols: _even(self._all.chunks[2])})
        # Version 2, which every reader of Zarr has, as the program writes it.
        mode = "w" if overwrite else "w-"
        return whole.to_zarr(path, mode=mode, compute=compute, zarr_format=2)

    def to_geotiff(
        self,
        path: str | os.PathLike[str],
        what: str = "abundances",
        *,
        overwrite: bool = False,
    ) -> None:
        """Writes one kind of map as a cloud-optimised GeoTIFF, block by block: this process holds
        a row of blocks at a time, whatever the scene's size.

        Parameters
        ----------
        path : path
            The file.
        what : str
            ``abundances``, ``abundances_sd``, ``residual`` or ``brightness``.
        overwrite : bool
            Whether an earlier file may be replaced.

        Raises
        ------
        FileExistsError
            When there is such a file and ``overwrite`` is not given.
        ImportError
            Where rioxarray is not installed.
        ValueError
            For a map that there is none of.
        """
        from ._cog import write

        _free(path, overwrite)
        maps = {
            "abundances": self.abundances,
            "abundances_sd": self.abundances_sd,
            "residual": self.residual,
            "brightness": self.brightness,
        }
        if maps.get(what) is None:
            raise ValueError(f"map {what!r}: there are {', '.join(k for k in maps if k)}")
        write(Path(path), maps[what], self.names if "abundances" in what else [what])

    def __repr__(self) -> str:
        rows, cols, bands = self._cube.data.shape
        blocks = self._cube.data.numblocks[0] * self._cube.data.numblocks[1]
        return (
            f"<unmixel.dask.Fit: {rows} x {cols} pixels of {bands} bands in {blocks} blocks, "
            f"{self.learned.k} endmembers ({', '.join(self.names)})>"
        )


def _even(chunks: tuple[int, ...]) -> int:
    return max(max(chunks), 1)
