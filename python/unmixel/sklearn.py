"""An estimator for scikit-learn's pipelines: rows are pixels, columns are bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "unmixel.sklearn needs scikit-learn 1.6 or later: `pip install scikit-learn`"
    ) from error

from ._fit import Fit
from ._progress import Progress
from ._scene import Scene
from ._unmixing import Unmixing

__all__ = ["Unmixer"]


# scikit-learn has no types.
class Unmixer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Bayesian unmixing of spectra in a pipeline: ``fit`` finds the endmembers, ``transform`` gives
    each row its abundances, whatever rows are beside it.

    Parameters
    ----------
    n_components : int or "auto"
        Number of endmembers K.
    random_state : int
        Seed of all random numbers.
    wavelengths : array, optional
        Centre wavelengths of the columns, nanometres.
    device : str
        As :class:`unmixel.Unmixing` has it.
    settings : dict, optional
        Any other setting of :class:`unmixel.Unmixing`, by its name.
    progress : bool or callable
        As :meth:`unmixel.Unmixing.fit` has it.

    Attributes
    ----------
    components_ : array, (K, n_features_in_)
        Endmember spectra in the unit of the data, posterior means; NaN in columns that are not
        used, as constant ones. In the convention ``peak`` relative to their peak.
    fit_ : Fit
        The fit, whose image is one column of pixels.
    n_components_ : int
        K.
    n_features_in_ : int
        Columns that were seen.

    Notes
    -----
    Values are taken as they stand, as reflectance; nothing stands for no data but rows of zeros,
    whose abundances are NaN.
    """

    def __init__(
        self,
        n_components: Any = 3,
        *,
        random_state: int = 0,
        wavelengths: npt.ArrayLike | None = None,
        device: str = "auto",
        settings: dict[str, Any] | None = None,
        progress: Progress = None,
    ) -> None:
        self.n_components = n_components
        self.random_state = random_state
        self.wavelengths = wavelengths
        self.device = device
        self.settings = settings
        self.progress = progress

    def fit(self, X: npt.ArrayLike, y: object = None) -> Unmixer:
        """Finds the endmembers of the rows of ``X``, (pixels, bands)."""
        values = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        unmixing = Unmixing(
            self.n_components,
            seed=self.random_state,
            device=self.device,
            **(self.settings or {}),
        )
        scene = Scene(
            _column(values),
            None if self.wavelengths is None else np.asarray(self.wavelengths),
            name="X",
            axes="rows,columns,bands",
            scale=1.0,
            no_data=[],
            keep_water_bands=True,
        )
        self.fit_: Fit = unmixing.fit(scene, progress=self.progress)
        self.n_components_ = self.fit_.k
        used = self.fit_.scene.band_indices
        self.components_ = np.full((self.n_components_, self.n_features_in_), np.nan)
        self.components_[:, used] = self.fit_.numpy("endmembers")
        return self

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Abundances of the rows of ``X``, (pixels, K), posterior means, float32."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        scene = self.fit_.read(_column(values), axes="rows,columns,bands", name="X", no_data=[])
        return self.fit_.apply(scene, device=self.device).numpy("abundances")[:, 0, :]

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Spectra are light: nothing in them is below zero but noise.
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows as an image of one column."""
    return values[:, np.newaxis, :]
