"""Figures of matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import matplotlib.figure

    from ._fit import Fit


def figure(fit: Fit, figsize: tuple[float, float] | None) -> matplotlib.figure.Figure:
    """Maps of abundances and of their sd, an endmember a column, above the spectra."""
    import matplotlib.pyplot as plt

    k = fit.k
    fig: matplotlib.figure.Figure = plt.figure(
        figsize=figsize or (max(3.2 * k, 6.4), 8.5), layout="constrained"
    )
    grid = fig.add_gridspec(3, k)
    maps: list[tuple[str, Any, float, str]] = [
        ("abundance", fit.numpy("abundances"), 1.0, "viridis"),
        ("standard deviation", *_scaled(fit.numpy("abundances_sd")), "magma"),
    ]
    for row, (label, values, top, colours) in enumerate(maps):
        axes = [fig.add_subplot(grid[row, i]) for i in range(k)]
        for i, ax in enumerate(axes):
            shown = ax.imshow(values[:, :, i], vmin=0.0, vmax=top, cmap=colours)
            ax.set_xticks([])
            ax.set_yticks([])
            if row == 0:
                ax.set_title(fit.names[i])
        fig.colorbar(shown, ax=axes, label=label)
    ax = fig.add_subplot(grid[2, :])
    nm = fit.scene.wavelengths
    at = fit.scene.band_indices + 1 if nm is None else nm
    spectra = [fit.numpy(f"endmembers{end}") for end in ("", "_q05", "_q95")]
    for i, name in enumerate(fit.names):
        mean, low, high = (table[i].copy() for table in spectra)
        # No line over bands that are left out.
        breaks = np.flatnonzero(np.diff(fit.scene.band_indices) > 1) + 1
        mean, low, high = (np.insert(part, breaks, np.nan) for part in (mean, low, high))
        place = np.insert(at.astype(float), breaks, np.nan)
        (line,) = ax.plot(place, mean, label=name)
        ax.fill_between(place, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    ax.set_xlabel("band" if nm is None else "wavelength (nm)")
    ax.set_ylabel("reflectance" if fit.convention == "reflectance" else "share of the peak")
    ax.legend()
    fig.suptitle(f"{fit.scene.name}: bands are 90 % intervals")
    return fig


def _scaled(values: Any) -> tuple[Any, float]:
    """The values, and the top of one scale for all of them."""
    finite = values[np.isfinite(values)]
    return values, float(np.quantile(finite, 0.99)) if finite.size else 1.0
