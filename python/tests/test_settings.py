"""Keywords of Unmixing: each reaches the fit, none is ignored, wrong ones are sentences."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import unmixel as ux
from conftest import QUICK


@pytest.fixture(scope="module")
def scene():
    return ux.simulate(12, 14, 24, 3, seed=1).scene


def settings_of(scene, k=3, **options):
    return ux.Unmixing(k, **{**QUICK, **options}).fit(scene).report["settings"]


def test_every_keyword_changes_what_is_recorded(scene):
    plain = settings_of(scene)
    seen = {
        "seed": settings_of(scene, seed=5)["svi"]["seed"] == 5,
        "steps": settings_of(scene, steps=60)["svi"]["steps"] == 60,
        "early_stop": settings_of(scene, early_stop=False)["svi"]["early_stop"] is False,
        "batch_size": settings_of(scene, batch_size=64)["svi"]["batch_size"] == 64,
        "particles": settings_of(scene, particles=3)["svi"]["particles"] == 3,
        "learning_rate": settings_of(scene, learning_rate=0.01)["svi"]["learning_rate"] == 0.01,
        "noise": settings_of(scene, noise="isotropic")["model"] != plain["model"],
        "brightness": settings_of(scene, brightness=False)["model"]["brightness"] is None,
        "variability": settings_of(scene, variability=False)["model"]["variability"] is None,
        "effective_bands": settings_of(scene, effective_bands=20)["effective_bands"] == 20,
        "concentration": settings_of(scene, concentration=2)["model"]["concentration"] == 2.0,
        "common_mixture": settings_of(scene, common_mixture=True)["model"]["common"] is not None,
        "learn_shade": settings_of(scene, learn_shade=False)["model"] != plain["model"],
        "outliers_aside": ux.Unmixing(3, outliers_aside=False, **QUICK)
        .fit(scene)
        .report["estimates"]["outliers"]
        is None,
        "guide": settings_of(scene, guide="mean-field")["model"]["family"]
        != plain["model"]["family"],
        "rank": "4" in str(settings_of(scene, guide="low-rank", rank=4)["model"]["family"]),
        "cube": ux.Unmixing(3, cube="f16", **QUICK).fit(scene).report["device"]["held"]["why"]
        == "cpu",
        "posterior": settings_of(scene, posterior="guide")["posterior"] == "guide",
        "spectra": settings_of(scene, brightness=False, spectra="first")["spectra"] == "first",
        "convention": settings_of(scene, convention="reflectance")["convention"] == "reflectance",
        "init": "random" in settings_of(scene, init="random")["start"],
        "draws": ux.Unmixing(3, draws=4, **QUICK).fit(scene).draws.sizes["draw"] == 4,
        "device": "gpu" not in ux.Unmixing(3, **QUICK).fit(scene).report["device"]["backend"],
    }
    searched = (
        ux.Unmixing(3, steps=150, device="cpu", restarts=2, search=0).fit(scene).report["search"]
    )
    seen["restarts"] = searched["starts"] == 2
    seen["search"] = (
        ux.Unmixing(3, device="cpu", search="0.1s", restarts=1).settings["search"] == "0.1s"
    )
    # Spectra that are given have wavelengths; test_fit has them.
    names = set(inspect.signature(ux.Unmixing.__init__).parameters) - {"self", "endmembers"}
    assert names - set(seen) == {"init_wavelengths"}
    assert all(seen.values()), [name for name, is_seen in seen.items() if not is_seen]
    assert settings_of(scene, concentration="learn")["model"]["concentration_sd"]
    assert settings_of(scene, effective_bands="all")["effective_bands"] == scene.shape[2]
    assert settings_of(scene, guide="low-rank")["model"]["family"] != plain["model"]["family"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"endmembers": 0}, "endmembers 0"),
        ({"endmembers": -1}, "endmembers -1"),
        ({"endmembers": 2.5}, "endmembers 2.5"),
        ({"endmembers": "many"}, "auto"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**64}, "seed 18446744073709551616"),
        ({"steps": 0}, "steps 0"),
        ({"steps": -5}, "steps -5"),
        ({"steps": 2**40}, "steps 1099511627776"),
        ({"batch_size": 0}, "batch size 0"),
        ({"particles": 65}, "particles 65"),
        ({"learning_rate": 0.0}, "learning rate 0"),
        ({"learning_rate": float("nan")}, "learning rate NaN"),
        ({"noise": "loud"}, "isotropic, band, covariance"),
        ({"guide": "tour"}, "mean-field, full-rank, low-rank"),
        ({"rank": 3}, "only the low-rank guide"),
        ({"rank": 3, "guide": "full-rank"}, "only the low-rank guide"),
        ({"rank": 65, "guide": "low-rank"}, "rank 65"),
        ({"posterior": "both"}, "exact, guide"),
        ({"draws": 1001}, "draws 1001"),
        ({"spectra": "last"}, "joint, first, given"),
        ({"spectra": "first"}, "brightness off"),
        ({"spectra": "given"}, "spectra"),
        ({"convention": "area"}, "reflectance, peak"),
        ({"effective_bands": 0.5}, "at least 1"),
        ({"effective_bands": "some"}, "auto, all"),
        ({"concentration": -1}, "concentration -1"),
        ({"concentration": "guess"}, "learn"),
        ({"restarts": 0}, "restarts 0"),
        ({"search": -1}, "search -1"),
        ({"search": "long"}, "20s"),
        ({"search": "0s"}, "20s"),
        ({"device": ""}, "device"),
        ({"init_wavelengths": [1.0]}, "init"),
        ({"init": np.ones(4)}, "1 axes"),
    ],
)
def test_wrong_settings_are_sentences(options, says):
    options = dict(options)
    with pytest.raises(ValueError, match=says):
        ux.Unmixing(options.pop("endmembers", 3), **options)


def test_unknown_keywords_are_errors(scene):
    with pytest.raises(TypeError, match="endmember_count"):
        ux.Unmixing(3, endmember_count=4)
    with pytest.raises(TypeError):
        ux.Unmixing(3, 7)
    with pytest.raises(TypeError):
        ux.Unmixing(3, steps=1.5)


def test_settings_that_no_scene_goes_with_are_told_at_the_fit(scene):
    with pytest.raises(ValueError, match="noise covariance"):
        ux.Unmixing(3, posterior="exact", noise="covariance", **QUICK).fit(scene)
    with pytest.raises(ValueError, match="give 1 to 24"):
        ux.Unmixing(25, **QUICK).fit(scene)


def test_a_device_that_is_not_there_is_told(scene):
    with pytest.raises(ValueError, match="no such thing"):
        ux.Unmixing(3, device="no such thing").fit(scene)


def test_names_are_counted_before_the_fit(scene):
    with pytest.raises(ValueError, match="2 names for 3 endmembers"):
        ux.Unmixing(3, **QUICK).fit(scene, names=["a", "b"])
    with pytest.warns(ux.UnmixelWarning, match="numbered instead"):
        fit = ux.Unmixing("auto", **QUICK).fit(scene, names=["a"])
    assert fit.names[0] == "endmember 1"


def test_settings_and_words_are_shown(scene):
    of = ux.Unmixing(3, seed=4, noise="band")
    assert repr(of) == "unmixel.Unmixing(3, seed=4, noise='band', device='auto')"
    assert of.settings["steps"] is None
    for method in (ux.Unmixing, ux.Scene, ux.open, ux.simulate, ux.Fit.save, ux.Fit.interval):
        assert "Raises" in (method.__doc__ or ""), method
