"""Ctrl-C, progress, and other threads meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import unmixel as ux

# Seconds from the signal to the exception; the machine of the tests may be busy.
HEARD = 1.0 if not os.environ.get("CI") else 3.0


@pytest.fixture(scope="module")
def large():
    return ux.simulate(90, 100, 120, 4, seed=1).scene


def interrupted_at(scene, kind, **options):
    """The exception of a fit that gets Ctrl-C at the first event of a kind, and how long after."""
    sent: list[float] = []

    def hear(event):
        if event.kind == kind and not sent:
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        ux.Unmixing(4, device="cpu", **options).fit(scene, progress=hear)
    return caught.value, time.monotonic() - sent[0]


@pytest.mark.parametrize("kind", ["device", "search", "step", "fitted"])
def test_ctrl_c_gives_the_fit_so_far(large, kind):
    error, seconds = interrupted_at(large, kind, early_stop=False)
    assert seconds < HEARD
    fit = error.fit
    assert isinstance(fit, ux.Fit) and fit.interrupted
    assert fit.abundances.shape == (4, 90, 100)
    assert np.isfinite(fit.numpy()).all()


def test_ctrl_c_without_a_listener(large):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        ux.Unmixing(4, device="cpu", steps=1_000_000, early_stop=False, init="vca").fit(large)
    assert time.monotonic() - begin < 0.5 + HEARD
    assert caught.value.fit.interrupted


def test_an_exception_of_the_callback_ends_the_fit(large):
    class Enough(Exception):
        pass

    def hear(event):
        if event.kind == "step":
            raise Enough(str(event))

    with pytest.raises(Enough, match="step 50") as caught:
        ux.Unmixing(4, device="cpu", init="vca").fit(large, progress=hear)
    assert caught.value.fit.interrupted
    with pytest.raises(TypeError, match="function of one event"):
        ux.Unmixing(4).fit(large, progress=3)


def test_other_threads_go_on(large):
    """The interpreter is free while a fit runs."""
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.monotonic()
    ux.Unmixing(4, device="cpu", init="vca", steps=300, early_stop=False).fit(large)
    seconds = time.monotonic() - begin
    done.set()
    thread.join()
    # With the interpreter held there would be none at all.
    assert len(ticks) > 5 and np.diff(ticks).max() < max(0.5, seconds / 2)


def test_events_and_bars(capsys):
    large = ux.simulate(20, 25, 30, 4, seed=1).scene
    events = []
    ux.Unmixing(4, device="cpu", restarts=1, search=0).fit(large, progress=events.append)
    kinds = [event.kind for event in events]
    assert {"device", "searching", "search", "step", "fitted"} <= set(kinds)
    steps = [event for event in events if event.kind == "step"]
    assert [e.step for e in steps] == sorted(e.step for e in steps)
    assert steps[-1].total and np.isfinite(steps[-1].elbo) and "step" in str(steps[0])
    pytest.importorskip("tqdm")
    ux.Unmixing(4, device="cpu", init="vca", steps=200).fit(large, progress=True)
    assert "fit" in capsys.readouterr().err


def test_progress_without_tqdm():
    """Lines on stderr; and the package without any library but NumPy."""
    code = """
        import sys
        for name in ("tqdm", "xarray", "dask", "sklearn", "matplotlib", "rioxarray"):
            sys.modules[name] = None
        import unmixel as ux
        made = ux.simulate(10, 12, 20, 2)
        fit = ux.Unmixing(2, steps=100, device="cpu").fit(made.scene, progress=True)
        assert fit.numpy().shape == (10, 12, 2) and fit._repr_html_()
        for use in (lambda: fit.abundances, lambda: fit.endmembers, lambda: fit.interval()):
            try:
                use()
            except ImportError as error:
                assert "pip install xarray" in str(error), error
            else:
                raise AssertionError
        for name in ("dask", "sklearn"):
            try:
                getattr(ux, name)
            except ImportError:
                pass
            else:
                raise AssertionError(name)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "step 50/100" in done.stderr and "device: " in done.stderr
