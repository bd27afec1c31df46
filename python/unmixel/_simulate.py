"""Scenes whose truth is known, and the methods in use to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import _unmixel
from ._scene import Scene, as_scene

if TYPE_CHECKING:
    from ._scene import SceneLike

__all__ = ["Simulated", "baseline", "simulate"]


@dataclass(frozen=True)
class Simulated:
    """A simulated scene with its truth."""

    #: Reflectance, (rows, columns, bands), float32, NaN in pixels without data.
    cube: npt.NDArray[np.float32]
    #: Centre wavelengths, nanometres, (bands).
    wavelengths: npt.NDArray[np.float64]
    #: Names of the endmembers, (K).
    names: list[str]
    #: Their spectra, reflectance, (K, bands).
    endmembers: npt.NDArray[np.float64]
    #: Abundances, (rows, columns, K), known in the holes, too.
    abundances: npt.NDArray[np.float32]
    #: Factor on the mixture of each pixel, (rows, columns).
    brightness: npt.NDArray[np.float32]

    @property
    def scene(self) -> Scene:
        """The scene as a fit takes it, in reflectance as it stands."""
        return Scene(
            self.cube,
            self.wavelengths,
            name="simulated",
            axes="rows,columns,bands",
            scale=1.0,
            keep_water_bands=True,
        )


def simulate(
    rows: int = 100,
    cols: int = 100,
    bands: int = 156,
    endmembers: int = 3,
    *,
    noise_sd: float = 0.01,
    maps: Literal["smooth", "dirichlet"] = "smooth",
    pure_pixels: bool = True,
    brightness_sd: float = 0.2,
    variability_sd: float = 0.0,
    band_correlation: float = 0.0,
    no_data: float = 0.0,
    seed: int = 0,
) -> Simulated:
    """A scene that is mixed by the model that is fitted, with everything that is true of it.

    Parameters
    ----------
    rows, cols, bands, endmembers : int
        Size of the image, number of bands (evenly from 400 to 2500 nm) and of endmembers.
    noise_sd : float
        Standard deviation of the noise, reflectance, 0 to 1.
    maps : {"smooth", "dirichlet"}
        How abundances lie in the image: as land looks, or each pixel for itself.
    pure_pixels : bool
        Whether each endmember fills a pixel; if not, no abundance exceeds 0.8.
    brightness_sd : float
        Standard deviation of log brightness over the image, 0 to 2.
    variability_sd : float
        Standard deviation of an endmember between pixels, as a share of its value, 0 to 1.
    band_correlation : float
        Correlation of the errors of adjacent bands, 0 to below 1.
    no_data : float
        Share of the pixels without data, 0 to below 1.
    seed : int
        One seed gives one scene.

    Raises
    ------
    ValueError
        For a value outside of its range.
    """
    if maps not in ("smooth", "dirichlet"):
        raise ValueError(f"maps {maps!r}: give smooth or dirichlet")
    settings: dict[str, Any] = {
        "rows": rows,
        "cols": cols,
        "bands": bands,
        "endmembers": endmembers,
        "noise_sd": noise_sd,
        "smooth": maps == "smooth",
        "pure_pixels": pure_pixels,
        "brightness_sd": brightness_sd,
        "variability_sd": variability_sd,
        "band_correlation": band_correlation,
        "no_data": no_data,
        "seed": seed,
    }
    for name in ("rows", "cols", "bands", "endmembers", "seed"):
        if settings[name] < 0:
            raise ValueError(f"{name} {settings[name]}: must not be negative")
    return Simulated(**_unmixel.simulate(settings))


def baseline(
    scene: SceneLike,
    endmembers: int,
    *,
    corners: Literal["vca", "nfindr"] = "vca",
    inversion: Literal["fcls", "nnls"] = "fcls",
    seed: int = 0,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """A method in use, to compare with: pixels as endmembers, and abundances by least squares.

    Parameters
    ----------
    scene : Scene, array, DataArray or path
        What to unmix.
    endmembers : int
        Number of endmembers K.
    corners : {"vca", "nfindr"}
        Vertex component analysis, or the simplex of largest volume.
    inversion : {"fcls", "nnls"}
        Fully constrained least squares, or non-negative ones (which need not sum to 1).
    seed : int
        Seed of the random numbers of ``corners``.

    Returns
    -------
    spectra : array
        (K, L), reflectance.
    abundances : array
        (rows, columns, K), float32, NaN where there are no data.

    Raises
    ------
    ValueError
        For more endmembers than bands or pixels.
    """
    if endmembers < 1:
        raise ValueError(f"endmembers {endmembers}: must be at least 1")
    return _unmixel.baseline(as_scene(scene)._raw, endmembers, corners, inversion, seed)
