"""The estimator in scikit-learn's own checks, and in a pipeline."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402
from unmixel.sklearn import Unmixer  # noqa: E402

QUICK = {"steps": 60}

#: Checks that do not apply, and why.
NOT_FOR_UNMIXING = {
    "check_positive_only_tag_during_fit": (
        "it wants an error for any value below zero: noise around dark spectra is partly negative, "
        "and is data; the tag is there for what the checks are made of"
    ),
}


@parametrize_with_checks(
    [Unmixer(2, device="cpu", settings=QUICK)],
    expected_failed_checks=lambda _: NOT_FOR_UNMIXING,
)
@pytest.mark.filterwarnings("ignore::unmixel.UnmixelWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_a_pipeline(simulated):
    pixels = simulated.cube[~np.isnan(simulated.cube).any(axis=2)].astype(np.float64)
    steps = make_pipeline(
        FunctionTransformer(lambda x: x / 10_000),
        Unmixer(3, random_state=7, wavelengths=simulated.wavelengths, device="cpu", settings=QUICK),
    )
    abundances = steps.fit_transform(pixels * 10_000)
    assert abundances.shape == (len(pixels), 3)
    assert np.allclose(abundances.sum(axis=1), 1.0, atol=1e-5)
    one = steps.transform(pixels[5:6] * 10_000)
    assert np.array_equal(one[0], abundances[5])
    unmixer = steps[-1]
    assert unmixer.components_.shape == (3, 40) and unmixer.n_components_ == 3
    assert list(unmixer.get_feature_names_out()) == ["unmixer0", "unmixer1", "unmixer2"]
    again = pickle.loads(pickle.dumps(unmixer))
    assert np.array_equal(again.transform(pixels), unmixer.transform(pixels))
    assert clone(unmixer).get_params()["settings"] == QUICK
    with pytest.raises(TypeError, match="typo"):
        Unmixer(3, settings={"typo": 1}).fit(pixels)


def test_other_spectra_are_unmixed_on_the_device_that_is_named(simulated):
    pixels = simulated.cube[~np.isnan(simulated.cube).any(axis=2)].astype(np.float64)
    unmixer = Unmixer(n_components=3, device="cpu", settings=QUICK).fit(pixels)
    with pytest.raises(ValueError, match="vax"):
        unmixer.set_params(device="vax").transform(pixels)
