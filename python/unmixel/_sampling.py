"""The pixels that a scene larger than memory is learned from, gathered block by block: a fair
sample of the valid ones, and extremes. Nothing here depends on how the scene is cut into blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _labels, _unmixel
from ._scene import _used

Numbers = npt.NDArray[np.uint64]
#: Numbers of pixels, ascending, and their stored spectra, (pixels, bands).
Gathered = tuple[Numbers, npt.NDArray[Any]]
#: Lists of extremes as the compiled part has them, and the spectra of their pixels.
Found = tuple[Any, Gathered]


def numbers_of(rows: slice, cols: slice, width: int) -> Numbers:
    """Numbers, row * width + column, of the pixels of a block, row by row."""
    down = np.arange(rows.start, rows.stop, dtype=np.uint64)[:, np.newaxis]
    across = np.arange(cols.start, cols.stop, dtype=np.uint64)
    return (down * np.uint64(width) + across).ravel()


def chance(numbers: Numbers, seed: int) -> Numbers:
    """A random number of 64 bits for each pixel: SplitMix64 (Steele, Lea and Flood 2014) of its
    number and the seed."""
    mixed = numbers + np.uint64((seed * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def has_data(block: npt.NDArray[Any], no_data: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Whether a pixel, (pixels, bands), holds any value that may be data."""
    data: npt.NDArray[np.bool_] = np.asarray(block != 0)
    for code in no_data:
        data &= block != float(code)
    if block.dtype.kind == "f":
        data &= np.isfinite(block)
    found: npt.NDArray[np.bool_] = np.asarray(data.any(axis=1))
    return found


def fair(
    block: npt.NDArray[Any], numbers: Numbers, share: float, seed: int, no_data: Sequence[float]
) -> Gathered:
    """Of a block (rows, columns, bands) the pixels with data that chance takes, a ``share`` of
    all."""
    limit = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    pixels = block.reshape(-1, block.shape[2])
    taken = np.flatnonzero(chance(numbers, seed) <= limit)
    taken = taken[has_data(pixels[taken], no_data)]
    return numbers[taken], pixels[taken]


def together(parts: Sequence[Gathered]) -> Gathered:
    """Pixels of several blocks in the order of their numbers, each once."""
    numbers = np.concatenate([part[0] for part in parts])
    spectra = np.concatenate([part[1] for part in parts])
    numbers, first = np.unique(numbers, return_index=True)
    return numbers, spectra[first]


def fewest(found: Gathered, most: int, seed: int) -> Gathered:
    """At most so many of them, by chance."""
    numbers, spectra = found
    if len(numbers) <= most:
        return found
    order = np.argsort(chance(numbers, seed), kind="stable")[:most]
    kept = np.sort(order)
    return numbers[kept], spectra[kept]


def extremes(
    block: npt.NDArray[Any],
    numbers: Numbers,
    survey: tuple[npt.NDArray[np.float64], float, int, int],
    sample: _unmixel.Scene,
    no_data: list[float] | None,
) -> Found:
    """The extremes of a block, read as the fair sample was."""
    looked = _looking(survey)
    described = {"labels": _labels.plain("block"), "beside": [], "told": NOTHING}
    used = _used("rows,columns,bands", None, no_data, (), (), False)
    scene = sample.read(_labels.usable(block), described, used, None)
    lists = looked.of(scene, _aligned(numbers))
    wanted = np.unique(lists[2])
    rows = np.searchsorted(numbers, wanted)
    return lists, (wanted, block.reshape(-1, block.shape[2])[rows])


def merged(
    parts: Sequence[Found], survey: tuple[npt.NDArray[np.float64], float, int, int]
) -> Found:
    """The extremes of several parts of a scene together."""
    looked = _looking(survey)
    lists, gathered = parts[0]
    for other, more in parts[1:]:
        lists = looked.merge(_three(lists), _three(other))
        gathered = together([gathered, more])
    kept = np.isin(gathered[0], lists[2])
    return lists, (gathered[0][kept], gathered[1][kept])


def _aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array where machines can read it: what came through a network need not lie so."""
    return np.require(array, requirements=["A"])


def _looking(survey: tuple[npt.NDArray[np.float64], float, int, int]) -> _unmixel.Survey:
    return _unmixel.Survey.of_parts(_aligned(survey[0]), *survey[1:])


def _three(lists: Any) -> Any:
    return tuple(_aligned(one) for one in lists)


#: What the caller states of a block: nothing.
NOTHING: dict[str, Any] = {
    "wavelengths": None,
    "wavelength_unit": None,
    "fwhm": None,
    "good_bands": None,
    "crs": None,
    "transform": None,
}
