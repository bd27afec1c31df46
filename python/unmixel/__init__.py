"""Bayesian hyperspectral unmixing, with uncertainty.

>>> import unmixel as ux
>>> scene = ux.open("EMIT_L2A.nc")  # doctest: +SKIP
>>> fit = ux.Unmixing(3, seed=7).fit(scene)  # doctest: +SKIP
>>> fit.abundances  # doctest: +SKIP

A scene comes from a file (:func:`open`), from an array of NumPy or xarray (:class:`Scene`);
:class:`Unmixing` has every setting and gives a :class:`Fit`. ``import unmixel`` registers the
accessor ``.unmixel`` of ``xarray.DataArray`` where xarray is installed; :mod:`unmixel.dask` unmixes
arrays larger than memory on any Dask cluster, :mod:`unmixel.sklearn` has an estimator for
scikit-learn's pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _unmixel
from ._fit import Fit, load
from ._progress import Event
from ._scene import Scene, open
from ._simulate import Simulated, baseline, simulate
from ._unmixing import Count, UnmixelWarning, Unmixing, devices

if TYPE_CHECKING:
    from . import dask, sklearn

__version__: str = _unmixel.__version__

__all__ = [
    "Count",
    "Event",
    "Fit",
    "Scene",
    "Simulated",
    "UnmixelWarning",
    "Unmixing",
    "baseline",
    "dask",
    "devices",
    "load",
    "open",
    "simulate",
    "sklearn",
]


def __getattr__(name: str) -> Any:
    """The submodules that need more than NumPy, on their first use."""
    if name in ("dask", "sklearn"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


try:
    from . import _accessor as _accessor
except ImportError:  # xarray is not installed: there is nothing to register with.
    pass
