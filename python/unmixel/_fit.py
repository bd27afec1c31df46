"""What a fit found: maps, spectra, their uncertainty, files."""

from __future__ import annotations

import base64
import html
import json
import os
import sys
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _unmixel
from ._grid import Grid, need_xarray
from ._scene import Scene, _mask, _used, as_scene

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr

    from ._scene import Mask, NoData, SceneLike

__all__ = ["Fit", "load"]

StrPath = str | os.PathLike[str]

#: What is known of the abundances: its name in the compiled part, and what it is.
_ABUNDANCES = {
    "abundances": ("mean", "abundance, posterior mean"),
    "abundances_sd": ("sd", "abundance, posterior standard deviation"),
    "abundances_median": ("q50", "abundance, posterior median"),
}


class Fit:
    """The result of a fit: abundances, spectra, their uncertainty, and how they were found.

    Arrays are of xarray with the coordinates of the scene; :meth:`numpy` has plain ones. N is the
    number of pixels in use, K of endmembers, L of bands in use. Abundances are shares, 0 to 1, with
    sum 1 in each pixel; NaN stands for no data. A fit can be pickled.
    """

    def __init__(self, raw: _unmixel.Fit, names: Sequence[str] = (), grid: Grid | None = None):
        self._raw = raw
        self._names = raw.labels(list(names))
        self._grid = grid or Grid.of_place(raw.scene.georeference, raw.scene.size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._raw.to_bytes(), self._names, self._grid)

    # What it is of.

    @property
    def k(self) -> int:
        """Number of endmembers, K."""
        return self._raw.k

    @property
    def names(self) -> list[str]:
        """Names of the endmembers, for coordinates, tables and files; :meth:`named` gives others.
        ``save`` keeps no names; pickles do."""
        return list(self._names)

    def named(self, names: Sequence[str]) -> Fit:
        """The fit with its endmembers called so.

        Raises
        ------
        ValueError
            For another number of names than endmembers.
        """
        if len(names) != self.k:
            raise ValueError(f"names {list(names)}: {len(names)} names for {self.k} endmembers")
        return Fit(self._raw, names, self._grid)

    def in_order(self, order: Sequence[int]) -> Fit:
        """The fit with its endmembers in another order: ``order[i]``, counted from 0, is the one
        that becomes number i.

        Raises
        ------
        ValueError
            When ``order`` does not name each endmember once.
        """
        raw = self._raw.in_order([int(i) for i in order])
        return Fit(raw, [self._names[i] for i in order], self._grid)

    @property
    def scene(self) -> Scene:
        """The scene that was fitted: geometry, bands and notes, without its spectra."""
        return Scene._of(self._raw.scene, self._grid)

    @property
    def convention(self) -> str:
        """What abundances are shares of: ``"peak"``, of spectra with a peak of one, or
        ``"reflectance"``, of area."""
        return self._raw.convention

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before it was done."""
        return self._raw.interrupted

    @cached_property
    def report(self) -> dict[str, Any]:
        """How the result came about, as ``report.json`` of the command line has it: scene,
        settings as used, seed, device and why, steps, stop reason, ELBO, estimates, search."""
        found: dict[str, Any] = json.loads(self._raw.report())
        return found

    @property
    def trust(self) -> dict[str, Any] | None:
        """How far the abundances may be from the truth, calibrated on simulated scenes: ``high``
        (bool), ``sentence``, ``stated_rmse`` and ``rmse_below`` (abundance, 0 to 1), ``reasons``
        against the fit, and more; None where abundances have no uncertainty."""
        found: dict[str, Any] | None = self.report["trust"]
        return found

    @property
    def warnings(self) -> list[str]:
        """What to know before one trusts the maps, one sentence each."""
        return self._raw.warnings(self._names)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that the stages of the fit took, in order."""
        return self._raw.seconds

    @property
    def trace(self) -> npt.NDArray[np.float64]:
        """ELBO a pixel after each step, nats, (steps)."""
        return self._raw.trace

    # Arrays.

    def numpy(self, what: str = "abundances") -> npt.NDArray[Any]:
        """A plain array: ``abundances``, ``abundances_sd``, ``abundances_median``,
        ``abundances_q05``, ``abundances_q95``: (rows, columns, K), float32; ``brightness``,
        ``residual``, ``draws_worth``: (rows, columns), float32; ``endmembers``, ``endmembers_sd``,
        ``endmembers_q05``, ``endmembers_q95``, ``variability``: (K, L), float64; ``noise_sd``: (L).

        Raises
        ------
        KeyError
            For any other name.
        ValueError
            For what this fit does not have.
        """
        if what in _ABUNDANCES:
            return self._raw.abundances(_ABUNDANCES[what][0])
        if what in ("abundances_q05", "abundances_q95"):
            return self._raw.abundances(what[-3:])
        found: npt.NDArray[Any] | None
        if what in ("brightness", "residual", "draws_worth"):
            found = self._raw.map(what)
        elif what in ("endmembers", "endmembers_sd", "endmembers_q05", "endmembers_q95"):
            found = self._raw.spectra(what.removeprefix("endmembers").lstrip("_") or "mean")
        elif what == "variability":
            found = self._raw.spectra(what)
        elif what == "noise_sd":
            return self._raw.noise_sd
        else:
            raise KeyError(what)
        if found is None:
            raise ValueError(f"{what}: the model of this fit has none")
        return found

    def _maps(self, values: npt.NDArray[Any], name: str, title: str) -> xr.DataArray:
        need_xarray(f"Fit.{name}")
        attrs = {"long_name": title, "units": "1", "convention": self.convention}
        return self._grid.array(np.moveaxis(values, 2, 0), {"endmember": self._names}, name, attrs)

    def _map(self, what: str, title: str) -> xr.DataArray:
        need_xarray(f"Fit.{what}")
        return self._grid.array(self.numpy(what), {}, what, {"long_name": title, "units": "1"})

    @cached_property
    def abundances(self) -> xr.DataArray:
        """Posterior means, (endmember, y, x), float32, shares."""
        return self._maps(self.numpy("abundances"), "abundances", _ABUNDANCES["abundances"][1])

    @cached_property
    def abundances_sd(self) -> xr.DataArray:
        """Posterior standard deviations, (endmember, y, x), float32."""
        what = "abundances_sd"
        return self._maps(self.numpy(what), what, _ABUNDANCES[what][1])

    @cached_property
    def abundances_median(self) -> xr.DataArray:
        """Posterior medians, (endmember, y, x), float32."""
        what = "abundances_median"
        return self._maps(self.numpy(what), what, _ABUNDANCES[what][1])

    def interval(self, level: float = 0.9) -> xr.DataArray:
        """Central intervals of the abundances, (quantile, endmember, y, x), float32: the lower
        ends, then the upper.

        Those of 90 % are always there. Others are taken from the posterior's draws, for which
        ``Unmixing(..., draws=N)`` asks; N of some hundreds makes ends steady.

        Raises
        ------
        ValueError
            For a level outside of 0 to 1, and for one other than 0.9 of a fit without draws.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level {level}: must lie between 0 and 1, as 0.9")
        ends = [round((1.0 - level) / 2.0, 12), round((1.0 + level) / 2.0, 12)]
        if abs(level - 0.9) < 1e-9:
            found = [self._raw.abundances("q05"), self._raw.abundances("q95")]
            values = np.stack(found)
        else:
            drawn = self._raw.draws()
            if drawn is None:
                raise ValueError(
                    f"level {level}: a fit without draws has the interval of 0.9 only; ask for "
                    "some with Unmixing(..., draws=200)"
                )
            with warnings.catch_warnings():
                # Pixels without data are NaN in every draw.
                warnings.simplefilter("ignore", RuntimeWarning)
                values = np.nanquantile(drawn[0], ends, axis=0).astype(np.float32)
        need_xarray("Fit.interval")
        leading = {"quantile": ends, "endmember": self._names}
        attrs = {"long_name": f"abundance, {level:.3g} interval", "units": "1"}
        return self._grid.array(np.moveaxis(values, 3, 1), leading, "abundances_interval", attrs)

    @cached_property
    def draws(self) -> xr.Dataset:
        """Draws of the posterior: ``abundances``, (draw, endmember, y, x), and ``endmembers``,
        (draw, endmember, band), float32; those of one draw belong together.

        Raises
        ------
        ValueError
            For a fit that was not asked for draws, and one that was loaded: files have none.
        """
        import xarray as xr

        drawn = self._raw.draws()
        if drawn is None:
            raise ValueError("draws: ask for some with Unmixing(..., draws=N); files keep none")
        numbers = range(drawn[0].shape[0])
        leading = {"draw": numbers, "endmember": self._names}
        maps = self._grid.array(np.moveaxis(drawn[0], 3, 1), leading, "abundances", {"units": "1"})
        spectra = self._spectra(drawn[1], ("draw", "endmember", "band"), "endmember spectra, draws")
        return xr.Dataset({"abundances": maps, "endmembers": spectra})

    def _spectra(self, values: npt.NDArray[Any], dims: tuple[str, ...], title: str) -> xr.DataArray:
        need_xarray("Fit.endmembers")
        import xarray as xr

        scene = self._raw.scene
        coords: dict[str, Any] = {"band": scene.band_indices + 1}
        if "endmember" in dims:
            coords["endmember"] = self._names
        if scene.wavelengths is not None:
            coords["wavelength"] = ("band", scene.wavelengths, {"units": "nm"})
        unit = "reflectance" if self.convention == "reflectance" else "share of the peak"
        attrs = {"long_name": title, "units": "1", "description": unit}
        return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)

    @cached_property
    def endmembers(self) -> xr.Dataset:
        """Spectra, (endmember, band), float64: ``mean``, ``sd``, ``q05`` and ``q95`` (the ends of
        90 % intervals), and ``variability`` (sd between pixels) where the model has it; in
        reflectance, or relative to their peak, as :attr:`convention` says. ``band`` numbers the
        bands of the file from 1; ``wavelength`` is in nanometres."""
        need_xarray("Fit.endmembers")
        import xarray as xr

        titles = {
            "mean": "endmember, posterior mean",
            "sd": "endmember, posterior standard deviation",
            "q05": "endmember, 5 % quantile",
            "q95": "endmember, 95 % quantile",
            "variability": "endmember, standard deviation between pixels",
        }
        found = {what: self._raw.spectra(what) for what in titles}
        dims = ("endmember", "band")
        return xr.Dataset(
            {
                what: self._spectra(values, dims, titles[what])
                for what, values in found.items()
                if values is not None
            },
            attrs={"convention": self.convention},
        )

    @property
    def noise_sd(self) -> xr.DataArray:
        """Noise standard deviation of each band, (band), reflectance."""
        return self._spectra(self._raw.noise_sd, ("band",), "noise, standard deviation")

    @property
    def brightness(self) -> xr.DataArray | None:
        """Mean brightness of each pixel, (y, x), float32: what its mixture is multiplied by.

        ``None`` where that is one for all: for shares of area in a model without brightness.
        """
        if self._raw.map("brightness") is None:
            return None
        return self._map("brightness", "brightness, posterior mean")

    @property
    def residual(self) -> xr.DataArray:
        """Root mean square over bands of what the mean fit leaves, (y, x), reflectance."""
        return self._map("residual", "root mean square over bands of data minus fit, reflectance")

    @property
    def draws_worth(self) -> xr.DataArray | None:
        """How many independent draws the weighted draws of each pixel are worth, (y, x); ``None``
        for the guide's posterior, whose draws have no weights."""
        if self._raw.map("draws_worth") is None:
            return None
        return self._map("draws_worth", "effective sample size of the pixel's draws")

    @property
    def dataset(self) -> xr.Dataset:
        """All maps and spectra as one Dataset."""
        return dataset_of(self, self)

    # Other scenes.

    def apply(self, scene: SceneLike, *, device: str = "auto") -> Fit:
        """Abundances of another scene, date or tile, given what this fit says of spectra, noise,
        variability and mean abundance: each pixel gets its own posterior. Bands are matched by
        wavelength, and interpolated where the other scene's lie beside them; without wavelengths by
        their place in the file.

        Parameters
        ----------
        scene : scene, path or DataArray
            As :func:`unmixel.fit` takes it.
        device : str
            As :class:`unmixel.Unmixing` has it; the same device gives the same bytes.

        Raises
        ------
        ValueError
            When the other scene lacks a band of this fit's, and for a fit with a noise covariance.
        """
        taken = as_scene(scene)
        return Fit(self._raw.apply(taken._raw, device), self._names, taken._grid)

    def read(
        self,
        values: npt.ArrayLike | xr.DataArray,
        *,
        axes: str | Sequence[str] | None = None,
        name: str | None = None,
        no_data: NoData = None,
        mask: Mask = None,
    ) -> Scene:
        """Another piece of the scene of this fit, or another scene of the same product, with the
        bands and the scale of this fit's, whatever the piece holds. :meth:`apply` then gives each
        pixel the same numbers to the last bit, however the pieces are cut.

        Raises
        ------
        ValueError
            For another number of bands than the scene of this fit had.
        """
        from ._scene import _described, _grid_of, _told

        told = _told(None, None, None, None, None, None)
        array, described = _described(values, name, told)
        used = _used(axes, None, no_data, (), (), False)
        raw = self._raw.read(array, described, used, _mask(mask))
        return Scene._of(raw, _grid_of(values, raw, False))

    # Files.

    def save(self, path: StrPath) -> None:
        """Writes the fit to a file, whole or not at all, for :func:`load` and ``unmixel apply``:
        all of it but names, draws and the table of its search. An earlier file is replaced.

        Raises
        ------
        OSError
            When it cannot be written; an earlier file then stays as it was.
        """
        self._raw.save(os.fspath(path))

    def to_netcdf(self, path: StrPath, *, overwrite: bool = False) -> None:
        """Writes all maps and spectra as one NetCDF file with the CF conventions, whole or not at
        all; those of a scene in the geometry of its sensor (EMIT) on the map grid.

        Raises
        ------
        FileExistsError
            When there is such a file and ``overwrite`` is not given.
        OSError
            When it cannot be written.
        """
        _free(path, overwrite)
        self._raw.to_netcdf(os.fspath(path), self._names)

    def to_geotiff(
        self, path: StrPath, what: str = "abundance_mean", *, overwrite: bool = False
    ) -> None:
        """Writes one kind of map as a cloud-optimised GeoTIFF, float32, a band an endmember, whole
        or not at all.

        Parameters
        ----------
        path : path
            The file.
        what : str
            ``abundance_mean``, ``abundance_sd``, ``abundance_q05``, ``abundance_q50``,
            ``abundance_q95``, ``residual`` or ``brightness``.
        overwrite : bool
            Whether an earlier file may be replaced.

        Raises
        ------
        FileExistsError
            When there is such a file and ``overwrite`` is not given.
        ValueError
            For a map that this fit does not have.
        OSError
            When it cannot be written.
        """
        _free(path, overwrite)
        self._raw.to_geotiff(os.fspath(path), self._names, what)

    def to_zarr(self, path: StrPath, *, overwrite: bool = False) -> None:
        """Writes all maps and spectra as a Zarr store (version 2, as xarray, GDAL and zarr read
        it), whole or not at all.

        Raises
        ------
        ValueError
            When the folder has files and ``overwrite`` is not given; with it only what unmixel
            wrote there itself is replaced.
        OSError
            When it cannot be written.
        """
        _tell(self._raw.to_zarr(os.fspath(path), self._names, overwrite))

    def to_folder(
        self,
        folder: StrPath,
        *,
        formats: Sequence[str] | None = None,
        save: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Writes what ``unmixel fit --out`` writes: pictures, arrays, tables, the report, all at
        once or not at all.

        Parameters
        ----------
        folder : path
            The folder of results.
        formats : sequence of str, optional
            ``png``, ``npy``, ``envi``, ``geotiff``, ``netcdf``, ``zarr``. Default: ``png``,
            ``npy``, and ``geotiff`` where the scene has a place on earth.
        save : bool
            Whether the fit itself is written, too, as ``fit.unmixel``.
        overwrite : bool
            Whether results of unmixel that are there may be replaced.

        Raises
        ------
        ValueError
            When the folder has files and ``overwrite`` is not given, and for unknown formats.
        OSError
            When it cannot be written.
        """
        listed = None if formats is None else [str(word) for word in formats]
        command = list(sys.argv)
        path = os.fspath(folder)
        _tell(self._raw.to_folder(path, listed, self._names, save, overwrite, [], command))

    # To look at.

    def plot(self, *, figsize: tuple[float, float] | None = None) -> matplotlib.figure.Figure:
        """Maps of the abundances (a fixed scale of 0 to 1), their standard deviations (one scale),
        and the spectra with 90 % intervals, as a figure of matplotlib.

        Raises
        ------
        ImportError
            Where matplotlib is not installed.
        """
        from ._plot import figure

        return figure(self, figsize)

    def __repr__(self) -> str:
        rows, cols = self._raw.scene.size
        stopped = ", interrupted" if self.interrupted else ""
        return (
            f"<unmixel.Fit of {self._raw.scene.name!r}: {rows} x {cols} pixels, "
            f"{self.k} endmembers ({', '.join(self._names)}), {self.convention}{stopped}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: maps, spectra, mean abundances, warnings."""

        def picture(png: bytes, what: str) -> str:
            data = base64.b64encode(png).decode()
            return f'<img alt="{what}" style="max-width:100%" src="data:image/png;base64,{data}"/>'

        means = self.report["estimates"]["mean_abundance"]
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{100 * (mean or 0):.1f} %</td></tr>"
            for name, mean in zip(self._names, means)
        )
        said = self.warnings + ([self.trust["sentence"]] if self.trust else [])
        notes = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in said)
        return (
            f"<div><p><b>{html.escape(repr(self).strip('<>'))}</b></p>"
            f"{picture(self._raw.composite_png(self._names), 'abundances')}"
            f"{picture(self._raw.spectra_png(self._names), 'endmember spectra')}"
            f"<table><tr><th>endmember</th><th>mean abundance</th></tr>{rows}</table>"
            f"{f'<ul>{notes}</ul>' if notes else ''}</div>"
        )


