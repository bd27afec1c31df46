"""Settings of a fit, and fitting."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _unmixel
from ._fit import Fit
from ._progress import Progress, listener
from ._scene import as_scene

if TYPE_CHECKING:
    from ._scene import SceneLike

__all__ = ["Count", "UnmixelWarning", "Unmixing", "devices"]


class UnmixelWarning(UserWarning):
    """What to know before one trusts the maps of a fit: an endmember that is nearly empty, two with
    nearly one spectrum, draws that are worth little."""


@dataclass(frozen=True)
class Count:
    """How many endmembers a scene has, with the evidence."""

    #: The number to take.
    recommended: int
    #: Why, as a sentence.
    reason: str
    #: What each method says: its name and a number.
    estimates: list[tuple[str, int]]
    #: ELBO a pixel, nats, of short fits with 1, 2, 3, ... endmembers; ``None`` for one that failed.
    evidence: list[tuple[int, float | None]]


Spectra = Union[str, "os.PathLike[str]", npt.ArrayLike]


class Unmixing:
    """How a scene is unmixed: every setting, with its default.

    Parameters
    ----------
    endmembers : int or "auto"
        Number of endmembers K, 1 to the bands and pixels in use; ``"auto"``: as many as short fits
        find evidence for.
    seed : int
        Seed of all random numbers, 0 to 2**64 - 1: with one seed, one device gives the same bytes.
    device : str
        ``"auto"``: a hardware GPU if there is one, else the CPU; ``"cpu"``; ``"gpu"``; or a part of
        a name that :func:`devices` lists.
    init : str, path or array, optional
        Where the endmembers begin instead of a search: ``"vca"``, ``"vca-normalised"``,
        ``"nfindr"``, ``"nfindr-normalised"``, ``"simplex"``, ``"simplex-normalised"``,
        ``"clusters"``, ``"random"``; a file of spectra (CSV, ENVI library, MATLAB, NPZ); or an
        array of spectra in reflectance, (spectra, bands), at the bands of the scene's file or at
        those in use, or at ``init_wavelengths``. Of more than K spectra those K are taken that
        explain the scene best. From given spectra evidence decides, as a search does, whether
        pixels differ in brightness, share a mixture, and how mixed they are.
    init_wavelengths : array, optional
        Centre wavelengths of the bands of ``init``, nanometres.
    restarts : int, optional
        Starts that the search tries, at least 1. Default: 8.
    search : int or str, optional
        Moves that the search tries a round, 0 for none; or a time as ``"20s"``, with which results
        depend on the machine. Default: 4.
    steps : int, optional
        Ceiling of the steps, at least 1. With fewer than 1,000 there is no search unless
        ``restarts`` or ``search`` ask for one. Default: 5,000.
    early_stop : bool, optional
        Whether the stopping rule may end the fit before. Default: True.
    noise : {"isotropic", "band", "covariance"}, optional
        Noise of the spectra: one sd for the scene, one a band, or a covariance of the bands.
        Default: ``"band"``.
    brightness : bool, optional
        Whether pixels differ in brightness (shade, slope). Default: True, but where bands count as
        independent, a search runs and ``learn_shade`` is not False: then as the search finds.
    variability : bool, optional
        Whether endmembers vary between pixels. Default: True; False with a noise covariance.
    effective_bands : float, "auto" or "all", optional
        Bands that count as independent evidence, at least 1. Default: as residuals say, at least
        16.
    concentration : float or "learn", optional
        Total concentration of the abundances' Dirichlet, above 0; K is flat. Default:
        0.2 K, and learned where a search runs and evidence asks for it.
    common_mixture : bool, optional
        Whether many pixels may share one mixture. Default: where bands count as independent.
    learn_shade : bool, optional
        Whether how much brightness differs is learned. Default: True.
    outliers_aside : bool, optional
        Whether pixels unlike all others, at most one in twenty, are left out where the scene is
        learned. Default: True.
    guide : {"mean-field", "full-rank", "low-rank"}, optional
        Variational family. Default: ``"full-rank"``.
    rank : int, optional
        Directions of the low-rank guide, at most 64. Default: 10.
    posterior : {"exact", "guide"}, optional
        What is reported. Default: the exact posterior; the guide where bands and neighbouring
        pixels err together, in scenes of at most 30,000 pixels.
    cube : {"f32", "f16"}, optional
        How a GPU holds the spectra that the scene is learned from: ``"f16"`` takes half of the
        memory, and is taken where rounding is at most a quarter of the noise in every band.
        Default: ``"f32"``.
    draws : int, optional
        Draws of the posterior to keep, 0 to 1,000: each takes 4 N K bytes. Default: 0.
    spectra : {"joint", "first", "given"}, optional
        How spectra are found: with all else; first, by a fit with brightness; or those of ``init``,
        held as they are. Default: joint; first, where brightness is off, a search runs, and it
        finds that pixels differ in brightness.
    convention : {"reflectance", "peak"}, optional
        What abundances are shares of: of area, or of peak-normalised spectra. Default:
        peak, but reflectance where ``brightness`` is False.
    batch_size : int, optional
        Pixels in a minibatch, at least 1; the next multiple of 16 is taken. Default: 512.
    particles : int, optional
        Draws a step, 1 to 64. Default: 2.
    learning_rate : float, optional
        Adam's learning rate, above 0. Default: 0.02.

    Raises
    ------
    ValueError
        For the first setting outside of its range, and for settings that do not go together.
    TypeError
        For a setting that there is none of.
    """

    def __init__(
        self,
        endmembers: int | Literal["auto"],
        *,
        seed: int = 0,
        device: str = "auto",
        init: Spectra | None = None,
        init_wavelengths: Sequence[float] | npt.NDArray[Any] | None = None,
        restarts: int | None = None,
        search: int | str | None = None,
        steps: int | None = None,
        early_stop: bool | None = None,
        noise: Literal["isotropic", "band", "covariance"] | None = None,
        brightness: bool | None = None,
        variability: bool | None = None,
        effective_bands: float | Literal["auto", "all"] | None = None,
        concentration: float | Literal["learn"] | None = None,
        common_mixture: bool | None = None,
        learn_shade: bool | None = None,
        outliers_aside: bool | None = None,
        guide: Literal["mean-field", "full-rank", "low-rank"] | None = None,
        rank: int | None = None,
        posterior: Literal["exact", "guide"] | None = None,
        cube: Literal["f32", "f16"] | None = None,
        draws: int | None = None,
        spectra: Literal["joint", "first", "given"] | None = None,
        convention: Literal["reflectance", "peak"] | None = None,
        batch_size: int | None = None,
        particles: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        settings: dict[str, Any] = {
            "seed": seed,
            "restarts": restarts,
            "search": search,
            "steps": steps,
            "early_stop": early_stop,
            "noise": noise,
            "brightness": brightness,
            "variability": variability,
            "effective_bands": effective_bands,
            "concentration": concentration,
            "common_mixture": common_mixture,
            "learn_shade": learn_shade,
            "outliers_aside": outliers_aside,
            "guide": guide,
            "rank": rank,
            "posterior": posterior,
            "cube": cube,
            "draws": draws,
            "spectra": spectra,
            "convention": convention,
            "batch_size": batch_size,
            "particles": particles,
            "learning_rate": learning_rate,
        }
        if init_wavelengths is not None:
            if init is None or isinstance(init, (str, os.PathLike)):
                raise ValueError(
                    "init_wavelengths: go with an array as init, and with nothing else"
                )
            init_wavelengths = [float(nm) for nm in np.asarray(init_wavelengths).ravel()]
        if init is not None and not isinstance(init, (str, os.PathLike)):
            init = np.array(init, dtype=np.float64)
            if init.ndim != 2:
                raise ValueError(f"init: spectra are (spectra, bands); this has {init.ndim} axes")
        self._raw = _unmixel.Unmixing(endmembers, settings, device, init, init_wavelengths)
        self._settings: dict[str, Any] = {
            "endmembers": endmembers,
            **settings,
            "device": device,
            "init": init,
            "init_wavelengths": init_wavelengths,
        }

    @property
    def settings(self) -> dict[str, Any]:
        """All settings as they were given; ``None`` stands for the default."""
        return dict(self._settings)

    def fit(
        self,
        scene: SceneLike,
        *,
        names: Sequence[str] | None = None,
        progress: Progress = None,
    ) -> Fit:
        """Fits a scene.

        Parameters
        ----------
        scene : Scene, array, DataArray or path
            What :class:`Scene` or :func:`open` take is made a scene with their defaults.
        names : sequence of str, optional
            Names of the endmembers, for coordinates, tables and files. Default: those that come
            with a file of spectra as ``init``, else numbers.
        progress : bool or callable, optional
            ``True``: a bar of tqdm, or lines on stderr without it; a function is called with each
            :class:`Event`, and an exception of it ends the fit.

        Raises
        ------
        ValueError
            For a scene that nothing can be found in, or that the settings do not fit.
        OSError
            For files that cannot be read.
        RuntimeError
            For a device that is lost, or a fit without a finite step.
        KeyboardInterrupt
            On Ctrl-C, within a second; its attribute ``fit`` is the fit so far, or ``None`` where
            there was nothing yet. So it is with an exception of ``progress``.

        Warns
        -----
        UnmixelWarning
            For what :attr:`Fit.warnings` says.
        """
        wanted = self._settings["endmembers"]
        if names is not None and isinstance(wanted, int) and len(names) != wanted:
            raise ValueError(
                f"names {list(names)}: {len(names)} names for {wanted} endmembers; give one for "
                "each, or none"
            )
        taken = as_scene(scene)
        hear, close = listener(progress)
        try:
            raw, found = self._raw.fit(taken._raw, hear)
        except BaseException as error:
            so_far = getattr(error, "fit", None)
            if isinstance(so_far, _unmixel.Fit):
                own = names if names is not None and len(names) == so_far.k else ()
                error.fit = Fit(so_far, own, taken._grid)  # type: ignore[attr-defined]
            raise
        finally:
            close()
        own = found if names is None else list(names)
        sentences = []
        if names is not None and len(own) != raw.k:
            # The number was not known before, and a fit is not lost for its names.
            sentences = [f"{len(own)} names for {raw.k} endmembers: they are numbered instead"]
            own = []
        fit = Fit(raw, own, taken._grid)
        for sentence in sentences + fit.warnings:
            warnings.warn(sentence, UnmixelWarning, stacklevel=2)
        return fit

    def count(self, scene: SceneLike, *, progress: Progress = None) -> Count:
        """How many endmembers a scene has, with the evidence; the settings' own number plays no
        part.

        Raises
        ------
        ValueError
            For a scene of too few pixels to say.
        """
        hear, close = listener(progress)
        try:
            return Count(**self._raw.count(as_scene(scene)._raw, hear))
        finally:
            close()

    def __repr__(self) -> str:
        given = [f"{k}={v!r}" for k, v in self._settings.items() if v is not None]
        return f"unmixel.Unmixing({', '.join(given).removeprefix('endmembers=')})"


def devices() -> list[dict[str, str]]:
    """Every device that a fit can run on, the CPU first: ``name``, ``backend`` (``cpu``,
    ``vulkan``, ``metal``, ``dx12``), ``kind`` (``cpu``, ``hardware``, ``software``), ``driver``."""
    return _unmixel.devices()
