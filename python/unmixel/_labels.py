"""What is said of an array, as the compiled part takes it: it decides what it means."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

#: Longer attributes describe no band.
_LONGEST = 1 << 16


def plain(name: str) -> dict[str, Any]:
    """An array of which nothing is said."""
    return {"name": name, "axes": [], "texts": [], "numbers": [], "values": []}


def _attributes(attrs: Mapping[Any, Any]) -> dict[str, list[tuple[str, Any]]]:
    texts: list[tuple[str, str]] = []
    values: list[tuple[str, list[float]]] = []
    for key, value in attrs.items():
        if isinstance(value, str):
            texts.append((str(key), value))
            continue
        if isinstance(value, numbers.Real):
            values.append((str(key), [float(value)]))
            continue
        if isinstance(value, (Sequence, np.ndarray)) and len(np.shape(value)) == 1:
            listed = np.asarray(value)
            if listed.dtype.kind in "iufb" and listed.size <= _LONGEST:
                values.append((str(key), [float(v) for v in listed]))
    return {"texts": texts, "numbers": values}


def of_array(da: xr.DataArray, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Labels of a ``DataArray``, and those of its coordinates of one axis or none."""
    own = {**plain(name), "axes": [str(dim) for dim in da.dims], **_attributes(da.attrs)}
    mapping = da.encoding.get("grid_mapping")
    if isinstance(mapping, str):
        own["texts"] = [*own["texts"], ("grid_mapping", mapping)]
    beside = []
    for key, coord in da.coords.items():
        if coord.ndim > 1 or coord.dtype.kind not in "iufb":
            continue
        label = {**plain(str(key)), **_attributes(coord.attrs)}
        if coord.ndim == 1:
            label["axes"] = [str(coord.dims[0])]
            label["values"] = [float(v) for v in coord.values]
        elif coord.attrs:
            label["texts"] = [(k, v) for k, v in label["texts"] if not _is_stale(k, da, coord)]
        beside.append(label)
    return own, beside


def _is_stale(key: str, da: xr.DataArray, mapping: xr.DataArray) -> bool:
    """Whether the transform of a coordinate system is that of an array that this one was cut out
    of: where coordinates tell, they do."""
    if key != "GeoTransform":
        return False
    words = str(mapping.attrs.get(key, "")).replace(",", " ").split()
    rotated = len(words) == 6 and any(float(words[i]) != 0.0 for i in (2, 4))
    told = [c for c in da.coords.values() if c.ndim == 1 and c.dims == (c.name,) and c.size > 1]
    return not rotated and len(told) >= 2


def usable(values: Any) -> npt.NDArray[Any]:
    """``values`` as an array that the compiled part reads where it lies; of types and byte orders
    that it does not know, and of masked arrays, a copy.

    Raises
    ------
    TypeError
        For anything but real numbers.
    """
    if isinstance(values, np.ma.MaskedArray):
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float32)
        return np.asarray(np.ma.filled(values.astype(kind), np.nan))
    array = np.asarray(values)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif array.dtype.kind not in "iuf":
        raise TypeError(f"a scene is made of real numbers, and this is an array of {array.dtype}")
    elif array.dtype.itemsize not in (1, 2, 4, 8) or array.dtype == np.float16:
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if array.flags.aligned else np.require(array, requirements=["A"])


def place(crs: Any, transform: Any) -> tuple[str | None, list[float] | None]:
    """A coordinate system as text, and a transform as GDAL's six numbers, from whatever has them:
    numbers of the EPSG register, text, objects of pyproj and rasterio, ``Affine``.

    Raises
    ------
    ValueError
        For what is none of these.
    """
    text: str | None
    if crs is None or isinstance(crs, str):
        text = crs
    elif isinstance(crs, numbers.Integral):
        text = f"EPSG:{int(crs)}"
    elif hasattr(crs, "to_wkt"):
        text = crs.to_wkt()
    else:
        raise ValueError(
            f"crs {crs!r}: give an EPSG number, text, or an object of pyproj or rasterio"
        )
    if transform is None:
        return text, None
    if hasattr(transform, "to_gdal"):
        transform = transform.to_gdal()
    six = [float(v) for v in transform]
    if len(six) != 6:
        raise ValueError(f"transform: {len(six)} numbers; give GDAL's six, or an Affine")
    return text, six