def dataset_of(maps: Any, fit: Fit) -> xr.Dataset:
    """The maps of ``maps``, which may be lazy, and the spectra of ``fit`` as one Dataset."""
    import xarray as xr

    found: dict[str, Any] = {
        "abundances": maps.abundances,
        "abundances_sd": maps.abundances_sd,
        "abundances_interval": maps.interval(),
        "residual": maps.residual,
    }
    if maps.brightness is not None:
        found["brightness"] = maps.brightness
    spectra = fit.endmembers.data_vars.items()
    found.update({f"endmembers_{what}": values for what, values in spectra})
    return xr.Dataset(found, attrs={"convention": fit.convention})


def _unpickled(data: bytes, names: list[str], grid: Grid) -> Fit:
    return Fit(_unmixel.Fit.from_bytes(data), names, grid)


def _free(path: StrPath, overwrite: bool) -> None:
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"{os.fspath(path)}: is there already; overwrite=True replaces it")


def _tell(sentences: list[str]) -> None:
    from ._unmixing import UnmixelWarning

    for sentence in sentences:
        warnings.warn(sentence, UnmixelWarning, stacklevel=3)


def load(path: StrPath) -> Fit:
    """Reads a fit that :meth:`Fit.save` or ``unmixel fit --save`` wrote; of a folder of results the
    one in it.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is another kind of file, cut off or damaged.
    """
    return Fit(_unmixel.Fit.load(os.fspath(path)))
